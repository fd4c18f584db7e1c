//! The fields of `.eh_frame`: a record is its length, what it belongs to, and for most of them the address of a
//! function as the distance to it.

use std::io;

use super::window::Window;
use crate::base::Base;
use crate::layout::Range;

/// What a record of a function leads to.
pub(super) struct Function {
    /// The places of the two fields, and what is in them.
    pub(super) start: (u32, u32),
    pub(super) pads: (u32, u32),
}

/// Marks the fields of the records in `range`, up to the first that is none, and tells of those with landing pads.
pub(super) fn records<B: Base + ?Sized>(
    window: &mut Window<'_, B>,
    range: &Range,
    mut mark: impl FnMut(u32),
    mut tell: impl FnMut(&Function),
) -> io::Result<()> {
    let mut at = range.start;
    while range.end() - at >= 8 {
        let len = window.word(at)?;
        let owner = window.word(at + 4)?;
        if len < 4 || len > range.end() - at - 4 {
            break;
        }
        if owner != 0 && len >= 12 {
            mark(at + 4);
            mark(at + 8);
            // Behind start and length of the function: how many bytes follow, and in the usual encodings four of them
            // are the distance to the function's table of landing pads.
            if len >= 17 && window.word(at + 16)? & 0xff == 4 {
                mark(at + 17);
                let (start, pads) = (at + 8, at + 17);
                tell(&Function { start: (start, window.word(start)?), pads: (pads, window.word(pads)?) });
            }
        }
        at += 4 + len;
    }
    Ok(())
}
