//! What the work will take of memory and disk, told before it is begun.
//!
//! Memory is a bound made of the bounds of the parts: it holds as long as seeds are what they seem and every
//! request is answered at once. What single parts of other libraries take is rounded up, see the constants.

use chunk_chunker::image::BLOCK;
use chunk_index::Head;

use crate::job::{Job, Options};
use crate::plan::{Plan, Totals};
use crate::survey::Survey;
use crate::target::{Destination, growth, is_device};

/// The program itself, and its stacks.
pub(crate) const PROGRAM: u64 = 12 << 20;
/// What an allocator keeps for each thread of what was freed: up to twice the largest piece, and one that does not
/// fit.
const KEPT_FREE: u64 = 2 << 20;
/// A decoder of frames.
const DECODER: u64 = 256 << 10;
/// A connection to a server, with its buffers.
pub(crate) const CONNECTION: u64 = 1 << 20;
/// Decoded frames kept for the next block.
pub(crate) const PLAIN_KEPT: usize = 8 << 20;
/// How much larger than what is saved at a time the journal may be: what is not needed any more is in it until
/// there is enough of that to be worth copying the rest.
const JOURNAL: u64 = 4;

/// What the work takes at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that the target's file system must have free.
    pub target_disk: u64,
    /// Bytes that the file system of the state must have free.
    pub state_disk: u64,
    /// Bytes that the file system of [`Report::scratch`](crate::Report::scratch) must have free beside.
    pub scratch_disk: u64,
}

/// Bytes of frames, as stored, that are kept beyond their use if `room` bytes of them may wait for it.
pub(crate) fn recent_room(room: u64) -> u64 {
    room / 4
}

/// Blocks that are put together or wait to be written, at most.
pub(crate) fn window(threads: usize) -> usize {
    2 * threads + 2
}

/// Most bytes of a journal.
pub(crate) fn longest_journal(options: &Options) -> u64 {
    options.limits.saved.saturating_mul(JOURNAL)
}

/// What looking for chunks took, or will take where nothing else is known.
pub(crate) fn for_looking(known: u64, threads: usize) -> u64 {
    // Each thread has a block of the target, or as much of a seed, before it.
    PROGRAM + known + threads as u64 * 2 * BLOCK as u64
}

/// What carrying out `plan` takes, beside `known`: recipe, places, and the plan itself.
pub(crate) fn for_work(plan: &Plan, known: u64, options: &Options) -> u64 {
    let (threads, connections) = (options.threads as u64, options.connections as u64);
    let block = BLOCK as u64;
    let ahead = window(options.threads);
    // One more is what the target holds, to be compared.
    let blocks = (ahead.min(plan.order.len()) as u64 + 1) * block;
    let fetches = &plan.fetches;
    let room = options.limits.frames;
    let held = fetches.most_held(&plan.frames, u32::try_from(ahead).unwrap_or(u32::MAX), room);
    let stored = plan.frames.iter().map(|(_, frame)| u64::from(frame.stored_len)).sum::<u64>();
    let held = held + recent_room(room).min(stored);
    let at_a_time = connections.min(fetches.requests.len() as u64);
    // A buffer that grows with what comes may be twice as long as that.
    let asked_for = at_a_time * (2 * fetches.longest() + CONNECTION);
    let plain = plan.frames.iter().map(|(_, frame)| u64::from(frame.plain_len));
    let (longest, all) = (plain.clone().max().unwrap_or(0), plain.sum::<u64>());
    // Each thread uses one frame that may not be kept any more, and decodes another.
    let decoded = (PLAIN_KEPT as u64 + (2 * threads + 1) * longest).min(all);
    let by_threads = threads * DECODER + (threads + at_a_time) * KEPT_FREE;
    PROGRAM + known + blocks + held + asked_for + decoded + by_threads + plan.totals.saved
}

impl Job<'_> {
    /// What the work takes that needs so much `memory`.
    pub(crate) fn demand_of(
        &self,
        memory: u64,
        survey: &Survey,
        index: &Head,
        totals: &Totals,
        is_in_place: bool,
    ) -> Demand {
        let target_disk = match &self.destination {
            Destination::Path { path, .. } if !is_device(path) => for_file(survey, totals),
            _ => 0,
        };
        let state_disk = match &self.state {
            Some(_) if totals.write > 0 => {
                // Patches are kept until what they make is put aside.
                let patches = if is_in_place { totals.patch } else { 0 };
                index.file_len() + patches + for_journal(totals, is_in_place, &self.options)
            }
            _ => 0,
        };
        Demand { memory, target_disk, state_disk, scratch_disk: totals.scratch }
    }
}

/// What a file, which may be there already, takes more when the image is written to it.
pub(crate) fn for_file(survey: &Survey, totals: &Totals) -> u64 {
    let there = survey.window.as_ref().and_then(|window| window.file().metadata().ok());
    let written = totals.write - totals.zero;
    there.map_or(written, |there| growth(&there, totals.image, written))
}

/// What a journal takes, of which a copy may be made.
fn for_journal(totals: &Totals, is_in_place: bool, options: &Options) -> u64 {
    let longest = longest_journal(options);
    match totals.saves {
        _ if !is_in_place => 0,
        saves if saves <= longest => saves,
        _ => longest + longest / 2,
    }
}
