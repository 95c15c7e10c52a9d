//! The part of the address space where slabs lie: below all addresses that the kernel chooses by
//! itself.
//!
//! Crates that extend the stack when it runs out (`stacker`, and `recursive`, `serde_stacker` and
//! others based on it) ask the system for the low end of the *thread's* stack. They take the
//! distance from there up to the stack pointer as the remaining room, or zero if the stack pointer
//! is below. A goroutine's stack is not the thread's. If it lay above the thread's stack, such a
//! crate would see room that does not exist, and would not extend the stack. If it lies below, the
//! crate sees no room, and extends the stack at once.
//!
//! So slabs go into the second eighth of the address space, which lies below every stack that the
//! kernel has placed, for every thread:
//!
//! ```text
//! 0         1/8       2/8                                             8/8
//! |  programs |  slabs  |  threads' stacks, stacks that crates grow,    |
//! |  not PIE, |         |  libraries, PIE programs, malloc's mappings   |
//! |  the heap |         |  (what mmap chooses where no address is given)|
//! ```
//!
//! Linux assigns addresses from the top down, below the first thread's stack, or with the old
//! layout (`ulimit -s unlimited`) upward from a third (x86) or a fourth (Arm, RISC-V) of the
//! address space. The first address that it assigns shows how large the address space is: see
//! [`window`].

use std::ops::Range;
use std::sync::OnceLock;

use super::memory;

/// Returns the addresses where slabs should lie. `None` if the address space has no room for slabs
/// there, or if the system assigns low addresses first (valgrind does).
pub(super) fn window() -> Option<&'static Range<usize>> {
    static WINDOW: OnceLock<Option<Range<usize>>> = OnceLock::new();
    let probe = || {
        let len = memory::page_size();
        let page = memory::reserve(len).ok()?;
        // SAFETY: this function has just reserved the page, has not used it, and does not use it
        // afterwards.
        let _ = unsafe { memory::release(page, len) };
        below(page.addr().get())
    };
    WINDOW.get_or_init(probe).as_ref()
}

/// Returns the window for a system whose own choice of an address is `chosen`: between one eighth
/// and one fourth of the next power of two, and therefore at most half of `chosen`.
fn below(chosen: usize) -> Option<Range<usize>> {
    /// A window smaller than this (in bytes) holds too few stacks to be of use.
    const LEAST: u64 = 32 << 30;
    let eighth = (chosen.checked_next_power_of_two()? / 8) as u64;
    // AddressSanitizer's shadow reaches 2 GiB into the second eighth on x86-64.
    let start = eighth + (4 << 30);
    let window = usize::try_from(start).ok()?..usize::try_from(2 * eighth).ok()?;
    (eighth >= LEAST).then_some(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn windows_lie_below_what_the_system_chooses() {
        let gib = |n: usize| n << 30;
        // x86-64, today's layout and the old one; 39 bits of addresses on Arm; valgrind.
        assert_eq!(
            below(0x7fff_f7ff_0000),
            Some(gib(16 << 10) + gib(4)..gib(32 << 10))
        );
        assert_eq!(
            below(0x2aaa_aaaa_b000),
            Some(gib(8 << 10) + gib(4)..gib(16 << 10))
        );
        assert_eq!(below(0x7f_ffff_f000), Some(gib(64) + gib(4)..gib(128)));
        assert_eq!(below(0x5a0_0000), None);
    }

    #[test]
    fn this_system_has_a_window() {
        let local = 0_u8;
        if let Some(window) = window() {
            assert!(window.end < (&raw const local).addr());
        }
    }
}
