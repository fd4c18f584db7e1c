//! In place: chunks that patches make of the target's own old bytes, put aside before the first of these is overwritten.
//!
//! What is put aside is a seed like any other, and the image is then made as frames would make it. So a power cut at any
//! moment leaves what it would leave of an update by frames, and the chunks, too: their file is complete on the medium
//! before anything is written, and the next run finds it by its name.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chunk_delta::Image;
use chunk_fetch::{CachedSource, FetchError, Source};
use chunk_index::{Entry, Ways};

use crate::ReadError;
use crate::job::{ExtractError, Job, Notice, SeedPart};
use crate::places::{Place, Places};
use crate::plan::{Origin, Plan};
use crate::recipe::{Fetched, Recipe};
use crate::seed::{Seed, Window};
use crate::survey::{Survey, blocks_of};
use crate::target::open_private;

use super::aside::{STAGED, table};
use super::base::{Base, MOST_LENGTHS};
use super::chain::note_groups;
use super::groups::Fetch;
use super::link::{Link, Useless};
use super::made::{Made, Old};
use super::mend::Mend;
use super::streams::make;

/// Bytes written at a time.
const STEP: u64 = 1 << 20;

/// Chunks to be made by patches and put aside.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(super) links: Vec<Link>,
    /// What makes the target what it was, for the patches.
    pub(super) mend: Option<Mend>,
    /// The parts of the image that are put aside, one behind the other.
    parts: Vec<Range<u64>>,
    /// The chunks that these are.
    chunks: Vec<Entry>,
    /// What is done if that fails.
    without: Box<Plan>,
}

impl Job<'_> {
    /// Plans to make what `plan` fetches by patches of the target's old bytes, if that costs less. `plan_again` makes the same
    /// plan with other places.
    pub(crate) fn plan_staging(
        &self,
        survey: &mut Survey,
        recipe: &Recipe,
        places: &mut Places,
        plan: Plan,
        plan_again: &dyn Fn(&Places) -> Plan,
    ) -> Result<(Plan, Option<Staging>), ExtractError> {
        let ways = recipe.head().locator().ways();
        if !self.options.patches || plan.totals.download == 0 || ways.patches().is_empty() {
            return Ok((plan, None));
        }
        let Some(base) = self.find_own_base(survey, recipe.record().image_len(), ways)? else {
            return Ok((plan, None));
        };
        let number = survey.own + 1;
        let chunks = fetched(recipe, &plan);
        let parts = joined(&chunks);
        let staged: u64 = parts.iter().map(|part| part.end - part.start).sum();
        let mut starts = base.starts.iter().map(|first| (&base, *first));
        while let Some(start) = starts.next() {
            let Some((mut links, _)) = self.open_way(survey, recipe.record(), ways, start) else {
                continue;
            };
            let roots = note_groups(&mut links, parts.clone());
            let (patch, requests) = super::way::cost(&links, self.options.limits.longest);
            let mut spent = links.iter().map(|link| link.front().cost()).sum::<u64>();
            let Ok(mend) = self.plan_own_mend(survey, &base, &roots, &mut spent) else {
                survey.late += spent;
                continue;
            };
            let mended = mend.as_ref().map_or(0, Mend::download);
            let scratch = Made::disk(&links) + staged + mend.as_ref().map_or(0, Mend::disk);
            let last = links.last().map_or("", |last| &last.object);
            if patch + mended >= plan.totals.download
                || !self.has_scratch_room(last, survey, &plan.totals, scratch)
            {
                survey.late += spent;
                continue;
            }
            let mut offset = 0;
            for (entry, _) in &chunks {
                places.add(entry.short, entry.len, Place { seed: number, offset });
                offset += u64::from(entry.len);
            }
            places.sort();
            let mut again = plan_again(places);
            let totals = &mut again.totals;
            // It is no seed that anybody gave.
            totals.patched = totals.seeds.get(usize::from(number)).copied().unwrap_or(0);
            totals.seeds.truncate(usize::from(number));
            totals.download += patch + mended;
            totals.cached += super::way::kept_of(&links, self.source, self.options.limits.longest)
                + mend.as_ref().map_or(0, Mend::cached);
            totals.requests += requests + mend.as_ref().map_or(0, Mend::requests);
            totals.mend = mended;
            (totals.patch, totals.patches, totals.scratch) = (patch, links.len() as u64, scratch);
            let chunks = chunks.into_iter().map(|(entry, _)| Entry { repeats: 0, ..entry }).collect();
            self.note_ways(survey, recipe.record(), ways, starts);
            return Ok((again, Some(Staging { links, mend, parts, chunks, without: Box::new(plan) })));
        }
        Ok((plan, None))
    }

    /// The target as the base of `ways`, if it is one.
    fn find_own_base(&self, survey: &Survey, len: u64, ways: &Ways) -> Result<Option<Base>, ExtractError> {
        // What has begun to change is nobody's base.
        let Some(seed) = survey.own_seed().filter(|_| survey.rereads && survey.done.is_empty()) else {
            return Ok(None);
        };
        if let Some(base) = survey.hashes().and_then(|hashes| Base::of(ways, survey.own, len, hashes)) {
            return Ok(Some(base));
        }
        let mut bases = Vec::new();
        for window in seed.as_window().into_iter().flat_map(|window| lengthened(window, ways)) {
            let (image, seed) = (survey.own_image.clone(), Seed::window(seed.name.clone(), window));
            bases.extend(self.find_bases(&[SeedPart { image, ..seed.into() }], ways)?);
        }
        bases.sort_by_key(|base| base.near.is_some());
        Ok(bases.into_iter().next().map(|base| Base { seed: survey.own, ..base }))
    }

    /// What makes the target what it was, if it is not that any more where it is needed. Adds to `spent` what that has cost.
    fn plan_own_mend(
        &self,
        survey: &Survey,
        base: &Base,
        roots: &[Range<u64>],
        spent: &mut u64,
    ) -> Result<Option<Mend>, Useless> {
        let (Some(near), Some(seed)) = (&base.near, survey.own_seed()) else { return Ok(None) };
        let mut more = 0;
        let mend = self.plan_mend(&seed.into(), near, roots, &mut more);
        *spent += more;
        mend
    }

    /// Puts aside what `staging` says of `old`, the target: then that is one more seed. If it fails, there is another plan.
    pub(crate) fn put_aside(
        &self,
        staging: Staging,
        old: &Seed,
        late: &mut u64,
    ) -> Result<Result<Seed, Plan>, ExtractError> {
        let heads: u64 = staging.links.iter().map(|link| link.front().cost()).sum();
        let fetched = AtomicU64::new(heads);
        let mut more = 0;
        match self.write_aside(&staging, old, &fetched, &mut more) {
            Ok(window) => {
                *late += more;
                Ok(Ok(Seed::window(STAGED.to_owned(), window)))
            }
            Err(_) if self.observer.is_cancelled() => Err(ExtractError::Cancelled),
            Err(error) => {
                // Frames could not be had either, and the patch is kept as far as it came.
                let error = match error.downcast::<FetchError>() {
                    Ok(error) if error.is_transient() => return Err(ReadError::Fetch(*error).into()),
                    Ok(error) => error as Useless,
                    Err(error) => error,
                };
                let patch = staging.links.last().map_or("", |last| &last.object);
                self.doubt(&staging.links, &*error);
                self.observer.notice(&Notice::Unpatched { patch, error: &*error });
                *late += fetched.into_inner();
                Ok(Err(*staging.without))
            }
        }
    }

    /// Reads all that `staging` takes from the store and throws it away.
    pub(crate) fn pull_staging(&self, staging: &Staging) -> Result<(), ExtractError> {
        staging.mend.as_ref().map_or(Ok(()), |mend| self.pull_mend(mend))?;
        super::way::pull(&staging.links, self.source, self.options.limits.longest, self.observer)
    }

    fn write_aside(
        &self,
        staging: &Staging,
        old: &Seed,
        fetched: &AtomicU64,
        late: &mut u64,
    ) -> Result<Window, Useless> {
        let mut mended = None;
        if let Some(mend) = &staging.mend {
            let (seed, more) = self.mend(mend)?;
            *late = more;
            fetched.fetch_add(mend.download() + more, Ordering::Relaxed);
            mended = Some(seed);
        }
        let old = mended.as_ref().unwrap_or(old);
        let kept = self.keeping();
        let source = kept.as_ref().map_or(self.source, |kept| kept);
        let fetch = Fetch { source, ..self.fetch(fetched) };
        let links = &staging.links;
        let made = Made::new(links, &self.scratch())?;
        for number in 0..links.len() {
            let old = Old { seed: old, links: &links[..number], made: &made };
            make(links, number, &old, &fetch, self.observer)?;
        }
        let image = Old { seed: old, links, made: &made };
        let path = self.state.as_ref().zip(self.path()).and_then(|(state, path)| state.staged(&path));
        let Some(path) = path else {
            // Nobody would find it after a power cut.
            let file = tempfile::tempfile_in(self.scratch())?;
            self.copy(&image, &staging.parts, &file)?;
            return Ok(Window::of(Arc::new(file), None)?);
        };
        // A seed may be what lies there from an earlier run.
        let part = path.with_extension("staged-part");
        let file = open_private(&part)?;
        file.set_len(0)?;
        let end = self.copy(&image, &staging.parts, &file)?;
        file.write_all_at(&table(staging.chunks.iter().copied()), end)?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        if let (Some(state), Some(target)) = (&self.state, self.path()) {
            state.drop_fetched(&target)?;
        }
        Ok(Window::of(Arc::new(file), None)?)
    }

    /// The source of patches that keeps what it gives in the state directory: decoding a group may take longer than fetching
    /// it, and a run that is cut short there would fetch it again. Where nothing can be kept, that is what it costs.
    fn keeping(&self) -> Option<CachedSource<&dyn Source>> {
        let directory = self.state.as_ref()?.fetched(&self.path()?)?;
        CachedSource::new(self.source, &directory, u64::MAX).ok()
    }

    /// Writes `parts` of `image` one behind the other, and returns where they end.
    fn copy(&self, image: &dyn Image, parts: &[Range<u64>], file: &File) -> Result<u64, Useless> {
        let (mut at, mut buffer) = (0, Vec::new());
        for part in parts {
            let mut start = part.start;
            while start < part.end {
                if self.observer.is_cancelled() {
                    return Err("interrupted".into());
                }
                let len = STEP.min(part.end - start);
                buffer.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
                image.read_at(start, &mut buffer)?;
                file.write_all_at(&buffer, at)?;
                (start, at) = (start + len, at + len);
            }
        }
        Ok(at)
    }
}

impl Staging {
    /// What would be downloaded without it.
    pub(crate) fn without(&self) -> u64 {
        self.without.totals.download
    }

    /// What was fetched of the index of what the target was.
    pub(crate) fn mend_index(&self) -> Fetched {
        self.mend.as_ref().map(Mend::index).unwrap_or_default()
    }
}

/// The chunks that are fetched in frames, and old ones that have moved to where two blocks meet; each once, and where in the
/// image they start.
///
/// If the run is cut short between these two blocks, such a chunk is nowhere as a whole any more.
fn fetched(recipe: &Recipe, plan: &Plan) -> Vec<(Entry, u64)> {
    let mut seen = HashSet::new();
    let placed = recipe.entries_from(0).filter(|placed| {
        let next = plan.runs.partition_point(|run| run.range().end <= placed.image.start);
        let run = plan.runs.get(next).filter(|run| run.image <= placed.image.start);
        let is_put_aside = run.is_some_and(|run| match run.origin {
            Origin::Frame { .. } => true,
            Origin::Own { offset } => {
                let has_moved = offset != run.image || run.period > 0;
                has_moved && blocks_of(&placed.image).len() > 1
            }
            _ => false,
        });
        is_put_aside && seen.insert((placed.entry.short, placed.entry.len))
    });
    placed.map(|placed| (placed.entry, placed.image.start)).collect()
}

/// The target, and what of it images were that patches start from and that are shorter: a run that was cut short may have
/// made a file as long as the image is, and nothing else.
fn lengthened(window: &Window, ways: &Ways) -> Vec<Window> {
    let mut lens: Vec<u64> = ways.patches().iter().map(|patch| patch.base_len).collect();
    lens.retain(|len| window.is_regular() && *len < window.size());
    lens.sort_unstable_by(|one, other| other.cmp(one));
    lens.dedup();
    lens.truncate(MOST_LENGTHS);
    std::iter::once(window.clone()).chain(lens.into_iter().map(|len| window.first(len))).collect()
}

/// The parts of the image that are these chunks, neighbours joined.
fn joined(chunks: &[(Entry, u64)]) -> Vec<Range<u64>> {
    let mut parts: Vec<Range<u64>> = Vec::new();
    for (entry, start) in chunks {
        let end = start + u64::from(entry.len);
        match parts.last_mut().filter(|last| last.end == *start) {
            Some(last) => last.end = end,
            None => parts.push(*start..end),
        }
    }
    parts
}
