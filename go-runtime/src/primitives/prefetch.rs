//! Hints to the processor that memory is going to be needed.

/// The size of a cache line on the machines that matter here, in bytes.
pub(crate) const LINE: usize = 64;

/// Fetches the line of `address`, which may be anything, into the caches.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which no address can make fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Fetches the line of `address`, which may be anything, into this processor's cache alone, as it
/// is going to be written: for what another one has written last, which would otherwise be asked
/// for twice, to be read and then to be written.
#[inline(always)]
pub(crate) fn prefetch_to_write(address: *const u8) {
    // (`_mm_prefetch` has a hint for it, but without the target feature it becomes one to read.)
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which no address can make fault. Processors of AMD64 have it, and those of
    // Intel 64 that do not know it (before Broadwell) carry out the opcode as one that does
    // nothing, as their manuals reserve it for.
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
