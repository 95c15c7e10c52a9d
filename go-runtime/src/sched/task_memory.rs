//! Memory for tasks: from the worker's own blocks, the depot, or the allocator.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use super::blocks::{block, class_of};
use super::global;
use super::worker::Worker;

/// Allocates memory for a task of this layout. If there is none, the process aborts, as after any
/// failed allocation.
///
/// # Safety
/// The layout's size is not 0.
pub(crate) unsafe fn allocate(layout: Layout) -> NonNull<u8> {
    let (layout, reused) = match class_of(layout) {
        Some(class) => (
            block(class),
            match Worker::current() {
                Some(worker) => worker.blocks().take(class, worker.depot()),
                None => global::of_part().depot.take_one(class),
            },
        ),
        None => (layout, None),
    };
    reused.unwrap_or_else(|| {
        // SAFETY: the size is not 0: `layout` is a block's, or the caller's.
        let memory = unsafe { alloc::alloc(layout) };
        NonNull::new(memory).unwrap_or_else(|| alloc::handle_alloc_error(layout))
    })
}

/// Takes the memory of a task back.
///
/// # Safety
/// The memory is from [`allocate`] with the same layout, and is not used again.
pub(crate) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    let layout = match class_of(layout) {
        Some(class) => {
            if let Some(worker) = Worker::current() {
                // SAFETY: `allocate` gives a block of this class for this layout, and the caller
                // gives it up.
                return unsafe { worker.blocks().give(memory, class, worker.depot()) };
            }
            block(class)
        }
        None => layout,
    };
    // SAFETY: `allocate` has allocated the memory with this layout: that of a block, or the task's
    // own. The caller gives it up.
    unsafe { alloc::dealloc(memory.as_ptr(), layout) }
}
