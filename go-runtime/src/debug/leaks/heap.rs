//! The heap of glibc's `malloc`, cut into its chunks, and which of them have been reached.
//!
//! `malloc` keeps a chunk's size in front of it, so that the chunks of a region can be followed
//! from the first to the last (glibc's wiki, *MallocInternals*):
//!
//! ```text
//!        chunk                       next chunk
//!   +-----------+------+-----------------+------+----
//!   | (data of  | size | data  ...              |  size
//!   |  the one  | AMP  |                        |  AMP      P: the chunk before is in use
//!   |  before)  |      |                        |           M: a mapping of its own
//!   +-----------+------+-----------------+------+----       A: not of the main arena
//!                      ^                        ^
//!                    object                end of the object
//! ```
//!
//! There are three kinds of regions: the heap of `brk`, which the main arena has; heaps of other
//! arenas, 64 MiB at most, at addresses that are multiples of that; and mappings of a single chunk.
//! A region is taken for one of `malloc`'s only if its chunks fill it to the last byte. So whatever
//! another allocator, or another version of glibc, has made is no region here. Other threads use
//! the heap while it is read; a region whose chunks do not fit for that reason is none this time.

use std::collections::VecDeque;
use std::ops::Range;

use super::memory::{self, Kind, Mapping, PIECE, WORD};

/// Bytes from the start of a chunk to its object.
const HEADER: usize = 2 * WORD;
/// The unit of sizes, and the alignment of objects, in bytes.
const UNIT: usize = 2 * WORD;
/// Bits of the word with the size.
const BEFORE_IN_USE: usize = 1;
const OWN_MAPPING: usize = 2;
const FLAGS: usize = 7;
/// The maximum size of a heap of an arena, and its alignment, in bytes.
const ARENA_HEAP: usize = 64 << 20;
/// The place of the word in an arena that has the address of its last, unused chunk, in bytes.
const TOP: usize = 12 * WORD;
/// The size of an arena, in bytes, since glibc 2.26.
const ARENA: usize = 2200;

/// A region of memory that is cut into chunks.
pub(super) struct Region {
    /// Where the memory begins that belongs to the region.
    start: usize,
    /// From the start of the first chunk to the end of the last one.
    range: Range<usize>,
    /// For each unit from the start of the range, whether an object begins there.
    objects: Bits,
    /// For each object, at its place, whether it has been reached, or is free.
    reached: Bits,
}

impl Region {
    fn new(range: Range<usize>) -> Region {
        let units = range.len() / UNIT + 1;
        Region {
            start: range.start,
            objects: Bits::new(units),
            reached: Bits::new(units),
            range,
        }
    }

    pub(super) fn range(&self) -> &Range<usize> {
        &self.range
    }

    /// Returns all of the region's memory.
    pub(super) fn whole(&self) -> Range<usize> {
        self.start..self.range.end
    }

    /// Returns the address of the last chunk.
    fn top(&self) -> usize {
        let last = self.objects.last_up_to(self.range.len() / UNIT);
        last.map_or(0, |last| self.address(last) - HEADER)
    }

    fn place(&self, address: usize) -> usize {
        (address - self.range.start) / UNIT
    }

    fn address(&self, place: usize) -> usize {
        self.range.start + place * UNIT
    }

    /// Returns the object that has this address, an address within the range.
    pub(super) fn object(&self, address: usize) -> Option<Range<usize>> {
        let place = self.objects.last_up_to(self.place(address))?;
        let start = self.address(place);
        let next = self.objects.first_from(place + 1);
        // The last object of a region has no successor; its chunk ends with the region.
        let end = next.map_or(self.range.end, |next| self.address(next) - WORD);
        (address < end).then_some(start..end)
    }

    /// Marks the object at `start` as reached. Returns whether it was not before, and is in use.
    pub(super) fn reach(&mut self, start: usize) -> bool {
        self.reached.set(self.place(start))
    }

    /// Follows the chunks from the one at `first` on, up to the end of the region, to which this is
    /// the first. Returns whether they fit. (Nothing is allocated: the region may be the one that
    /// the calling thread allocates in.)
    fn follow(&mut self, first: usize, words: &mut Words) -> bool {
        self.range.start = first;
        self.objects.clear();
        self.reached.clear();
        words.begin(self.range.end);
        let mut chunk = first;
        let mut failures = 0;
        loop {
            match self.step(chunk, words) {
                Step::To(next) => {
                    if words.path.len() == Words::PATH {
                        words.path.pop_front();
                    }
                    words.path.push_back(self.place(chunk + HEADER));
                    chunk = next;
                }
                Step::End => return true,
                Step::Wrong if failures == FAILURES => return false,
                Step::Wrong => {
                    // Another thread may have split the chunk before, or joined it to others.
                    failures += 1;
                    let back = (1 << failures.min(16)).min(words.path.len());
                    for _ in 0..back {
                        let Some(place) = words.path.pop_back() else {
                            break;
                        };
                        self.objects.remove(place);
                        self.reached.remove(place);
                        chunk = self.address(place) - HEADER;
                    }
                    words.forget();
                }
            }
        }
    }

    /// Goes from a chunk to the next one, and notes what is found of both.
    fn step(&mut self, chunk: usize, words: &mut Words) -> Step {
        let end = self.range.end;
        if chunk == end {
            // The last chunk is what has never been in use.
            return match words.path.back() {
                Some(&last) => {
                    self.reached.set(last);
                    Step::End
                }
                None => Step::Wrong,
            };
        }
        let Some(size) = words.get(chunk + WORD) else {
            return Step::Wrong;
        };
        let bytes = size & !FLAGS;
        if size & OWN_MAPPING != 0 || !bytes.is_multiple_of(UNIT) {
            return Step::Wrong;
        }
        if let Some(&last) = words.path.back()
            && size & BEFORE_IN_USE == 0
        {
            // It is free: there is nothing to find in it.
            self.reached.set(last);
        }
        // A heap of an arena that has another one after it ends in two chunks without objects.
        if bytes <= UNIT && end - chunk <= 4 * UNIT {
            return Step::End;
        }
        if bytes < 2 * UNIT || bytes > end - chunk {
            return Step::Wrong;
        }
        let place = self.place(chunk + HEADER);
        self.objects.set(place);
        Step::To(chunk + bytes)
    }
}

/// How often the chunks of a region may turn out not to fit, before it is taken for none.
const FAILURES: usize = 40;

/// What comes after a chunk.
enum Step {
    To(usize),
    End,
    Wrong,
}

/// Returns `malloc`'s regions in the memory, by address, and removes them from the mappings.
pub(super) fn regions(mappings: &mut Vec<Mapping>, words: &mut Words) -> Vec<Region> {
    let mut regions = Vec::new();
    for mapping in &*mappings {
        let Range { start, end } = mapping.range;
        match mapping.kind {
            Kind::Heap => regions.extend(main_arena(start, end, words)),
            Kind::Anonymous if !mapping.is_shared => {
                let mut heaps = Vec::new();
                let mut at = start.next_multiple_of(ARENA_HEAP);
                while at < end {
                    heaps.extend(arena_heap(at, end, words));
                    at += ARENA_HEAP;
                }
                let before = heaps.first().map_or(end, |heap: &Region| heap.start);
                own_mappings(start, before, &mut regions);
                regions.extend(heaps);
            }
            Kind::Anonymous | Kind::FirstStack | Kind::Other => {}
        }
    }
    regions.sort_unstable_by_key(|region| region.range.start);
    let ranges: Vec<_> = regions.iter().map(Region::whole).collect();
    *mappings = without(std::mem::take(mappings), &ranges);
    regions
}

/// Returns the mappings without these ranges, which are in order.
pub(super) fn without(mappings: Vec<Mapping>, ranges: &[Range<usize>]) -> Vec<Mapping> {
    let mut rest = Vec::new();
    for mut mapping in mappings {
        let first = ranges.partition_point(|range| range.end <= mapping.range.start);
        for range in &ranges[first..] {
            if mapping.range.end <= range.start {
                break;
            }
            if mapping.range.start < range.start {
                rest.push(Mapping {
                    range: mapping.range.start..range.start,
                    ..mapping
                });
            }
            mapping.range.start = range.end.min(mapping.range.end);
            mapping.is_guarded = false;
        }
        if !mapping.range.is_empty() {
            rest.push(mapping);
        }
    }
    rest
}

/// Returns where the main arena is, which lies in glibc's static data: its lists have chunks that
/// are free.
pub(super) fn main_arena_itself(
    mappings: &[Mapping],
    regions: &[Region],
    words: &mut Words,
) -> Option<Range<usize>> {
    /// The number of lists of free chunks, each with a first and a last one.
    const LISTS: usize = 127;
    let tops: Vec<_> = regions.iter().map(Region::top).collect();
    for mapping in mappings
        .iter()
        .filter(|mapping| mapping.kind == Kind::Other)
    {
        words.begin(mapping.range.end);
        for at in mapping.range.clone().step_by(WORD) {
            let Some(word) = words.get(at) else { break };
            if !tops.contains(&word) {
                continue;
            }
            // An empty list has, for its first and last chunk, the address at which it would be a
            // chunk itself.
            let mut lists = vec![0; 2 * (LISTS + 1)];
            memory::read(at, &mut lists);
            let is_empty = |list: &usize| lists[2 * list] == at + 2 * (list - 1) * WORD;
            if (1..LISTS).filter(is_empty).count() > LISTS / 2 {
                let arena = at - TOP;
                return Some(arena..arena + ARENA);
            }
        }
    }
    None
}

/// The main arena's heap begins with a chunk, and the last chunk ends with the heap.
fn main_arena(start: usize, end: usize, words: &mut Words) -> Option<Region> {
    let first = start.next_multiple_of(UNIT);
    (0..ATTEMPTS).find_map(|_| {
        // SAFETY: an increment of 0 changes nothing, and the call has no other preconditions.
        let now = unsafe { libc::sbrk(0) }.addr();
        // (It is the maximum if the call fails.)
        let end = if (end..end + ARENA_HEAP).contains(&now) {
            now
        } else {
            end
        };
        let mut region = Region::new(first..end);
        region.follow(first, words).then_some(region)
    })
}

/// Number of attempts for a region that other threads use.
const ATTEMPTS: usize = 5;

/// Returns the heap of an arena, if there is one at `start`, before `end` or a little longer.
///
/// It begins with the address of the arena, that of the heap before, and its size. The first heap
/// of an arena has the arena next to that.
fn arena_heap(start: usize, end: usize, words: &mut Words) -> Option<Region> {
    let head = || {
        let mut head = [0; 3];
        let is_read = memory::read(start, &mut head) == head.len();
        let size = head[2];
        let is_size = (1..=ARENA_HEAP).contains(&size) && size.is_multiple_of(WORD);
        // (It may have grown since the mappings were read.)
        (is_read && is_size && start < end).then_some(head)
    };
    (0..ATTEMPTS).find_map(|_| {
        let [arena, before, size] = head()?;
        let mut region = Region::new(start..start + size);
        // If the region's own memory has been allocated there, it will not be next time.
        if head()? != [arena, before, size] {
            return None;
        }
        let mut follow = |first| region.follow(first, words);
        let found = if before == 0 {
            let is_near = (start..start + 16 * WORD).contains(&arena);
            let first = arena.wrapping_add(ARENA).next_multiple_of(UNIT);
            is_near && follow(first)
        } else {
            let firsts = [4, 6, 8].map(|words| start + words * WORD);
            before.is_multiple_of(ARENA_HEAP) && firsts.into_iter().any(follow)
        };
        found.then_some(region)
    })
}

/// Adds the chunks with a mapping of their own that lie side by side from `start` on.
fn own_mappings(start: usize, end: usize, regions: &mut Vec<Region>) {
    let page = crate::stack::page_size();
    let mut chunk = start;
    while chunk < end {
        let mut words = [0; 2];
        if memory::read(chunk, &mut words) < words.len() {
            return;
        }
        let [before, size] = words;
        let bytes = size & !FLAGS;
        let is_chunk = before == 0 && size & FLAGS == OWN_MAPPING;
        if !is_chunk || bytes == 0 || !bytes.is_multiple_of(page) || bytes > end - chunk {
            return;
        }
        let mut region = Region::new(chunk..chunk + bytes);
        let place = region.place(chunk + HEADER);
        region.objects.set(place);
        regions.push(region);
        chunk += bytes;
    }
}

/// Words of memory, read a piece at a time.
pub(super) struct Words {
    piece: Box<[usize]>,
    /// The addresses of the words in the piece.
    range: Range<usize>,
    end: usize,
    /// The places of the last objects that a region has been found to have.
    path: VecDeque<usize>,
}

impl Words {
    const PATH: usize = 1 << 17;

    pub(super) fn new() -> Words {
        Words {
            piece: vec![0; PIECE / WORD].into(),
            range: 0..0,
            end: 0,
            path: VecDeque::with_capacity(Words::PATH),
        }
    }

    /// Prepares for words before `end`.
    fn begin(&mut self, end: usize) {
        self.end = end;
        self.path.clear();
        self.forget();
    }

    /// Makes the next call of `get` read anew.
    fn forget(&mut self) {
        self.range = 0..0;
    }

    fn get(&mut self, address: usize) -> Option<usize> {
        if !self.range.contains(&address) {
            let most = (self.end.checked_sub(address)? / WORD).min(self.piece.len());
            let read = memory::read(address, &mut self.piece[..most]);
            self.range = address..address + read * WORD;
            if read == 0 {
                return None;
            }
        }
        Some(self.piece[(address - self.range.start) / WORD])
    }
}

/// A set of numbers below a limit.
struct Bits(Vec<u64>);

impl Bits {
    fn new(limit: usize) -> Bits {
        Bits(vec![0; limit.div_ceil(64)])
    }

    /// Adds a number. Returns whether it was not there.
    fn set(&mut self, number: usize) -> bool {
        let word = &mut self.0[number / 64];
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    fn remove(&mut self, number: usize) {
        self.0[number / 64] &= !(1 << (number % 64));
    }

    /// Returns the largest number up to `most`.
    fn last_up_to(&self, most: usize) -> Option<usize> {
        let mut index = most / 64;
        let mut word = self.0[index] & (u64::MAX >> (63 - most % 64));
        while word == 0 {
            index = index.checked_sub(1)?;
            word = self.0[index];
        }
        Some(index * 64 + 63 - word.leading_zeros() as usize)
    }

    /// Returns the least number from `least` on.
    fn first_from(&self, least: usize) -> Option<usize> {
        let mut index = least / 64;
        let mut word = self.0.get(index)? & (u64::MAX << (least % 64));
        while word == 0 {
            index += 1;
            word = *self.0.get(index)?;
        }
        Some(index * 64 + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the object of `malloc`'s that has the address.
    fn object(address: usize) -> Option<Range<usize>> {
        let mut mappings = memory::mappings().unwrap();
        let regions = regions(&mut mappings, &mut Words::new());
        let at = |region: &&Region| region.range.contains(&address);
        regions.iter().find(at)?.object(address)
    }

    /// Checks that an allocation is found, from its first to its last byte. (Other threads use the
    /// heap meanwhile, so that an attempt may find no region.)
    fn is_found<T>(value: &T) -> bool {
        let (start, size) = ((&raw const *value).addr(), size_of::<T>());
        (0..100).any(|_| {
            let (first, last) = (object(start), object(start + size - 1));
            first.is_some_and(|first| {
                first.start == start
                    && first.end >= start + size
                    && first.len() < 2 * size + 64
                    && last == Some(first)
            })
        })
    }

    #[test]
    #[cfg_attr(feature = "sanitizer", ignore = "a sanitizer has its own allocator")]
    fn objects_are_found() {
        let (small, middle) = (Box::new([1_u8; 40]), Box::new([1_u64; 1000]));
        let large = Box::new([1_u64; 100_000]);
        assert!(is_found(&*small));
        assert!(is_found(&*middle));
        assert!(is_found(&*large));
        std::thread::spawn(|| {
            let of_thread = Box::new([1_u64; 50]);
            assert!(is_found(&*of_thread));
        })
        .join()
        .unwrap();
    }

    #[test]
    #[cfg_attr(feature = "sanitizer", ignore = "a sanitizer has its own allocator")]
    fn the_main_arena_is_found() {
        let found = (0..100).find_map(|_| {
            let mut mappings = memory::mappings().unwrap();
            let regions = regions(&mut mappings, &mut Words::new());
            main_arena_itself(&mappings, &regions, &mut Words::new())
        });
        let arena = found.unwrap();
        // Its first word is a lock, and its last chunk is the heap's.
        let top = memory::read_word(arena.start + TOP).unwrap();
        assert!(object(top + HEADER).is_none_or(|object| object.start == top + HEADER));
    }

    #[test]
    fn bits() {
        let mut bits = Bits::new(200);
        assert!(bits.last_up_to(199).is_none() && bits.first_from(0).is_none());
        assert!(bits.set(0) && bits.set(70) && bits.set(191) && !bits.set(70));
        assert_eq!(bits.last_up_to(69), Some(0));
        assert_eq!(bits.last_up_to(70), Some(70));
        assert_eq!(bits.last_up_to(190), Some(70));
        assert_eq!(bits.last_up_to(199), Some(191));
        assert_eq!(bits.first_from(1), Some(70));
        assert_eq!(bits.first_from(71), Some(191));
        assert_eq!(bits.first_from(192), None);
    }
}
