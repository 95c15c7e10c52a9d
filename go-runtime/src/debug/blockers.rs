//! A search for the goroutines that have what others wait for.
//!
//! What a lock says of its holder lies in the program's memory, and is read as [`cycle`] does.
//! Nothing stands still meanwhile, so the reading is checked:
//!
//! 1. The waits are listed, and the words of the holders are read.
//! 2. All goroutines are listed: which of them the words name, and which of the waits go on.
//! 3. The words are read again.
//!
//! A holder is reported if its word was the same both times and the goroutine still waited in
//! between, so the lock existed then. That is no proof, as a deadlock needs it: the holder may have
//! given the lock back by the time that the caller reads of it.
//!
//! [`cycle`]: super::cycle

use std::collections::{BTreeSet, HashMap, HashSet};

use super::blocker::Blocker;
use super::cycle::{self, Waiting};
use super::goroutine::{Goroutine, GoroutineState};
use crate::sched::global;
use crate::sched::listing::{self, State};
use crate::sync::{Holder, holder};
use crate::wait::threads::{self, Identity};
use crate::wait::{WaitReason, Why};

/// Adds to goroutines that have been listed what blocks them.
pub(super) fn add_blockers<'a>(goroutines: impl IntoIterator<Item = &'a mut Goroutine>) {
    let mut waiting: HashMap<usize, &mut Goroutine> = goroutines
        .into_iter()
        .filter(|one| match one.state() {
            GoroutineState::Waiting(reason) => cycle::has_known_blockers(reason),
            _ => false,
        })
        .map(|one| (one.number(), one))
        .collect();
    if waiting.is_empty() {
        return;
    }
    let waits = cycle::list(|number, word| waiting.contains_key(&number) && cycle::is_edge(word));
    for (wait, blocker) in find(&waits) {
        if let (Some((reason, object)), Some(one)) = (
            Why::read(wait.word.to_word()),
            waiting.get_mut(&wait.number),
        ) && one.state() == GoroutineState::Waiting(reason)
            && one.object() == Some(object)
        {
            one.set_blocked_by(blocker);
        }
    }
}

/// What tells which goroutine or thread a wait is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// An address on its stack.
    Stack(usize),
    /// What `goroutine::caller` returns there.
    Caller(usize),
    /// The address of its task.
    Task(usize),
    /// The group that it is in, perhaps with others.
    Group(usize),
}

impl Key {
    fn of(word: Why) -> Option<Key> {
        let (reason, object) = Why::read(word.to_word())?;
        match (reason, holder(reason, object)) {
            (WaitReason::Join, _) => Some(Key::Task(object)),
            (WaitReason::Scope | WaitReason::WaitGroupWait, _) => Some(Key::Group(object)),
            (_, Some(Holder::Stack(word))) => cycle::read(word).map(Key::Stack),
            (_, Some(Holder::Caller(word))) => cycle::read(word).map(Key::Caller),
            (_, None) => None,
        }
    }
}

/// What a listing of all goroutines has found.
struct Search {
    /// The addresses on stacks that are looked for.
    stacks: BTreeSet<usize>,
    /// The other keys that are looked for.
    others: HashSet<Key>,
    found: HashMap<Key, Blocker>,
    /// The numbers and waits of all goroutines that wait.
    waits: HashSet<(usize, u64)>,
}

impl Search {
    /// Takes a goroutine or a thread into account, whose value `make` returns.
    fn see(&mut self, identity: Identity, make: impl FnOnce() -> Goroutine) {
        let of_stack = self.stacks.range(identity.stack).map(|at| Key::Stack(*at));
        let others = [
            Key::Task(identity.task),
            Key::Caller(identity.caller),
            Key::Group(identity.group),
        ];
        let others = others.into_iter().filter(|key| self.others.contains(key));
        let found = &mut self.found;
        let mut new = of_stack
            .chain(others)
            .filter(|key| !found.contains_key(key))
            .collect::<Vec<_>>()
            .into_iter()
            .peekable();
        if new.peek().is_some() {
            let blocker = Blocker::of(&make());
            found.extend(new.map(|key| (key, blocker.clone())));
        }
    }

    fn see_all(&mut self) {
        let wanted = std::mem::take(&mut self.waits);
        if let Some(runtime) = global::running() {
            listing::for_each(runtime, |listed| {
                if let State::Waiting(word) = listed.state
                    && wanted.contains(&(listed.number, word))
                {
                    self.waits.insert((listed.number, word));
                }
                self.see(cycle::identity_of(&listed), || Goroutine::of_worker(listed));
            });
        }
        threads::for_each(|seen| {
            if let Some(word) = seen.waiting.map(Why::to_word)
                && wanted.contains(&(seen.number, word))
            {
                self.waits.insert((seen.number, word));
            }
            self.see(seen.identity.clone(), || Goroutine::of_thread(seen));
        });
    }
}

/// Returns the waits whose blockers are known, with these; see the head of this file.
fn find(waits: &[Waiting]) -> Vec<(&Waiting, Blocker)> {
    // Many may wait for the same.
    let read = || -> HashMap<u64, Key> {
        let words: HashMap<_, _> = waits
            .iter()
            .map(|wait| (wait.word.to_word(), wait.word))
            .collect();
        let keys = words.into_iter();
        keys.filter_map(|(word, why)| Some((word, Key::of(why)?)))
            .collect()
    };
    let before = read();
    let mut search = Search {
        stacks: BTreeSet::new(),
        others: HashSet::new(),
        found: HashMap::new(),
        waits: waits
            .iter()
            .map(|wait| (wait.number, wait.word.to_word()))
            .collect(),
    };
    for key in before.values() {
        match key {
            Key::Stack(address) => search.stacks.insert(*address),
            key => search.others.insert(*key),
        };
    }
    search.see_all();
    let after = read();
    let blocker = |wait: &Waiting| {
        let word = wait.word.to_word();
        let key = before.get(&word)?;
        let holds = after.get(&word) == Some(key) && search.waits.contains(&(wait.number, word));
        search.found.get(key).filter(|_| holds).cloned()
    };
    waits
        .iter()
        .filter_map(|wait| Some((wait, blocker(wait)?)))
        .collect()
}
