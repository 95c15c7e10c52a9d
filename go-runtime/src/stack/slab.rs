//! Slabs: large reservations, cut into slots of one size, each of which holds one stack.
//!
//! A million stacks are then about a thousand reservations, and far fewer mappings, because the
//! kernel merges mappings that lie side by side. The table of all slabs is a static behind a lock,
//! which a worker takes once for a batch of slots. A slot is in one of four states:
//!
//! ```text
//!   unguarded --take, guard--> taken --drop--> dirty --trim--> clean
//!   (no memory)                  ^               |               |
//!                                +---- take -----+---- take -----+
//! ```
//!
//! - *unguarded*: it has no guard yet, and takes no memory;
//! - *taken*: a [`Slot`] owns it, with its memory;
//! - *dirty*: free, but its pages are still committed, and in the caches;
//! - *clean*: free and guarded, and takes no memory.
//!
//! [`trim`] returns the pages of dirty slots, and slabs without a taken slot as a whole, with their
//! page tables. [`lowlands`] says where slabs lie, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::directory;
use super::guards;
use super::lowlands;
use super::memory::{self, Room};
use crate::primitives::numbers;

/// A slot of at least this size (in bytes) has its own slab, which is released with it.
const ALONE: usize = 4 << 20;
/// Number of slots in the first slab of a size. Each further slab doubles the number of slots, up
/// to `MOST_SLOTS` slots and `MOST_BYTES` bytes in a slab.
const FIRST_SLOTS: usize = 16;
const MOST_SLOTS: usize = 1024;
const MOST_BYTES: usize = 256 << 20;

/// Bytes that must remain of a limit on reservations (`ulimit -v`), so that the next allocation
/// elsewhere still succeeds and can report what is wrong.
const SLACK: usize = 16 << 20;

/// The memory of one stack: `size` bytes, of which the first page is guarded. Dropping it returns
/// it to its slab.
pub(super) struct Slot {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: a slot is a range of memory that no thread owns; its index is marked as taken until its
// only `Slot` is dropped, so no other code uses the range.
unsafe impl Send for Slot {}

impl Slot {
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns the lowest address, guard included.
    pub(super) fn limit(&self) -> NonZeroUsize {
        self.start.addr()
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let ended = slabs().give_back(self.start, self.size);
        // The slab is released without the lock, because releasing much memory takes a while.
        if let Some(slab) = ended {
            slab.release();
        }
    }
}

struct Slab {
    start: NonNull<u8>,
    /// Size of a slot, in bytes.
    size: usize,
    slots: usize,
    taken: usize,
    /// The number of the first slot: a goroutine has the number of its stack.
    first: usize,
    /// What debuggers see of the slab, and how many slots were given out at least once. The slots
    /// after them have no guard.
    entry: &'static directory::Entry,
    /// Number of guards that take mappings.
    mapped: u16,
    /// The free slots, by their index; the last one is given out first.
    unguarded: Vec<u16>,
    clean: Vec<u16>,
    dirty: Vec<u16>,
}

// SAFETY: a slab describes a range of memory that no thread owns. It is accessed under the table's
// lock, or by the thread that has removed it from the table.
unsafe impl Send for Slab {}

impl Slab {
    fn new(start: NonNull<u8>, size: usize, slots: usize) -> Slab {
        let first = numbers::take(slots);
        Slab {
            start,
            size,
            slots,
            taken: 0,
            first,
            entry: directory::add(start.addr().get(), size, first),
            mapped: 0,
            unguarded: Vec::new(),
            clean: Vec::new(),
            dirty: Vec::new(),
        }
    }

    /// Returns the address after the last byte.
    fn end(&self) -> usize {
        self.start.addr().get() + self.size * self.slots
    }

    fn slot(&self, index: u16) -> NonNull<u8> {
        debug_assert!((index as usize) < self.slots);
        // SAFETY: the index is less than the number of slots, so the offset lies within the
        // reservation.
        unsafe { self.start.add(index as usize * self.size) }
    }

    fn index(&self, slot: NonNull<u8>) -> u16 {
        ((slot.addr().get() - self.start.addr().get()) / self.size) as u16
    }

    /// Takes a free slot that has no guard.
    fn take_unguarded(&mut self) -> Option<u16> {
        self.unguarded.pop().or_else(|| {
            let next = self.entry.begun();
            ((next as usize) < self.slots).then(|| {
                self.entry.set_begun(next + 1);
                next
            })
        })
    }

    /// Returns the indices of the slots that are taken.
    fn taken_slots(&self) -> impl Iterator<Item = u16> {
        let begun = self.entry.begun();
        let mut taken = vec![true; begun as usize];
        let free = self.unguarded.iter().chain(&self.clean).chain(&self.dirty);
        free.for_each(|&slot| taken[slot as usize] = false);
        (0..begun).filter(move |&slot| taken[slot as usize])
    }

    fn is_full(&self) -> bool {
        self.taken == self.slots
    }

    /// Returns the whole reservation to the system.
    fn release(self) {
        directory::remove(self.entry);
        guards::forget(self.mapped as usize);
        // SAFETY: the slab has been removed from the table and none of its slots is taken, so no
        // code uses the range. If the call fails, the reservation is leaked, which takes no memory
        // once its pages are returned.
        if unsafe { memory::release(self.start, self.size * self.slots) }.is_err() {
            // SAFETY: the reservation still exists, as `release` has failed, and no code needs its
            // contents.
            unsafe { memory::discard(self.start, self.size * self.slots) };
        }
    }

    /// Takes up to `most` dirty slots.
    fn take_dirty(&mut self, most: usize) -> Vec<u16> {
        let kept = self.dirty.len().saturating_sub(most);
        let some = self.dirty.split_off(kept);
        self.taken += some.len();
        some
    }
}

/// The table of all slabs.
struct Slabs {
    /// The slabs by their start address.
    all: BTreeMap<usize, Slab>,
    /// The slabs that have a free slot, by size and address: low ones are filled first, so that
    /// high ones become empty.
    open: BTreeSet<(usize, usize)>,
    dirty: usize,
    /// The address that is tried first for the next slab, if it is in the window.
    next: usize,
}

static SLABS: Mutex<Slabs> = Mutex::new(Slabs {
    all: BTreeMap::new(),
    open: BTreeSet::new(),
    dirty: 0,
    next: 0,
});

fn slabs() -> MutexGuard<'static, Slabs> {
    // No code panics under the lock (running out of memory aborts), so a poisoned lock guards
    // consistent data.
    SLABS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `f` with the number, the start and the size of each taken slot of the first slab that
/// begins at the address `from` or above. Returns from where to go on, or `None` if there is no
/// such slab. `f` runs under the table's lock. A slot that is taken or dropped between two calls
/// may be missed; no slot is seen twice.
pub(super) fn for_each_taken(
    from: usize,
    mut f: impl FnMut(usize, NonNull<u8>, usize),
) -> Option<usize> {
    let slabs = slabs();
    let (&start, slab) = slabs.all.range(from..).next()?;
    for index in slab.taken_slots() {
        f(slab.first + index as usize, slab.slot(index), slab.size);
    }
    Some(start + 1)
}

/// Returns the ranges of memory of all slabs.
pub(super) fn ranges() -> Vec<Range<usize>> {
    let slabs = slabs();
    let range = |slab: &Slab| slab.start.addr().get()..slab.end();
    slabs.all.values().map(range).collect()
}

/// Returns the number of the slot that has this address, unless another thread, or the code that
/// this call has interrupted, uses the table.
pub(super) fn try_number(address: usize) -> Option<usize> {
    let slabs = match SLABS.try_lock() {
        Ok(slabs) => slabs,
        Err(TryLockError::Poisoned(error)) => error.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    let (_, slab) = slabs.all.range(..=address).next_back()?;
    let index = (address - slab.start.addr().get()) / slab.size;
    (index < slab.slots).then_some(slab.first + index)
}

/// Returns the size of all slots that are taken, in bytes.
pub(super) fn taken_bytes() -> usize {
    let slabs = slabs();
    slabs.all.values().map(|slab| slab.taken * slab.size).sum()
}

/// A batch of slots of one size that the table has given out. Some of them may still need guards.
#[derive(Default)]
struct Batch {
    ready: Vec<NonNull<u8>>,
    /// Number of slots in `ready`, the last ones, that take no memory yet.
    clean: usize,
    unguarded: Vec<NonNull<u8>>,
}

impl Slabs {
    /// Takes up to `most` slots of `size` bytes; returns an empty batch if there is no room.
    fn take(&mut self, size: usize, most: usize) -> Batch {
        let mut batch = Batch::default();
        let mut left = most;
        while left > 0
            && let Some(&(_, start)) = self.open.range((size, 0)..(size + 1, 0)).next()
            && let Some(slab) = self.all.get_mut(&start)
        {
            while left > 0 {
                if let Some(index) = slab.dirty.pop() {
                    self.dirty -= 1;
                    batch
                        .ready
                        .insert(batch.ready.len() - batch.clean, slab.slot(index));
                } else if let Some(index) = slab.clean.pop() {
                    batch.ready.push(slab.slot(index));
                    batch.clean += 1;
                } else if let Some(index) = slab.take_unguarded() {
                    batch.unguarded.push(slab.slot(index));
                } else {
                    break;
                }
                slab.taken += 1;
                left -= 1;
            }
            if slab.is_full() {
                self.open.remove(&(size, start));
            }
        }
        batch
    }

    /// Adds a slab, as large as the number of existing slots justifies, or smaller if memory is
    /// short.
    fn grow(&mut self, size: usize) -> io::Result<()> {
        let there: usize = self.of_size(size).map(|slab| slab.slots).sum();
        let mut slots = if size >= ALONE {
            1
        } else {
            there.clamp(FIRST_SLOTS, MOST_SLOTS).min(MOST_BYTES / size)
        };
        let slab = loop {
            let made = self.reserve(size * slots);
            match made.map(|start| Slab::new(start, size, slots)) {
                // Where reservations are limited (ulimit -v), some must be left for the rest of the
                // process.
                Ok(slab) if Room::reserve(SLACK).is_ok() => break slab,
                Ok(slab) => {
                    slab.release();
                    if slots == 1 {
                        return Err(io::Error::from_raw_os_error(libc::ENOMEM));
                    }
                }
                Err(error) if slots == 1 => return Err(error),
                Err(_) => {}
            }
            slots /= 2;
        };
        let start = slab.start.addr().get();
        self.open.insert((size, start));
        self.all.insert(start, slab);
        Ok(())
    }

    /// Reserves `len` bytes for a slab: in the [`lowlands`], after the slab that was made last, or
    /// else in the next gap. The system chooses the address only if the window is full.
    fn reserve(&mut self, len: usize) -> io::Result<NonNull<u8>> {
        /// Maximum number of places to try if mappings that are not slabs occupy them, and the
        /// distance in bytes between two such places.
        const TRIES: usize = 64;
        const STEP: usize = 1 << 30;
        let Some(window) = lowlands::window() else {
            return memory::reserve(len);
        };
        let (mut at, mut wrapped) = (self.next.max(window.start), false);
        let mut tries = 0;
        while tries < TRIES {
            if at + len > window.end {
                if wrapped {
                    break;
                }
                (at, wrapped) = (window.start, true);
                continue;
            }
            let below = self.all.range(..at + len).next_back();
            if let Some(end) = below.map(|(_, slab)| slab.end()).filter(|end| *end > at) {
                at = end;
                continue;
            }
            if let Some(start) = memory::reserve_at(at, len)? {
                self.next = at + len;
                return Ok(start);
            }
            tries += 1;
            at += len.next_multiple_of(STEP);
        }
        memory::reserve(len)
    }

    fn of_size(&self, size: usize) -> impl Iterator<Item = &Slab> {
        self.all.values().filter(move |slab| slab.size == size)
    }

    /// Returns the slab of a slot, to change it.
    fn slab_of(&mut self, slot: NonNull<u8>) -> Option<&mut Slab> {
        let (_, slab) = self.all.range_mut(..=slot.addr().get()).next_back()?;
        Some(slab)
    }

    /// Marks a slot as free. If the slot had its own slab, the slab is removed from the table and
    /// returned, for the caller to release.
    fn give_back(&mut self, slot: NonNull<u8>, size: usize) -> Option<Slab> {
        let slab = self.slab_of(slot)?;
        slab.taken -= 1;
        let index = slab.index(slot);
        slab.dirty.push(index);
        let start = slab.start.addr().get();
        if size >= ALONE {
            return self.all.remove(&start);
        }
        self.open.insert((size, start));
        self.dirty += 1;
        None
    }

    /// Records that the guards of these slots take mappings.
    fn note_mapped(&mut self, slots: &[NonNull<u8>]) {
        for &slot in slots {
            if let Some(slab) = self.slab_of(slot) {
                slab.mapped += 1;
            }
        }
    }

    /// Marks slots that could not be guarded as free again.
    fn give_back_unguarded(&mut self, slots: &[NonNull<u8>], size: usize) {
        for &slot in slots {
            if let Some(slab) = self.slab_of(slot) {
                slab.taken -= 1;
                let index = slab.index(slot);
                slab.unguarded.push(index);
                let start = slab.start.addr().get();
                self.open.insert((size, start));
            }
        }
    }

    /// Removes a slab that has no taken slot, and for which `pays` holds, from the table.
    fn take_empty(&mut self, pays: impl Fn(&Slab) -> bool) -> Option<Slab> {
        let empty = self
            .all
            .values()
            .find(|slab| slab.taken == 0 && pays(slab))?;
        let (size, start) = (empty.size, empty.start.addr().get());
        self.open.remove(&(size, start));
        let slab = self.all.remove(&start)?;
        self.dirty -= slab.dirty.len();
        Some(slab)
    }
}

/// Takes at least one and up to `most` slots of `size` bytes, ready for use.
///
/// # Errors
/// There is no memory for a reservation or for guards; the message says what to do.
pub(super) fn take(size: usize, most: usize) -> io::Result<Vec<Slot>> {
    let mut batch = slabs().take(size, most);
    if batch.ready.is_empty() && batch.unguarded.is_empty() {
        batch = grow_and_take(size, most)?;
    }
    let Batch {
        mut ready,
        clean,
        unguarded,
    } = batch;
    // Dirty slots come first and have their memory already.
    let mut cold = ready.len() - clean;
    // SAFETY: the batch has taken these slots from the table, so this thread owns them, and their
    // contents are not needed.
    let made = unsafe { guards::make(&unguarded) };
    let (guarded, rest) = unguarded.split_at(made.all);
    ready.extend(guarded);
    if made.mapped > 0 || !rest.is_empty() {
        let mut slabs = slabs();
        slabs.note_mapped(&guarded[made.all - made.mapped..]);
        slabs.give_back_unguarded(rest, size);
    }
    if ready.is_empty() {
        // Guards that take mappings are limited: releasing unused slabs frees some. (A slab without
        // such guards would free none, and would be made again and again.)
        if trim_empty(|slab| slab.mapped > 0) {
            return take(size, most);
        }
        made.result?;
    }
    if ready.len() - cold < 2 {
        cold = ready.len();
    }
    let tops: Vec<_> = ready[cold..]
        .iter()
        // SAFETY: this is the last page of a slot, which has at least eight pages; only the first
        // one is guarded.
        .map(|start| unsafe { start.add(size - memory::page_size()) })
        .collect();
    // SAFETY: the pages belong to slots that this thread has taken, so they are mapped.
    unsafe { memory::populate(&tops) };
    Ok(ready
        .into_iter()
        .map(|start| Slot { start, size })
        .collect())
}

#[cold]
fn grow_and_take(size: usize, most: usize) -> io::Result<Batch> {
    loop {
        let mut slabs = slabs();
        // The table is asked again, because another thread may have added a slab meanwhile.
        let mut batch = slabs.take(size, most);
        if batch.ready.is_empty() && batch.unguarded.is_empty() {
            if let Err(error) = slabs.grow(size) {
                drop(slabs);
                // Releasing the unused slabs of other sizes may free enough memory.
                if trim_empty(|_| true) {
                    continue;
                }
                return Err(error);
            }
            batch = slabs.take(size, most);
        }
        return Ok(batch);
    }
}

/// Releases the slabs without taken slots for which `pays` holds. Returns whether there was one.
fn trim_empty(pays: impl Fn(&Slab) -> bool) -> bool {
    let mut any = false;
    while let Some(slab) = {
        let mut slabs = slabs();
        slabs.take_empty(&pays)
    } {
        slab.release();
        any = true;
    }
    any
}

/// Returns whether free stacks take memory.
fn is_dirty() -> bool {
    slabs().dirty > 0
}

/// Returns some of the memory of free stacks to the system: an empty slab, or the pages of some
/// slots. Returns whether there is more to return.
pub(super) fn trim() -> bool {
    const SOME: usize = 64;
    let empty = slabs().take_empty(|_| true);
    if let Some(slab) = empty {
        slab.release();
        return is_dirty();
    }
    // The slots are marked as taken while their pages are returned, so that the lock need not be
    // held meanwhile.
    let mut table = slabs();
    let Some(slab) = table.all.values_mut().find(|slab| !slab.dirty.is_empty()) else {
        return false;
    };
    let (start, size, some) = (slab.start, slab.size, slab.take_dirty(SOME));
    let slots: Vec<_> = some.iter().map(|&index| slab.slot(index)).collect();
    table.dirty -= some.len();
    drop(table);
    // SAFETY: this function has taken these slots, so no other code uses them, and their contents
    // are not needed.
    unsafe { memory::discard_all(&slots, size) };
    let mut table = slabs();
    if let Some(slab) = table.all.get_mut(&start.addr().get()) {
        slab.taken -= some.len();
        slab.clean.extend(some);
        table.open.insert((size, start.addr().get()));
    }
    table.dirty > 0
}
