//! Returning the allocator's unused memory to the system.

/// Frees memory whose reclamation is deferred, and makes the allocator return its free memory to
/// the system. glibc's allocator keeps small free blocks forever, scattered over otherwise unused
/// pages; other allocators return memory by themselves.
pub(crate) fn trim() {
    // Queues that have shrunk leave memory to crossbeam-epoch, which frees it once the epoch has
    // advanced twice. An epoch only advances when a thread tries, as `flush` does.
    for _ in 0..3 {
        crossbeam_epoch::pin().flush();
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` has no preconditions, and any thread may call it (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}
