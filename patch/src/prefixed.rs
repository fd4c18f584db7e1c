//! Method 0: one zstd frame whose prefix is the base.
//!
//! Best where a target repeats itself as much as its base: text, many small files. The decoder holds base and target.

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use crate::base::Base;
use crate::error::DecodeError;

/// The lowest and the highest window zstd is asked for: 1 KiB, and 128 MiB, which covers base and target of any
/// group.
const WINDOW_LOGS: (u32, u32) = (10, 27);

/// Long-distance matching starts where the window outgrows what the level's own tables cover.
const LONG_WINDOW_LOG: u32 = 23;

/// Compresses `target` at zstd's `level` with `base` as prefix; none if zstd cannot.
pub(crate) fn encode(base: &[u8], target: &[u8], level: i32) -> Option<Vec<u8>> {
    let reach = base.len().checked_add(target.len())?;
    let window_log = reach.next_power_of_two().ilog2().clamp(WINDOW_LOGS.0, WINDOW_LOGS.1);
    let mut context = CCtx::try_create()?;
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::WindowLog(window_log),
        CParameter::EnableLongDistanceMatching(window_log >= LONG_WINDOW_LOG),
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        context.set_parameter(parameter).ok()?;
    }
    context.ref_prefix(base).ok()?;
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(target.len()));
    context.compress2(&mut packed, target).ok()?;
    Some(packed)
}

/// Decodes `packed` into exactly `target_len` bytes.
///
/// The frame is decoded in one go into a buffer of the length that the caller expects, so zstd allocates nothing for
/// what the frame says of itself.
pub(crate) fn decode<B: Base + ?Sized>(
    packed: &[u8],
    base: &B,
    base_len: u32,
    target_len: u32,
) -> Result<Vec<u8>, DecodeError> {
    let damaged = |code| DecodeError::Damaged(std::io::Error::other(zstd_safe::get_error_name(code)));
    match zstd_safe::find_frame_compressed_size(packed) {
        Ok(length) if length == packed.len() => {}
        Ok(_) => return Err(DecodeError::Trailing),
        Err(_) => return Err(DecodeError::Truncated),
    }
    let mut prefix = vec![0; base_len as usize];
    base.read_at(0, &mut prefix).map_err(DecodeError::Base)?;
    let mut target = Vec::with_capacity(target_len as usize);
    let mut context =
        DCtx::try_create().ok_or_else(|| DecodeError::Damaged(std::io::ErrorKind::OutOfMemory.into()))?;
    context.ref_prefix(&prefix).map_err(damaged)?;
    // A `Vec` may have more capacity than was asked for; the slice has not.
    target.resize(target_len as usize, 0);
    let written = context.decompress(target.as_mut_slice(), packed).map_err(damaged)?;
    if written < target.len() { Err(DecodeError::Truncated) } else { Ok(target) }
}
