//! What a timer of a parked goroutine calls. The scheduler knows nothing else about the goroutine's
//! wait.

use std::ptr::NonNull;

use super::fiber::Fiber;
use crate::primitives::prefetch::{LINE, prefetch};

/// A wait that the worker's clock ends: a function, and the address that the worker calls it with.
#[derive(Clone, Copy)]
pub(crate) struct Sleeper {
    address: NonNull<()>,
    time_out: unsafe fn(NonNull<()>) -> Option<NonNull<Fiber>>,
}

impl Sleeper {
    /// `time_out` returns the goroutine that is runnable from now on, or `None` if the wait has
    /// ended otherwise. It must neither unwind nor come back to the worker's timers.
    pub(crate) fn new(
        address: NonNull<()>,
        time_out: unsafe fn(NonNull<()>) -> Option<NonNull<Fiber>>,
    ) -> Sleeper {
        Sleeper { address, time_out }
    }

    /// Fetches what `time_out` is going to read: up to a cache line's worth of bytes, which may lie
    /// across two lines.
    pub(super) fn prefetch(&self) {
        let start = self.address.as_ptr().cast::<u8>();
        prefetch(start);
        prefetch(start.wrapping_add(LINE - 1));
    }

    /// Tells the wait that its deadline has come.
    ///
    /// # Safety
    /// The caller upholds the contract of `time_out` for the address.
    pub(super) unsafe fn time_out(self) -> Option<NonNull<Fiber>> {
        // SAFETY: the caller upholds the contract of the function for this address.
        unsafe { (self.time_out)(self.address) }
    }
}
