//! What a run would do, and whether it would be refused, told without writing anything.

use crate::job::{ExtractError, Job, Report};
use crate::target::{
    Destination, Existing, Place, Refusal, TargetError, directory_of, expect_room, growth, part_of,
};

/// What [`Job::run`] would do.
#[derive(Debug)]
pub struct Rehearsal {
    /// The plan.
    pub report: Report,
    /// Why it would not be carried out.
    pub refusal: Option<ExtractError>,
    /// What frames alone would download, if [`Options::ways`](crate::Options::ways) asks for it.
    pub frames: Option<u64>,
}

impl Job<'_> {
    /// Tells what [`Job::run`] would do with the target as it is now, and writes nothing.
    ///
    /// It fails where no plan can be made, and for the reason for which a run would.
    pub fn rehearse(mut self) -> Result<Rehearsal, ExtractError> {
        let index = self.open_index()?;
        let probed = self.destination.probe(Some(index.head().record().image_len()));
        let planned = self.plan_for(index);
        match (planned, probed) {
            // A run would have ended before it met the other.
            (Err(_), Err(refusal)) => Err(refusal.into()),
            (Err(error), Ok(())) => Err(error),
            (Ok((report, frames)), probed) => {
                let refusal = probed.and_then(|()| self.expect_possible(&report)).err();
                Ok(Rehearsal { report, refusal: refusal.map(ExtractError::from), frames })
            }
        }
    }

    /// Refuses what only a plan can tell to be impossible.
    fn expect_possible(&self, report: &Report) -> Result<(), TargetError> {
        let Destination::Path { path, existing } = &self.destination else { return Ok(()) };
        let totals = &report.totals;
        // What a link leads to is replaced, not the link.
        let target = match existing {
            Existing::Replace => path.canonicalize().unwrap_or_else(|_| path.clone()),
            _ => path.clone(),
        };
        let file = match Place::at(path, *existing, Some(totals.image))? {
            Place::Device => return Ok(()),
            Place::Compared if totals.write == 0 => return Ok(()),
            Place::Compared => return Err(TargetError::Refused(target, Refusal::Exists)),
            Place::Updated => target.clone(),
            Place::New | Place::Replaced => part_of(&target),
        };
        let written = totals.write - totals.zero;
        let needed = file.metadata().map_or(written, |there| growth(&there, totals.image, written));
        let space = rustix::fs::statvfs(&file).or_else(|_| rustix::fs::statvfs(directory_of(&target)));
        space.map_or(Ok(()), |space| expect_room(&target, &space, needed))
    }
}
