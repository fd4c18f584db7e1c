//! Methods 1 and 2: a copy list, and what the copies leave to say.
//!
//! ```text
//! layout ‖ copy list ‖ for each copy: the new bytes before it, its own bytes ‖ new bytes behind the last copy
//! ```
//! All of it is one arithmetic code. In method 1 the layout has no programs.

use std::fmt;
use std::sync::Arc;

use crate::base::Base;
use crate::body::{AHEAD, Body};
use crate::coder::{RangeReader, RangeWriter};
use crate::copies::{self, Copy};
use crate::error::DecodeError;
use crate::fields::Fields;
use crate::layout::{self, Layout};
use crate::map::Map;
use crate::pages::Pages;
use crate::predict::Predictor;

/// Encodes `target` by `copies` from `base`, which has the programs of `layout` with these `fields`; by as many of the
/// copies as the format allows. None if it does not allow the layout.
pub(crate) fn encode(
    base: &[u8],
    target: &[u8],
    (layout, fields): (&Layout, Arc<Fields>),
    copies: &[Copy],
) -> Option<Vec<u8>> {
    let (base_len, target_len) = (u32::try_from(base.len()).ok()?, u32::try_from(target.len()).ok()?);
    let mut coder = RangeWriter::new();
    let layout = layout::code(&mut coder, layout, base_len).ok()?;
    let copies = copies::most(copies, target_len);
    let copies = copies::code(&mut coder, &copies, base_len, target_len).ok()?;
    let mut body = Body::new(Predictor::new(layout, fields, Map::new(&copies, base_len)));
    let mut at = 0;
    for copy in &copies {
        body.inserted(&mut coder, &mut target[at..copy.target as usize].to_vec());
        at = copy.target_end() as usize;
        let mut bytes = base[copy.base as usize..copy.base_end() as usize].to_vec();
        body.copied(&mut coder, copy, 0, &mut bytes, &target[copy.target as usize..at]);
    }
    body.inserted(&mut coder, &mut target[at..].to_vec());
    Some(coder.finish())
}

/// Most bytes of the target that are made at once.
const PIECE: u32 = 1 << 16;

/// Decodes a target front to back.
pub(crate) struct Stream<'a, B: ?Sized> {
    base: Pages<'a, B>,
    coder: RangeReader<'a>,
    body: Body,
    copies: std::vec::IntoIter<Copy>,
    /// The copy that comes next or is being made, and how much of it is.
    copy: Option<Copy>,
    done: u32,
    at: u32,
    target_len: u32,
}

impl<B: ?Sized> fmt::Debug for Stream<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("at", &self.at)
            .field("target_len", &self.target_len)
            .finish_non_exhaustive()
    }
}

impl<'a, B: Base + ?Sized> Stream<'a, B> {
    pub(crate) fn new(
        payload: &'a [u8],
        base: &'a B,
        base_len: u32,
        target_len: u32,
    ) -> Result<Self, DecodeError> {
        let mut coder = RangeReader::new(payload);
        let layout = layout::code(&mut coder, &Layout::default(), base_len)?;
        let copies = copies::code(&mut coder, &[], base_len, target_len)?;
        if coder.overran() {
            return Err(DecodeError::Truncated);
        }
        let fields = Arc::new(Fields::find(base, base_len, &layout).map_err(DecodeError::Base)?);
        let body = Body::new(Predictor::new(layout, fields, Map::new(&copies, base_len)));
        let mut copies = copies.into_iter();
        let copy = copies.next();
        let base = Pages::new(base, base_len);
        Ok(Self { base, coder, body, copies, copy, done: 0, at: 0, target_len })
    }

    /// Makes the next bytes of the target and puts them to the end of `out`: none only behind the last.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let enough = out.len() + PIECE as usize / 2;
        // Copies and runs may be of few bytes.
        while out.len() < enough && self.at < self.target_len {
            self.run(out)?;
        }
        if self.at == self.target_len && self.coder.has_more() {
            return Err(DecodeError::Trailing);
        }
        Ok(())
    }

    /// Makes what comes next of the copy at hand or of the new bytes before the next.
    fn run(&mut self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let from = out.len();
        match self.copy {
            Some(copy) if self.at >= copy.target => {
                let shown = PIECE.min(copy.len - self.done);
                out.resize(from + shown as usize, 0);
                self.base.read(copy.base + self.done, &mut out[from..]).map_err(DecodeError::Base)?;
                let made = self.body.copied(&mut self.coder, &copy, self.done, &mut out[from..], &[]);
                out.truncate(from + made);
                let made = u32::try_from(made).expect("no more than was shown");
                self.at += made;
                self.done += made;
                if self.done == copy.len {
                    self.copy = self.copies.next();
                    self.done = 0;
                }
            }
            next => {
                let end = next.map_or(self.target_len, |copy| copy.target);
                let made = PIECE.min(end - self.at);
                out.resize(from + made as usize, 0);
                self.body.inserted(&mut self.coder, &mut out[from..]);
                self.at += made;
            }
        }
        if self.coder.overran() {
            return Err(DecodeError::Truncated);
        }
        Ok(())
    }
}

const _: () = assert!(PIECE > 2 * AHEAD, "a piece of a copy must make progress");
