//! The directory of slabs, for debuggers: a list that they find in the memory of a process, or of
//! its core file, whatever moment the process is stopped at.
//!
//! A slab has an entry from [`add`] to [`remove`]. Entries are only ever put before the first one,
//! and never freed: the entry of a slab that is gone says that no slot has begun, and serves the
//! next slab that is made. So each single store leaves a list that can be followed, and an entry
//! that is being written says that there is nothing to see yet.
//!
//! ```text
//!   FIRST ---> +---------------------+ ---> +--------------------------+ ---> ...
//!              | start, size, first, |      | (the slab was released:) |
//!              | begun = 3           |      | begun = 0                |
//!              +---------------------+      +--------------------------+
//! ```
//!
//! No code of the process follows the list. Any thread may add and remove entries, under a lock;
//! how many slots have begun is read and written by the owner of the slab only (see `slab`).

use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the directory says of a slab.
#[repr(C)]
pub(crate) struct Entry {
    /// The next entry; null after the last one. It does not change once the entry is in the list.
    next: AtomicPtr<Entry>,
    start: AtomicUsize,
    /// Size of a slot, in bytes.
    size: AtomicUsize,
    /// The number of the first slot.
    first: AtomicUsize,
    /// Number of slots, the first ones, that were given out at least once.
    begun: AtomicUsize,
}

/// The offsets of an entry's fields, in bytes.
pub(crate) const NEXT: usize = offset_of!(Entry, next);
pub(crate) const START: usize = offset_of!(Entry, start);
pub(crate) const SIZE: usize = offset_of!(Entry, size);
pub(crate) const NUMBER: usize = offset_of!(Entry, first);
pub(crate) const BEGUN: usize = offset_of!(Entry, begun);

/// The first entry of the list.
pub(crate) static FIRST: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());

/// The entries that no slab has.
static UNUSED: Mutex<Vec<&'static Entry>> = Mutex::new(Vec::new());

/// Adds a slab whose slots have not begun.
pub(super) fn add(start: usize, size: usize, first: usize) -> &'static Entry {
    let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
    let (entry, is_new) = match unused.pop() {
        Some(entry) => (entry, false),
        None => (Entry::new(), true),
    };
    entry.start.store(start, Ordering::Release);
    entry.size.store(size, Ordering::Release);
    entry.first.store(first, Ordering::Release);
    if is_new {
        // No other thread changes the list, since this one holds the lock.
        let next = FIRST.load(Ordering::Relaxed);
        entry.next.store(next, Ordering::Relaxed);
        FIRST.store(ptr::from_ref(entry).cast_mut(), Ordering::Release);
    }
    entry
}

/// Removes a slab whose memory is about to be released.
pub(super) fn remove(entry: &'static Entry) {
    entry.begun.store(0, Ordering::Release);
    let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
    unused.push(entry);
}

impl Entry {
    fn new() -> &'static Entry {
        Box::leak(Box::new(Entry {
            next: AtomicPtr::new(ptr::null_mut()),
            start: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            first: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
        }))
    }

    pub(super) fn begun(&self) -> u16 {
        self.begun.load(Ordering::Relaxed) as u16
    }

    pub(super) fn set_begun(&self, begun: u16) {
        self.begun.store(usize::from(begun), Ordering::Release);
    }
}
