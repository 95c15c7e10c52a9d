//! Deadlocks of some goroutines, while others go on: each waits for the next, and the last for the
//! first.
//!
//! For some waits it is known which goroutines must go on before the wait can end: the holder of a
//! mutex (and of an rwlock's write lock), the goroutine that runs the closure of a `Once`, the one
//! that is joined, and all of a scope or of a `WaitGroup`. Those are the edges of a graph, and a
//! cycle in it is a deadlock, if all its edges were there at the same time:
//!
//! 1. All waits are listed, which takes a moment, at different times for different goroutines.
//! 2. The holders are read, and cycles are looked for.
//! 3. The goroutines of a cycle are listed again. If each still waits for the same, and has not run
//!    since before step 1, its edge has been there all the time: it has waited all along, and what
//!    it holds only it could have given back.
//!
//! When a goroutine has last run is known to within 0.1 s, so a wait is *young*, and proves
//! nothing, for a few of those.
//!
//! The word that names the holder of a lock lies in the program's memory, next to the lock. It is
//! read through the system, because the goroutine that waits may go on in between, and free the
//! lock; step 3 tells whether it has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::goroutine::{self, Goroutine, GoroutineState};
use super::leaks::memory;
use super::on_signal::to_stderr;
use crate::clock;
use crate::primitives::mutex::lock;
use crate::primitives::uncaptured;
use crate::sched::global;
use crate::sched::listing::{self, Listed, State};
use crate::sync::{Holder, holder};
use crate::time;
use crate::wait::threads::{self, Identity};
use crate::wait::{WaitReason, Why};

/// A wait that began less than this before the first step counts as young.
const YOUNG: Duration = Duration::from_millis(200);
/// The time after which a wait is no longer young.
const LATER: Duration = Duration::from_millis(400);
/// The time between two checks of the monitor, unless one takes long.
const APART: Duration = Duration::from_secs(1);
/// The reciprocal of the largest share of its time that the monitor spends on checks.
const SHARE: u32 = 100;

/// Goroutines each of which waits for the next, and the last for the first: none will ever go on.
/// One alone waits for itself.
///
/// It displays as the goroutines, with their frames, and what each waits for:
///
/// ```text
/// goroutine 7 [sync.Mutex.Lock] {name: pays}:
/// app::transfer
///         src/main.rs:10:27
/// created at src/main.rs:21:9, on worker 0
/// It waits for a mutex, which goroutine 9 has locked.
///
/// goroutine 9 [sync.Mutex.Lock] {name: collects}:
/// app::transfer
///         src/main.rs:10:27
/// created at src/main.rs:22:9, on worker 1
/// It waits for a mutex, which goroutine 7 has locked.
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    goroutines: Vec<Goroutine>,
}

impl Deadlock {
    /// The goroutines, with their frames. Each waits for the next one, and the last for the first:
    /// what a goroutine waits for, its [object](Goroutine::object), the next one has.
    #[must_use]
    pub fn goroutines(&self) -> &[Goroutine] {
        &self.goroutines
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.goroutines.iter().cycle().skip(1);
        for (index, (this, next)) in self.goroutines.iter().zip(next).enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{this}\nIt waits for ")?;
            let kind = next.kind();
            let number = next.number();
            match this.state() {
                GoroutineState::Waiting(WaitReason::MutexLock) => {
                    write!(f, "a mutex, which {kind} {number} has locked.")?;
                }
                GoroutineState::Waiting(WaitReason::Once) => {
                    write!(f, "a value, which {kind} {number} initializes.")?;
                }
                GoroutineState::Waiting(WaitReason::Join) => {
                    write!(f, "the end of {kind} {number}.")?;
                }
                GoroutineState::Waiting(WaitReason::Scope) => {
                    write!(
                        f,
                        "the goroutines of a scope, of which {kind} {number} is one."
                    )?;
                }
                GoroutineState::Waiting(WaitReason::WaitGroupWait) => {
                    write!(
                        f,
                        "the goroutines of a group, of which {kind} {number} is one."
                    )?;
                }
                _ => write!(f, "a lock, which {kind} {number} has for writing.")?,
            }
        }
        Ok(())
    }
}

/// Finds the goroutines that wait for each other, and so for ever, while others may go on.
///
/// They are found if each waits for a [`Mutex`](crate::sync::Mutex) that the next one has, for a
/// [`RwLock`](crate::sync::RwLock) that the next one has for writing, for the next one's
/// initialization of a [`Once`](crate::sync::Once) or a lazy value, for its end by
/// [`join`](crate::JoinHandle::join), or for a [`scope`](crate::scope) or a
/// [`WaitGroup`](crate::sync::WaitGroup) that has spawned it. Threads that wait in such calls are
/// found as well. Waits with a deadline, or with a done channel, are part of no deadlock; for
/// channels, condition variables, semaphores, and rwlocks that others read, it is not known which
/// goroutines could end the wait.
///
/// The runtime itself looks each second, and writes a deadlock to standard error once, unless
/// `GODEBUG=deadlock=0` is set.
///
/// (A goroutine counts as the holder of what it has locked, even if it has passed the guard on to
/// another goroutine of its worker, which may still unlock it.)
///
/// The call takes about 0.1 us for each goroutine. If it finds goroutines that have begun to wait
/// for each other just now, it waits for up to half a second, until it is sure. It is there on
/// Linux only.
///
/// ```
/// use go_runtime::sync::{Mutex, WaitGroup};
/// use go_runtime::{debug, go};
/// use std::sync::Arc;
///
/// let locks = Arc::new((Mutex::new(()), Mutex::new(())));
/// let both = WaitGroup::new();
/// both.add(2);
/// go!(clone(locks, both) {
///     let _first = locks.0.lock().unwrap();
///     both.done();
///     both.wait();
///     let _second = locks.1.lock().unwrap();
/// });
/// go!(clone(locks, both) {
///     let _second = locks.1.lock().unwrap();
///     both.done();
///     both.wait();
///     let _first = locks.0.lock().unwrap();
/// });
/// let found = loop {
///     if let Some(found) = debug::deadlocks().pop() {
///         break found;
///     }
/// };
/// assert_eq!(found.goroutines().len(), 2);
/// ```
#[must_use]
pub fn deadlocks() -> Vec<Deadlock> {
    let begun = clock::now();
    loop {
        let found = search();
        // (Goroutines that go on, but wait for each other's locks all the time, may look like a
        // young cycle each time.)
        if !found.any_young || begun.elapsed() >= LATER {
            let cycles = disjoint(found.proven);
            return cycles.iter().map(|cycle| Deadlock::of(cycle)).collect();
        }
        time::sleep(LATER / 4);
    }
}

/// Leaves out cycles that have a goroutine in common with one before, which are the same deadlock:
/// each goroutine of a scope may wait for the one that waits for the scope.
fn disjoint(mut cycles: Vec<Vec<Waiting>>) -> Vec<Vec<Waiting>> {
    let mut taken = HashSet::new();
    cycles.retain(|cycle| {
        let is_new = cycle.iter().all(|one| !taken.contains(&one.number));
        if is_new {
            taken.extend(cycle.iter().map(|one| one.number));
        }
        is_new
    });
    cycles
}

/// A goroutine or a thread that waits for certain others to go on.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) number: usize,
    pub(super) word: Why,
    since: Duration,
    identity: Identity,
}

/// Returns what tells others that the goroutine is what they wait for.
pub(super) fn identity_of(listed: &Listed<'_>) -> Identity {
    Identity {
        stack: listed.stack.addresses(),
        task: listed.task,
        caller: listed.task,
        group: listed.group,
    }
}

/// What a search has found.
#[derive(Default)]
struct Found {
    proven: Vec<Vec<Waiting>>,
    /// Whether there is a cycle that young waits keep from being proven.
    any_young: bool,
}

fn search() -> Found {
    let begun = clock::now();
    let all = list(|_, word| is_edge(word));
    let mut cycles = cycles(&edges(&all));
    // Groups are nodes, but no goroutines.
    cycles
        .iter_mut()
        .for_each(|cycle| cycle.retain(|&index| index < all.len()));
    if cycles.is_empty() {
        return Found::default();
    }
    let suspects: HashMap<_, _> = cycles
        .iter()
        .flatten()
        .map(|&index| (all[index].number, all[index].word))
        .collect();
    let again = list(|number, word| suspects.get(&number) == Some(&word));
    let again: HashMap<_, _> = again.iter().map(|one| (one.number, one.since)).collect();
    let old = begun.elapsed() + YOUNG;
    let mut found = Found::default();
    for cycle in cycles {
        let since = cycle.iter().map(|&index| again.get(&all[index].number));
        match since.min().flatten() {
            None => {}
            Some(since) if *since < old => found.any_young = true,
            Some(_) => {
                let cycle = cycle.into_iter().map(|index| all[index].clone());
                found.proven.push(cycle.collect());
            }
        }
    }
    found
}

/// Returns whether certain goroutines must go on before the wait can end.
pub(super) fn is_edge(why: Why) -> bool {
    let reason = Why::read(why.to_word()).map(|(reason, _)| reason);
    !why.is_open() && reason.is_some_and(has_known_blockers)
}

/// Returns whether it can be known which goroutines must go on before a wait for that reason ends.
pub(super) fn has_known_blockers(reason: WaitReason) -> bool {
    let edges = [
        WaitReason::MutexLock,
        WaitReason::RwLockRead,
        WaitReason::RwLockWrite,
        WaitReason::Once,
        WaitReason::Join,
        WaitReason::Scope,
        WaitReason::WaitGroupWait,
    ];
    edges.contains(&reason)
}

/// Lists the goroutines and threads that wait, if `is_wanted` says so of the number and the wait.
pub(super) fn list(is_wanted: impl Fn(usize, Why) -> bool) -> Vec<Waiting> {
    let mut all = Vec::new();
    if let Some(runtime) = global::running() {
        listing::for_each(runtime, |listed| {
            if let State::Waiting(word) = listed.state
                && let Some(word) = Why::of_word(word)
                && is_wanted(listed.number, word)
            {
                all.push(Waiting {
                    number: listed.number,
                    word,
                    since: listed.since,
                    identity: identity_of(&listed),
                });
            }
        });
    }
    threads::for_each(|seen| {
        if let Some(word) = seen.waiting
            && is_wanted(seen.number, word)
        {
            all.push(Waiting {
                number: seen.number,
                word,
                since: seen.since,
                identity: seen.identity,
            });
        }
    });
    all
}

/// Returns, for each of `all`, the indices of those that it waits for. Behind these nodes there is
/// one for each group, which stands between those that wait for the group and those that are in it.
fn edges(all: &[Waiting]) -> Vec<Vec<usize>> {
    let mut edges = vec![Vec::new(); all.len()];
    let mut groups = HashMap::new();
    let is_grouped = |(_, one): &(usize, &Waiting)| one.identity.group != 0;
    for (index, one) in all.iter().enumerate().filter(is_grouped) {
        let group = *groups.entry(one.identity.group).or_insert_with(|| {
            edges.push(Vec::new());
            edges.len() - 1
        });
        edges[group].push(index);
    }
    let by = |key: fn(&Waiting) -> usize| -> HashMap<usize, usize> {
        let keys = all.iter().map(key).zip(0..);
        keys.filter(|(key, _)| *key != 0).collect()
    };
    let (tasks, callers) = (by(|one| one.identity.task), by(|one| one.identity.caller));
    let mut stacks: Vec<_> = (0..all.len()).collect();
    stacks.sort_unstable_by_key(|&index| all[index].identity.stack.start);
    let with_stack = |address: usize| {
        let after = stacks.partition_point(|&index| all[index].identity.stack.start <= address);
        let index = *stacks.get(after.checked_sub(1)?)?;
        all[index]
            .identity
            .stack
            .contains(&address)
            .then_some(index)
    };
    // Many may wait for the same.
    let mut read_before = HashMap::new();
    let mut read = |address| *read_before.entry(address).or_insert_with(|| read(address));
    for (one, edges) in all.iter().zip(&mut edges) {
        let Some((reason, object)) = Why::read(one.word.to_word()) else {
            continue;
        };
        edges.extend(match (reason, holder(reason, object)) {
            (WaitReason::Join, _) => tasks.get(&object).copied(),
            (WaitReason::Scope | WaitReason::WaitGroupWait, _) => groups.get(&object).copied(),
            (_, Some(Holder::Stack(word))) => read(word).and_then(with_stack),
            (_, Some(Holder::Caller(word))) => {
                read(word).and_then(|caller| callers.get(&caller).copied())
            }
            (_, None) => None,
        });
    }
    edges
}

/// Reads a word of this process, which may be freed meanwhile. What is read is of use only if it
/// turns out that the word was not freed. Returns `None` if the word is 0 or cannot be read.
pub(super) fn read(address: usize) -> Option<usize> {
    memory::read_word(address).filter(|word| *word != 0)
}

/// Returns cycles of a graph, each as the indices of its nodes in order: at least one for each set
/// of nodes that can all be reached from each other.
fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    let mut cycles = Vec::new();
    for root in 0..edges.len() {
        if marks[root] != Mark::New {
            continue;
        }
        // The nodes from the root to the current one, and how many of the edges of each are done.
        let mut path = vec![(root, 0)];
        marks[root] = Mark::OnPath;
        while let Some((node, done)) = path.last_mut() {
            let Some(&next) = edges[*node].get(*done) else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *done += 1;
            match marks[next] {
                Mark::New => {
                    marks[next] = Mark::OnPath;
                    path.push((next, 0));
                }
                Mark::OnPath => {
                    let nodes = path.iter().map(|(node, _)| *node);
                    cycles.push(nodes.skip_while(|node| *node != next).collect());
                }
                Mark::Done => {}
            }
        }
    }
    cycles
}

impl Deadlock {
    fn of(cycle: &[Waiting]) -> Deadlock {
        let place = |goroutine: &Goroutine| {
            let number = goroutine.number();
            cycle.iter().position(|one| one.number == number)
        };
        let mut goroutines = Vec::new();
        let Ok(()) = goroutine::for_each(|one| {
            if place(&one).is_some() {
                goroutines.push(one);
            }
            Ok::<_, Infallible>(())
        });
        goroutines.sort_unstable_by_key(place);
        goroutine::add_frames(&mut goroutines);
        Deadlock { goroutines }
    }
}

/// Looks for cycles, and writes those to standard error that have not been written yet. Returns
/// after which time to look again.
pub(super) fn check() -> Duration {
    let begun = clock::now();
    let young = check_asleep();
    young.unwrap_or(APART).max(begun.elapsed() * SHARE)
}

/// Does what [`check`] does while no worker is awake. Then a cycle can only appear if a young wait
/// turns out to be part of one; without such a wait this returns `None`.
pub(super) fn check_asleep() -> Option<Duration> {
    if !global::running()?.debug().deadlock {
        return None;
    }
    let found = search();
    report(found.proven);
    found.any_young.then_some(LATER)
}

/// Writes the cycles to standard error that have not been written yet.
fn report(cycles: Vec<Vec<Waiting>>) {
    /// The goroutines of the cycles that were found last, by their numbers and waits.
    static KNOWN: Mutex<BTreeSet<(usize, u64)>> = Mutex::new(BTreeSet::new());
    let wait = |one: &Waiting| (one.number, one.word.to_word());
    let waits = cycles.iter().flatten().map(wait).collect();
    let known = {
        let mut known = lock(&KNOWN);
        mem::replace(&mut *known, waits)
    };
    // A goroutine that waits for its own lock has been reported when it began.
    let is_told = |cycle: &[Waiting]| match cycle {
        [one] => Why::read(one.word.to_word()).is_some_and(|(why, _)| why != WaitReason::Join),
        _ => false,
    };
    // A cycle that shares a goroutine with a known one is part of the same deadlock.
    let is_new = |cycle: &Vec<Waiting>| {
        !is_told(cycle) && !cycle.iter().any(|one| known.contains(&wait(one)))
    };
    let new = disjoint(cycles.into_iter().filter(is_new).collect());
    if new.is_empty() {
        return;
    }
    // On a thread of its own: the monitor waits neither for workers nor for the process that reads
    // standard error.
    let thread = thread::Builder::new().name("go-dump".into());
    let _ = uncaptured::spawn(thread, move || {
        let _ = to_stderr(|stderr| new.iter().try_for_each(|cycle| write(stderr, cycle)));
    });
}

fn write(stderr: &mut dyn io::Write, cycle: &[Waiting]) -> io::Result<()> {
    let deadlock = Deadlock::of(cycle);
    let number = deadlock.goroutines.len();
    writeln!(
        stderr,
        "go-runtime: deadlock: {number} goroutines wait for each other, and so for ever. \
         (GODEBUG=deadlock=0 silences this.)\n\n{deadlock}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cycle() {
        assert!(cycles(&[]).is_empty());
        assert!(cycles(&[vec![1, 2], vec![2], vec![], vec![0, 1]]).is_empty());
    }

    #[test]
    fn a_cycle_behind_a_path() {
        assert_eq!(cycles(&[vec![1], vec![2], vec![3], vec![1]]), [[1, 2, 3]]);
    }

    #[test]
    fn itself() {
        assert_eq!(cycles(&[vec![], vec![1]]), [[1]]);
    }

    #[test]
    fn two_cycles() {
        let edges = [vec![1], vec![0], vec![0, 3], vec![4], vec![2, 0]];
        assert_eq!(cycles(&edges), [vec![0, 1], vec![2, 3, 4]]);
    }

    #[test]
    fn a_million_in_a_row() {
        let many = 1_000_000;
        let mut edges: Vec<_> = (0..many).map(|node| vec![node + 1]).collect();
        edges[many - 1] = vec![];
        assert!(cycles(&edges).is_empty());
        edges[many - 1] = vec![0];
        assert_eq!(cycles(&edges)[0].len(), many);
    }

    #[test]
    fn cycles_with_a_goroutine_in_common_are_one_deadlock() {
        let of = |numbers: &[usize]| -> Vec<_> {
            let waiting = |&number| Waiting {
                number,
                word: Why::NOTHING,
                since: Duration::ZERO,
                identity: Identity {
                    stack: 0..0,
                    task: 0,
                    caller: 0,
                    group: 0,
                },
            };
            numbers.iter().map(waiting).collect()
        };
        let all = disjoint(vec![of(&[1, 2]), of(&[1, 3]), of(&[4, 5]), of(&[6, 5, 4])]);
        let numbers: Vec<Vec<_>> = all
            .iter()
            .map(|cycle| cycle.iter().map(|one| one.number).collect())
            .collect();
        assert_eq!(numbers, [[1, 2], [4, 5]]);
    }
}
