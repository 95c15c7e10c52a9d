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
