//! From an image to a version: which one it is, what it is called, and that it can be found.

use std::collections::HashMap;
use std::num::NonZeroU64;

use chunk_index::{Annotations, Description, Index, Record, VersionId, Ways, Word};
use chunk_store::line::Version;
use chunk_store::{Backend, Key, Lookup, Object, Published, Upload};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Observer;
use crate::error::MakeError;
use crate::line::{Line, number};
use crate::listing::Sealed;
use crate::options::Options;
use crate::patches::{DEFAULT_PATCH_LEVEL, Made, Maker, Steps, Worth, ruler};
use crate::read::{Image, Tools, read};
use crate::source::Source;

/// How often to start over when other publishers are faster.
const TRIES: usize = 64;

/// What a version is to be called.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The line.
    pub name: Word,
    /// The version's label; none for the number of its release.
    pub label: Option<Word>,
    /// The version's release; none for the line's next. A version below the newest is restored: it does not become
    /// the newest.
    pub release: Option<NonZeroU64>,
    /// What the record is to carry besides.
    pub annotations: Annotations,
}

/// What became of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new version was published.
    Published,
    /// The version was there already; nothing was written.
    Unchanged,
    /// The version was there, but packs it needs were not: its bytes were stored again.
    Mended,
    /// The version was published below the newest, which stays the newest.
    Restored,
}

/// What was done, in figures.
#[derive(Clone, Debug)]
pub struct Report {
    /// What became of the image.
    pub outcome: Outcome,
    /// The version's id.
    pub id: VersionId,
    /// What the version is.
    pub record: Record,
    /// Chunks that the store did not have.
    pub new_chunks: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// Bytes of chunks that it had, in frames that the version hardly wants, and that were stored again.
    pub again_bytes: u64,
    /// Packs written.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Bytes of the version's index.
    pub index_bytes: u64,
    /// The patches that were to be made.
    pub patches: Vec<Made>,
}

/// Publishes images in one store.
#[derive(Debug)]
pub struct Publisher<'b> {
    backend: &'b dyn Backend,
    options: Options,
    lookup: Lookup,
    pool: ThreadPool,
}

impl<'b> Publisher<'b> {
    /// Prepares to publish in `backend`: learns what it holds.
    pub fn new(backend: &'b dyn Backend, options: Options) -> Result<Self, MakeError> {
        let lookup = Lookup::open(backend, options.lookup.as_deref());
        let lookup = lookup.map_err(MakeError::store("learning what it holds"))?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(options.jobs.unwrap_or(0))
            // A panic is told by the result that never comes.
            .panic_handler(|_| {})
            .build()
            .map_err(|error| MakeError::Store {
                what: "starting threads",
                error: std::io::Error::other(error),
            })?;
        Ok(Self { backend, options, lookup, pool })
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.backend
    }

    /// What the store holds.
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// Publishes the image that `source` gives.
    pub fn make(
        &mut self,
        mut source: Source,
        wish: &Wish,
        observer: &dyn Observer,
    ) -> Result<Report, MakeError> {
        // A release that is asked for without a label is called by its number.
        let label = wish.label.clone().or_else(|| wish.release.map(number));
        let wish = &Wish { label, ..wish.clone() };
        let line = Line::open(self.backend, &wish.name)?;
        let labelled = wish.label.as_ref().map(|label| line.version(label)).transpose()?.flatten();
        if let Some(version) = &labelled
            && !self.may_be_version(&source, version.record(), wish)
        {
            return Err(MakeError::LabelTaken { key: line.key(&version.record().description().label) });
        }
        let base = labelled.as_ref().or(line.newest());
        let base = base.filter(|base| base.record().params() == self.options.params);
        // A label that is taken can be confirmed, but never gets new bytes.
        let frozen = labelled.as_ref().map(|version| line.key(&version.record().description().label));
        let tools = Tools {
            frozen,
            backend: self.backend,
            options: &self.options,
            lookup: &mut self.lookup,
            pool: &self.pool,
            observer,
        };
        let image = read(tools, &mut source, base).and_then(|image| {
            source.check_unchanged()?;
            Ok(image)
        });
        if image.is_err() {
            self.lookup.forget_unfinished();
        }
        let image = image?;
        self.lookup.spill();
        self.settle(line, labelled.as_ref(), image, wish, observer)
    }

    /// Finds out whether the image is a version already, and publishes it if not.
    fn settle(
        &self,
        mut line: Line<'b>,
        labelled: Option<&Index<Object>>,
        mut image: Image,
        wish: &Wish,
        observer: &dyn Observer,
    ) -> Result<Report, MakeError> {
        let mut maker = self.maker(observer);
        if let Some(version) = labelled {
            return if self.is_version(&image, version.record(), wish) {
                self.confirm(&line, version, image, observer)
            } else {
                let label = &version.record().description().label;
                Err(MakeError::LabelTaken { key: line.key(label) })
            };
        }
        for _ in 0..TRIES {
            if let Some(newest) = line.newest()
                && wish.label.as_ref().is_none_or(|label| *label == newest.record().description().label)
                && self.is_version(&image, newest.record(), wish)
            {
                return self.confirm(&line, newest, image, observer);
            }
            // Its label may be known from `NAME.cidx` alone, and must not look free.
            line.keep_newest()?;
            let (release, label) = place(&line, &image, wish)?;
            let description = Description {
                line: wish.name.clone(),
                label,
                release,
                annotations: wish.annotations.clone(),
                blake3: image.blake3,
                sha256: image.sha256,
            };
            let mut sealed = image.listing.seal(description, &image.hashes, Ways::default(), &self.lookup)?;
            let (made, ways) = self.patches(&mut maker, &line, &mut image, &sealed)?;
            if !ways.patches().is_empty() {
                let description = sealed.record().description().clone();
                sealed = image.listing.seal(description, &image.hashes, ways, &self.lookup)?;
            }
            let mut index_bytes = 0;
            let write = |out: &mut dyn Upload| {
                index_bytes = image.listing.write(&sealed, out)?;
                Ok(())
            };
            if let Some(newest) = line.newest()
                && release < newest.record().description().release
            {
                line.restore(sealed.record(), write)?;
                line.confirm(newest)?;
                return Ok(report(Outcome::Restored, sealed.record(), &image, index_bytes, made));
            }
            match line.publish(sealed.record(), write)? {
                Published::Done => {
                    return Ok(report(Outcome::Published, sealed.record(), &image, index_bytes, made));
                }
                Published::Conflict => line = Line::open(self.backend, &wish.name)?,
            }
        }
        Err(MakeError::Contended { key: line.pointer() })
    }

    /// Whether a record could describe the image, by all that is known before it is read.
    fn may_be_version(&self, source: &Source, record: &Record, wish: &Wish) -> bool {
        let description = record.description();
        record.params() == self.options.params
            && source.known_len().is_none_or(|len| len == record.image_len())
            && description.sha256.is_some() == self.options.sha256
            && description.annotations == wish.annotations
            && wish.release.is_none_or(|release| release == description.release)
    }

    /// Whether a record describes this very image in the way that is wished.
    fn is_version(&self, image: &Image, record: &Record, wish: &Wish) -> bool {
        let description = record.description();
        record.params() == self.options.params
            && record.image_len() == image.len
            && description.blake3 == image.blake3
            && description.sha256 == image.sha256
            && description.annotations == wish.annotations
            && wish.release.is_none_or(|release| release == description.release)
    }

    /// The version is there; makes sure that all it needs is.
    fn confirm(
        &self,
        line: &Line<'_>,
        version: &Index<Object>,
        mut image: Image,
        observer: &dyn Observer,
    ) -> Result<Report, MakeError> {
        let whole = version.locator().packs().iter().all(|pack| {
            let name = chunk_store::PackName::from_bytes(pack.name);
            self.lookup.slot_of(&name, u64::from(pack.len)).is_some()
        });
        if whole {
            line.confirm(version)?;
            let index_bytes = version.bytes().len() as u64;
            let patches = match &self.options.patches {
                Some(_) => self.restore_patches(line, version, observer)?,
                None => Vec::new(),
            };
            // Packs that were missing and have been written again, have the names they had.
            let is_whole = image.added.packs == 0 && patches.is_empty();
            let outcome = if is_whole { Outcome::Unchanged } else { Outcome::Mended };
            return Ok(report(outcome, version.record(), &image, index_bytes, patches));
        }
        let description = version.record().description().clone();
        let ways = version.locator().ways().clone();
        let sealed = image.listing.seal(description, &image.hashes, ways, &self.lookup)?;
        let mut index_bytes = 0;
        line.rewrite(version, |out: &mut dyn Upload| {
            index_bytes = image.listing.write(&sealed, out)?;
            Ok(())
        })?;
        Ok(report(Outcome::Mended, sealed.record(), &image, index_bytes, Vec::new()))
    }

    /// Adds a patch from the version `base` to the version `target`, which is published already.
    pub fn patch(
        &self,
        base: &Version,
        target: &Version,
        observer: &dyn Observer,
    ) -> Result<Made, MakeError> {
        let mut maker = self.maker(observer);
        for _ in 0..TRIES {
            let line = Line::open(self.backend, &target.name)?;
            let version = line.decode(&Key::Index(target.clone()))?;
            let base = line.decode(&Key::Index(base.clone()))?;
            maker.held = self.held_patches(&version)?;
            let made = maker.make(&base, &version)?;
            let Ok(patch) = made.patch else { return Ok(made) };
            let image = version.record().description().blake3;
            let mut steps = Steps::default();
            steps.extend(patch.base, base.locator().ways());
            steps.extend(image, version.locator().ways());
            steps.insert(image, patch);
            let mut worth = Worth::new(&line, &version);
            let least = maker.least;
            let ways = steps.ways(&image, &mut |base, bytes| bytes < least || worth.is_less(base, bytes));
            let front = version.with_ways(ways);
            let front = front.map_err(|error| MakeError::Description(error.to_string()))?;
            let write = |out: &mut dyn Upload| {
                out.write_all(&front.bytes)?;
                out.write_all(version.leaf_bytes())
            };
            if line.amend(&version, write)? == Published::Done {
                return Ok(made);
            }
        }
        Err(MakeError::Contended { key: Key::Index(target.clone()) })
    }

    /// The patches to the version that `sealed` is about to become, and all ways that they and others make.
    fn patches(
        &self,
        maker: &mut Maker<'_>,
        line: &Line<'_>,
        image: &mut Image,
        sealed: &Sealed,
    ) -> Result<(Vec<Made>, Ways), MakeError> {
        let Some(patching) = &self.options.patches else { return Ok(Default::default()) };
        let (mut bases, mut made) = (Vec::new(), Vec::new());
        for version in &patching.from {
            bases.push(line.decode(&Key::Index(version.clone()))?);
        }
        if patching.ruler {
            for release in ruler(sealed.record().description().release) {
                match line.release(release) {
                    // Nobody asked for this very one: what it has lost is no reason not to publish another.
                    Err(error @ MakeError::Index { .. }) => made.push(Made::failed(number(release), &error)),
                    base => bases.extend(base?),
                }
            }
        }
        if bases.is_empty() {
            return Ok((made, Ways::default()));
        }
        let mut bytes = Vec::new();
        image.listing.write(sealed, &mut bytes).map_err(MakeError::store("reading the chunk list"))?;
        let target = Index::decode(bytes).expect("an index reads back as it was written");
        let mut steps = Steps::default();
        let image = target.record().description().blake3;
        for base in bases {
            let one = maker.make(&base, &target)?;
            steps.extend(base.record().description().blake3, base.locator().ways());
            if let Ok(patch) = one.patch {
                steps.insert(image, patch);
            }
            if !made.contains(&one) {
                made.push(one);
            }
        }
        let (least, mut worth) = (maker.least, Worth::new(line, &target));
        let ways = steps.ways(&image, &mut |base, bytes| bytes < least || worth.is_less(base, bytes));
        Ok((made, ways))
    }

    fn maker<'m>(&'m self, observer: &'m dyn Observer) -> Maker<'m> {
        Maker {
            backend: self.backend,
            pool: &self.pool,
            observer,
            scratch: &self.options.scratch,
            level: self.options.patches.as_ref().map_or(DEFAULT_PATCH_LEVEL, |patching| patching.level),
            known: HashMap::new(),
            held: HashMap::new(),
            least: u64::MAX,
        }
    }
}

/// Which release a new version is to be, and its label.
fn place(line: &Line<'_>, image: &Image, wish: &Wish) -> Result<(NonZeroU64, Word), MakeError> {
    let Some(label) = &wish.label else { return line.free_release(line.next_release()?) };
    if line.version(label)?.is_some() {
        return Err(MakeError::LabelTaken { key: line.key(label) });
    }
    let release = if let Some(release) = wish.release {
        line.expect_free(release)?;
        release
    } else {
        line.expect_not_lost(label, image)?;
        line.next_release()?
    };
    Ok((release, label.clone()))
}

fn report(outcome: Outcome, record: &Record, image: &Image, index_bytes: u64, patches: Vec<Made>) -> Report {
    Report {
        outcome,
        id: record.id(),
        record: record.clone(),
        new_chunks: image.added.chunks,
        new_bytes: image.added.plain_bytes,
        again_bytes: image.added.again_bytes,
        packs: image.added.packs,
        pack_bytes: image.added.pack_bytes,
        index_bytes,
        patches,
    }
}
