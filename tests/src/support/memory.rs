//! An allocator that counts the bytes in use, for tests of growing memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

static IN_USE: AtomicIsize = AtomicIsize::new(0);

/// The system's allocator with a counter. A test program that measures makes it its global one.
pub struct Counting;

// SAFETY: each method passes its arguments to the system's allocator and returns that one's result;
// the counter beside it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is `System`'s as
        // well.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller passes what `alloc` returned, which came from `System`, with its
        // layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Returns the number of bytes in use, in the whole process.
pub fn in_use() -> isize {
    IN_USE.load(Ordering::Relaxed)
}
