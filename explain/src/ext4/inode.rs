//! Inodes: what kind of file, how long, and where it says its data lie.

use crate::layout::digest;
use crate::read::Fields as _;

const FLAG_EXTENTS: u32 = 0x0008_0000;
const FLAG_INLINE_DATA: u32 = 0x1000_0000;
/// Longest target of a symbolic link that stands in the inode itself, and the zero behind it.
const SHORT_LINK: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

#[derive(Debug)]
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) links: u16,
    pub(super) len: u64,
    /// A digest of its times.
    pub(super) times: u64,
    /// The block that extended attributes lie in, if any.
    pub(super) attributes: Option<u64>,
    /// Whether its content lies in blocks, not in the inode.
    pub(super) has_blocks: bool,
    pub(super) has_extents: bool,
    /// The root of the extent tree or of the block map.
    pub(super) map: [u8; 60],
}

impl Inode {
    /// Reads one; `None` if it is not in use.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let kind = match bytes.u16(0)? & 0xf000 {
            0 => return None,
            0x8000 => Kind::File,
            0x4000 => Kind::Directory,
            0xa000 => Kind::Symlink,
            _ => Kind::Other,
        };
        let flags = bytes.u32(0x20)?;
        let len = u64::from(bytes.u32(0x4)?) | u64::from(bytes.u32(0x6c)?).checked_shl(32)?;
        let attributes = u64::from(bytes.u32(0x68)?) | u64::from(bytes.u16(0x76)?).checked_shl(32)?;
        let times = bytes.get(0x8..0x14)?.iter().chain(bytes.get(0x84..0x98).unwrap_or_default());
        let in_inode = flags & FLAG_INLINE_DATA != 0
            || (kind == Kind::Symlink && len < SHORT_LINK && flags & FLAG_EXTENTS == 0);
        Some(Self {
            kind,
            links: bytes.u16(0x1a)?,
            len,
            times: digest(times.copied()),
            attributes: Some(attributes).filter(|block| *block != 0),
            has_blocks: !in_inode && kind != Kind::Other,
            has_extents: flags & FLAG_EXTENTS != 0,
            map: bytes.field(0x28)?,
        })
    }
}
