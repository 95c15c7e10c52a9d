//! [`Sleeper`]: the function that a timer of a parked goroutine calls. The scheduler knows nothing
//! else about the goroutine's wait.

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
    /// `time_out` returns the goroutine that is runnable from now on, or `None` if another event
    /// ended the wait. It must neither unwind nor call the worker's timers.
    pub(crate) fn new(
        address: NonNull<()>,
        time_out: unsafe fn(NonNull<()>) -> Option<NonNull<Fiber>>,
    ) -> Sleeper {
        Sleeper { address, time_out }
    }

    /// Prefetches the bytes that `time_out` is going to read: as many as a cache line has, but
    /// perhaps in two lines.
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
