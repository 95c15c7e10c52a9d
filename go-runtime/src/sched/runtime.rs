//! The runtime: the state that all workers share, and how new work finds an idle worker.
//!
//! A process has one runtime (see [`global`](super::global)), which lasts as long as the process.
//! Any thread may use it. The parts that the workers read most, [`Idle`] and the tick, are atomics;
//! the queues are lock-free. Once the runtime has started, only the monitor adds and retires
//! workers.

#[cfg(target_os = "linux")]
use std::collections::HashSet;
#[cfg(target_os = "linux")]
use std::ops::Range;
use std::panic::Location;
use std::sync::OnceLock;
use std::thread::Thread;
use std::time::Instant;

use crossbeam_deque::Injector;
use crossbeam_utils::CachePadded;
use smallvec::SmallVec;

use super::blocks::Depot;
use super::holding_sites::HoldingSites;
use super::idle::Idle;
use super::load::{self, Period};
use super::monitor_sleep::MonitorSleep;
use super::placement::Survey;
use super::recording;
use super::shared::WorkerShared;
use super::shortage::Shortage;
use super::task::{MonitorTick, TaskRef};
use super::tuning::{EXTRA_WORKERS, SURVEYED_WORKERS, TICK};
use crate::clock;
use crate::primitives::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
use crate::primitives::random;
#[cfg(target_os = "linux")]
use crate::settings::Traceback;
use crate::settings::{Debug, Settings};
use crate::stack;

pub(crate) struct Runtime {
    /// The workers, of which the first `made` exist.
    workers: Box<[OnceLock<Box<WorkerShared>>]>,
    made: AtomicUsize,
    /// Number of workers that have not retired.
    active: AtomicUsize,
    /// Tasks spawned by threads other than workers, and the overflow of the workers' queues.
    pub(super) injector: Injector<TaskRef>,
    pub(super) idle: CachePadded<Idle>,
    pub(super) monitor_sleep: MonitorSleep,
    pub(super) monitor_thread: OnceLock<Thread>,
    /// Number of goroutines that threads other than workers have spawned since the start.
    spawned_outside: AtomicUsize,
    pub(super) holding_sites: HoldingSites,
    pub(super) shortage: Shortage,
    pub(super) depot: Depot,
    /// A clock that is cheap to read, and that the monitor advances: in units of [`TICK`], since
    /// `base`.
    tick: AtomicU32,
    base: Instant,
    settings: Settings,
    /// The call that first used the runtime, or the call of `Config::start`.
    started_at: &'static Location<'static>,
}

/// The clock begins after the first period, because `load::NEVER` would count as the period before
/// the first.
const FIRST_TICK: MonitorTick = u8::MAX as MonitorTick;

/// A worker's own end of its queue of unstarted tasks.
pub(super) type Queue = crossbeam_deque::Worker<TaskRef>;

impl Runtime {
    /// Returns a runtime without workers.
    pub(super) fn new(settings: Settings, started_at: &'static Location<'static>) -> Runtime {
        Runtime {
            workers: (0..settings.workers + EXTRA_WORKERS)
                .map(|_| OnceLock::new())
                .collect(),
            made: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            injector: Injector::new(),
            idle: CachePadded::new(Idle::new()),
            monitor_sleep: MonitorSleep::new(),
            monitor_thread: OnceLock::new(),
            spawned_outside: AtomicUsize::new(0),
            holding_sites: HoldingSites::default(),
            shortage: Shortage::new(),
            depot: Depot::new(),
            tick: AtomicU32::new(FIRST_TICK),
            base: clock::now(),
            settings,
            started_at,
        }
    }

    // --- its settings ---

    /// Returns GOMAXPROCS, the number of workers that accept goroutines.
    pub(crate) fn gomaxprocs(&self) -> usize {
        self.settings.workers
    }

    /// Returns whether each worker that runs a goroutine can have a processor of its own.
    pub(super) fn has_enough_processors(&self) -> bool {
        let idle = self.idle.sleepers() + self.idle.searching();
        self.active().saturating_sub(idle) <= self.settings.processors
    }

    pub(crate) fn blocking_threads(&self) -> usize {
        self.settings.blocking_threads
    }

    pub(crate) fn default_stack_size(&self) -> usize {
        self.settings.stack_size
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn traceback(&self) -> Traceback {
        self.settings.traceback
    }

    pub(crate) fn debug(&self) -> Debug {
        self.settings.debug
    }

    pub(super) fn started_at(&self) -> &'static Location<'static> {
        self.started_at
    }

    // --- its workers ---

    /// Makes the shared side of worker `index`, and returns its queue. Other threads see the worker
    /// from [`publish`](Self::publish) on.
    pub(super) fn make_worker(&'static self, index: usize) -> Queue {
        let queue = Queue::new_lifo();
        let shared = WorkerShared::new(index, queue.stealer(), &self.idle);
        let made = self.workers[index].set(Box::new(shared));
        debug_assert!(made.is_ok(), "a worker is made once");
        queue
    }

    /// Lets other threads see the workers before `made`, of which `added` are new.
    pub(super) fn publish(&self, made: usize, added: usize) {
        self.active.fetch_add(added, Ordering::Relaxed);
        self.made.store(made, Ordering::Release);
    }

    /// Returns the number of workers, retired ones included.
    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::Acquire)
    }

    /// Returns the maximum number of workers.
    pub(super) fn most(&self) -> usize {
        self.workers.len()
    }

    /// Returns the number of workers that have not retired.
    #[inline]
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Returns the number of workers that accept goroutines.
    pub(super) fn accepting(&self) -> usize {
        self.workers().filter(|worker| worker.accepts()).count()
    }

    /// Returns the shared sides of all workers, retired ones included.
    #[inline]
    pub(super) fn workers(&self) -> impl Iterator<Item = &WorkerShared> {
        self.workers[..self.made()]
            .iter()
            .filter_map(|worker| worker.get().map(Box::as_ref))
    }

    /// Returns the memory of the scheduler's that holds neither a task that has yet to start nor
    /// anything else that is the program's.
    #[cfg(target_os = "linux")]
    pub(crate) fn private_memory(&self) -> Vec<Range<usize>> {
        let depot = (&raw const self.depot).addr();
        let depot = depot..depot + size_of::<Depot>();
        let workers = self.workers().flat_map(WorkerShared::private);
        workers.chain([depot]).collect()
    }

    /// Returns the system's numbers of the workers' threads.
    #[cfg(target_os = "linux")]
    pub(crate) fn worker_threads(&self) -> HashSet<i32> {
        self.workers()
            .filter_map(WorkerShared::thread_number)
            .collect()
    }

    pub(super) fn worker(&self, index: usize) -> Option<&WorkerShared> {
        self.workers.get(index)?.get().map(Box::as_ref)
    }

    /// Retires a worker, or makes a retired worker accept goroutines again, and wakes the worker if
    /// it sleeps. Only the monitor may call this.
    pub(super) fn set_retired(&self, worker: &WorkerShared, retired: bool) {
        worker.sleep.set_retired(retired);
        if retired {
            self.active.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.active.fetch_add(1, Ordering::Relaxed);
        }
        // A sleeping worker wakes up; if it has retired, it then sleeps again uncounted, so that it
        // can no longer be notified of new work.
        self.notify(worker);
    }

    /// Returns whether all workers sleep.
    pub(super) fn all_asleep(&self) -> bool {
        self.workers().all(|worker| worker.sleep.is_asleep())
    }

    /// Notes that a worker has woken up: its inbox no longer says that it sleeps. Wakes the monitor
    /// if it sleeps. The clock is right when this returns.
    pub(super) fn note_awake(&self) {
        // The clock has stood still while the monitor slept.
        let advance = || self.advance_clock(clock::now());
        if self.monitor_sleep.end(advance)
            && let Some(thread) = self.monitor_thread.get()
        {
            thread.unpark();
        }
    }

    // --- its clock ---

    #[inline]
    pub(super) fn tick(&self) -> MonitorTick {
        self.tick.load(Ordering::Relaxed)
    }

    /// Advances the clock to `now`. The monitor calls this in each of its rounds; it sleeps while
    /// all workers do, and so the clock is behind then, until another thread advances it.
    pub(super) fn advance_clock(&self, now: Instant) {
        let passed = (now - self.base).as_nanos() / TICK.as_nanos();
        let tick = FIRST_TICK.wrapping_add(passed as MonitorTick);
        let later =
            |before: MonitorTick| (tick.wrapping_sub(before).cast_signed() > 0).then_some(tick);
        let _ = self
            .tick
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    pub(super) fn period(&self) -> Period {
        load::period(self.tick())
    }

    // --- its goroutines ---

    /// Returns whether goroutines wait for memory that a new stack of `size` bytes (`None` stands
    /// for the default size) would need as well.
    #[inline]
    pub(crate) fn is_out_of_stacks(&self, size: Option<usize>) -> bool {
        let size = size.map_or(self.settings.stack_size, stack::round_size);
        self.shortage.refuses(size)
    }

    /// Returns how many goroutines live on workers or wait to be started.
    pub(crate) fn count(&self) -> usize {
        // Ended goroutines are counted first: the second sum then includes the spawn of each of
        // them.
        let finished = self.sum(|worker| worker.stats.finished());
        self.spawned().wrapping_sub(finished)
    }

    /// Returns how many goroutines have been spawned since the start.
    pub(super) fn spawned(&self) -> usize {
        self.sum(|worker| worker.load.spawned())
            .wrapping_add(self.spawned_outside.load(Ordering::Acquire))
    }

    /// Adds up a counter of all workers, including a worker that is just being made, which may
    /// already have placed tasks.
    fn sum(&self, counter: fn(&WorkerShared) -> usize) -> usize {
        let workers = self.workers.iter().take(self.made() + 1);
        workers
            .filter_map(OnceLock::get)
            .fold(0_usize, |sum, worker| sum.wrapping_add(counter(worker)))
    }

    /// Queues a new goroutine for a caller that is not a worker, and makes sure that an idle worker
    /// notices it.
    pub(super) fn inject(&self, task: TaskRef) {
        if recording::is_on() {
            recording::record_spawn(task);
        }
        self.spawned_outside.fetch_add(1, Ordering::Release);
        self.injector.push(task);
        self.announce_work();
    }

    /// Returns whether any task waits to be placed.
    pub(super) fn has_unstarted(&self) -> bool {
        !self.injector.is_empty() || self.workers().any(WorkerShared::has_unstarted)
    }

    // --- how work finds a worker ---

    /// Wakes a sleeping worker, unless a worker is already searching for work.
    #[inline]
    pub(super) fn announce_work(&self) {
        if self.idle.should_notify() {
            self.notify_one();
        }
    }

    /// Wakes the sleeping worker with the least load, if any sleeps, to search for work.
    #[cold]
    pub(super) fn notify_one(&self) {
        let wake = || {
            let now = self.period();
            let best = self.sleepers().min_by_key(|worker| worker.view(now).rank());
            best.into_iter()
                .chain(self.sleepers())
                .any(WorkerShared::notify)
        };
        self.idle
            .notify_one(wake, || self.has_unstarted() && self.sleeps_any());
    }

    /// Returns the workers that sleep and can be notified.
    fn sleepers(&self) -> impl Iterator<Item = &WorkerShared> {
        self.workers()
            .filter(|worker| worker.sleep.is_asleep() && worker.accepts())
    }

    /// Returns whether any worker sleeps that can be notified.
    pub(super) fn sleeps_any(&self) -> bool {
        self.sleepers().next().is_some()
    }

    /// Wakes a worker, if it sleeps, to search for work, or to notice that it has retired.
    pub(super) fn notify(&self, worker: &WorkerShared) {
        self.idle.start_searching();
        // The worker was awake. It was counted as searching for a moment, and other threads may
        // have relied on that.
        if !worker.notify() && self.idle.stop_searching() && self.has_unstarted() {
            self.announce_work();
        }
    }

    /// Sends tasks to worker `to`, which should start them, and wakes that worker if it sleeps.
    pub(super) fn send(&self, to: usize, tasks: impl Iterator<Item = TaskRef>) {
        let Some(to) = self.worker(to) else {
            unreachable!("only workers that are there are surveyed");
        };
        tasks.for_each(|task| to.sent.push(task));
        // Pairs with the fence in `SleepState::fall_asleep`, after which the worker reads `sent`:
        // at least one of the two threads sees the other's write.
        fence(Ordering::SeqCst);
        if to.sleep.is_asleep() {
            self.notify(to);
        } else {
            // The worker may be busy for long, so an idle worker has to watch the tasks.
            self.announce_work();
        }
    }

    /// Surveys the other workers for worker `index`, which has to decide where a goroutine starts.
    /// Surveys all of them, or, if there are more than [`SURVEYED_WORKERS`], that many starting at
    /// a random one.
    pub(super) fn survey(&self, index: usize) -> Survey {
        let (made, now) = (self.made(), self.period());
        let first = if made - 1 > SURVEYED_WORKERS {
            random::below(made)
        } else {
            0
        };
        let others: SmallVec<_> = (0..made)
            .map(|i| (first + i) % made)
            .filter(|other| *other != index)
            .filter_map(|other| self.worker(other))
            .filter(|other| other.accepts() && !other.stats.is_in_long_turn())
            .take(SURVEYED_WORKERS)
            .map(|other| other.view(now))
            .collect();
        let own = self.worker(index).map(|own| own.view(now));
        // The sums are read in the order that `Survey` requires.
        let spawned = self.spawned();
        let placed = self.sum(|worker| worker.load.placed());
        // The difference may be negative: some goroutines may have been both spawned and placed
        // after the first sum was read.
        let waiting = spawned.wrapping_sub(placed) as isize;
        let total = if others.len() == SURVEYED_WORKERS {
            others.len().max(self.active() - 1)
        } else {
            others.len()
        };
        Survey::new(
            own.unwrap_or_default(),
            others,
            total,
            waiting.max(0) as usize,
        )
    }
}
