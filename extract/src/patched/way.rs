//! What going by patches takes: decided from their heads, before anything is written.

use std::ops::Range;
use std::thread;

use chunk_chunker::image::Blocks;
use chunk_fetch::{FetchError, Source};
use chunk_index::{Block, PatchRef, Record, Ways};
use chunk_store::Key;

use crate::ReadError;
use crate::job::{ExtractError, Job, Notice, Observer, Progress, SeedPart};
use crate::plan::Totals;
use crate::recipe::Fetched;
use crate::survey::{OpenIndex, Survey};
use crate::verified::Check;

use super::base::Base;
use super::chain::{Root, note_groups, visit};
use super::link::{Front, Link, Useless};
use super::made::Made;
use super::mend::{Mend, Near};

/// Most patches of a way: each takes a request, and memory for its head.
const MOST_LINKS: usize = 32;

/// Patches of which the first starts from a seed and the last makes the image, and what they take.
#[derive(Debug)]
pub(crate) struct Way {
    pub(super) links: Vec<Link>,
    /// The seed that the first starts from.
    pub(super) seed: u16,
    pub(super) check: Check,
    /// The blocks to write, ascending.
    pub(super) missing: Vec<u64>,
    /// The parts of the seed that are needed.
    roots: Vec<Range<u64>>,
    /// What makes the seed what it was.
    pub(super) mend: Option<Mend>,
    /// What all this comes to.
    pub(super) totals: Totals,
}

impl Job<'_> {
    /// The way by patches to the image that `index` describes, if there is one. It costs no more than the heads of the
    /// patches to find out, and that only if a way starts from a seed.
    pub(crate) fn find_way(
        &self,
        survey: &mut Survey,
        index: &OpenIndex,
    ) -> Result<Option<Way>, ExtractError> {
        let (record, ways) = (index.head().record(), index.head().locator().ways());
        if !self.options.patches || ways.patches().is_empty() || survey.is_right {
            return Ok(None);
        }
        let bases = self.find_bases(&survey.parts, ways)?;
        let mut starts = bases.iter().flat_map(|base| base.starts.iter().map(move |first| (base, *first)));
        while let Some((base, first)) = starts.next() {
            let Some((links, said)) = self.open_way(survey, record, ways, (base, first)) else { continue };
            let kept = survey.kept(&said);
            let check = Check::new(Blocks::of_len(record.image_len()), said);
            let seed = (base.seed, survey.parts.len());
            let mut way = Way::new(links, seed, check, &kept, self.options.limits.longest);
            way.totals.cached = kept_of(&way.links, self.source, self.options.limits.longest);
            let mut spent = 0;
            if let Some(near) = &base.near
                && let Err(error) =
                    self.add_mend(&mut way, &survey.parts[usize::from(base.seed)], near, &mut spent)
            {
                survey.late += way.front_len() + spent;
                self.observer.notice(&Notice::Unpatched { patch: way.object(), error: &*error });
                continue;
            }
            // Frames may still do with what is allowed, or tell by how much they do not.
            let needed = way.totals.received() + index.fetched().bytes + spent + survey.late;
            let allowed = self.options.max_download.unwrap_or(u64::MAX);
            let (totals, patch) = (&way.totals, way.object());
            if needed <= allowed && self.has_scratch_room(patch, survey, totals, totals.scratch) {
                self.observer.notice(&Notice::Planned(&way.totals));
                self.note_ways(survey, record, ways, starts);
                return Ok(Some(way));
            }
            survey.late += way.front_len() + spent;
        }
        Ok(None)
    }

    /// Reads all that `way` takes from the store and throws it away: a source that keeps what it reads has it then.
    pub(crate) fn pull_way(&self, way: &Way) -> Result<(), ExtractError> {
        way.mend.as_ref().map_or(Ok(()), |mend| self.pull_mend(mend))?;
        pull(&way.links, self.source, self.options.limits.longest, self.observer)
    }

    /// Adds to `way` what makes `part`, its seed, what that was.
    fn add_mend(&self, way: &mut Way, part: &SeedPart, near: &Near, spent: &mut u64) -> Result<(), Useless> {
        if let Some(mend) = self.plan_mend(part, near, &way.roots, spent)? {
            way.totals.download += mend.download();
            way.totals.cached += mend.cached();
            way.totals.mend = mend.download();
            way.totals.requests += mend.requests();
            way.totals.scratch += mend.disk();
            way.mend = Some(mend);
        }
        Ok(())
    }

    /// Opens the way that starts with patch `first`, notes it, and tells what the blocks of the image are; none if it leads
    /// nowhere.
    pub(super) fn open_way(
        &self,
        survey: &mut Survey,
        record: &Record,
        ways: &Ways,
        (base, first): (&Base, usize),
    ) -> Option<(Vec<Link>, Vec<Block>)> {
        let steps: Vec<&PatchRef> = ways.from(first).take(MOST_LINKS + 1).collect();
        if steps.len() > MOST_LINKS {
            return None;
        }
        let mut spent = 0;
        let opened = self.open_links(&steps, record, &mut spent).and_then(|links| said(links, base));
        match &opened {
            Ok(_) => survey.ways.push(base.cost(ways, first)),
            Err((patch, error)) => {
                survey.late += spent;
                self.observer.notice(&Notice::Unpatched { patch, error: &**error });
            }
        }
        opened.ok()
    }

    /// Notes the other ways, those of `starts` that lead anywhere, if somebody wants to know of them.
    pub(super) fn note_ways<'b>(
        &self,
        survey: &mut Survey,
        record: &Record,
        ways: &Ways,
        starts: impl Iterator<Item = (&'b Base, usize)>,
    ) {
        // The way that is taken costs no more for it.
        let late = survey.late;
        for start in starts.filter(|_| self.options.ways) {
            self.open_way(survey, record, ways, start);
        }
        survey.late = late;
    }

    /// Fetches the heads of all patches of a way. Counts in `spent` what that has cost.
    fn open_links(
        &self,
        steps: &[&PatchRef],
        record: &Record,
        spent: &mut u64,
    ) -> Result<Vec<Link>, (String, Useless)> {
        let open = |number: usize| {
            let image = (record.image_len(), &record.description().blake3);
            let makes = steps.get(number + 1).map_or(image, |next| (next.base_len, &next.base));
            let mut front = Front::default();
            let link = Link::open(self.source, steps[number], makes, &mut front);
            (front, link)
        };
        let mut opened: Vec<(Front, Result<Link, Useless>)> = Vec::new();
        while opened.len() < steps.len() {
            let some = opened.len()..steps.len().min(opened.len() + self.options.connections.max(1));
            thread::scope(|scope| {
                let opening: Vec<_> = some.map(|number| scope.spawn(move || open(number))).collect();
                opened.extend(opening.into_iter().map(|one| one.join().expect("a source does not panic")));
            });
        }
        let mut links = Vec::new();
        let mut failure = None;
        for ((front, link), known) in opened.into_iter().zip(steps) {
            match link {
                Ok(link) => {
                    *spent += link.front().cost();
                    links.push(link);
                }
                Err(error) => {
                    *spent += front.cost();
                    let object = Key::Patch(known.name).path();
                    // A link that broke says nothing of what came over it.
                    if !error.is::<FetchError>() {
                        self.source.forget(&object);
                    }
                    failure.get_or_insert((object, error));
                }
            }
        }
        failure.map_or(Ok(links), Err)
    }
}

/// What the blocks of the image are that `links` make of `base`.
fn said(links: Vec<Link>, base: &Base) -> Result<(Vec<Link>, Vec<Block>), (String, Useless)> {
    let mut hashes = None;
    for link in &links {
        let found = link.blocks(hashes.as_deref().unwrap_or(&base.hashes));
        hashes = Some(found.map_err(|error| (link.object.clone(), error))?);
    }
    let said = hashes.unwrap_or_default().into_iter().map(Block::Hash).collect();
    Ok((links, said))
}

impl Way {
    fn new(
        mut links: Vec<Link>,
        (seed, seeds): (u16, usize),
        check: Check,
        kept: &[bool],
        longest: u64,
    ) -> Self {
        let blocks = check.blocks();
        let missing: Vec<u64> =
            (0..).zip(kept).filter(|(_, kept)| !**kept).map(|(number, _)| number).collect();
        let roots = note_groups(&mut links, missing.iter().map(|number| blocks.range(*number)).collect());
        let image = links.last().map_or(0, |last| last.patch.target().0);
        let mut totals = Totals { image, seeds: vec![0; seeds], ..Totals::default() };
        for number in &missing {
            let range = blocks.range(*number);
            totals.write += range.end - range.start;
            visit(&links, range, &mut |piece| {
                let len = piece.image.end - piece.image.start;
                match piece.root {
                    Root::Zero => totals.zero += len,
                    Root::Seed(_) => totals.seeds[usize::from(seed)] += len,
                    Root::Group(..) => totals.patched += len,
                }
            });
        }
        totals.kept = totals.image - totals.write;
        (totals.patch, totals.requests) = cost(&links, longest);
        totals.download = totals.patch;
        totals.patches = links.len() as u64;
        totals.scratch = Made::disk(&links[..links.len().saturating_sub(1)]);
        Self { links, seed, check, missing, roots, mend: None, totals }
    }

    /// What going this way comes to.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What the blocks of the image are.
    pub(crate) fn check(&self) -> &Check {
        &self.check
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Bytes that the way takes in memory.
    pub(crate) fn memory(&self) -> u64 {
        let links: usize = self.links.iter().map(Link::memory).sum();
        let mend = self.mend.as_ref().map_or(0, Mend::memory);
        (links + self.missing.capacity() * 8) as u64 + mend
    }

    /// Bytes of all heads.
    pub(super) fn front_len(&self) -> u64 {
        self.links.iter().map(|link| link.front().cost()).sum()
    }

    /// What the way is called in notices: its last patch.
    pub(super) fn object(&self) -> &str {
        self.links.last().map_or("", |last| &last.object)
    }

    /// What was fetched of the index of what the seed was.
    pub(super) fn mend_index(&self) -> Fetched {
        self.mend.as_ref().map(Mend::index).unwrap_or_default()
    }
}

/// Bytes and requests that the heads of `links` and their needed groups take.
pub(super) fn cost(links: &[Link], longest: u64) -> (u64, u64) {
    let (mut bytes, mut requests) = (0, 0);
    for link in links {
        requests += link.front().requests;
        bytes += link.front().cost();
        for request in link.requests(longest) {
            requests += 1;
            bytes += request.end - request.start;
        }
    }
    (bytes, requests)
}

/// How many of these bytes `source` keeps.
pub(super) fn kept_of(links: &[Link], source: &dyn Source, longest: u64) -> u64 {
    links.iter().map(|link| link.kept(source, longest)).sum()
}

/// Reads all needed groups of `links` and throws them away.
pub(super) fn pull(
    links: &[Link],
    source: &dyn Source,
    longest: u64,
    observer: &dyn Observer,
) -> Result<(), ExtractError> {
    let (total, _) = cost(links, longest);
    let mut done = links.iter().map(|link| link.front().cost()).sum();
    let mut buffer = Vec::new();
    for link in links {
        for range in link.requests(longest) {
            if observer.is_cancelled() {
                return Err(ExtractError::Cancelled);
            }
            done += range.end - range.start;
            source.read(&link.object, range, &mut buffer).map_err(ReadError::Fetch)?;
            observer.progress(&Progress::Pulling { done, total });
        }
    }
    Ok(())
}
