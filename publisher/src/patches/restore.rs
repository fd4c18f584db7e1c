//! Patches that a version lists and the store lacks: whoever publishes the version's image again makes them again.

use std::collections::HashMap;

use chunk_index::{Digest, Index, PatchRef};
use chunk_store::line::Version;
use chunk_store::{Key, Object};

use super::Made;
use crate::line::Line;
use crate::make::Publisher;
use crate::{MakeError, Observer};

impl Publisher<'_> {
    /// Makes again the patches to `version` that are missing or have another length, from versions of its line.
    pub(crate) fn restore_patches(
        &self,
        line: &Line<'_>,
        version: &Index<Object>,
        observer: &dyn Observer,
    ) -> Result<Vec<Made>, MakeError> {
        let held = self.held_patches(version)?;
        let direct = direct(version).map(|patch| patch.base);
        let lost: Vec<Digest> = direct.filter(|base| !held.contains_key(base)).collect();
        let description = version.record().description();
        let target = Version { name: description.line.clone(), label: Some(description.label.clone()) };
        let mut made = Vec::new();
        for base in lost {
            if let Some(base) = line.version_of(&base)? {
                made.push(self.patch(&base, &target, observer)?);
            }
        }
        Ok(made)
    }

    /// The patches to `version` that the store has, by what they start from.
    pub(crate) fn held_patches(
        &self,
        version: &Index<Object>,
    ) -> Result<HashMap<Digest, PatchRef>, MakeError> {
        let mut held = HashMap::new();
        for patch in direct(version) {
            let len = self.backend().len(&Key::Patch(patch.name));
            if len.map_err(MakeError::store("looking for patches"))? == Some(patch.len) {
                held.insert(patch.base, *patch);
            }
        }
        Ok(held)
    }
}

fn direct(version: &Index<Object>) -> impl Iterator<Item = &PatchRef> {
    version.locator().ways().patches().iter().filter(|patch| patch.next.is_none())
}
