//! Blocks that are compressed, and whole files that are.

use std::io::{self, Read};

use crate::layout::Form;

/// Largest window that a zstd file may ask for, as a power of two: that of zstd -19.
const WINDOW_LOG: u32 = 23;

/// The bytes of a block, at most `most`; `None` if it is damaged, has more, or nobody here can unfold it.
pub(crate) fn unfold(form: Form, bytes: Vec<u8>, most: usize) -> Option<Vec<u8>> {
    let plain = match form {
        Form::Stored => bytes,
        Form::Zlib => {
            let mut plain = Vec::new();
            let limit = u64::try_from(most).ok()?.checked_add(1)?;
            flate2::read::ZlibDecoder::new(bytes.as_slice()).take(limit).read_to_end(&mut plain).ok()?;
            plain
        }
        Form::Zstd => zstd::bulk::decompress(&bytes, most).ok()?,
        Form::Hole | Form::Opaque => return None,
    };
    Some(plain).filter(|plain| plain.len() <= most)
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// lz4's frames.
    Lz4,
    /// zip, also as .jar or .whl.
    Zip,
}

impl Format {
    /// What the first bytes of a file say.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        let magics: [(&[u8], Self); 6] = [
            (b"\x1f\x8b\x08", Self::Gzip),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"BZh", Self::Bzip2),
            (b"\x04\x22\x4d\x18", Self::Lz4),
            (b"PK\x03\x04", Self::Zip),
        ];
        magics.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, format)| format)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Zip => "zip",
        }
    }

    /// What `compressed` unfolds to, if anybody here can do it.
    pub(crate) fn reader<'r>(self, compressed: impl Read + 'r) -> io::Result<Option<Box<dyn Read + 'r>>> {
        Ok(match self {
            Self::Gzip => Some(Box::new(flate2::read::MultiGzDecoder::new(compressed))),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(compressed)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Some(Box::new(decoder))
            }
            Self::Xz | Self::Bzip2 | Self::Lz4 | Self::Zip => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_block_that_unfolds_to_more_than_it_may_is_refused() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&[7; 9000]).unwrap();
        let zlib = zlib.finish().unwrap();
        let zstd = zstd::bulk::compress(&[7; 9000], 1).unwrap();
        for (form, bytes) in [(Form::Zlib, zlib), (Form::Zstd, zstd)] {
            assert_eq!(unfold(form, bytes.clone(), 9000), Some(vec![7; 9000]), "{form:?}");
            assert_eq!(unfold(form, bytes, 8999), None, "{form:?}");
        }
    }

    #[test]
    fn what_is_not_compressed_has_no_format() {
        assert_eq!(Format::of(b"\x1f\x8b\x08\0"), Some(Format::Gzip));
        for start in [&b""[..], b"\x1f\x8b", b"#!/bin/sh"] {
            assert_eq!(Format::of(start), None);
        }
    }
}
