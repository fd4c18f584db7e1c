//! How the C library's allocator is to treat memory that is free again.
#![expect(unsafe_code, reason = "mallopt has no safe form; the calls pass only plain numbers")]

/// Pieces from this size on go back to the system when they are freed.
const LARGE: libc::c_int = 256 << 10;
/// What a heap may keep of smaller ones at its end, instead of giving it back and asking for it again.
const KEPT: libc::c_int = 1 << 20;
/// Heaps that threads share: few that all of them wait for would cost more than they save.
const HEAPS: libc::c_int = 8;

/// Holds little beside what is in use: by default each thread has a heap of its own, and pieces of a MiB, once freed, are
/// kept in it. A device that fetches by sixteen connections would hold 40 MB in this way.
pub(crate) fn stay_small() {
    // SAFETY: no other thread runs yet, and the parameter takes any number up to half a heap.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    // SAFETY: as above; without this, setting the other would leave it at 128 KiB.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT) };
    // SAFETY: no other thread runs yet, and the parameter takes any positive number.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}
