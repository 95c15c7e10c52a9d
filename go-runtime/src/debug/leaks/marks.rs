//! The search: from the roots along all pointers, through the heap and the stacks of goroutines.
//!
//! ```text
//!   roots: static data, threads' stacks,        stack of a parked goroutine
//!   stacks of goroutines that can go on         +-------------------------+---------+
//!        |                                      | free |  frames  waiter  |  Fiber  |
//!        v                                      +------|-------------^----+---------+
//!   object ---> object ---> channel ------------------ | ------------'
//!                              ^                       |
//!                              `---- another one <-----'
//! ```
//!
//! A word counts as a pointer to whatever has its value as an address, so the search finds too much
//! rather than too little: old copies of pointers count as well. What can wake a parked goroutine
//! has a pointer to its waiter or its parker, which lie among its frames. So a goroutine can be
//! woken only if a pointer to its frames is found; then its own stack is searched as well.
//!
//! Not followed are
//!
//! - the scheduler's pointers to goroutines, which do not wake them: those to the fiber itself,
//!   above the frames; those on the stacks of workers' threads; and what lies in the workers'
//!   private memory (timers say so in the word of the wait);
//! - what has been freed or moved away: free chunks of the heap, tasks that wait for reuse, and
//!   tasks that have started (but the goroutine's own pointer to its joiner is followed);
//! - the address that the holder of a lock has written into it, which is told by its lowest bits.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::heap::Region;
use super::memory::{self, PIECE, Pages, Piece, RANGES, WORD};
use super::roots::Root;
use crate::channel::HEAD;
use crate::debug::hidden::Hidden;
use crate::goroutine::JOINER;
use crate::sched::{FREE_BLOCK, Fiber, listing::Listed};
use crate::stack::{self, Extent};
use crate::sync::is_mark_of_holder;

/// Bits of a word that can be part of an address. Others may be a tag.
const ADDRESS: usize = (1 << 48) - 1;

/// Objects that are no more bytes apart are read as one range.
const GAP: usize = 64;

/// A goroutine's stack.
pub(super) struct Stack {
    pub(super) number: usize,
    /// The complement of the word of its wait. (The address in the word is no pointer here.)
    not_word: u64,
    start: Hidden,
    size: usize,
    fiber: Hidden,
    task: Hidden,
    is_reached: bool,
}

impl Stack {
    /// A stack whose goroutine waits as `word` says, if that is not 0.
    pub(super) fn new(listed: &Listed<'_>, word: u64) -> Stack {
        let extent: Extent = listed.stack;
        let addresses = extent.addresses();
        Stack {
            number: listed.number,
            not_word: !word,
            start: Hidden::new(addresses.start),
            size: addresses.len(),
            fiber: Hidden::new(extent.carved::<Fiber>().addr().get()),
            task: Hidden::new(listed.task),
            is_reached: false,
        }
    }

    /// Returns the word of its wait; 0 if it can go on.
    pub(super) fn word(&self) -> u64 {
        !self.not_word
    }

    fn addresses(&self) -> Range<usize> {
        let start = self.start.get();
        start..start + self.size
    }

    /// Returns where the frames of the parked goroutine begin; `None` if it does not wait any more
    /// as it did.
    fn frames(&self) -> Option<Range<usize>> {
        let fiber = self.fiber.get();
        let mut words = [0; size_of::<Fiber>() / WORD];
        if memory::read(fiber, &mut words) < words.len() {
            return None;
        }
        let (word, pointer) = Fiber::suspended(&words)?;
        let addresses = self.addresses();
        (word == self.word() && addresses.contains(&pointer) && pointer < fiber)
            .then_some(pointer..fiber)
    }
}

/// What is searched, and what has been found.
pub(super) struct Search {
    regions: Vec<Region>,
    /// The stacks, by address.
    stacks: Vec<Stack>,
    /// Where pointers may lead to.
    areas: Areas,
    /// Tasks that have started. Their closures are elsewhere, and their joiner can be woken only by
    /// the goroutine itself.
    pub(super) started: HashSet<Hidden>,
    /// The objects of channels, which have a gap before the channel itself.
    pub(super) channels: HashSet<Hidden>,
    /// Memory of the scheduler's that is not searched.
    pub(super) private: Vec<Range<usize>>,
    /// The word that `malloc` has in the second word of some free chunks, if that is known.
    pub(super) free_chunk: usize,
    /// Objects and stacks that have been reached, and have yet to be searched.
    objects: Vec<Range<usize>>,
    reached: Vec<usize>,
    /// Where the frames begin on the stack that waits for the search.
    caller: Hidden,
    /// Whether goroutines are left out that do not wait any more as they did. (One may be on its
    /// way into its wait, or out of it.)
    pub(super) is_rough: bool,
    /// How often each of these values has been found.
    pub(super) counts: HashMap<Hidden, usize>,
    pages: Pages,
    piece: Piece,
}

/// The regions and the slabs of stacks, by address.
struct Areas {
    all: Vec<Area>,
    /// The index of the stack in each slot of each slab, or `NO_STACK`.
    slots: Vec<u32>,
    /// The addresses from the first to the last area.
    bounds: Range<usize>,
    /// The index of the area that was found last. Pointers that lie side by side often lead to the
    /// same one.
    latest: usize,
}

const NO_STACK: u32 = u32::MAX;

#[derive(Clone)]
struct Area {
    range: Range<usize>,
    to: To,
}

/// What the addresses of an area belong to.
#[derive(Clone, Copy)]
enum To {
    /// The region with this index.
    Region(usize),
    /// Slots of this size in bytes. That of the first is in `Areas::slots`, at this index.
    Slots { size: usize, first: usize },
}

/// What an address belongs to, by its index.
enum Target {
    Region(usize),
    Stack(usize),
}

impl Areas {
    /// Takes the regions and the stacks, which are in order, and the slabs.
    fn new(regions: &[Region], stacks: &[Stack], slabs: &[Range<usize>]) -> Areas {
        let to_region = |(index, region): (usize, &Region)| Area {
            range: region.range().clone(),
            to: To::Region(index),
        };
        let mut all: Vec<_> = regions.iter().enumerate().map(to_region).collect();
        let mut slots = Vec::new();
        for slab in slabs {
            let from = stacks.partition_point(|stack| stack.start.get() < slab.start);
            let to = stacks.partition_point(|stack| stack.start.get() < slab.end);
            // All slots of a slab have one size.
            let Some(size) = stacks[from..to].first().map(|stack| stack.size) else {
                continue;
            };
            let first = slots.len();
            slots.resize(first + slab.len().div_ceil(size), NO_STACK);
            for (index, stack) in stacks[from..to].iter().enumerate() {
                let slot = (stack.start.get() - slab.start) / size;
                slots[first + slot] = (from + index) as u32;
            }
            all.push(Area {
                range: slab.clone(),
                to: To::Slots { size, first },
            });
        }
        all.sort_unstable_by_key(|area| area.range.start);
        let bounds = match (all.first(), all.last()) {
            (Some(first), Some(last)) => first.range.start..last.range.end,
            _ => 0..0,
        };
        Areas {
            all,
            slots,
            bounds,
            latest: 0,
        }
    }

    #[inline]
    fn find(&mut self, address: usize) -> Option<Target> {
        if !self.bounds.contains(&address) {
            return None;
        }
        if !self.all[self.latest].range.contains(&address) {
            let after = self.all.partition_point(|area| area.range.start <= address);
            let index = after.checked_sub(1)?;
            if !self.all[index].range.contains(&address) {
                return None;
            }
            self.latest = index;
        }
        let area = &self.all[self.latest];
        match area.to {
            To::Region(index) => Some(Target::Region(index)),
            To::Slots { size, first } => {
                let stack = self.slots[first + (address - area.range.start) / size];
                (stack != NO_STACK).then_some(Target::Stack(stack as usize))
            }
        }
    }
}

impl Search {
    /// A search through these regions, which are in order, and stacks, which lie in these slabs. On
    /// the stack that has the address `caller`, the frames begin there.
    pub(super) fn new(
        regions: Vec<Region>,
        mut stacks: Vec<Stack>,
        slabs: &[Range<usize>],
        caller: usize,
    ) -> Search {
        stacks.sort_unstable_by_key(|stack| stack.start.get());
        Search {
            areas: Areas::new(&regions, &stacks, slabs),
            regions,
            stacks,
            started: HashSet::new(),
            channels: HashSet::new(),
            private: Vec::new(),
            free_chunk: 0,
            objects: Vec::new(),
            reached: Vec::new(),
            caller: Hidden::new(caller),
            is_rough: false,
            counts: HashMap::new(),
            pages: Pages::new(),
            piece: Piece::new(PIECE / WORD),
        }
    }

    /// Returns the memory of the heap's regions, which is in order.
    pub(super) fn of_regions(&self) -> Vec<Range<usize>> {
        self.regions.iter().map(Region::whole).collect()
    }

    /// Returns the addresses of the copy of what is searched.
    pub(super) fn piece(&self) -> Range<usize> {
        let start = self.piece.0.as_ptr().addr();
        start..start + size_of_val(&*self.piece.0)
    }

    /// Returns the goroutines that have not been reached.
    pub(super) fn unreached(&self) -> impl Iterator<Item = &Stack> {
        self.stacks.iter().filter(|stack| !stack.is_reached)
    }

    /// Searches a root, and what is reached from it.
    pub(super) fn root(&mut self, root: &Root) {
        let range = root.in_use();
        self.part_of_root(root, range.clone());
        // A thread that has gone on meanwhile may have put what was elsewhere deeper on its stack.
        let now = root.in_use();
        if range.is_empty() {
            self.part_of_root(root, now);
        } else if now.start < range.start {
            self.part_of_root(root, now.start..range.start);
        }
        self.go_on();
    }

    fn part_of_root(&mut self, root: &Root, range: Range<usize>) {
        let mut used = Vec::new();
        let pages = &self.pages;
        pages.for_each_used(range, root.is_shared, |range| used.push(range));
        for range in used {
            self.memory(range, root.of_worker);
        }
    }

    /// Searches the stacks of goroutines that can go on, and what is reached from them.
    pub(super) fn running(&mut self) {
        for index in 0..self.stacks.len() {
            if self.stacks[index].word() == 0 {
                self.reach(index);
            }
        }
        self.go_on();
    }

    fn stack_at(&self, start: usize) -> Option<usize> {
        let by_start = |stack: &Stack| stack.start.get().cmp(&start);
        self.stacks.binary_search_by(by_start).ok()
    }

    /// Returns the stack of a goroutine that was not there, or has run, since the search began.
    pub(super) fn if_it_has_run(&self, listed: &Listed<'_>, word: u64) -> Option<Stack> {
        let known = self.stack_at(listed.stack.addresses().start);
        let waits_still = known.is_some_and(|index| self.stacks[index].word() == word && word != 0);
        (!waits_still).then(|| Stack::new(listed, 0))
    }

    /// Takes a word into account that a running thread has in a register.
    pub(super) fn register(&mut self, word: usize) {
        let address = word & ADDRESS;
        if self.areas.bounds.contains(&address) {
            self.pointer(word, address, false);
        }
        self.go_on();
    }

    /// Searches the stack of such a goroutine.
    pub(super) fn again(&mut self, stack: &Stack) {
        if let Some(index) = self.stack_at(stack.start.get()) {
            self.stacks[index].not_word = !0;
            self.stacks[index].is_reached = true;
        }
        self.joiner(stack.task.get());
        self.whole(stack.addresses());
        self.go_on();
    }

    /// Searches the stacks of the goroutines that have not been reached.
    pub(super) fn rest(&mut self) {
        for index in 0..self.stacks.len() {
            if !self.stacks[index].is_reached {
                self.reach(index);
            }
        }
        self.go_on();
    }

    fn reach(&mut self, index: usize) {
        self.stacks[index].is_reached = true;
        self.reached.push(index);
    }

    /// Searches all that has been reached.
    fn go_on(&mut self) {
        loop {
            if !self.objects.is_empty() {
                self.some_objects();
            } else if let Some(index) = self.reached.pop() {
                self.stack(index);
            } else {
                return;
            }
        }
    }

    fn stack(&mut self, index: usize) {
        self.joiner(self.stacks[index].task.get());
        let stack = &self.stacks[index];
        let addresses = stack.addresses();
        let before = stack.frames().filter(|_| stack.word() != 0);
        let Some(frames) = before else {
            return self.whole(addresses);
        };
        self.memory(frames.start..addresses.end, false);
        if self.stacks[index].frames() != Some(frames) {
            // It has run in between.
            self.whole(addresses);
        }
    }

    /// Follows the pointer to the parker that waits for the end of a task.
    pub(super) fn joiner(&mut self, task: usize) {
        if let Some(joiner) = memory::read_word(task + JOINER) {
            self.pointer(joiner, joiner, false);
        }
    }

    /// Searches the whole of a stack, whatever of it is in use.
    fn whole(&mut self, addresses: Range<usize>) {
        let caller = self.caller.get();
        let start = match addresses.contains(&caller) {
            true => caller,
            false => addresses.start + stack::page_size(),
        };
        let used = start..addresses.end;
        let mut parts = Vec::new();
        self.pages
            .for_each_used(used, false, |range| parts.push(range));
        parts.into_iter().for_each(|part| self.memory(part, false));
    }

    /// Searches the last objects that have been reached. Small ones are read together, since a call
    /// takes much longer than to read them.
    fn some_objects(&mut self) {
        let (mut count, mut words) = (0, 0);
        for object in self.objects.iter().rev().take(RANGES) {
            words += object.len() / WORD + GAP / WORD;
            if words > self.piece.0.len() {
                break;
            }
            count += 1;
        }
        if count == 0 {
            if let Some(object) = self.objects.pop() {
                self.object(object);
            }
            return;
        }
        let mut some = self.objects.split_off(self.objects.len() - count);
        some.sort_unstable_by_key(|object| object.start);
        // Objects side by side are read as one range.
        let mut ranges: Vec<Range<usize>> = Vec::with_capacity(count);
        let mut places = Vec::with_capacity(count);
        let mut before = 0;
        for object in &mut some {
            object.end -= object.len() % WORD;
            match ranges.last_mut() {
                Some(last) if object.start.wrapping_sub(last.end) <= GAP => last.end = object.end,
                last => {
                    before += last.map_or(0, |last| last.len());
                    ranges.push(object.clone());
                }
            }
            let start = ranges.last().map_or(object.start, |range| range.start);
            places.push((before + object.start - start) / WORD);
        }
        let mut piece = std::mem::take(&mut self.piece.0);
        let read = memory::read_ranges(&ranges, &mut piece);
        for (object, at) in some.iter().cloned().zip(places) {
            let words = object.len() / WORD;
            match piece[..read].get(at..at + words) {
                Some(words) => self.words_of(object, words),
                // The memory of this one, or of one before, is gone. This one is read by itself.
                None => {
                    let mut own = Piece::new(words);
                    let read = memory::read(object.start, &mut own.0);
                    self.words_of(object, &own.0[..read]);
                }
            }
        }
        self.piece.0 = piece;
        // The next owner of this memory may leave it as it is.
        for list in [&mut some, &mut ranges] {
            list.fill(0..0);
            std::hint::black_box(list);
        }
    }

    /// Searches a small object, of which the words have been read.
    fn words_of(&mut self, object: Range<usize>, words: &[usize]) {
        let Some(from) = self.skipped(object.start, words) else {
            return;
        };
        let near_private = self.is_near_private(&object);
        for (index, &word) in words.iter().enumerate().skip(from / WORD) {
            let address = word & ADDRESS;
            let is_private = || near_private && self.is_private(object.start + index * WORD);
            if self.areas.bounds.contains(&address) && !is_private() {
                self.pointer(word, address, false);
            }
        }
    }

    /// Returns whether memory of the scheduler's lies in the range.
    fn is_near_private(&self, range: &Range<usize>) -> bool {
        let is_near =
            |private: &Range<usize>| private.start < range.end && range.start < private.end;
        self.private.iter().any(is_near)
    }

    fn is_private(&self, place: usize) -> bool {
        self.private.iter().any(|range| range.contains(&place))
    }

    /// Searches a large object.
    fn object(&mut self, object: Range<usize>) {
        let mut head = [0; 2];
        let read = memory::read(object.start, &mut head);
        if let Some(from) = self.skipped(object.start, &head[..read]) {
            self.memory(object.start + from..object.end, false);
        }
    }

    /// Returns how many bytes at the start of an object are no pointers; `None` if all are not.
    fn skipped(&self, start: usize, words: &[usize]) -> Option<usize> {
        let second = *words.get(1)?;
        let is_freed = second == FREE_BLOCK || (second == self.free_chunk && second != 0);
        let start = Hidden::new(start);
        if is_freed || self.started.contains(&start) {
            return None;
        }
        Some(if self.channels.contains(&start) {
            HEAD
        } else {
            0
        })
    }

    /// Searches memory for pointers.
    fn memory(&mut self, range: Range<usize>, of_worker: bool) {
        let near_private = self.is_near_private(&range);
        let mut at = range.start;
        while at + WORD <= range.end {
            let most = ((range.end - at) / WORD).min(self.piece.0.len());
            let mut piece = std::mem::take(&mut self.piece.0);
            let read = memory::read(at, &mut piece[..most]);
            for (index, &word) in piece[..read].iter().enumerate() {
                let address = word & ADDRESS;
                let place = at + index * WORD;
                if self.areas.bounds.contains(&address) && !(near_private && self.is_private(place))
                {
                    self.pointer(word, address, of_worker);
                }
            }
            self.piece.0 = piece;
            if read < most {
                // The next page is not there, or must not be read.
                at = (at + read * WORD + 1).next_multiple_of(stack::page_size());
            } else {
                at += read * WORD;
            }
        }
    }

    #[inline]
    fn pointer(&mut self, word: usize, address: usize, of_worker: bool) {
        if !self.counts.is_empty()
            && let Some(count) = self.counts.get_mut(&Hidden::new(word))
        {
            *count += 1;
        }
        match self.areas.find(address) {
            Some(Target::Region(index)) => {
                let region = &mut self.regions[index];
                if let Some(object) = region.object(address)
                    && region.reach(object.start)
                {
                    self.objects.push(object);
                }
            }
            Some(Target::Stack(index)) => {
                let stack = &self.stacks[index];
                if stack.is_reached || of_worker || is_mark_of_holder(word) {
                    return;
                }
                let can_go_on = || !self.is_rough;
                let frames = stack.frames();
                if frames.map_or_else(can_go_on, |frames| frames.contains(&address)) {
                    self.reach(index);
                }
            }
            None => {}
        }
    }
}
