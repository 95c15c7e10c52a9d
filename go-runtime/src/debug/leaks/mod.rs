//! Leaked goroutines: those that wait, and that nothing can wake any more.
//!
//! As in Go (its proposal 74609), a parked goroutine leaks if no goroutine that can go on, and no
//! thread, can reach what it waits for. There is no garbage collector here that would know all
//! pointers, so the memory of the process is searched for them, as a conservative collector does
//! (Boehm and Weiser, *Garbage collection in an uncooperative environment*, 1988):
//!
//! 1. All goroutines are listed. Those are candidates that wait for others: for a channel, a lock,
//!    a group, a goroutine. What ends by itself, or from outside, is not: a timer, input and
//!    output, a call of `blocking`, a future. `main` is none either.
//! 2. From the *roots*, which are static data, the threads' stacks, and the stacks of the
//!    goroutines that are no candidates, all pointers are followed, through the heap ([`heap`]) and
//!    the stacks ([`marks`]). A candidate that is reached can be woken, so its stack is searched as
//!    well.
//! 3. The candidates that are not reached have leaked.
//!
//! No thread is stopped for this, so a pointer may be moved, from memory that has yet to be
//! searched to memory that has been, and be missed; and a pointer may be in a register only.
//! Therefore threads that run are asked for their registers ([`registers`]); the roots, and the
//! stacks of goroutines that have run since, are searched again at the end of a pass; several
//! passes, each with its roots in another order, must come to the same result; and the goroutine
//! must not have run since before the first one.

mod at_end;
mod heap;
mod marks;
pub(super) mod memory;
mod registers;
mod roots;

pub(crate) use at_end::watch_end;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use heap::Words;
use marks::{Search, Stack};

use super::goroutine::{self, Goroutine};
use super::hidden::Hidden;
use crate::channel::{self, COUNTS};
use crate::clock;
use crate::goroutine::is_main;
use crate::primitives::mutex::lock;
use crate::primitives::{random, uncaptured};
use crate::sched::listing::{self, Listed, State};
use crate::sched::{Runtime, global};
use crate::stack;
use crate::wait::{WaitReason, Why, threads};

/// Number of passes that must agree.
const PASSES: usize = 4;
/// A goroutine that has not run for less than this may be one that runs all the time: when a
/// goroutine has last run is known to within some 0.1 s.
const OLD: Duration = Duration::from_millis(200);
/// How often the stacks of goroutines that run are searched again at the end of a pass.
const AGAIN: usize = 2;
/// Number of attempts to find the regions of a heap that other threads use.
const ATTEMPTS: usize = 20;

/// A goroutine that waits, and that nothing can wake any more.
///
/// It displays as the goroutine, with its frames, and what is known:
///
/// ```text
/// goroutine 7 [chan send, 3 minutes] {name: fetcher}:
/// app::fetch
///         src/main.rs:31:12
/// created at src/main.rs:30:9, on worker 1
/// It has leaked: only goroutines that have leaked have what it waits for.
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    goroutine: Goroutine,
    is_certain: bool,
}

impl Leak {
    /// The goroutine, with its frames.
    #[must_use]
    pub fn goroutine(&self) -> &Goroutine {
        &self.goroutine
    }

    /// Whether nothing that could wake it is known to be missing. If not, some senders or receivers
    /// of the channel for which it waits have not been found anywhere. They may have been forgotten
    /// ([`mem::forget`](std::mem::forget)); or their addresses are hidden, in a file or as another
    /// number, and then they may still be used.
    ///
    /// This is no proof that no address is hidden: copies of an address count as well, and of what
    /// a goroutine waits for in a `select!`, or of a lock, the owners are not counted.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.is_certain
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = if self.is_certain {
            "It has leaked: only goroutines that have leaked have what it waits for."
        } else {
            "It may have leaked: some ends of its channel were not found; no goroutine that can go \
             on has one."
        };
        write!(f, "{}\n{why}", self.goroutine)
    }
}

/// Finds goroutines that have leaked: they wait, for a channel, a lock, a group or each other, and
/// nothing can wake them any more, because what they wait for is known only to goroutines that have
/// leaked as well.
///
/// ```
/// use go_runtime::{channel, debug, go};
///
/// fn start() {
///     let (tx, rx) = channel::unbounded::<u32>();
///     go! {
///         // Ends when all senders are gone. But it has one itself.
///         for number in rx {
///             tx.send(number / 2).unwrap();
///         }
///     };
/// }
///
/// start();
/// for leak in debug::leaks()? {
///     println!("{leak}\n");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// The memory of the process is searched for addresses, as a conservative garbage collector does
/// it; no code of the program runs, and no thread is stopped. (Threads that run tell what is in
/// their registers, in a handler of SIGURG, unless the program handles that signal.) So a leak may
/// be missed: an old copy of an address, in a function that has not returned yet or in memory that
/// is not in use, counts like the address itself, and frames of debug builds are full of those.
/// What is found has leaked, unless a pointer is hidden: kept encrypted, in a file, in the system
/// (as the data of an `epoll`, or the bytes in a pipe), only in a register of a thread that waits
/// in a system call, or only at an address that is not a multiple of 8.
///
/// `main` and threads are never found. Neither are goroutines that wait for a timer, for input or
/// output, for [`blocking`](crate::blocking) or for a future. Goroutines that wait for what has no
/// end, such as `select! {}`, are.
///
/// For each GiB of memory in use, the call takes about 1 s if objects have 4 KiB, and 3.5 s if they
/// have 64 bytes (`leaking heap MIB BYTES` in `tests/src/bin` measures it); five times as long if
/// it finds something, and then at least 0.2 s: until then a goroutine may be about to run. Other
/// goroutines run meanwhile. It is there on Linux only.
///
/// # Errors
/// Of the kind [`Unsupported`](io::ErrorKind::Unsupported), if the program has another allocator
/// than that of glibc for 64 bits: another C library's, one of its own, or a sanitizer's, whose
/// memory cannot be cut into objects. Others, if the system does not let the process read its own
/// memory with `process_vm_readv`, which a seccomp filter may forbid, or what it has about the
/// process in `/proc`, or has no thread.
pub fn leaks() -> io::Result<Vec<Leak>> {
    if global::running().is_none() {
        return Ok(Vec::new());
    }
    // Of other C libraries, and of 32 bits, the search does not know the heap.
    if !cfg!(all(target_env = "gnu", target_pointer_width = "64")) {
        return Err(unsupported());
    }
    // What the caller's frames hold counts, and not what lies among the runtime's.
    stack::with_registers(find_elsewhere)
}

/// Searches on a thread of its own, whose stack is full of what it has found, and is not searched
/// itself. `caller` is the address from which the calling stack is.
fn find_elsewhere(caller: usize) -> io::Result<Vec<Leak>> {
    let (result, received) = mpsc::channel();
    let builder = thread::Builder::new().name("go-leaks".into());
    uncaptured::spawn(builder, move || {
        let _ = result.send(find(caller));
    })?;
    let leaks = crate::blocking(move || received.recv());
    leaks.unwrap_or_else(|_| Err(io::Error::other("the search for leaks has panicked")))
}

/// What is known of the process.
struct Process {
    runtime: &'static Runtime,
    /// The address from which the stack is in use that waits for the search.
    caller: usize,
    /// See [`mark_of_free_chunks`].
    free_chunk: usize,
}

fn find(caller: usize) -> io::Result<Vec<Leak>> {
    let Some(runtime) = global::running() else {
        return Ok(Vec::new());
    };
    let mut known = lock(&KNOWN);
    let found = search(runtime, caller)?;
    let found = with_known(runtime, found, &mut known);
    let mut goroutines = Vec::new();
    let Ok(()) = goroutine::for_each(|one| {
        if found.contains_key(&one.number()) && one.worker().is_some() {
            goroutines.push(one);
        }
        Ok::<_, Infallible>(())
    });
    goroutine::add_frames(&mut goroutines);
    goroutines.sort_unstable_by_key(Goroutine::number);
    let leak = |goroutine: Goroutine| Leak {
        is_certain: found[&goroutine.number()],
        goroutine,
    };
    Ok(goroutines.into_iter().map(leak).collect())
}

/// The goroutines that have been found to have leaked. The lock also keeps a search from meeting
/// the stack of another one.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// A goroutine that has been found: it has leaked as long as it waits as it did then.
struct Known {
    number: usize,
    /// The complement of the word of its wait, so that it is not taken for a pointer.
    not_word: u64,
    is_certain: bool,
    found: Instant,
}

/// Adds the goroutines that were found by earlier searches, and notes all. (The values and the
/// frames that were made then have copies of addresses, which may hide the goroutines now.)
fn with_known(
    runtime: &'static Runtime,
    mut found: HashMap<usize, bool>,
    known: &mut Vec<Known>,
) -> HashMap<usize, bool> {
    let before: HashMap<_, _> = known.drain(..).map(|known| (known.number, known)).collect();
    listing::for_each(runtime, |listed| {
        let Some(word) = candidate(&listed, Duration::ZERO) else {
            return;
        };
        let earlier = before
            .get(&listed.number)
            .filter(|known| known.not_word == !word && listed.since + OLD >= known.found.elapsed());
        let is_certain = match (earlier, found.get(&listed.number)) {
            (None, None) => return,
            (earlier, now) => {
                earlier.is_some_and(|known| known.is_certain) || now.is_some_and(|now| *now)
            }
        };
        found.insert(listed.number, is_certain);
        known.push(Known {
            number: listed.number,
            not_word: !word,
            is_certain,
            found: earlier.map_or_else(clock::now, |known| known.found),
        });
    });
    found
}

/// Searches for goroutines that have leaked. Returns their numbers, and whether that is certain.
fn search(runtime: &'static Runtime, caller: usize) -> io::Result<HashMap<usize, bool>> {
    let process = Process {
        runtime,
        caller,
        free_chunk: mark_of_free_chunks(),
    };
    let mut words = Words::new();
    // A goroutine that has run lately may be about to run again. As a candidate it only shows that
    // there is something to wait for.
    let possible = pass(&process, Duration::ZERO, None, &mut words)?;
    if possible.is_empty() {
        return Ok(HashMap::new());
    }
    let is_young = |listed: &Listed<'_>| {
        let word = candidate(listed, Duration::ZERO).unwrap_or(0);
        listed.since < OLD && possible.contains_key(&waiting(listed.number, word))
    };
    let mut any_young = false;
    listing::for_each(runtime, |listed| any_young |= is_young(&listed));
    if any_young {
        thread::sleep(2 * OLD);
    }
    passes(&process, &mut words)
}

/// A goroutine in a wait: its number, and the complement of the word of its wait, in which the
/// address of a channel would be found by the search.
type Waiting = (usize, u64);

fn waiting(number: usize, word: u64) -> Waiting {
    (number, !word)
}

/// What is known of goroutines that were not reached: whether all ends of what they wait for were
/// found.
type Unreached = HashMap<Waiting, bool>;

/// Searches several times. Returns the goroutines that were never reached, by their numbers, and
/// whether all ends of what they wait for were found.
fn passes(process: &Process, words: &mut Words) -> io::Result<HashMap<usize, bool>> {
    let begun = clock::now();
    let mut found = pass(process, OLD, None, words)?;
    for _ in 1..PASSES {
        let again = pass(process, OLD, Some(&found), words)?;
        found.retain(|one, is_certain| match again.get(one) {
            Some(still) => {
                *is_certain &= still;
                true
            }
            None => false,
        });
    }
    let mut old = HashMap::new();
    listing::for_each(process.runtime, |listed| {
        let word = candidate(&listed, begun.elapsed()).unwrap_or(0);
        if let Some(is_certain) = found.get(&waiting(listed.number, word)) {
            old.insert(listed.number, *is_certain);
        }
    });
    Ok(old)
}

/// Returns the word of the goroutine's wait, if only other goroutines and threads can end the wait,
/// and the goroutine has not run for so long.
fn candidate(listed: &Listed<'_>, at_least: Duration) -> Option<u64> {
    let State::Waiting(word) = listed.state else {
        return None;
    };
    let why = Why::of_word(word)?;
    let (reason, _) = Why::read(word)?;
    let is_for_others = match reason {
        WaitReason::ChanReceive
        | WaitReason::ChanReceiveNever
        | WaitReason::ChanSend
        | WaitReason::Select
        | WaitReason::SelectNoCases
        | WaitReason::MutexLock
        | WaitReason::RwLockRead
        | WaitReason::RwLockWrite
        | WaitReason::CondvarWait
        | WaitReason::WaitGroupWait
        | WaitReason::Semacquire
        | WaitReason::Join
        | WaitReason::Scope
        | WaitReason::Once
        | WaitReason::Barrier => true,
        WaitReason::Sleep | WaitReason::IoWait | WaitReason::Blocking | WaitReason::Future => false,
    };
    let is_main = is_main(listed.spawned_at, listed.name);
    let is_old = listed.since >= at_least;
    (is_for_others && is_old && !why.is_timed() && !is_main).then_some(word)
}

/// Searches once, for goroutines that have not run for so long, and, if some are given, are among
/// these; if so long is no time, then roughly. Returns those that were not reached.
fn pass(
    process: &Process,
    at_least: Duration,
    among: Option<&Unreached>,
    words: &mut Words,
) -> io::Result<Unreached> {
    let is_sought = |number: usize, word: u64| {
        word != 0 && among.is_none_or(|among| among.contains_key(&waiting(number, word)))
    };
    let mut any_sought = false;
    listing::for_each(process.runtime, |listed| {
        let word = candidate(&listed, at_least).unwrap_or(0);
        any_sought |= is_sought(listed.number, word);
    });
    if !any_sought {
        return Ok(HashMap::new());
    }
    let (regions, mappings) = heap_and_rest(words)?;
    let mut stacks = Vec::new();
    let (mut started, mut channels) = (HashSet::new(), HashSet::new());
    listing::for_each(process.runtime, |listed| {
        started.insert(Hidden::new(listed.task));
        let word = candidate(&listed, at_least).unwrap_or(0);
        channels.extend(channel_of(word).map(|channel| Hidden::new(handle_of(channel))));
        stacks.push(Stack::new(&listed, word));
    });
    let mut of_threads = Vec::new();
    threads::for_each(|seen| of_threads.push(Hidden::new(seen.identity.task)));
    started.extend(&of_threads);
    let arena = heap::main_arena_itself(&mappings, &regions, words);
    let mut search = Search::new(regions, stacks, &stack::slabs(), process.caller);
    search.started = started;
    search.channels = channels;
    search.private = process.runtime.private_memory();
    search.private.extend(arena);
    search.free_chunk = process.free_chunk;
    search.is_rough = at_least.is_zero();
    // An arena that a thread has made since is no region: all that lies in it would count.
    let mappings = match search.is_rough {
        true => mappings,
        false => memory::mappings()?,
    };
    let mut roots = roots_in(mappings, process, &search)?;
    // Goroutines that have a thread are no candidates.
    of_threads.iter().for_each(|task| search.joiner(task.get()));
    let running_at = random::below(roots.len() + 1);
    for (index, root) in roots.iter().enumerate() {
        if index == running_at {
            search.running();
        }
        search.root(root);
    }
    search.running();
    if search.is_rough {
        // What has been missed is found later. A worker that has just fallen asleep may still have
        // old addresses in its registers, which would hide what has leaked.
        let unreached = search.unreached();
        let unreached = unreached.map(|stack| (waiting(stack.number, stack.word()), false));
        return Ok(unreached.collect());
    }
    let mut have_answered = true;
    for _ in 0..AGAIN {
        // In most programs all have been reached by now.
        let is_left = |stack: &Stack| is_sought(stack.number, stack.word());
        if !search.unreached().any(is_left) {
            return Ok(HashMap::new());
        }
        have_answered &= registers::for_each(|word| search.register(word))?;
        // (No stack can be made or given back during the listing, so it must be short.)
        let mut have_run = Vec::new();
        listing::for_each(process.runtime, |listed| {
            let word = candidate(&listed, at_least).unwrap_or(0);
            have_run.extend(search.if_it_has_run(&listed, word));
        });
        have_run.iter().for_each(|stack| search.again(stack));
        // Threads may have started since, and memory may have been mapped.
        roots = roots_in(memory::mappings()?, process, &search)?;
        roots.iter().for_each(|root| search.root(root));
    }
    have_answered &= registers::for_each(|word| search.register(word))?;
    if !have_answered {
        // What those threads have in their registers is not known, so nothing has been found.
        return Ok(HashMap::new());
    }
    let mut unreached = with_ends(search);
    unreached.retain(|&(number, not_word), _| is_sought(number, !not_word));
    Ok(unreached)
}

/// Returns the roots in the mappings, in some order.
fn roots_in(
    mappings: Vec<memory::Mapping>,
    process: &Process,
    search: &Search,
) -> io::Result<Vec<roots::Root>> {
    let mappings = heap::without(mappings, &search.of_regions());
    let mappings = heap::without(mappings, &stack::slabs());
    let mappings = heap::without(mappings, &[search.piece()]);
    let workers = process.runtime.worker_threads();
    let mut roots = roots::roots(mappings, &workers, process.caller)?;
    random::shuffle(&mut roots);
    Ok(roots)
}

/// Returns `malloc`'s regions, and the other memory.
fn heap_and_rest(words: &mut Words) -> io::Result<(Vec<heap::Region>, Vec<memory::Mapping>)> {
    // Large enough not to come from memory that the allocator keeps for the smallest objects.
    let probe = Box::new([1_u8; 100]);
    let address = (&raw const *probe).addr();
    memory::can_be_read()?;
    for _ in 0..ATTEMPTS {
        let mut mappings = memory::mappings()?;
        let regions = heap::regions(&mut mappings, words);
        let has_probe = |region: &heap::Region| {
            region.range().contains(&address)
                && region
                    .object(address)
                    .is_some_and(|object| object.start == address)
        };
        if regions.iter().any(has_probe) {
            return Ok((regions, mappings));
        }
    }
    Err(unsupported())
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "the program's global allocator is not glibc's malloc, so it is not known where an object \
         in memory begins and ends, and leaks cannot be found",
    )
}

/// Returns the word that `malloc` writes into the second word of a small chunk that it keeps for
/// the thread that has freed it (glibc's `tcache_key`); 0 if there is none. The calling thread is a
/// new one, for which few chunks are kept.
fn mark_of_free_chunks() -> usize {
    let mark_of = |size: usize| {
        let memory = vec![0_u8; size];
        let address = memory.as_ptr().addr();
        drop(memory);
        memory::read_word(address + memory::WORD).unwrap_or(0)
    };
    let (one, other) = (mark_of(440), mark_of(888));
    // (Without such chunks kept, it may be a pointer to a list, which chunks in use may also have.)
    if one == other && memory::read_word(one).is_none() {
        one
    } else {
        0
    }
}

/// Returns the goroutines that were not reached, and whether all handles of the channels that they
/// wait for were found: what is reached from their stacks, and from nothing else, is searched for
/// them.
fn with_ends(mut search: Search) -> Unreached {
    let left = |stack: &Stack| waiting(stack.number, stack.word());
    let left: Vec<_> = search.unreached().map(left).collect();
    let channels = left
        .iter()
        .filter_map(|(_, not_word)| channel_of(!not_word));
    search.counts = channels
        .map(|channel| (Hidden::new(handle_of(channel)), 0))
        .collect();
    search.rest();
    let all_found = |word: u64| {
        let Some(channel) = channel_of(word) else {
            return true;
        };
        let counts = COUNTS.map(|offset| memory::read_word(channel + offset).unwrap_or(usize::MAX));
        let handles = counts[0].saturating_add(counts[1]);
        let found = search.counts.get(&Hidden::new(handle_of(channel)));
        found.is_some_and(|found| *found >= handles)
    };
    let with_ends = left
        .iter()
        .map(|&(number, not_word)| ((number, not_word), all_found(!not_word)));
    with_ends.collect()
}

/// Returns the address of the channel for which a goroutine waits, by the word of its wait.
fn channel_of(word: u64) -> Option<usize> {
    match Why::read(word)? {
        (WaitReason::ChanReceive | WaitReason::ChanSend, address) => {
            // (What a timer feeds has no counted handles, and no such address.)
            let is_core = address > channel::HEAD && address.is_multiple_of(channel::HEAD);
            is_core.then_some(address)
        }
        _ => None,
    }
}

/// Returns the word that a handle of the channel is: its `Arc`'s pointer, to the counts in front of
/// the channel.
fn handle_of(address: usize) -> usize {
    address - channel::HEAD
}
