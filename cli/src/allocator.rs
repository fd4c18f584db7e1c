//! How the C library's allocator is to treat memory that is free again.
#![expect(unsafe_code, reason = "mallopt has no safe form; the calls pass only plain numbers")]

/// Pieces from this size on go back to the system when they are freed.
const LARGE: libc::c_int = 256 << 10;
/// Heaps that threads share.
const HEAPS: libc::c_int = 2;

/// Holds little beside what is in use: by default each thread has a heap of its own, and pieces of a MiB, once freed, are
/// kept in it. A device that fetches by sixteen connections would hold 40 MB in this way.
pub(crate) fn stay_small() {
    // SAFETY: no other thread runs yet, and the parameter takes any number up to half a heap.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    // SAFETY: no other thread runs yet, and the parameter takes any positive number.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}
