//! The threads that wait in the runtime's calls, and the goroutines that have a thread of their
//! own, as any thread may list them.
//!
//! A thread makes its [`Record`] when it first waits, or first runs a goroutine, and keeps it until
//! it ends. The record says where the thread's stack is, what the thread waits for, and since when.
//! It costs a lock that is contended only during a listing; the wait itself costs a system call.

use std::cell::Cell;
use std::ops::Range;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::reason::Why;
use crate::clock;
use crate::primitives::numbers;
use crate::sched::{Worker, silence};
use crate::stack;

struct Record {
    number: usize,
    thread: thread::Thread,
    /// See [`id`].
    id: usize,
    /// Where the thread's stack is; empty if the system does not say.
    stack: Range<usize>,
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
    /// Where the goroutine that the thread runs was spawned, its name, and since when it runs.
    goroutine: Option<(&'static Location<'static>, Option<Arc<str>>, Instant)>,
    /// The address of the goroutine's task, or 0.
    task: usize,
    /// See [`in_group`](super::in_group).
    group: usize,
}

/// A thread that waits, or that runs a goroutine of its own.
pub(crate) struct ThreadSeen<'a> {
    pub(crate) number: usize,
    pub(crate) thread: Option<&'a str>,
    pub(crate) waiting: Option<Why>,
    pub(crate) since: Duration,
    /// Where the thread's goroutine was spawned, and the goroutine's name.
    pub(crate) goroutine: Option<(&'static Location<'static>, Option<&'a str>)>,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    fn new() -> Arc<Record> {
        let record = Arc::new(Record {
            number: numbers::take(1),
            thread: thread::current(),
            id: id(),
            stack: stack::of_thread(),
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

/// Runs `f`, which neither unwinds nor returns before the goroutine has ended that this thread
/// runs, and that was spawned at `site`.
pub(crate) fn run_goroutine(
    task: usize,
    site: &'static Location<'static>,
    name: Option<&str>,
    f: impl FnOnce(),
) {
    let goroutine = (site, name.map(Arc::from), clock::now());
    change(|state| (state.goroutine, state.task) = (Some(goroutine), task));
    f();
    change(|state| (state.goroutine, state.task) = (None, 0));
}

/// The threads that wait, as they were at a moment.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Picture {
    /// The number of threads that wait until others end the wait, and of goroutines on them.
    pub(crate) for_ever: usize,
    pub(crate) goroutines: usize,
    /// Whether a thread waits with a deadline, or for what comes from outside.
    pub(crate) for_others: bool,
    /// The number of waits that threads have begun, and of those that they have ended.
    waits: usize,
}

/// Takes a picture. If two are equal, no thread has begun or ended a wait in between.
pub(crate) fn picture() -> Picture {
    let all: Vec<_> = lock(&ALL).iter().filter_map(Weak::upgrade).collect();
    let mut picture = Picture {
        waits: WAITS.load(Ordering::SeqCst),
        ..Picture::default()
    };
    for record in all {
        let state = lock(&record.state);
        match state.waiting {
            None => {}
            Some(waiting) if waiting.for_ever && !waiting.why.is_for_outside() => {
                picture.for_ever += 1;
                picture.goroutines += usize::from(state.goroutine.is_some());
            }
            Some(_) => picture.for_others = true,
        }
    }
    picture
}

/// Calls `f` for each thread that waits, or that runs a goroutine of its own.
pub(crate) fn for_each(mut f: impl FnMut(ThreadSeen<'_>)) {
    let all: Vec<_> = lock(&ALL).iter().filter_map(Weak::upgrade).collect();
    let now = clock::now();
    for record in all {
        let State {
            waiting,
            goroutine,
            task,
            group,
        } = lock(&record.state).clone();
        let began = goroutine.as_ref().map(|goroutine| goroutine.2);
        let Some(since) = waiting.map(|waiting| waiting.since).or(began) else {
            continue;
        };
        f(ThreadSeen {
            number: record.number,
            thread: record.thread.name(),
            waiting: waiting.map(|waiting| waiting.why),
            since: now.saturating_duration_since(since),
            goroutine: goroutine
                .as_ref()
                .map(|(site, name, _)| (*site, name.as_deref())),
            identity: Identity {
                stack: record.stack.clone(),
                task,
                caller: record.id,
                group,
            },
        });
    }
}
