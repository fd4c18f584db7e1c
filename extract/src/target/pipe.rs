//! A stream that takes the image from its first byte to its last.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use crate::seed::Window;
use crate::target::{Share, Target, TargetError};
use crate::verified::Verified;

/// A pipe, or any other writer.
pub(crate) struct Pipe {
    out: Box<dyn Write + Send>,
    at: u64,
}

impl Pipe {
    pub(crate) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, at: 0 }
    }
}

impl Target for Pipe {
    fn content(&self) -> Option<Window> {
        None
    }

    fn file(&self) -> Option<Arc<File>> {
        None
    }

    fn put(&mut self, block: &Verified, _shares: &[Share<'_>]) -> Result<u64, TargetError> {
        assert_eq!(block.at(), self.at, "blocks go down a pipe in order");
        self.out.write_all(block.bytes()).map_err(|error| TargetError::Write { at: self.at, error })?;
        self.at += block.bytes().len() as u64;
        Ok(block.bytes().len() as u64)
    }

    fn flush(&mut self) -> Result<(), TargetError> {
        self.out.flush().map_err(TargetError::Flush)
    }

    fn finish(&mut self) -> Result<(), TargetError> {
        Ok(())
    }
}
