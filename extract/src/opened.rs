//! The target, opened for writing or only looked at, and seeds that must not be part of it.

use std::path::{Path, PathBuf};

use crate::alias::{Relation, relation};
use crate::job::{ExtractError, Job, SeedPart};
use crate::seed::{Seed, Window};
use crate::survey::{Looked, OpenIndex};
use crate::target::{
    Destination, Device, Existing, Pipe, Place, Refusal, Replacement, Target, TargetError, directory_of,
    is_device, mark, part_of,
};

impl Job<'_> {
    /// What the target holds, and whether what is written to it could be read again. Touches nothing.
    pub(crate) fn look_at_target(&mut self) -> Result<(Option<Window>, bool), ExtractError> {
        match &self.destination {
            Destination::Stream(_) => Ok((None, false)),
            Destination::Path { path, existing } => {
                let (path, existing) = (path.clone(), *existing);
                expect_target(&path)?;
                let part = part_of(&path);
                let held = match existing {
                    Existing::Replace if !is_device(&path) => &part,
                    _ if path.exists() => &path,
                    _ => &part,
                };
                let window = Window::open(held, None).ok().filter(|window| window.size() > 0);
                if let Some(window) = window.as_ref().filter(|_| *held == part)
                    && !mark::is_ours(window.file())
                        .map_err(|error| TargetError::Open(part.clone(), error))?
                {
                    return Err(TargetError::Refused(path, Refusal::Foreign(part)).into());
                }
                if path.exists() && (is_device(&path) || existing == Existing::Update) {
                    self.expect_no_overlap(&path)?;
                }
                Ok((window, true))
            }
        }
    }

    /// What a file that is to be replaced holds, if that is the image already: then it stays as it is.
    pub(crate) fn look_at_replaced(
        &mut self,
        index: OpenIndex,
    ) -> Result<Result<(Window, Looked), OpenIndex>, ExtractError> {
        let Destination::Path { path, existing: Existing::Replace } = &self.destination else {
            return Ok(Err(index));
        };
        let len = index.head().record().image_len();
        let window = Window::open(path, None).ok();
        let window = window.filter(|window| window.is_regular() && window.size() == len);
        // What an earlier run has begun beside it is finished, lest it stay there.
        let is_begun = path.canonicalize().is_ok_and(|path| part_of(&path).exists());
        let window = window.filter(|_| !is_begun);
        let Some(window) = window.filter(|_| !self.options.ignore_target) else { return Ok(Err(index)) };
        let (seeds, own_lists) = (std::mem::take(&mut self.seeds), self.own_lists.take());
        let (survey, index) = match self.look(index, Some(window.clone()), true)? {
            Looked::Wrong(survey, index) if !survey.is_right => (survey, index),
            right => return Ok(Ok((window, right))),
        };
        if let OpenIndex::Whole(recipe) = &index
            && survey.kept(&recipe.said()?).iter().all(|kept| *kept)
        {
            return Ok(Ok((window, Looked::Wrong(survey, index))));
        }
        (self.seeds, self.own_lists) = (seeds, own_lists);
        Ok(Err(index))
    }

    pub(crate) fn open_target(&mut self, image_len: u64) -> Result<Opened, ExtractError> {
        let (path, existing) = match &mut self.destination {
            Destination::Stream(out) => {
                let out = std::mem::replace(out, Box::new(std::io::sink()));
                return Ok(Opened::Pipe(Pipe::new(out)));
            }
            Destination::Path { path, existing } => (path.clone(), *existing),
        };
        match Place::at(&path, existing, Some(image_len))? {
            Place::Device => {
                let device = Device::open(&path, image_len, self.options.tail)?;
                self.expect_no_overlap(&path)?;
                Ok(Opened::Device(device))
            }
            Place::New => Ok(Opened::File(Replacement::beside(&path, image_len)?)),
            Place::Compared => Ok(Opened::Right(path)),
            Place::Replaced => {
                self.add_replaced();
                Ok(Opened::File(Replacement::beside(&path, image_len)?))
            }
            Place::Updated => {
                let file = Replacement::within(&path, image_len)?;
                self.expect_no_overlap(&path)?;
                Ok(Opened::File(file))
            }
        }
    }

    /// A file that is replaced is a seed for what replaces it.
    pub(crate) fn add_replaced(&mut self) {
        let Destination::Path { path, existing: Existing::Replace } = &self.destination else { return };
        if self.options.ignore_target {
            return;
        }
        let Ok(window) = Window::open(path, None) else { return };
        if window.is_regular() {
            let remembered = self.state.as_ref().and_then(|state| state.lists(path));
            let lists = self.own_lists.take().or(remembered);
            let seed = Seed::window(path.display().to_string(), window);
            let image = self.state.as_ref().and_then(|state| state.image(path));
            self.seeds.insert(0, SeedPart { seed, lists, image });
        }
    }

    /// Leaves out seeds that are the target itself, and refuses those that overlap it otherwise.
    fn expect_no_overlap(&mut self, path: &Path) -> Result<(), ExtractError> {
        let opens = |error| TargetError::Open(path.to_owned(), error);
        let target = Window::open(path, None).map_err(opens)?;
        let mut overlapping = None;
        self.seeds.retain(|part| {
            match part.seed.as_window().map_or(Relation::Apart, |seed| relation(seed, &target)) {
                Relation::Apart => true,
                Relation::Same => false,
                Relation::Overlapping => {
                    overlapping = Some(part.seed.name.clone());
                    true
                }
            }
        });
        match overlapping {
            Some(seed) => Err(TargetError::Refused(path.to_owned(), Refusal::Alias(seed)).into()),
            None => Ok(()),
        }
    }
}

/// An open target.
pub(crate) enum Opened {
    File(Replacement),
    Device(Device),
    Pipe(Pipe),
    /// A file that must not be written, and need not if it is right.
    Right(PathBuf),
}

impl Opened {
    pub(crate) fn target(&mut self) -> &mut dyn Target {
        match self {
            Self::File(file) => file,
            Self::Device(device) => device,
            Self::Pipe(pipe) => pipe,
            Self::Right(_) => unreachable!("nothing is written to it"),
        }
    }

    /// Makes a file as long as the image, unless there is no room for `needed` more bytes.
    pub(crate) fn make_room(&self, needed: u64) -> Result<(), TargetError> {
        match self {
            Self::File(file) => file.make_room(needed),
            _ => Ok(()),
        }
    }

    /// Refuses to go on if there is no room for `needed` more bytes.
    pub(crate) fn expect_room(&self, needed: u64) -> Result<(), TargetError> {
        match self {
            Self::File(file) => file.expect_room(needed),
            _ => Ok(()),
        }
    }

    /// Removes what was made for nothing.
    pub(crate) fn discard(&self) {
        if let Self::File(file) = self {
            file.discard();
        }
    }
}

/// Refuses what can be no target, existing or to be made.
fn expect_target(path: &Path) -> Result<(), ExtractError> {
    let refused = |refusal| Err(TargetError::Refused(path.to_owned(), refusal).into());
    match path.metadata() {
        Ok(metadata) if metadata.is_file() || is_device(path) => Ok(()),
        Ok(_) => refused(Refusal::Kind),
        Err(_) if directory_of(path).is_dir() => Ok(()),
        Err(_) => refused(Refusal::Parent),
    }
}
