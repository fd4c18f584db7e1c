//! Indexes that claim to be larger than any machine.

use std::ops::Range;

use chunk_extract::{Existing, ExtractError, IndexError};
use chunk_fetch::{FetchError, Source};
use chunk_index::Head;

use crate::images::blocks;
use crate::store::Store;
use crate::tries::{fail, job};

/// Gives the front of an index, and its claim for a length.
struct Claiming {
    front: Vec<u8>,
    len: u64,
}

impl Source for Claiming {
    fn read(&self, _: &str, range: Range<u64>, _: &mut Vec<u8>) -> Result<(), FetchError> {
        panic!("{range:?} was asked for in spite of the claim")
    }

    fn open(&self, _: &str, at_most: u64, buffer: &mut Vec<u8>) -> Result<u64, FetchError> {
        buffer.clear();
        let len = self.front.len().min(usize::try_from(at_most).expect("small"));
        buffer.extend_from_slice(&self.front[..len]);
        Ok(self.len)
    }
}

#[test]
fn no_memory_is_asked_for_because_an_index_claims_to_be_long() {
    let store = Store::new();
    store.make("image", &blocks(0..4));
    let index = std::fs::read(store.path().join("image.cidx")).expect("published");
    let head_len = usize::try_from(Head::decode(&index).expect("a head").len()).expect("small");
    for claim in [1_u64 << 33, 1 << 45, 1 << 62] {
        let mut front = index[..head_len].to_vec();
        // FORMAT 4.1: the length of the file, and the check over the head without itself.
        front[32..40].copy_from_slice(&claim.to_le_bytes());
        let check = blake3::Hasher::new().update(&front[..40]).update(&front[48..]).finalize();
        front[40..48].copy_from_slice(&check.as_bytes()[..8]);
        let source = Claiming { front, len: claim };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let target = directory.path().join("target");
        let error = fail(job(&source, "image.cidx", &target, Existing::Keep));
        let refused = matches!(
            &error,
            ExtractError::Index(IndexError::TooLarge { .. } | IndexError::Head(_) | IndexError::Decode(_))
        );
        assert!(refused, "{claim}: {error:?}");
        assert!(!target.exists());
    }
}
