//! The front of an index: its head, fetched and checked before anything else of it is believed.

use chunk_chunker::image::Blocks;
use chunk_fetch::Source;
use chunk_index::{Head, HeadError};

use crate::error::IndexError;
use crate::parts::{DOUBTS, damaged};
use crate::recipe::Fetched;

/// Bytes of an index asked for first: enough for most heads, even with as many ways as there may be.
pub(crate) const FRONT: u64 = 1 << 13;
/// Largest index that is fetched in parts: that of an image of some TiB. Its length is the server's own claim.
pub(crate) const LARGEST_INDEX: u64 = 1 << 32;
/// Most blocks of an image: what is known of each is held in memory.
const MOST_BLOCKS: u64 = 1 << 23;
/// Largest head that is fetched: that of an image of 2^48 bytes has less.
const LARGEST_HEAD: u64 = 1 << 28;

/// The front of an index: its head, decoded, and its bytes, perhaps with some that follow.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) head: Head,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fetched: Fetched,
}

impl Front {
    /// Reads the front of `object`, and once more past caches and from elsewhere if it is none.
    pub(crate) fn fetch(source: &dyn Source, object: &str) -> Result<Self, IndexError> {
        let mut fetched = Fetched::default();
        let mut doubt = 0;
        loop {
            match Self::fetch_once(source, object, doubt, &mut fetched) {
                Err(IndexError::Head(_) | IndexError::Length { .. }) if doubt < DOUBTS => doubt += 1,
                Err(IndexError::Head(HeadError::Decode(error))) => {
                    return Err(match damaged(source, object, error) {
                        IndexError::Decode(error) => IndexError::Head(error.into()),
                        damaged => damaged,
                    });
                }
                Ok((head, bytes)) => return Ok(Self { head, bytes, fetched }),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the front of `object` after `doubt` answers that were wrong.
    fn fetch_once(
        source: &dyn Source,
        object: &str,
        doubt: u32,
        fetched: &mut Fetched,
    ) -> Result<(Head, Vec<u8>), IndexError> {
        let mut bytes = Vec::new();
        let len = source.open_again(object, FRONT, doubt, &mut bytes)?;
        fetched.bytes += bytes.len() as u64;
        fetched.requests += 1;
        loop {
            match Head::decode(&bytes) {
                Ok(head) if head.file_len() == len => {
                    expect_size(&head, len)?;
                    return Ok((head, bytes));
                }
                Ok(head) => return Err(IndexError::Length { stated: head.file_len(), found: len }),
                Err(HeadError::Incomplete { needed })
                    if needed <= len.min(LARGEST_HEAD) && (bytes.len() as u64) < needed =>
                {
                    source.read_again(object, 0..needed, doubt, &mut bytes)?;
                    fetched.bytes += needed;
                    fetched.requests += 1;
                }
                Err(HeadError::Incomplete { needed }) if len < needed && needed <= LARGEST_HEAD => {
                    return Err(IndexError::Length { stated: needed, found: len });
                }
                Err(error) => return Err(IndexError::Head(error)),
            }
        }
    }

    /// The head.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// What fetching it has cost.
    pub(crate) fn fetched(&self) -> Fetched {
        self.fetched
    }
}

/// Refuses an index or an image that is too large to be worked on, before memory is asked for.
pub(crate) fn expect_size(head: &Head, file_len: u64) -> Result<(), IndexError> {
    let image_len = head.record().image_len();
    let is_here = usize::try_from(file_len).is_ok_and(|len| Vec::<u8>::new().try_reserve_exact(len).is_ok());
    if file_len > LARGEST_INDEX || Blocks::of_len(image_len).count() > MOST_BLOCKS || !is_here {
        return Err(IndexError::TooLarge { file_len, image_len });
    }
    Ok(())
}
