//! The allocator's memory.

/// Frees what is still to be freed, and has the allocator give back what it keeps. glibc's keeps
/// small blocks for ever, scattered over pages that nobody uses any more; others give back by
/// themselves.
pub(crate) fn trim() {
    // Queues that have shrunk leave memory behind that is freed when the epoch has advanced, which
    // takes two steps; and it is only tried when somebody comes by.
    for _ in 0..3 {
        crossbeam_epoch::pin().flush();
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
