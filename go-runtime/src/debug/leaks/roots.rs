//! The stacks of the process's threads, as far as they are in use.
//!
//! Above the stack pointer of a thread lies what its calls use, below it what ended calls have
//! left. The system tells the stack pointer of a thread that is in a system call. glibc keeps the
//! stacks of threads that have ended, with all that was on them, for the next threads; they are
//! told from other memory by what glibc has at the end of a stack, its `struct pthread`:
//!
//! ```text
//!   +-------+-----------------------------------------+--------------+-----------------------+
//!   | guard | free   <-- frames grow |    in use      | thread-local | struct pthread        |
//!   |       |                        ^                | data         | self, ..., thread, ...|
//!   +-------+------------------------|----------------+--------------+--^--------------------+
//!                              stack pointer                             `-- "self" is its address
//! ```

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::ops::Range;

use super::heap;
use super::memory::{self, Kind, Mapping, Piece, WORD};
use crate::stack;

/// Bytes below the stack pointer that a function may use without moving it (the System V ABI for
/// x86-64); other architectures have none.
const RED_ZONE: usize = 128;

/// Memory in which pointers of the program are looked for.
pub(super) struct Root {
    pub(super) range: Range<usize>,
    pub(super) is_shared: bool,
    /// Whether it is the stack of a worker's thread, on which only the scheduler runs.
    pub(super) of_worker: bool,
    owner: Owner,
}

/// The thread whose stack a root is.
#[derive(Clone, Copy)]
enum Owner {
    /// It is no thread's stack, or not known to be one.
    Unknown,
    First(i32),
    /// The thread's number is in the word with this address: glibc gives the stack of a thread that
    /// has ended to the next one.
    Word(usize),
}

impl Root {
    /// Returns the part that is in use now: of the stack of a thread that is in a system call, what
    /// is above its stack pointer, and nothing of one whose thread has ended.
    pub(super) fn in_use(&self) -> Range<usize> {
        let mut range = self.range.clone();
        let owner = match self.owner {
            Owner::Unknown => return range,
            Owner::First(thread) => thread,
            Owner::Word(address) => match memory::read_word(address).map(number_in) {
                Some(thread) if thread > 0 => thread,
                Some(_) => return range.start..range.start,
                None => return range,
            },
        };
        if let Some(pointer) = stack_pointer(owner)
            && range.contains(&pointer)
        {
            range.start = range
                .start
                .max(pointer.saturating_sub(RED_ZONE) / WORD * WORD);
        }
        range
    }
}

/// Returns the roots in the mappings: all but the unused parts of threads' stacks, and what only
/// the calling thread uses. `workers` are the threads of workers; if a thread waits for the search,
/// its stack is searched from `caller` on.
pub(super) fn roots(
    mappings: Vec<Mapping>,
    workers: &HashSet<i32>,
    caller: usize,
) -> io::Result<Vec<Root>> {
    let threads: HashMap<_, _> = threads()?
        .into_iter()
        .map(|thread| (thread, stack_pointer(thread)))
        .collect();
    // SAFETY: `gettid` and `getpid` have no preconditions.
    let (this, first) = unsafe { (libc::gettid(), libc::getpid()) };
    let own = stack::of_thread();
    let mappings = heap::without(mappings, &[own]);
    let has_pointer = |mapping: &Mapping, thread: i32| {
        let pointer = threads.get(&thread).copied().flatten();
        pointer.filter(|pointer| mapping.range.contains(pointer))
    };
    let descriptors = Descriptors::learn(this).filter(|known| {
        // They must be right about all threads whose stack pointers are known.
        mappings
            .iter()
            .filter(|mapping| is_stack(mapping))
            .all(|mapping| {
                let here = |thread: &&i32| has_pointer(mapping, **thread).is_some();
                match (threads.keys().find(here), known.thread_of(&mapping.range)) {
                    (Some(&thread), Some((owner, _))) => thread == owner,
                    _ => true,
                }
            })
    });
    let mut roots = Vec::new();
    for mapping in mappings {
        let found = match (&descriptors, mapping.kind) {
            (_, Kind::FirstStack) => Some((first, Owner::First(first))),
            (Some(known), _) if is_stack(&mapping) => known
                .thread_of(&mapping.range)
                .map(|(thread, word)| (thread, Owner::Word(word))),
            _ => None,
        };
        let mut range = mapping.range.clone();
        if found.is_some() && range.contains(&caller) {
            range.start = caller;
        }
        if found.is_some_and(|(thread, _)| thread == this) {
            continue;
        }
        roots.push(Root {
            range,
            is_shared: mapping.is_shared,
            of_worker: found.is_some_and(|(thread, _)| workers.contains(&thread)),
            owner: found.map_or(Owner::Unknown, |(_, owner)| owner),
        });
    }
    Ok(roots)
}

/// Returns the thread's number that is the first half of a word.
fn number_in(word: usize) -> i32 {
    word as u32 as i32
}

/// Returns the numbers of the process's threads.
pub(super) fn threads() -> io::Result<Vec<i32>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let name = entry?.file_name();
        threads.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(threads)
}

/// Returns whether the mapping has the form of a stack that glibc has made for a thread.
fn is_stack(mapping: &Mapping) -> bool {
    mapping.kind == Kind::Anonymous && mapping.is_guarded
}

/// Returns the stack pointer of a thread that is in a system call.
fn stack_pointer(thread: i32) -> Option<usize> {
    // "running", or numbers of which the last but one is the stack pointer: proc_pid_syscall(5).
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
    let word = text.split_whitespace().rev().nth(1)?;
    usize::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// How to find the `struct pthread` at the end of a stack, and which thread it belongs to.
struct Descriptors {
    /// Where the number of the thread is, in bytes. (The number is 0 once the thread has ended.)
    thread: usize,
    /// Where two words are, in bytes, that say where the stack begins, its guard included, and how
    /// long it is.
    block: usize,
}

impl Descriptors {
    /// The place of the word that has the address of the structure itself, in bytes. glibc's
    /// `tcbhead_t` has had it there from the start, because compiled code reads it.
    const SELF: usize = 2 * WORD;
    /// The structure lies in the last bytes of a stack.
    const WITHIN: usize = 16 << 10;

    /// Learns the layout from the calling thread's structure; `None` if it is another one.
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    fn learn(this: i32) -> Option<Descriptors> {
        /// Where the fields are looked for, in bytes.
        const SEARCHED: usize = 4 << 10;
        // SAFETY: `pthread_self` has no preconditions.
        let own = unsafe { libc::pthread_self() } as usize;
        let mut words = [0; SEARCHED / WORD];
        let read = memory::read(own, &mut words);
        if read <= Self::SELF / WORD || words[Self::SELF / WORD] != own {
            return None;
        }
        // The number is the first half of a word: the structure has another `int` after it.
        let is_it = |word: &usize| number_in(*word) == this;
        let words = &words[..read];
        let thread = words.iter().position(is_it)?;
        let stack = stack::of_thread();
        let is_block =
            |two: &[usize]| two[0] <= stack.start && two[0].checked_add(two[1]) == Some(stack.end);
        let block = words.windows(2).position(is_block)?;
        Some(Descriptors {
            thread: thread * WORD,
            block: block * WORD,
        })
    }

    #[cfg(not(all(target_arch = "x86_64", target_env = "gnu")))]
    fn learn(_: i32) -> Option<Descriptors> {
        None
    }

    /// Returns the thread whose stack the range is, which is 0 or less if that thread has ended,
    /// and the address of the word that has its number.
    ///
    /// It must be a stack that glibc has mapped, which begins with its guard: in front of one that
    /// the program has made may be other memory, and the program may use it for other things later.
    fn thread_of(&self, range: &Range<usize>) -> Option<(i32, usize)> {
        let from = range.start.max(range.end.saturating_sub(Self::WITHIN));
        let mut copy = Piece::new((range.end - from) / WORD);
        let read = memory::read(from, &mut copy.0);
        let words = &copy.0[..read];
        let ahead = Self::SELF / WORD;
        let index = (0..read.saturating_sub(ahead)).rev().find(|&index| {
            let address = from + index * WORD;
            words[index] == address && words[index + ahead] == address
        })?;
        let field = |at: usize| words.get(index + at / WORD).copied();
        let (start, size) = (field(self.block)?, field(self.block + WORD)?);
        let is_mapped_by_glibc = start < range.start && start.checked_add(size) == Some(range.end);
        let thread = number_in(field(self.thread)?);
        is_mapped_by_glibc.then_some((thread, from + index * WORD + self.thread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    fn roots_now() -> Vec<Root> {
        roots(memory::mappings().unwrap(), &HashSet::new(), 0).unwrap()
    }

    fn has(roots: &[Root], address: usize) -> bool {
        roots.iter().any(|root| root.in_use().contains(&address))
    }

    #[test]
    #[cfg_attr(
        not(all(target_arch = "x86_64", target_env = "gnu")),
        ignore = "stacks of ended threads are not told from other memory there"
    )]
    #[cfg_attr(
        feature = "sanitizer",
        ignore = "a sanitizer keeps stacks in its own way"
    )]
    fn stacks_of_threads_are_roots_while_they_live() {
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let waiting = thread::spawn(move || {
            let local = 0_u8;
            tell.send((&raw const local).addr()).unwrap();
            let _ = ended.recv();
        });
        let address = told.recv().unwrap();
        assert!(has(&roots_now(), address));
        // What lies far below is not in use, once the thread waits in the system.
        while has(&roots_now(), address - (64 << 10)) {
            thread::yield_now();
        }
        let stop = AtomicBool::new(false);
        let stopped = &stop;
        let running = thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            scope.spawn(move || {
                let local = 0_u8;
                tell.send((&raw const local).addr()).unwrap();
                while !stopped.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let address = told.recv().unwrap();
            let found = has(&roots_now(), address);
            stop.store(true, Ordering::Relaxed);
            found
        });
        assert!(running);
        drop(end);
        waiting.join().unwrap();
        assert!(!has(&roots_now(), address));
        let own = 0_u8;
        assert!(!has(&roots_now(), (&raw const own).addr()));
    }
}
