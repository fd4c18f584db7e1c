//! Releases that a line lacks: versions that were lost, or that somebody removed.
//!
//! An index that is lost takes its label and its release with it. Whoever publishes that image again under its old
//! label means to restore it, and would make an old image the newest of all. Nothing in the store tells for certain,
//! so where it looks like that, the publisher is asked to say which release is meant.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use chunk_index::{Description, Digest, Head, HeadError, Record, Word};
use chunk_store::Key;
use chunk_store::line::Version;

use crate::error::MakeError;
use crate::line::{Line, number};
use crate::read::Image;

/// What is known of a line's versions without reading more than their heads.
struct Releases {
    /// Of each release, the label and the image.
    known: BTreeMap<NonZeroU64, (Word, Digest)>,
    /// An index that tells nothing.
    damaged: Option<MakeError>,
}

impl Line<'_> {
    /// Fails if a version has this release, or may have.
    pub(crate) fn expect_free(&self, release: NonZeroU64) -> Result<(), MakeError> {
        if release.get() > self.last_release() {
            return Ok(());
        }
        let Releases { known, damaged } = self.releases()?;
        match (known.get(&release), damaged) {
            (Some((label, _)), _) => Err(MakeError::ReleaseTaken { release, key: self.key(label) }),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(()),
        }
    }

    /// Fails if a new version called `label` seems to be one that the line has lost: it lacks a release, and either
    /// that is the label, or the store has every chunk of an image that no version of the line is.
    pub(crate) fn expect_not_lost(&self, label: &Word, image: &Image) -> Result<(), MakeError> {
        let last = self.last_release();
        let numbered = label.as_str().parse().ok().and_then(NonZeroU64::new);
        let numbered = numbered.filter(|release| release.get() < last && number(*release) == *label);
        let brings_nothing = image.len > 0 && image.added.chunks == 0;
        if numbered.is_none() && !brings_nothing {
            return Ok(());
        }
        let Releases { known, .. } = self.releases()?;
        let is_known = known.values().any(|(_, blake3)| *blake3 == image.blake3);
        let lacks = |release: &NonZeroU64| !known.contains_key(release);
        let first_missing = || (1..last).filter_map(NonZeroU64::new).find(lacks);
        let missing = numbered.filter(lacks);
        match missing.or_else(|| first_missing().filter(|_| brings_nothing && !is_known)) {
            Some(missing) => Err(MakeError::PerhapsLost { key: self.key(label), missing }),
            None => Ok(()),
        }
    }

    /// A version of the line whose image has this BLAKE3, if there is one.
    pub(crate) fn version_of(&self, blake3: &Digest) -> Result<Option<Version>, MakeError> {
        let Releases { known, .. } = self.releases()?;
        let label = known.into_values().find(|(_, image)| image == blake3).map(|(label, _)| label);
        Ok(label.map(|label| Version { name: self.name.clone(), label: Some(label) }))
    }

    fn releases(&self) -> Result<Releases, MakeError> {
        let mut releases = Releases { known: BTreeMap::new(), damaged: None };
        for version in self.versions()? {
            let key = Key::Index(version);
            match Head::decode(self.open_object(&key)?.as_ref()) {
                Ok(head) => releases.learn(head.record()),
                Err(HeadError::Decode(error)) => releases.damaged = Some(MakeError::Index { key, error }),
                Err(HeadError::Incomplete { .. }) => {
                    // The whole index says where it ends too early.
                    releases.damaged = self.decode(&key).err();
                }
            }
        }
        // Its label may be known from `NAME.cidx` alone.
        if let Some(newest) = self.newest() {
            releases.learn(newest.record());
        }
        Ok(releases)
    }
}

impl Releases {
    fn learn(&mut self, record: &Record) {
        let Description { label, release, blake3, .. } = record.description();
        self.known.insert(*release, (label.clone(), *blake3));
    }
}
