//! Memory for tasks: blocks that any worker may reuse.
//!
//! A task is often made by one worker and ends on another. A general allocator is slow at that,
//! and at many small blocks at once. Here each worker owns a list of free blocks, which only its
//! thread touches. A worker whose list grows too long passes a chain of [`BLOCK_CHAIN`] blocks to
//! the other workers through the [`Depot`], as Go does with its dead goroutines. Other threads
//! that spawn take single blocks from the depot. Chains that the depot has not needed for a while
//! go back to the allocator.
//!
//! The depot may be used by any thread: a mutex for each size guards its chains.

use std::alloc::{self, Layout};
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::tuning::{BLOCK_CHAIN, BLOCK_SIZES, DEPOT_UNUSED};
use crate::primitives::atomic::{AtomicUsize, Ordering};

const ALIGN: usize = 16;

/// A free block.
#[repr(C)]
struct Free {
    next: *mut Free,
    /// [`FREE_BLOCK`]: what a free block has besides is old, as a search for pointers should know.
    mark: usize,
}

/// The second word of a free block. It is no address and no count, so a task that is in use has
/// another word there.
pub(crate) const FREE_BLOCK: usize = u64::from_ne_bytes(*b"\xf7free \xf7\xf7") as usize;

pub(super) fn class_of(layout: Layout) -> Option<usize> {
    // A sanitizer has to see each task's memory allocated and freed, so it comes from the
    // allocator.
    if cfg!(feature = "sanitizer") || layout.align() > ALIGN {
        return None;
    }
    BLOCK_SIZES.iter().position(|size| layout.size() <= *size)
}

pub(super) fn block(class: usize) -> Layout {
    const LAYOUTS: [Layout; BLOCK_SIZES.len()] = {
        let mut layouts = [Layout::new::<()>(); BLOCK_SIZES.len()];
        let mut class = 0;
        while class < BLOCK_SIZES.len() {
            layouts[class] = match Layout::from_size_align(BLOCK_SIZES[class], ALIGN) {
                Ok(layout) => layout,
                Err(_) => panic!("a size is wrong"),
            };
            class += 1;
        }
        layouts
    };
    LAYOUTS[class]
}

/// A worker's free blocks; only its thread uses them.
#[derive(Default)]
pub(super) struct Blocks {
    lists: [UnsafeCell<List>; BLOCK_SIZES.len()],
}

/// Free blocks of one size, each linked to the next.
struct List {
    first: *mut Free,
    len: usize,
}

impl Default for List {
    fn default() -> List {
        List {
            first: ptr::null_mut(),
            len: 0,
        }
    }
}

impl Blocks {
    #[inline]
    pub(super) fn take(&self, class: usize, depot: &Depot) -> Option<NonNull<u8>> {
        // SAFETY: `Blocks` is not `Sync`, so no other thread is here. No reference into a list
        // outlives the method that made it, and that method calls nothing that reenters `Blocks`
        // (an allocator cannot spawn goroutines): this is the only reference.
        let list = unsafe { &mut *self.lists[class].get() };
        if list.first.is_null() {
            *list = List {
                first: depot.take(class)?,
                len: BLOCK_CHAIN,
            };
        }
        let first = NonNull::new(list.first)?;
        // SAFETY: a block in the list is free, and the `give` that freed it wrote its link.
        list.first = unsafe { first.as_ref() }.next;
        list.len -= 1;
        Some(first.cast())
    }

    /// Puts a free block into the list, and passes a chain to the depot if the list is too long.
    ///
    /// # Safety
    /// The memory is a block of this class, and the caller gives up its ownership.
    #[inline]
    pub(super) unsafe fn give(&self, memory: NonNull<u8>, class: usize, depot: &Depot) {
        // SAFETY: `Blocks` is not `Sync`, so no other thread is here. No reference into a list
        // outlives the method that made it, and neither the depot nor an allocator reenters
        // `Blocks`: this is the only reference.
        let list = unsafe { &mut *self.lists[class].get() };
        let free = memory.cast::<Free>();
        // SAFETY: every block is large enough and aligned for a link, and the caller gave us this
        // one.
        unsafe {
            free.write(Free {
                next: list.first,
                mark: FREE_BLOCK,
            })
        };
        list.first = free.as_ptr();
        list.len += 1;
        if list.len == 2 * BLOCK_CHAIN {
            // SAFETY: the list is ours, and has twice as many blocks as the call splits off. The
            // most recently freed half stays; the colder half goes to the depot.
            depot.give(class, unsafe { split(list.first, BLOCK_CHAIN) });
            list.len = BLOCK_CHAIN;
        }
    }
}

/// Cuts a list off behind its first `count` blocks, and returns the rest.
///
/// # Safety
/// The caller owns the list, which has at least `count` blocks; `count` is at least 1.
unsafe fn split(first: *mut Free, count: usize) -> *mut Free {
    let mut last = first;
    for _ in 1..count {
        // SAFETY: the caller owns the list, and fewer than `count` links have been followed: so
        // `last` is a block of the list.
        last = unsafe { (*last).next };
    }
    // SAFETY: `last` is the `count`-th block of the caller's list.
    unsafe { ptr::replace(&raw mut (*last).next, ptr::null_mut()) }
}

/// Chains of [`BLOCK_CHAIN`] free blocks, shared by all workers.
pub(super) struct Depot {
    chains: [Mutex<Chains>; BLOCK_SIZES.len()],
    /// Number of chains of all sizes; it may be a moment old.
    count: AtomicUsize,
}

struct Chains {
    /// The first blocks of the chains. The oldest chains, whose memory is the coldest, come first.
    firsts: VecDeque<*mut Free>,
    /// The rest of a chain from which other threads take single blocks.
    loose: *mut Free,
    /// Minimum number of chains since `checked`: the depot did not need that many.
    least: usize,
    /// Number of unneeded chains that are still to be given back to the allocator.
    surplus: usize,
    checked: Option<Instant>,
}

// SAFETY: the depot owns every block in its chains; no other thread holds a pointer into them.
unsafe impl Send for Chains {}

impl Default for Chains {
    fn default() -> Chains {
        Chains {
            firsts: VecDeque::new(),
            loose: ptr::null_mut(),
            least: 0,
            surplus: 0,
            checked: None,
        }
    }
}

impl Chains {
    fn take(&mut self) -> Option<*mut Free> {
        let first = self.firsts.pop_back()?;
        let left = self.firsts.len();
        self.least = self.least.min(left);
        self.surplus = self.surplus.min(left);
        Some(first)
    }

    /// Determines how many chains to give back. Does nothing if the last call that did so was less
    /// than [`DEPOT_UNUSED`] ago.
    fn update_surplus(&mut self, now: Instant) {
        if self.surplus == 0
            && self
                .checked
                .is_none_or(|checked| now >= checked + DEPOT_UNUSED)
        {
            self.checked = Some(now);
            self.surplus = self.least;
            self.least = self.firsts.len();
            self.firsts.shrink_to(2 * self.least);
        }
    }
}

impl Depot {
    pub(super) fn new() -> Depot {
        Depot {
            chains: Default::default(),
            count: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    #[cold]
    fn take(&self, class: usize) -> Option<*mut Free> {
        if self.is_empty() {
            return None;
        }
        let first = self.chains(class).take()?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(first)
    }

    /// Returns a single block to a thread that has no list of its own.
    pub(super) fn take_one(&self, class: usize) -> Option<NonNull<u8>> {
        let mut chains = self.chains(class);
        if chains.loose.is_null() {
            chains.loose = chains.take()?;
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        let first = NonNull::new(chains.loose)?;
        // SAFETY: a block in a chain is free, and the worker that gave it wrote its link.
        chains.loose = unsafe { first.as_ref() }.next;
        Some(first.cast())
    }

    #[cold]
    fn give(&self, class: usize, first: *mut Free) {
        self.chains(class).firsts.push_back(first);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives one chain that has not been needed for a while to the allocator. Returns whether there
    /// was such a chain.
    pub(super) fn trim_some(&self, now: Instant) -> bool {
        (0..BLOCK_SIZES.len()).any(|class| {
            let mut chains = self.chains(class);
            chains.update_surplus(now);
            if chains.surplus == 0 {
                return false;
            }
            chains.surplus -= 1;
            let Some(first) = chains.firsts.pop_front() else {
                unreachable!("there are no fewer than are to be given back");
            };
            chains.least = chains.least.min(chains.firsts.len());
            drop(chains);
            self.count.fetch_sub(1, Ordering::Relaxed);
            let mut next = first;
            while let Some(free) = NonNull::new(next) {
                // SAFETY: the chain's blocks are free, and this chain is ours since `pop_front`.
                // Each block was allocated with the layout of its class.
                unsafe {
                    next = free.as_ref().next;
                    // The next owner may leave the word as it is.
                    (*free.as_ptr()).mark = 0;
                    alloc::dealloc(free.as_ptr().cast(), block(class));
                }
            }
            true
        })
    }

    fn chains(&self, class: usize) -> MutexGuard<'_, Chains> {
        self.chains[class]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts a new chain into the depot.
    fn give_chain(depot: &Depot) {
        let mut first = ptr::null_mut();
        for _ in 0..BLOCK_CHAIN {
            // SAFETY: a block's size is not 0, and a block is large enough for the link.
            unsafe {
                let free = alloc::alloc(block(0)).cast::<Free>();
                assert!(!free.is_null());
                free.write(Free {
                    next: first,
                    mark: FREE_BLOCK,
                });
                first = free;
            }
        }
        depot.give(0, first);
    }

    fn trimmed(depot: &Depot, now: Instant) -> usize {
        std::iter::repeat_with(|| depot.trim_some(now))
            .take_while(|any| *any)
            .count()
    }

    #[test]
    fn the_depot_gives_back_what_has_not_been_needed() {
        let depot = Depot::new();
        let mut now = Instant::now();
        (0..4).for_each(|_| give_chain(&depot));
        assert_eq!(trimmed(&depot, now), 0, "they have just come");
        // SAFETY: `memory` is a block that `give_chain` allocated, and has just been taken out.
        let free = |memory: NonNull<u8>| unsafe { alloc::dealloc(memory.as_ptr(), block(0)) };
        // A thread takes one more block than a chain has.
        (0..=BLOCK_CHAIN).for_each(|_| free(depot.take_one(0).unwrap()));
        assert_eq!(trimmed(&depot, now), 0, "it has been asked just now");
        now += DEPOT_UNUSED;
        assert_eq!(trimmed(&depot, now), 2, "two have been needed");
        assert!(depot.is_empty());
        assert!(depot.take_one(1).is_none());
        let left = std::iter::from_fn(|| depot.take_one(0)).map(free);
        assert_eq!(left.count(), BLOCK_CHAIN - 1, "what is left of the second");
    }
}
