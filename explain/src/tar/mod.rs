//! tar: a header of 512 bytes, then the file, and so on.
//!
//! Longer names and lengths come in headers before the one they are for: those of pax and those of GNU.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

mod header;
mod pax;

use std::io;

use crate::layout::{Form, Layout, Metadata, Owner, Piece, digest};
use crate::names;
use crate::read::{Fields as _, Volume};

use header::Header;

const BLOCK: u64 = 512;
/// Longest extended header that is read; longer ones are passed over.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// Whether a volume starts with a tar header.
pub(crate) fn is_tar(volume: &mut Volume<'_, '_>) -> io::Result<bool> {
    Ok(volume.get(0, BLOCK)?.is_some_and(|block| Header::decode(&block).is_some()))
}

/// Adds what lies in the volume to `layout`; paths get `prefix`.
pub(crate) fn read(volume: &mut Volume<'_, '_>, prefix: &str, layout: &mut Layout) -> io::Result<()> {
    layout.kinds.push(format!("{prefix}tar"));
    let mut at = 0_u64;
    let mut extended = pax::Extended::default();
    while let Some(block) = volume.get(at, BLOCK)? {
        let Some(header) = Header::decode(&block) else {
            if block.iter().any(|byte| *byte != 0) {
                layout.gap("tar: a header that is none");
                break;
            }
            // Zeros end an archive, and another may follow.
            at = at.saturating_add(BLOCK);
            continue;
        };
        let mut body = at.saturating_add(BLOCK);
        // More of a sparse file's map may follow the header.
        while header.kind == b'S'
            && volume.get(body.saturating_sub(BLOCK), BLOCK)?.is_some_and(|block| {
                block.u8(if body == at.saturating_add(BLOCK) { 482 } else { 504 }) == Some(1)
            })
        {
            body = body.saturating_add(BLOCK);
        }
        let is_file = matches!(header.kind, b'0' | 0 | b'7' | b'S');
        let len = if is_file { extended.len.unwrap_or(header.len) } else { header.body() };
        let Some(end) = body.checked_add(len.div_ceil(BLOCK).saturating_mul(BLOCK)) else { break };
        let Some(content) = volume.place(body, len) else {
            layout.gap("tar: a file that reaches beyond the end");
            break;
        };
        let metadata = if is_file { body } else { end };
        let headers = volume.place(at, metadata.saturating_sub(at));
        let headers = headers.unwrap_or(content.start..content.start);
        if !layout.claim(headers, Owner::Metadata(Metadata::Headers)) {
            break;
        }
        match header.kind {
            b'x' | b'L' | b'K' if len <= LONGEST_EXTENSION => {
                let bytes = volume.get(body, len)?.unwrap_or_default();
                extended.add(header.kind, &bytes);
            }
            b'x' | b'L' | b'K' | b'g' => {}
            _ => {
                let named = std::mem::take(&mut extended);
                if is_file {
                    let path = named.path.unwrap_or(header.path);
                    let path = format!("{prefix}{}", names::text(path));
                    let times = digest(header.mtime.iter().copied().chain(named.times));
                    let Some(file) = layout.add_file(path, len, times, 0) else { break };
                    layout.add_piece(Piece { form: Form::Stored, image: content.clone(), skip: 0, len });
                    layout.claim(content.clone(), Owner::File(file));
                    let padding = content.end..content.start.saturating_add(end.saturating_sub(body));
                    if !padding.is_empty() {
                        layout.claim(padding, Owner::Metadata(Metadata::Headers));
                    }
                }
            }
        }
        at = end;
    }
    Ok(())
}
