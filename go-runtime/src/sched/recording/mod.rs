//! The recording of what the scheduler does, for `trace`.
//!
//! While a [`Session`] is on, each worker writes [events](Kind) into a ring of its own, and all
//! other threads, which wake goroutines, too, write into one ring under a lock. Nothing is recorded
//! otherwise, and a switch does not even ask: a worker that ends a round, or has been idle, and
//! sees that a session is on, runs another loop ([`Worker::run_traced`]) until the session ends.
//!
//! ```text
//!   worker's loop --- end of a round ---> run_traced: begin, run, end, begin, run, end, ...
//!                 <-- the session ends --    |
//!                                            v
//!                               the worker's ring  <--- read by any thread, at any time
//! ```
//!
//! What is rare asks one flag, [`is_on`]: a wake-up by another thread, a spawn, a steal, a sleep.

pub(crate) mod ring;
#[cfg(test)]
mod ring_tests;
pub(crate) mod ticks;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, Thread};

use super::fork;
use super::global;
use super::inbox::Node;
use super::runtime::Runtime;
use super::shared::InboxPayload;
use super::task::TaskRef;
use super::worker::Worker;
use crate::primitives::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::primitives::mutex::lock;
use ring::{Ring, Site, Words};
use ticks::Ticks;

/// What an event says. Its words are the `first`, the `site` and the `second`. A *fiber* is its
/// address; as long as a goroutine lives, no other one has the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A goroutine that has not run before begins a turn: fiber, spawn site, task.
    Start = 1,
    /// A goroutine goes on: fiber, spawn site.
    GoOn,
    /// 16 bytes of the name of the goroutine of the next turn, in `first` and `second`.
    Name,
    /// The goroutine of the turn waits: length of the run queue; the word of the wait.
    Park,
    /// The goroutine of the turn lets others run: length of the run queue.
    Yield,
    /// The goroutine of the turn has ended: length of the run queue.
    End,
    /// The goroutine of the turn, or a thread, has woken a goroutine: fiber; thread.
    Unpark,
    /// The clock has woken a goroutine: fiber.
    UnparkByTimer,
    /// The worker's loop has woken a goroutine whose descriptor is ready: fiber.
    UnparkByPoller,
    /// The goroutine of the turn, or a thread, has spawned a goroutine: task, spawn site, thread.
    Spawn,
    /// The worker has taken tasks from another queue: length of its queue.
    Steal,
    /// The worker sleeps.
    Sleep,
    /// The worker has woken up.
    Wake,
    /// The monitor sees that a goroutine holds its worker: worker, spawn site.
    Held,
    /// A thread runs the closure of a `blocking` call, and has returned: -, -, thread.
    BlockingBegin,
    BlockingEnd,
    /// Events of the ring have been overwritten before they were read: their number. The reader
    /// makes this one.
    Lost,
}

const KINDS: [Kind; 16] = [
    Kind::Start,
    Kind::GoOn,
    Kind::Name,
    Kind::Park,
    Kind::Yield,
    Kind::End,
    Kind::Unpark,
    Kind::UnparkByTimer,
    Kind::UnparkByPoller,
    Kind::Spawn,
    Kind::Steal,
    Kind::Sleep,
    Kind::Wake,
    Kind::Held,
    Kind::BlockingBegin,
    Kind::BlockingEnd,
];

const KIND_SHIFT: u32 = 56;

/// An event that has been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// In ticks of the session's clock.
    pub(crate) time: u64,
    pub(crate) kind: Kind,
    pub(crate) first: u64,
    pub(crate) site: Option<Site>,
    pub(crate) second: u64,
}

impl Event {
    /// Returns the event in these words; `None` if they have none.
    pub(crate) fn read(words: Words) -> Option<Event> {
        let kind = (words.head >> KIND_SHIFT) as usize;
        Some(Event {
            time: words.head & (u64::MAX >> (64 - KIND_SHIFT)),
            kind: *KINDS.get(kind.checked_sub(1)?)?,
            first: words.first,
            site: words.site,
            second: words.second,
        })
    }
}

/// A ring with the session's clock.
pub(crate) struct Recorder {
    ring: Ring,
    ticks: Ticks,
    /// The consumer is woken after so many events each, a power of two; 0 if there is none.
    wake_every: u64,
    consumer: Arc<OnceLock<Thread>>,
}

impl Recorder {
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.ticks.now()
    }

    /// Records an event that happens now; see [`Ring::write`] on who may call this.
    #[inline]
    pub(crate) fn record(&self, kind: Kind, first: u64, site: Option<Site>, second: u64) {
        self.record_at(self.now(), kind, first, site, second);
    }

    #[inline]
    pub(crate) fn record_at(
        &self,
        time: u64,
        kind: Kind,
        first: u64,
        site: Option<Site>,
        second: u64,
    ) {
        let number = self.ring.write(Words {
            head: (kind as u64) << KIND_SHIFT | time & (u64::MAX >> (64 - KIND_SHIFT)),
            first,
            site,
            second,
        });
        if number & self.wake_every.wrapping_sub(1) == self.wake_every >> 1 {
            self.wake_consumer();
        }
    }

    #[cold]
    fn wake_consumer(&self) {
        if let Some(thread) = self.consumer.get() {
            thread.unpark();
        }
    }
}

/// A name of a goroutine is recorded up to this length.
pub(crate) const LONGEST_NAME: usize = 64;

/// Where to record: the rings of all workers and of the other threads.
pub(crate) struct Session {
    /// Threads that know this number have told their names.
    id: AtomicU64,
    is_on: AtomicBool,
    pub(crate) ticks: Ticks,
    /// Number of events in each ring.
    length: usize,
    /// One for each worker that has recorded something.
    workers: Box<[OnceLock<Arc<Recorder>>]>,
    /// Written under the lock of [`CURRENT`].
    others: Recorder,
    /// The names of the other threads, by their numbers.
    threads: Mutex<HashMap<u64, Option<String>>>,
    wake_every: u64,
    consumer: Arc<OnceLock<Thread>>,
}

/// Whether a session is on.
static ON: AtomicBool = AtomicBool::new(false);
static CURRENT: Mutex<Option<Arc<Session>>> = Mutex::new(None);

/// Returns a number for a session, which no session has had before.
fn new_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Returns whether a session is on. The answer may be a moment old.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Ends the recording in a forked child, which has none of the threads that record.
#[cfg(unix)]
pub(super) fn forget() {
    ON.store(false, Ordering::Relaxed);
}

pub(super) fn current() -> Option<Arc<Session>> {
    lock(&CURRENT).clone()
}

/// Begins to record. Each ring has up to `length` events. With `streams` the consumer is woken
/// whenever a quarter of a ring has been written, for which `length` is a power of two.
///
/// Returns `None` if a session is on.
pub(crate) fn start(runtime: &Runtime, length: usize, streams: bool) -> Option<Arc<Session>> {
    if current().is_some() {
        return None;
    }
    // The rings are made before the lock is taken: threads that hold a spin lock wait for that.
    let ticks = Ticks::start();
    let wake_every = if streams { length as u64 / 4 } else { 0 };
    let consumer = Arc::new(OnceLock::new());
    let session = Arc::new(Session {
        id: AtomicU64::new(new_id()),
        is_on: AtomicBool::new(true),
        ticks,
        length,
        workers: (0..runtime.most()).map(|_| OnceLock::new()).collect(),
        others: Recorder {
            ring: Ring::new(length),
            ticks,
            wake_every,
            consumer: Arc::clone(&consumer),
        },
        threads: Mutex::default(),
        wake_every,
        consumer,
    });
    let mut current = lock(&CURRENT);
    if current.is_some() {
        return None;
    }
    *current = Some(Arc::clone(&session));
    ON.store(true, Ordering::Relaxed);
    drop(current);
    // The caller's own worker begins at its next turn, others within a round.
    Worker::current().inspect(|worker| worker.end_round_soon());
    Some(session)
}

impl Session {
    /// Returns whether the session has not been stopped.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Sets the thread that is woken when there is something to read.
    pub(crate) fn set_consumer(&self, thread: Thread) {
        let _ = self.consumer.set(thread);
    }

    pub(crate) fn wake_consumer(&self) {
        if let Some(thread) = self.consumer.get() {
            thread.unpark();
        }
    }

    /// Ends the recording. A worker may record the turn that it is in.
    pub(crate) fn stop(self: &Arc<Self>) {
        if !self.is_on.swap(false, Ordering::Relaxed) || fork::check().is_err() {
            return;
        }
        let mut current = lock(&CURRENT);
        if current.as_ref().is_some_and(|now| Arc::ptr_eq(now, self)) {
            ON.store(false, Ordering::Relaxed);
            *current = None;
        }
        drop(current);
        // Workers that sleep in the traced loop leave it, and free their rings.
        if let Some(runtime) = global::running() {
            for worker in runtime.workers().filter(|worker| worker.sleep.is_asleep()) {
                runtime.notify(worker);
            }
        }
    }

    /// Returns the ring of a worker, which writes it.
    pub(super) fn recorder(&self, worker: usize) -> Option<Arc<Recorder>> {
        let recorder = self.workers.get(worker)?.get_or_init(|| {
            Arc::new(Recorder {
                ring: Ring::new(self.length),
                ticks: self.ticks,
                wake_every: self.wake_every,
                consumer: Arc::clone(&self.consumer),
            })
        });
        Some(Arc::clone(recorder))
    }

    /// Returns the rings: that of the other threads with `None`, the others with their worker.
    pub(crate) fn rings(&self) -> impl Iterator<Item = (Option<usize>, &Ring)> {
        let workers = self.workers.iter().enumerate();
        let workers = workers.filter_map(|(at, one)| Some((Some(at), &one.get()?.ring)));
        workers.chain([(None, &self.others.ring)])
    }

    /// Returns the names of the threads, by their numbers in events.
    pub(crate) fn threads(&self) -> Vec<(u64, Option<String>)> {
        let threads = lock(&self.threads);
        threads
            .iter()
            .map(|(number, name)| (*number, name.clone()))
            .collect()
    }

    /// Forgets the names of threads that have no event in the ring, if there are many names: a
    /// recorder may be on for as long as the process lives, and threads come and go.
    fn forget_old_threads(&self, threads: &mut HashMap<u64, Option<String>>) {
        if threads.len() < 2 * self.length {
            return;
        }
        let mut words = Vec::new();
        self.others.ring.read(0, &mut words);
        let events = words.into_iter().filter_map(Event::read);
        let with_events: HashSet<u64> = events.map(|event| event.second).collect();
        threads.retain(|number, _| with_events.contains(number));
        // A thread whose name has been forgotten, and that records again, tells its name again.
        self.id.store(new_id(), Ordering::Relaxed);
    }

    /// Returns the number of the calling thread in events. The caller holds the lock of
    /// [`CURRENT`].
    fn number_of_thread(&self) -> u64 {
        static THREADS: AtomicU64 = AtomicU64::new(1);
        thread_local! {
            /// The thread's number, and the session that knows the thread's name.
            static NUMBER: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
        }
        let (mut number, known_to) = NUMBER.get();
        if known_to != self.id.load(Ordering::Relaxed) {
            if number == 0 {
                number = THREADS.fetch_add(1, Ordering::Relaxed);
            }
            let name = thread::current().name().map(str::to_owned);
            let mut threads = lock(&self.threads);
            self.forget_old_threads(&mut threads);
            threads.insert(number, name);
            NUMBER.set((number, self.id.load(Ordering::Relaxed)));
        }
        number
    }
}

/// Records an event of the calling thread, if a session is on: of the turn that its worker is in,
/// or else of the thread, whose number becomes the second word.
#[cold]
#[inline(never)]
pub(crate) fn record(kind: Kind, first: u64, site: Option<Site>) {
    match Worker::current() {
        Some(worker) => worker.record(kind, first, site, 0),
        None => {
            let current = lock(&CURRENT);
            if let Some(session) = &*current {
                let thread = session.number_of_thread();
                session.others.record(kind, first, site, thread);
            }
        }
    }
}

/// Records that the caller spawns a goroutine.
#[cold]
#[inline(never)]
pub(super) fn record_spawn(task: TaskRef) {
    // SAFETY: the caller has not queued the task yet, so the scheduler's reference keeps it alive.
    let site = unsafe { task.get() }.spawned_at();
    record(Kind::Spawn, task.as_ptr().addr().get() as u64, Some(site));
}

/// Records that the caller wakes the goroutines of a chain of nodes.
///
/// # Safety
/// Each node of the chain from `last` to `first`, made with [`Node::link`], is valid and in no
/// inbox.
#[cold]
#[inline(never)]
pub(super) unsafe fn record_unparks(
    last: *const Node<InboxPayload>,
    first: *const Node<InboxPayload>,
) {
    let mut node = last;
    loop {
        // SAFETY: `node` is `last`, or what the node before it is linked to, and this has not gone
        // past `first`, where the chain ends. The caller says that each node of the chain is valid.
        let (payload, next) = unsafe { ((*node).payload(), (*node).next()) };
        if let Some(fiber) = payload {
            record(Kind::Unpark, fiber.addr().get() as u64, None);
        }
        if node == first {
            return;
        }
        node = next;
    }
}
