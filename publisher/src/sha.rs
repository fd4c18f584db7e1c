//! SHA-256 of the image on a thread of its own: it has to see every byte in order.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest as _, Sha256};

use crate::block::Bytes;
use crate::ordered::Panicked;

/// Blocks that may wait to be hashed.
const DEPTH: usize = 4;

pub(crate) struct Sha {
    blocks: SyncSender<Bytes>,
    thread: JoinHandle<[u8; 32]>,
}

impl Sha {
    pub(crate) fn start() -> Self {
        let (blocks, received) = sync_channel::<Bytes>(DEPTH);
        let thread = std::thread::spawn(move || {
            let mut hash = Sha256::new();
            for bytes in received {
                hash.update(bytes.as_ref());
            }
            hash.finalize().into()
        });
        Self { blocks, thread }
    }

    pub(crate) fn push(&self, bytes: Bytes) {
        // Fails only when the thread is gone, which `finish` tells.
        let _ = self.blocks.send(bytes);
    }

    pub(crate) fn finish(self) -> Result<[u8; 32], Panicked> {
        drop(self.blocks);
        self.thread.join().map_err(|_| Panicked)
    }
}
