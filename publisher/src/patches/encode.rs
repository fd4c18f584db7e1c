//! Groups encoded on all threads, as many at a time as memory allows, and written in their order.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, PoisonError};

use chunk_delta::{BuildError, Plan, Spec};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::Observer;
use crate::error::MakeError;

/// Memory for encoders.
const MEMORY: u64 = 900 << 20;
/// Memory of an encoder for each byte of its group, target and base.
const MEMORY_PER_BYTE: u64 = 9;
/// Groups for each thread between two looks at the observer.
const GROUPS_PER_THREAD: usize = 4;

/// Encodes the groups of `plan` one after the other to `out`, and returns their lengths.
pub(super) fn encode(
    plan: &Plan,
    pool: &ThreadPool,
    observer: &dyn Observer,
    encode: impl Fn(&Spec) -> Result<Vec<u8>, BuildError> + Sync,
    out: &mut impl Write,
) -> Result<Vec<u64>, Failed> {
    let memory = Memory::default();
    let mut lens = Vec::new();
    for some in plan.groups().chunks(GROUPS_PER_THREAD * pool.current_num_threads()) {
        if observer.is_cancelled() {
            return Err(Failed::Stop(MakeError::Cancelled));
        }
        let one = |group: &Spec| {
            let _held = memory.hold(group.bytes().saturating_mul(MEMORY_PER_BYTE));
            encode(group)
        };
        let groups: Vec<Vec<u8>> =
            pool.install(|| some.par_iter().map(one).collect::<Result<_, _>>()).map_err(Failed::Build)?;
        for group in groups {
            out.write_all(&group).map_err(Failed::keeping)?;
            lens.push(group.len() as u64);
        }
    }
    Ok(lens)
}

/// Why there is no patch.
pub(super) enum Failed {
    /// The two images give none.
    Build(BuildError),
    /// Nothing more can be done.
    Stop(MakeError),
}

impl Failed {
    /// A patch cannot be kept while it is made.
    pub(super) fn keeping(error: io::Error) -> Self {
        Self::Stop(MakeError::store("keeping a patch")(error))
    }
}

/// Memory in use. One user may always have what it needs, so that each gets its turn.
#[derive(Default)]
struct Memory {
    used: Mutex<u64>,
    less: Condvar,
}

impl Memory {
    fn hold(&self, bytes: u64) -> Held<'_> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > 0 && used.saturating_add(bytes) > MEMORY {
            used = self.less.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used = used.saturating_add(bytes);
        Held { memory: self, bytes }
    }
}

struct Held<'m> {
    memory: &'m Memory,
    bytes: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.memory.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.memory.less.notify_all();
    }
}
