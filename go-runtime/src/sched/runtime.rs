//! The one runtime of the process: the workers' shared sides, and how work finds an idle one.
//!
//! It starts at the first use and never ends: the workers are threads that go with the process.

use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_deque::{Injector, Stealer};
use crossbeam_utils::CachePadded;

use super::idle::Idle;
use super::inbox::{Inbox, Node};
use super::placement::{self, Other, Survey};
use super::task::TaskRef;
use super::worker::Worker;
use crate::clock::CpuClock;
use crate::config::{Config, StartError};
use crate::primitives::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A worker as the other threads see it.
pub(crate) struct Seat {
    inbox: CachePadded<Inbox<Option<TaskRef>>>,
    /// What the worker has not started yet; others may take it.
    pub(super) fresh: Stealer<TaskRef>,
    /// Counters that only the worker itself writes.
    pub(super) books: CachePadded<Books>,
    thread: OnceLock<(Thread, CpuClock)>,
}

/// A worker's counters. It alone writes them, so they need no read-modify-write.
#[derive(Default)]
pub(super) struct Books {
    spawned: AtomicUsize,
    /// Those that this worker has taken upon itself to start.
    placed: AtomicUsize,
    finished: AtomicUsize,
    /// It runs a goroutine.
    busy: AtomicBool,
    /// Live goroutines, started here, that have spawned none.
    leaves: AtomicUsize,
    /// Those that have.
    parents: AtomicUsize,
}

fn add(counter: &AtomicUsize, n: usize) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(n),
        Ordering::Release,
    );
}

impl Books {
    pub(super) fn spawn(&self) {
        add(&self.spawned, 1);
    }
    /// One that waited is this worker's from now on. Counted before its load is.
    pub(super) fn place(&self) {
        add(&self.placed, 1);
    }
    pub(super) fn start(&self) {
        add(&self.leaves, 1);
    }
    pub(super) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }
    pub(super) fn become_parent(&self) {
        add(&self.leaves, 1_usize.wrapping_neg());
        add(&self.parents, 1);
    }
    pub(super) fn finish(&self, parent: bool) {
        add(&self.finished, 1);
        let kind = if parent { &self.parents } else { &self.leaves };
        add(kind, 1_usize.wrapping_neg());
    }
    pub(super) fn load(&self) -> usize {
        placement::load(
            self.leaves.load(Ordering::Acquire),
            self.parents.load(Ordering::Acquire),
        )
    }
}

impl Seat {
    fn new(fresh: Stealer<TaskRef>) -> Seat {
        Seat {
            inbox: CachePadded::new(Inbox::new()),
            fresh,
            books: CachePadded::default(),
            thread: OnceLock::new(),
        }
    }

    pub(super) fn inbox(&self) -> &Inbox<Option<TaskRef>> {
        &self.inbox
    }

    #[inline]
    pub(super) fn has_mail(&self) -> bool {
        self.inbox.has_mail()
    }

    /// Puts a goroutine of this worker, woken by another thread, into its inbox.
    ///
    /// # Safety
    /// As for [`Inbox::push`].
    pub(super) unsafe fn deliver(&self, node: *const Node<Option<TaskRef>>) {
        // SAFETY: passed on.
        if unsafe { self.inbox.push(node) } {
            Runtime::get().idle.remove_sleeper();
            self.wake_thread();
        }
    }

    pub(super) fn sit_down(&self) {
        // Set once, by the one thread that sits here.
        let _ = self
            .thread
            .set((thread::current(), CpuClock::of_this_thread()));
    }

    fn wake_thread(&self) {
        // A worker that sleeps has sat down before.
        if let Some((thread, _)) = self.thread.get() {
            thread.unpark();
        }
    }

    /// How long its thread has computed, if the system says so.
    pub(super) fn computed(&self) -> Option<Duration> {
        self.thread.get().and_then(|(_, clock)| clock.read())
    }
}

pub(crate) struct Runtime {
    pub(super) seats: Box<[Seat]>,
    /// Goroutines spawned by threads that are no workers.
    pub(super) injector: Injector<TaskRef>,
    pub(super) idle: CachePadded<Idle>,
    spawned_outside: AtomicUsize,
    /// A goroutine could not be started for want of a stack, and waits for one.
    pub(super) out_of_stacks: AtomicBool,
    /// Something waits in the queue of a worker that has more to do than others.
    pub(super) has_held: AtomicBool,
    config: Config,
}

static RUNTIME: OnceLock<Result<&'static Runtime, StartError>> = OnceLock::new();

impl Runtime {
    /// The runtime, started if need be.
    pub(crate) fn try_get() -> Result<&'static Runtime, StartError> {
        RUNTIME.get_or_init(Runtime::start).clone()
    }

    /// The runtime, started if need be.
    ///
    /// # Panics
    /// If it cannot start; the message says why and what to do.
    #[inline]
    pub(crate) fn get() -> &'static Runtime {
        match RUNTIME.get() {
            Some(Ok(runtime)) => runtime,
            _ => Self::get_slow(),
        }
    }

    #[cold]
    fn get_slow() -> &'static Runtime {
        Self::try_get()
            .unwrap_or_else(|error| panic!("the goroutine runtime cannot start: {error}"))
    }

    fn start() -> Result<&'static Runtime, StartError> {
        let config = Config::from_env()?;
        let queues: Vec<_> = (0..config.workers)
            .map(|_| crossbeam_deque::Worker::new_lifo())
            .collect();
        let runtime: &'static Runtime = Box::leak(Box::new(Runtime {
            seats: queues.iter().map(|q| Seat::new(q.stealer())).collect(),
            injector: Injector::new(),
            idle: CachePadded::new(Idle::new()),
            spawned_outside: AtomicUsize::new(0),
            out_of_stacks: AtomicBool::new(false),
            has_held: AtomicBool::new(false),
            config,
        }));
        for (index, queue) in queues.into_iter().enumerate() {
            thread::Builder::new()
                .name(format!("go-worker-{index}"))
                .spawn(move || Worker::new(runtime, index, queue).run())
                .map_err(|error| {
                    StartError(format!(
                        "worker thread {} of {} cannot be made ({error}): lower GOMAXPROCS, or raise the limits on \
                         threads and memory (ulimit -u, ulimit -v)",
                        index + 1,
                        config.workers
                    ))
                })?;
        }
        Ok(runtime)
    }

    pub(crate) fn workers(&self) -> usize {
        self.seats.len()
    }

    pub(crate) fn default_stack_size(&self) -> usize {
        self.config.stack_size
    }

    /// Whether a goroutine waits for the memory of a stack.
    pub(crate) fn is_out_of_stacks(&self) -> bool {
        self.out_of_stacks.load(Ordering::Relaxed)
    }

    /// How many goroutines live, started or not.
    pub(crate) fn count(&self) -> usize {
        // The ends first: each belongs to a start that is then counted too.
        let finished = self.sum(|books| &books.finished);
        let spawned = self
            .sum(|books| &books.spawned)
            .wrapping_add(self.spawned_outside.load(Ordering::Acquire));
        spawned.wrapping_sub(finished)
    }

    /// Queues a new goroutine, and sees to it that an idle worker learns of it.
    pub(crate) fn spawn(&self, task: TaskRef) {
        match Worker::current() {
            Some(worker) => worker.spawn(task),
            None => {
                self.spawned_outside.fetch_add(1, Ordering::Release);
                self.injector.push(task);
            }
        }
        self.announce_work();
    }

    /// Wakes a sleeping worker unless one is looking for work anyway.
    #[inline]
    pub(super) fn announce_work(&self) {
        if self.idle.should_call() {
            self.call_one();
        }
    }

    /// Wakes the sleeping worker with the least load, if any sleeps, to look for work.
    #[cold]
    pub(super) fn call_one(&self) {
        let wake = || {
            let sleeping = self.seats.iter().filter(|seat| seat.inbox.is_asleep());
            let best = sleeping.min_by_key(|seat| seat.books.load());
            let called = best
                .into_iter()
                .chain(self.seats.iter())
                .find(|seat| seat.inbox.call());
            called.inspect(|seat| seat.wake_thread()).is_some()
        };
        let in_vain = || self.has_fresh() && self.seats.iter().any(|seat| seat.inbox.is_asleep());
        self.idle.call(wake, in_vain);
    }

    /// Whether anything waits to be started anywhere.
    pub(super) fn has_fresh(&self) -> bool {
        !self.injector.is_empty() || self.seats.iter().any(|seat| !seat.fresh.is_empty())
    }

    /// What worker `index` sees of the others, in the order that [`placement`] asks for.
    pub(super) fn survey(&self, index: usize) -> Survey {
        let seats = self.seats.iter().enumerate();
        let others = seats
            .filter(|(i, _)| *i != index)
            .map(|(index, seat)| Other {
                index,
                load: seat.books.load(),
                busy: seat.books.busy.load(Ordering::Relaxed),
            })
            .collect();
        let spawned = self
            .sum(|books| &books.spawned)
            .wrapping_add(self.spawned_outside.load(Ordering::Acquire));
        let placed = self.sum(|books| &books.placed);
        // Some may have been both spawned and placed since the first sum.
        let waiting = spawned.wrapping_sub(placed) as isize;
        Survey {
            others,
            waiting: waiting.max(0) as usize,
        }
    }

    fn sum(&self, counter: fn(&Books) -> &AtomicUsize) -> usize {
        self.seats.iter().fold(0_usize, |sum, seat| {
            sum.wrapping_add(counter(&seat.books).load(Ordering::Acquire))
        })
    }
}
