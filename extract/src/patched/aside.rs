//! The file of chunks that are put aside: the chunks, one behind the other, and behind them which they are.
//!
//! Cutting them again would not find all of them: where a chunk ends depends on what follows it in the image.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use chunk_index::{Entry, LeafList, ShortName, leaf_lists};

use crate::job::SeedPart;
use crate::seed::{Seed, Window};

/// What reports call the file.
pub(super) const STAGED: &str = "staged";

/// What the file ends with.
const MAGIC: [u8; 8] = *b"chunkstg";
/// Bytes of the number of chunks and of the magic.
const END: u64 = 16;
/// Bytes of a row: short name and length of a chunk.
const ROW: usize = ShortName::LEN + 4;

/// What is written behind chunks.
pub(super) fn table(chunks: impl Iterator<Item = Entry>) -> Vec<u8> {
    let (mut bytes, mut count) = (Vec::new(), 0_u64);
    for chunk in chunks {
        bytes.extend(chunk.short.to_bytes());
        bytes.extend(chunk.len.to_le_bytes());
        count += 1;
    }
    bytes.extend(count.to_le_bytes());
    bytes.extend(MAGIC);
    bytes
}

/// The chunks that an earlier run has put aside at `path`, if there are any.
pub(crate) fn left_at(path: &Path) -> Option<SeedPart> {
    let window = Window::open(path, None).ok()?;
    let lists = lists(window.file()).ok();
    Some(SeedPart { lists, ..Seed::window(STAGED.to_owned(), window).into() })
}

fn lists(file: &File) -> io::Result<Vec<LeafList>> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let len = file.metadata()?.len();
    let end_at = len.checked_sub(END).ok_or_else(wrong)?;
    let mut end = [0; 16];
    file.read_exact_at(&mut end, end_at)?;
    let (count, magic) = end.split_at(8);
    if magic != MAGIC {
        return Err(wrong());
    }
    let count = u64::from_le_bytes(count.try_into().expect("8 bytes"));
    let rows_len = count.checked_mul(ROW as u64).filter(|rows_len| *rows_len <= end_at).ok_or_else(wrong)?;
    let mut rows = vec![0; usize::try_from(rows_len).map_err(io::Error::other)?];
    file.read_exact_at(&mut rows, end_at - rows_len)?;
    let (rows, _) = rows.as_chunks::<ROW>();
    let entries = rows.iter().map(|[a, b, c, d, e, f, len @ ..]| Entry {
        short: ShortName::from_bytes([*a, *b, *c, *d, *e, *f]),
        len: u32::from_le_bytes(*len),
        repeats: 0,
    });
    Ok(leaf_lists(entries).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_is_known_again_and_anything_else_is_not_believed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("staged");
        let chunk = |byte, len| Entry { short: ShortName::from_bytes([byte; 6]), len, repeats: 0 };
        let chunks = [chunk(1, 300), chunk(2, 50)];
        let right = [vec![7; 350], table(chunks.into_iter())].concat();
        let write = |bytes: &[u8]| {
            let file = File::create(&path).expect("a file");
            file.write_all_at(bytes, 0).expect("written");
        };
        write(&right);
        let lists = left_at(&path).expect("a file").lists.expect("a table");
        let found: Vec<_> = lists.iter().flat_map(LeafList::entries).copied().collect();
        assert_eq!(found, chunks);
        for (at, byte) in [(right.len() - 1, 0), (right.len() - 16, 0xff), (right.len() - 9, 0xff)] {
            let mut wrong = right.clone();
            wrong[at] = byte;
            write(&wrong);
            assert!(left_at(&path).expect("a file").lists.is_none(), "byte {at}");
        }
        for len in [0, 15, right.len() - 1] {
            write(&right[..len]);
            assert!(left_at(&path).expect("a file").lists.is_none(), "{len} bytes");
        }
        std::fs::remove_file(&path).expect("removed");
        assert!(left_at(&path).is_none());
    }
}
