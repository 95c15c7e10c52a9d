//! Slabs: large reservations, cut into slots of one size, each the place of one stack.
//!
//! A million stacks are then a few hundred reservations, and fewer mappings. The one table of all
//! slabs is behind a lock, which workers take for a batch of slots at a time. A slot is in one of
//! four states: never guarded, clean (guarded, takes no memory), dirty (free, but its pages are
//! still there, and hot), or taken, by the [`Slot`] that stands for it. [`trim`] gives the pages of
//! dirty slots back, and slabs without a taken slot as a whole, with their page tables. Where slabs
//! lie, and why, is told in [`lowlands`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::guards;
use super::lowlands;
use super::memory::{self, Room};

/// Slots so large have a slab each, which ends with them.
const ALONE: usize = 4 << 20;
/// The slots of the first slab of a size. Each further one doubles what there is, up to
/// `MOST_SLOTS` and `MOST_BYTES`.
const FIRST_SLOTS: usize = 16;
const MOST_SLOTS: usize = 1024;
const MOST_BYTES: usize = 256 << 20;

/// What must be left of a limit on reservations: enough for what allocates next to find some, and
/// say what is the matter.
const SLACK: usize = 16 << 20;

/// A place for one stack: `size` bytes, of which the first page is guarded. It is given back when
/// it is dropped.
pub(super) struct Slot {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: a slot is a range of memory, which no thread owns; its index is taken until its one
// `Slot` is dropped.
unsafe impl Send for Slot {}

impl Slot {
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Its lowest address, guard included.
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
        // Outside of the lock: much memory takes a while.
        if let Some(slab) = ended {
            slab.release();
        }
    }
}

struct Slab {
    start: NonNull<u8>,
    /// The size of a slot.
    size: usize,
    slots: usize,
    taken: usize,
    /// How many have ever been given out; those behind them have no guard.
    begun: u16,
    /// How many guards take mappings.
    mapped: u16,
    /// Of those that are free, by their index; the last is given out first.
    unguarded: Vec<u16>,
    clean: Vec<u16>,
    dirty: Vec<u16>,
}

// SAFETY: a range of memory again; used under the table's lock, or by the one who has taken the
// slab out of the table.
unsafe impl Send for Slab {}

impl Slab {
    fn new(start: NonNull<u8>, size: usize, slots: usize) -> Slab {
        Slab {
            start,
            size,
            slots,
            taken: 0,
            begun: 0,
            mapped: 0,
            unguarded: Vec::new(),
            clean: Vec::new(),
            dirty: Vec::new(),
        }
    }

    /// The address behind its last byte.
    fn end(&self) -> usize {
        self.start.addr().get() + self.size * self.slots
    }

    fn slot(&self, index: u16) -> NonNull<u8> {
        debug_assert!((index as usize) < self.slots);
        // SAFETY: the slab has that many slots.
        unsafe { self.start.add(index as usize * self.size) }
    }

    fn index(&self, slot: NonNull<u8>) -> u16 {
        ((slot.addr().get() - self.start.addr().get()) / self.size) as u16
    }

    /// Takes a free slot that has no guard.
    fn take_unguarded(&mut self) -> Option<u16> {
        self.unguarded.pop().or_else(|| {
            let next = self.begun;
            ((next as usize) < self.slots).then(|| {
                self.begun += 1;
                next
            })
        })
    }

    fn is_full(&self) -> bool {
        self.taken == self.slots
    }

    /// Gives the whole reservation back to the system.
    fn release(self) {
        guards::forget(self.mapped as usize);
        // SAFETY: no slot is taken, and the slab is out of the table. Should it fail, a reservation
        // is lost, which takes no memory once its pages are gone.
        if unsafe { memory::release(self.start, self.size * self.slots) }.is_err() {
            // SAFETY: as above.
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

/// All slabs.
struct Slabs {
    /// By the address where they start.
    all: BTreeMap<usize, Slab>,
    /// Those that have a free slot, by size and address: low ones are filled first, so that high
    /// ones become empty.
    open: BTreeSet<(usize, usize)>,
    dirty: usize,
    /// Where the next slab is tried, if it is in the window.
    next: usize,
}

static SLABS: Mutex<Slabs> = Mutex::new(Slabs {
    all: BTreeMap::new(),
    open: BTreeSet::new(),
    dirty: 0,
    next: 0,
});

fn slabs() -> MutexGuard<'static, Slabs> {
    // Nothing that panics happens under the lock, short of running out of memory.
    SLABS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Slots of one size, as the table gives them out: some still have to be guarded.
#[derive(Default)]
struct Batch {
    ready: Vec<NonNull<u8>>,
    /// Those of them that take no memory yet come last.
    clean: usize,
    unguarded: Vec<NonNull<u8>>,
}

impl Slabs {
    /// Takes up to `most` slots of `size` bytes; none if there is no room.
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

    /// Adds a slab: as large as it pays, as small as it must be.
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
                // Where reservations are limited (ulimit -v), the rest of the process needs some as
                // well.
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

    /// Reserves `len` bytes for a slab: in the [`lowlands`], behind the slab that was made last, or
    /// else in the next gap. Only where those are full is the place the system's choice.
    fn reserve(&mut self, len: usize) -> io::Result<NonNull<u8>> {
        /// Maximum number of places to try that turn out to be taken by others than slabs, and the
        /// distance between two of them.
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

    /// The slab of a slot, for a change of it.
    fn slab_of(&mut self, slot: NonNull<u8>) -> Option<&mut Slab> {
        let (_, slab) = self.all.range_mut(..=slot.addr().get()).next_back()?;
        Some(slab)
    }

    /// A slot is free again. A slab that it had for itself is taken out of the table, for the
    /// caller to release.
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

    /// The guards of these slots take mappings.
    fn note_mapped(&mut self, slots: &[NonNull<u8>]) {
        for &slot in slots {
            if let Some(slab) = self.slab_of(slot) {
                slab.mapped += 1;
            }
        }
    }

    /// Slots that could not be guarded are free again.
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

    /// Takes a slab without a taken slot, for which `pays` holds, out of the table.
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

/// Takes up to `most` slots of `size` bytes, ready for use, and at least one.
///
/// # Errors
/// There is no memory to reserve, or for guards; the message says what to do.
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
    // What is hot needs no memory.
    let mut cold = ready.len() - clean;
    // SAFETY: free slots, which are ours now.
    let made = unsafe { guards::make(&unguarded) };
    let (guarded, rest) = unguarded.split_at(made.all);
    ready.extend(guarded);
    if made.mapped > 0 || !rest.is_empty() {
        let mut slabs = slabs();
        slabs.note_mapped(&guarded[made.all - made.mapped..]);
        slabs.give_back_unguarded(rest, size);
    }
    if ready.is_empty() {
        // Guards are counted: those of slabs that nobody uses can be had. (A slab without guards
        // would be made again, and again.)
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
        // SAFETY: the last page of a slot; a slot has eight pages or more, of which the first alone
        // is guarded.
        .map(|start| unsafe { start.add(size - memory::page_size()) })
        .collect();
    // SAFETY: pages of slots that are ours.
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
        // Somebody else may have grown it meanwhile.
        let mut batch = slabs.take(size, most);
        if batch.ready.is_empty() && batch.unguarded.is_empty() {
            if let Err(error) = slabs.grow(size) {
                drop(slabs);
                // What other sizes of stacks have reserved, and do not use, may be enough.
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

/// Gives back the slabs that nobody uses, and for which `pays` holds. `true`: there was one.
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

/// Whether free stacks take memory.
fn is_dirty() -> bool {
    slabs().dirty > 0
}

/// Gives back some of the memory of free stacks: a slab that nobody uses, or the pages of some
/// slots. `true`: there is more.
pub(super) fn trim() -> bool {
    const SOME: usize = 64;
    let empty = slabs().take_empty(|_| true);
    if let Some(slab) = empty {
        slab.release();
        return is_dirty();
    }
    // While their pages go, the slots are taken, so nobody waits for the lock meanwhile.
    let mut table = slabs();
    let Some(slab) = table.all.values_mut().find(|slab| !slab.dirty.is_empty()) else {
        return false;
    };
    let (start, size, some) = (slab.start, slab.size, slab.take_dirty(SOME));
    let slots: Vec<_> = some.iter().map(|&index| slab.slot(index)).collect();
    table.dirty -= some.len();
    drop(table);
    // SAFETY: slots that this function has taken.
    unsafe { memory::discard_all(&slots, size) };
    let mut table = slabs();
    if let Some(slab) = table.all.get_mut(&start.addr().get()) {
        slab.taken -= some.len();
        slab.clean.extend(some);
        table.open.insert((size, start.addr().get()));
    }
    table.dirty > 0
}
