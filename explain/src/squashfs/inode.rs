//! Inodes, one behind the other.

use crate::read::Fields as _;

/// The fragment of a file that has none.
const NO_FRAGMENT: u32 = u32::MAX;
/// Lists of directories are said to be longer by this than they are.
const DOTS: usize = 3;

#[derive(Debug)]
pub(super) struct Inode<'t> {
    pub(super) number: u32,
    pub(super) mtime: u32,
    pub(super) content: Content<'t>,
}

#[derive(Debug)]
pub(super) enum Content<'t> {
    File(File<'t>),
    Directory {
        /// Start of a block of the table of directories.
        block: u32,
        /// First byte of the list in that block.
        offset: u16,
        len: usize,
    },
    Other,
}

#[derive(Debug)]
pub(super) struct File<'t> {
    pub(super) len: u64,
    /// Where the first block lies; the others follow.
    pub(super) start: u64,
    /// The lengths of the blocks, four bytes each.
    pub(super) blocks: &'t [u8],
    /// Number of the fragment that holds the end, and where in it.
    pub(super) fragment: Option<(u32, u32)>,
}

/// The inodes of a table, up to the first that cannot be read.
#[derive(Debug)]
pub(super) struct Inodes<'t> {
    rest: &'t [u8],
    block_size: u64,
}

impl<'t> Inodes<'t> {
    pub(super) fn new(table: &'t [u8], block_size: u64) -> Self {
        Self { rest: table, block_size }
    }

    fn decode(&self) -> Option<(Inode<'t>, usize)> {
        let bytes = self.rest;
        let (content, len) = match bytes.u16(0)? {
            1 => {
                let len = usize::from(bytes.u16(24)?).saturating_sub(DOTS);
                (Content::Directory { block: bytes.u32(16)?, offset: bytes.u16(26)?, len }, 32)
            }
            8 => {
                let len = usize::try_from(bytes.u32(20)?).ok()?.saturating_sub(DOTS);
                let mut end = 40_usize;
                for _ in 0..bytes.u16(32)? {
                    let name = usize::try_from(bytes.u32(end.checked_add(8)?)?).ok()?;
                    end = end.checked_add(name)?.checked_add(13)?;
                }
                (Content::Directory { block: bytes.u32(24)?, offset: bytes.u16(34)?, len }, end)
            }
            2 => {
                let (start, len) = (u64::from(bytes.u32(16)?), u64::from(bytes.u32(28)?));
                self.file(32, start, len, (bytes.u32(20)?, bytes.u32(24)?))?
            }
            9 => self.file(56, bytes.u64(16)?, bytes.u64(24)?, (bytes.u32(44)?, bytes.u32(48)?))?,
            kind @ (3 | 10) => {
                let target = usize::try_from(bytes.u32(20)?).ok()?;
                let attributes = if kind == 10 { 4 } else { 0 };
                (Content::Other, target.checked_add(24)?.checked_add(attributes)?)
            }
            4 | 5 | 13 | 14 => (Content::Other, 24),
            6 | 7 => (Content::Other, 20),
            11 | 12 => (Content::Other, 28),
            _ => return None,
        };
        Some((Inode { number: bytes.u32(12)?, mtime: bytes.u32(8)?, content }, len))
    }

    /// A file whose list of blocks starts at `head`.
    fn file(&self, head: usize, start: u64, len: u64, fragment: (u32, u32)) -> Option<(Content<'t>, usize)> {
        let fragment = Some(fragment).filter(|(number, _)| *number != NO_FRAGMENT);
        let count = match fragment {
            Some(_) => len.checked_div(self.block_size)?,
            None => len.div_ceil(self.block_size),
        };
        let end = usize::try_from(count).ok()?.checked_mul(4)?.checked_add(head)?;
        let blocks = self.rest.get(head..end)?;
        Some((Content::File(File { len, start, blocks, fragment }), end))
    }
}

impl<'t> Iterator for Inodes<'t> {
    type Item = Inode<'t>;

    fn next(&mut self) -> Option<Inode<'t>> {
        let (inode, len) = self.decode()?;
        self.rest = self.rest.get(len..)?;
        Some(inode)
    }
}
