//! The threads that wait in the runtime's calls, and the goroutines that have a thread of their
//! own, as any thread may list them.
//!
//! A thread makes its [`Record`] when it first waits, or first runs a goroutine, and keeps it until
//! it ends. The record says where the thread's stack is, what the thread waits for, and since when.
//! It costs a lock that is contended only during a listing; the wait itself costs a system call.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::reason::Why;
use crate::clock::{self, ThreadClock};
use crate::primitives::mutex::lock;
use crate::primitives::numbers;
use crate::sched::{Site, Worker, silence};
use crate::stack;

struct Record {
    number: usize,
    thread: thread::Thread,
    /// See [`id`].
    id: usize,
    /// Where the thread's stack is; empty if the system does not say.
    stack: Range<usize>,
    /// Tells in which system call the thread is.
    clock: ThreadClock,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct Waiting {
    why: Why,
    since: Instant,
    /// Whether the wait goes on until others end it.
    for_ever: bool,
}

#[derive(Clone, Default)]
struct State {
    waiting: Option<Waiting>,
    /// The goroutine that the thread runs.
    goroutine: Option<Running>,
    /// Whether the wait is the runtime's own, and not listed.
    hidden: bool,
    /// See [`in_group`](super::in_group).
    group: usize,
}

/// A goroutine that has a thread of its own.
#[derive(Clone)]
pub(crate) struct Running {
    /// The address of its task.
    task: usize,
    site: Site,
    spawner: Option<Site>,
    name: Option<Arc<str>>,
    since: Instant,
}

impl Running {
    /// A goroutine that begins to run now. It was spawned at `site`, by a goroutine that was
    /// spawned at `spawner`.
    pub(crate) fn new(task: usize, site: Site, spawner: Option<Site>, name: Option<&str>) -> Self {
        Running {
            task,
            site,
            spawner,
            name: name.map(Arc::from),
            since: clock::now(),
        }
    }
}

/// A thread that waits, or that runs a goroutine of its own.
pub(crate) struct ThreadSeen<'a> {
    pub(crate) number: usize,
    pub(crate) thread: Option<&'a str>,
    pub(crate) waiting: Option<Why>,
    pub(crate) since: Duration,
    pub(crate) goroutine: Option<GoroutineSeen<'a>>,
    /// What tells others that the thread, or its goroutine, is what they wait for.
    pub(crate) identity: Identity,
}

/// What tells others which goroutine or thread it is that they wait for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) stack: Range<usize>,
    /// The address of the goroutine's task; 0 for a thread that runs none.
    pub(crate) task: usize,
    /// What `goroutine::caller` returns there.
    pub(crate) caller: usize,
    /// See [`in_group`](super::in_group); 0 if it is in no group.
    pub(crate) group: usize,
}

/// The goroutine that a thread runs.
pub(crate) struct GoroutineSeen<'a> {
    pub(crate) spawned_at: Site,
    /// Where the goroutine was spawned that has spawned it.
    pub(crate) spawner: Option<Site>,
    pub(crate) name: Option<&'a str>,
    /// Returns the system call that it is in, unless it waits in one of the runtime's calls.
    pub(crate) system_call: &'a dyn Fn() -> Option<String>,
}

/// The number of waits that threads have begun, and of those that they have ended.
static WAITS: AtomicUsize = AtomicUsize::new(0);

static ALL: Mutex<Vec<Weak<Record>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: Arc<Record> = Record::new();
    /// What the thread is about to wait for, as a word of `Why`.
    static NEXT: Cell<Option<Why>> = const { Cell::new(None) };
    /// What the operation waits for that is built from others, as a word of `Why`.
    static OUTER: Cell<u64> = const { Cell::new(Why::NOTHING.to_word()) };
}

/// Sets what the calling thread's operation that is built from others waits for, and returns what
/// that was before.
pub(super) fn replace_outer(outer: u64) -> u64 {
    OUTER.replace(outer)
}

/// Returns a number that identifies the calling thread: the address of a thread-local.
pub(crate) fn id() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| ptr::from_ref(here).addr())
}

/// Returns whether the address lies on the stack of the calling goroutine or thread.
#[cold]
pub(crate) fn is_on_own_stack(address: usize) -> bool {
    match Worker::current().and_then(Worker::running_fiber) {
        Some(fiber) => fiber.extent().addresses().contains(&address),
        None => OWN.try_with(|own| own.stack.contains(&address)) == Ok(true),
    }
}

/// Sets the group in which the calling thread's goroutine is; 0 stands for none.
pub(super) fn set_group(group: usize) {
    change(|state| state.group = group);
}

impl Record {
    fn new() -> Arc<Record> {
        let record = Arc::new(Record {
            number: numbers::take(1),
            thread: thread::current(),
            id: id(),
            stack: stack::of_thread(),
            clock: ThreadClock::of_this_thread(),
            state: Mutex::default(),
        });
        let mut all = lock(&ALL);
        // Records of threads that have ended are forgotten when the list would have to grow.
        if all.len() == all.capacity() {
            all.retain(|record| record.strong_count() > 0);
        }
        all.push(Arc::downgrade(&record));
        record
    }

    /// Returns the system call in which the thread runs a goroutine, if it still does so as `state`
    /// says.
    fn system_call_of(&self, state: &State) -> Option<String> {
        let runs = |state: &State| match (&state.goroutine, state.waiting) {
            (Some(goroutine), None) => Some(goroutine.since),
            _ => None,
        };
        let since = runs(state)?;
        let call = self.clock.system_call();
        call.filter(|_| runs(&lock(&self.state)) == Some(since))
    }
}

/// Changes the state of the calling thread, unless the thread is ending and has none any more.
fn change(f: impl FnOnce(&mut State)) {
    let _ = OWN.try_with(|own| f(&mut lock(&own.state)));
}

/// Notes what the calling thread is about to wait for.
pub(super) fn note(why: Why) {
    NEXT.set(Some(why));
}

/// Runs `block`, in which the calling thread waits for what was [noted](note) last; `for_ever`
/// unless others end the wait.
pub(super) fn wait(for_ever: bool, block: impl FnOnce()) {
    let next = NEXT.take();
    let why = Why::of_word(OUTER.get()).or(next);
    let waiting = why.map(|why| Waiting {
        why,
        since: clock::now(),
        for_ever,
    });
    WAITS.fetch_add(1, Ordering::SeqCst);
    change(|state| state.waiting = waiting);
    if for_ever {
        silence::note_waiting_thread();
    }
    block();
    change(|state| state.waiting = None);
    WAITS.fetch_add(1, Ordering::SeqCst);
}

/// Runs `f`, in which the calling thread waits for a goroutine on behalf of the runtime: the wait
/// is not listed. If `f` unwinds, the thread's later waits are not listed either.
pub(crate) fn wait_unlisted<T>(f: impl FnOnce() -> T) -> T {
    change(|state| state.hidden = true);
    let result = f();
    change(|state| state.hidden = false);
    result
}

/// Runs `f`, which neither unwinds nor returns before the goroutine has ended that this thread
/// runs.
pub(crate) fn run_goroutine(goroutine: Running, f: impl FnOnce()) {
    change(|state| state.goroutine = Some(goroutine));
    f();
    change(|state| state.goroutine = None);
}

/// The threads that wait, as they were at a moment.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The number of threads that wait until others end the wait, and of goroutines on them.
    pub(crate) for_ever: usize,
    pub(crate) goroutines: usize,
    /// Whether a thread waits with a deadline, or for what comes from outside.
    pub(crate) for_others: bool,
    /// The number of waits that threads have begun, and of those that they have ended.
    waits: usize,
}

/// Takes a snapshot. If two are equal, no thread has begun or ended a wait in between.
pub(crate) fn snapshot() -> Snapshot {
    let all: Vec<_> = lock(&ALL).iter().filter_map(Weak::upgrade).collect();
    let mut snapshot = Snapshot {
        waits: WAITS.load(Ordering::SeqCst),
        ..Snapshot::default()
    };
    for record in all {
        let state = lock(&record.state);
        match state.waiting {
            None => {}
            Some(waiting) if waiting.for_ever && !waiting.why.is_for_outside() => {
                snapshot.for_ever += 1;
                snapshot.goroutines += usize::from(state.goroutine.is_some());
            }
            Some(_) => snapshot.for_others = true,
        }
    }
    snapshot
}

/// Calls `f` for each thread that waits, or that runs a goroutine of its own.
pub(crate) fn for_each(mut f: impl FnMut(ThreadSeen<'_>)) {
    let all: Vec<_> = lock(&ALL).iter().filter_map(Weak::upgrade).collect();
    let now = clock::now();
    for record in all {
        let state = lock(&record.state).clone();
        let (waiting, goroutine) = (state.waiting, &state.goroutine);
        let began = goroutine.as_ref().map(|goroutine| goroutine.since);
        let since = waiting.map(|waiting| waiting.since).or(began);
        let Some(since) = since.filter(|_| !state.hidden) else {
            continue;
        };
        let system_call = || record.system_call_of(&state);
        f(ThreadSeen {
            number: record.number,
            thread: record.thread.name(),
            waiting: waiting.map(|waiting| waiting.why),
            since: now.saturating_duration_since(since),
            goroutine: goroutine.as_ref().map(|goroutine| GoroutineSeen {
                spawned_at: goroutine.site,
                spawner: goroutine.spawner,
                name: goroutine.name.as_deref(),
                system_call: &system_call,
            }),
            identity: Identity {
                stack: record.stack.clone(),
                task: goroutine.as_ref().map_or(0, |goroutine| goroutine.task),
                caller: record.id,
                group: state.group,
            },
        });
    }
}
