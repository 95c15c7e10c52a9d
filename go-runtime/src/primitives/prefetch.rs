//! Hints to the processor that memory will soon be needed.

/// Size of a cache line in bytes, on the most common processors.
pub(crate) const LINE: usize = 64;

/// Fetches the cache line of `address`, which need not be valid, into the caches.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint, and does not fault for any address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Fetches the cache line of `address`, which need not be valid, into this processor's cache for
/// writing. It is for lines that another processor wrote last, which would otherwise be requested
/// twice: to be read, and then to be written.
#[inline(always)]
pub(crate) fn prefetch_to_write(address: *const u8) {
    // (`_mm_prefetch` has a hint for it, but without the target feature `prfchw` it becomes a
    // prefetch for reading.)
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `prefetchw` is a hint, does not fault for any address, and changes neither registers
    // nor flags. AMD64 processors have the instruction. Intel 64 processors before Broadwell
    // execute its opcode as a no-op, which their manuals reserve it for.
    unsafe {
        std::arch::asm!(
            "prefetchw [{}]",
            in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
