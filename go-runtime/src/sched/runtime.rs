//! The one runtime of the process: the workers' shared sides, and how work finds an idle worker.
//!
//! It starts at the first use and never ends: the workers are threads that go with the process.

use std::io;
use std::panic::Location;
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use crossbeam_deque::Injector;
use crossbeam_utils::CachePadded;
use smallvec::SmallVec;

use super::blocks::Depot;
use super::fork;
use super::idle::Idle;
use super::load::{self, Period};
use super::monitor::{self, Monitor};
#[cfg(target_os = "linux")]
use super::overflow;
use super::placement::Survey;
use super::reputation::Reputation;
use super::seat::Seat;
use super::shortage::Shortage;
use super::task::{MonitorTick, TaskRef};
use super::worker::Worker;
use crate::config::{Config, StartError};
use crate::primitives::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence};
use crate::primitives::{random, uncaptured};
use crate::settings::{Debug, Settings};
use crate::stack;
#[cfg(target_os = "linux")]
use crate::stack::Room;

/// Maximum number of workers beyond GOMAXPROCS, which replace workers that a goroutine holds.
pub(super) const EXTRA: usize = 256;
/// Maximum number of other workers whose loads are read for one decision.
const SURVEYED: usize = 16;
/// Memory, in bytes, without which no worker's thread is made (ulimit -v): a thread that finds no
/// memory for its own purposes ends the process.
#[cfg(target_os = "linux")]
const THREAD_ROOM: usize = 8 << 20;
/// Memory, in bytes, that is enough to say what went wrong.
#[cfg(target_os = "linux")]
const ROOM: usize = 1 << 20;

pub(crate) struct Runtime {
    /// The first `made` are there.
    seats: Box<[OnceLock<Box<Seat>>]>,
    made: AtomicUsize,
    /// Workers that have not retired.
    active: AtomicUsize,
    /// Tasks spawned by threads that are no workers, and the overflow of the workers' queues.
    pub(super) injector: Injector<TaskRef>,
    pub(super) idle: CachePadded<Idle>,
    pub(super) monitor: Monitor,
    /// How many goroutines such threads have ever spawned.
    spawned_outside: AtomicUsize,
    pub(super) reputation: Reputation,
    pub(super) shortage: Shortage,
    pub(super) depot: Depot,
    /// How often the monitor has looked: a clock that costs nothing to read.
    tick: AtomicU32,
    settings: Settings,
    /// The call that was the first use, or that of `Config::start`.
    started_at: &'static Location<'static>,
}

/// A worker's end of the queue of what it has not started.
pub(super) type Queue = crossbeam_deque::Worker<TaskRef>;

static RUNTIME: OnceLock<Result<&'static Runtime, StartError>> = OnceLock::new();
/// The runtime once it has started; null in a process that was forked since.
static RUNNING: AtomicPtr<Runtime> = AtomicPtr::new(ptr::null_mut());

/// Called in the child of a `fork`.
#[cfg(unix)]
pub(super) fn forget() {
    RUNNING.store(ptr::null_mut(), Ordering::Relaxed);
}

impl Runtime {
    /// The runtime, started if need be.
    #[track_caller]
    pub(crate) fn try_get() -> Result<&'static Runtime, StartError> {
        if let Some(runtime) = Self::running() {
            return Ok(runtime);
        }
        fork::check()?;
        let at = Location::caller();
        let start = || Runtime::start(Settings::new(&Config::new())?, at);
        let runtime = RUNTIME.get_or_init(start).clone()?;
        RUNNING.store(ptr::from_ref(runtime).cast_mut(), Ordering::Release);
        Ok(runtime)
    }

    #[inline]
    fn running() -> Option<&'static Runtime> {
        // SAFETY: null, or a runtime, which is never freed.
        unsafe { RUNNING.load(Ordering::Acquire).as_ref() }
    }

    /// The runtime of which the caller has a part, such as a worker or a task. Unlike
    /// [`get`](Self::get) it does not fail in a forked child.
    pub(super) fn of_part() -> &'static Runtime {
        match RUNTIME.get_or_init(|| unreachable!("it is being started")) {
            Ok(runtime) => runtime,
            Err(_) => unreachable!("a runtime that could not start has no parts"),
        }
    }

    /// The runtime, started if need be.
    ///
    /// # Panics
    /// If it cannot start; the message says why and what to do.
    #[inline]
    #[track_caller]
    pub(crate) fn get() -> &'static Runtime {
        match Self::running() {
            Some(runtime) => runtime,
            None => Self::get_slow(),
        }
    }

    #[cold]
    #[track_caller]
    fn get_slow() -> &'static Runtime {
        Self::try_get()
            .unwrap_or_else(|error| panic!("the goroutine runtime cannot start: {error}"))
    }

    /// Returns whether the runtime has been started, and has all settings of `config`.
    pub(crate) fn runs_with(config: &Config) -> bool {
        matches!(RUNTIME.get(), Some(Ok(runtime)) if runtime.settings.agree_with(config))
    }

    /// Starts the runtime with `config`.
    ///
    /// # Errors
    /// It has been started before, or cannot start. After wrong settings it still can.
    #[track_caller]
    pub(crate) fn start_with(config: &Config) -> Result<(), StartError> {
        let at = Location::caller();
        // What is wrong in the settings is of no interest once it is too late for them.
        if RUNTIME.get().is_none() {
            let settings = Settings::new(config)?;
            let mut is_ours = false;
            let result = RUNTIME.get_or_init(|| {
                is_ours = true;
                Runtime::start(settings, at)
            });
            if is_ours {
                return result.clone().map(drop);
            }
        }
        match Self::try_get() {
            Ok(runtime) => Err(StartError::already_started(runtime.started_at)),
            Err(error) => Err(error),
        }
    }

    /// Returns how many workers there are, or will be if the runtime starts by itself.
    pub(crate) fn expected_workers() -> usize {
        match RUNTIME.get() {
            Some(Ok(runtime)) => runtime.workers(),
            // What is wrong with the settings is told when the runtime starts.
            _ => Settings::new(&Config::new()).map_or(1, |settings| settings.workers),
        }
    }

    fn start(
        settings: Settings,
        started_at: &'static Location<'static>,
    ) -> Result<&'static Runtime, StartError> {
        fork::prepare();
        Debug::tell_mistakes();
        stack::do_without(!settings.debug.colour, settings.debug.mprotect);
        let runtime: &'static Runtime = Box::leak(Box::new(Runtime {
            seats: (0..settings.workers + EXTRA)
                .map(|_| OnceLock::new())
                .collect(),
            made: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            injector: Injector::new(),
            idle: CachePadded::new(Idle::new()),
            monitor: Monitor::new(),
            spawned_outside: AtomicUsize::new(0),
            reputation: Reputation::default(),
            shortage: Shortage::new(),
            depot: Depot::new(),
            // Not in the first period, which `load::NEVER` seems to precede.
            tick: AtomicU32::new(MonitorTick::from(u8::MAX)),
            settings,
            started_at,
        }));
        let advice =
            "lower GOMAXPROCS, or raise the limits on threads and memory (ulimit -u, ulimit -v)";
        #[cfg(target_os = "linux")]
        overflow::install();
        // All seats first: workers look at each other's.
        let queues: Vec<_> = (0..settings.workers)
            .map(|index| runtime.make_seat(index))
            .collect();
        runtime.active.store(settings.workers, Ordering::Relaxed);
        runtime.made.store(settings.workers, Ordering::Release);
        // For saying what went wrong.
        #[cfg(target_os = "linux")]
        let mut room = Room::reserve(ROOM).ok();
        for (index, queue) in queues.into_iter().enumerate() {
            runtime.hire(index, queue).map_err(|(error, _)| {
                #[cfg(target_os = "linux")]
                drop(room.take());
                StartError::new(format!(
                    "worker thread {} of {} cannot be made ({error}): {advice}",
                    index + 1,
                    settings.workers
                ))
            })?;
        }
        monitor::start(runtime).map_err(|error| {
            #[cfg(target_os = "linux")]
            drop(room.take());
            StartError::new(format!(
                "the monitor's thread cannot be made ({error}): {advice}"
            ))
        })?;
        Ok(runtime)
    }

    fn make_seat(&self, index: usize) -> Queue {
        let queue = Queue::new_lifo();
        let seat = Box::new(Seat::new(queue.stealer()));
        let made = self.seats[index].set(seat);
        debug_assert!(made.is_ok());
        queue
    }

    /// Starts the thread of a worker, and waits until it is there: should there be no memory for
    /// the next one, this one does not need any more. If it cannot be made, its queue comes back.
    fn hire(&'static self, index: usize, queue: Queue) -> Result<(), (io::Error, Option<Queue>)> {
        let queue = Arc::new(Mutex::new(Some(queue)));
        let take = |queue: &Mutex<Option<Queue>>| {
            queue.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        let theirs = Arc::clone(&queue);
        let (ready, is_ready) = mpsc::channel::<()>();
        #[cfg(target_os = "linux")]
        if let Err(error) = Room::reserve(THREAD_ROOM) {
            return Err((error, take(&queue)));
        }
        let builder = thread::Builder::new().name(format!("go-worker-{index}"));
        let run = move || {
            if let (Some(queue), Some(seat)) = (take(&theirs), self.seat(index)) {
                let worker = Worker::new(self, index, queue);
                Worker::prepare_thread(seat);
                drop(ready);
                worker.run();
            }
        };
        match uncaptured::spawn(builder, run) {
            Ok(()) => {
                // It is dropped, not sent.
                let _: Result<(), _> = is_ready.recv();
                Ok(())
            }
            Err(error) => Err((error, take(&queue))),
        }
    }

    /// How many workers accept goroutines.
    pub(super) fn accepting(&self) -> usize {
        self.seats().filter(|seat| seat.takes_on()).count()
    }

    /// Adds a worker: a retired one (on which nothing is parked, if it has to be `empty`), or a new
    /// one, whose queue lies in `spare` if its thread could not be made the last time.
    pub(super) fn add_worker(
        &'static self,
        empty: bool,
        spare: &mut Option<Queue>,
    ) -> io::Result<()> {
        let mut retired = self
            .seats()
            .filter(|seat| seat.rest.is_retired() && !seat.books.is_held());
        if let Some(retired) = retired.find(|seat| !empty || seat.load.live() == 0) {
            retired.rest.set_retired(false);
            self.active.fetch_add(1, Ordering::Relaxed);
            self.call(retired);
            return Ok(());
        }
        let index = self.made.load(Ordering::Relaxed);
        if index == self.seats.len() {
            return Err(io::Error::other("there are very many already"));
        }
        let queue = spare.take().unwrap_or_else(|| self.make_seat(index));
        if let Err((error, queue)) = self.hire(index, queue) {
            *spare = queue;
            return Err(error);
        }
        self.active.fetch_add(1, Ordering::Relaxed);
        self.made.store(index + 1, Ordering::Release);
        // It may have gone to sleep before others could see it.
        if let Some(seat) = self.seat(index) {
            self.call(seat);
        }
        Ok(())
    }

    /// Has an extra worker accept nothing new.
    pub(super) fn retire_one(&self) {
        let mut extra = self.seats().skip(self.workers());
        if let Some(extra) = extra.find(|seat| seat.takes_on()) {
            extra.rest.set_retired(true);
            self.active.fetch_sub(1, Ordering::Relaxed);
            // If it sleeps, it gets up, and sleeps again as a worker that cannot be called.
            self.call(extra);
        }
    }

    /// Wakes a worker, if it sleeps, to search for work, or to notice that it has retired.
    pub(super) fn call(&self, seat: &Seat) {
        self.idle.start_searching();
        // Other threads may have relied on the worker that has just been counted as searching.
        if !seat.call() && self.idle.stop_searching() && self.has_unstarted() {
            self.announce_work();
        }
    }

    /// GOMAXPROCS.
    pub(crate) fn workers(&self) -> usize {
        self.settings.workers
    }

    /// The shared sides of all workers, also of the retired ones.
    #[inline]
    pub(super) fn seats(&self) -> impl Iterator<Item = &Seat> {
        let made = self.made.load(Ordering::Acquire);
        self.seats[..made]
            .iter()
            .filter_map(|seat| seat.get().map(Box::as_ref))
    }

    pub(super) fn seat(&self, index: usize) -> Option<&Seat> {
        self.seats.get(index)?.get().map(Box::as_ref)
    }

    /// Returns how many workers there are, also retired ones.
    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::Acquire)
    }

    /// Returns how many workers have not retired.
    #[inline]
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    pub(crate) fn blocking_threads(&self) -> usize {
        self.settings.blocking_threads
    }

    pub(super) fn debug(&self) -> Debug {
        self.settings.debug
    }

    pub(crate) fn default_stack_size(&self) -> usize {
        self.settings.stack_size
    }

    /// Whether there is no memory for a stack of `size` bytes (`None`: of the default size), and
    /// goroutines wait for it.
    #[inline]
    pub(crate) fn is_out_of_stacks(&self, size: Option<usize>) -> bool {
        let size = size.map_or(self.settings.stack_size, stack::round_size);
        self.shortage.refuses(size)
    }

    /// Returns how many goroutines live, started or not.
    pub(crate) fn count(&self) -> usize {
        // The ends first: each belongs to a start that is then counted too.
        let finished = self.sum(|seat| seat.books.finished());
        self.spawned().wrapping_sub(finished)
    }

    /// Returns how many goroutines have ever been spawned.
    fn spawned(&self) -> usize {
        self.sum(|seat| seat.load.spawned())
            .wrapping_add(self.spawned_outside.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn tick(&self) -> MonitorTick {
        self.tick.load(Ordering::Relaxed)
    }

    /// Counts one look of the monitor, which alone calls this.
    pub(super) fn begin_tick(&self) {
        self.tick.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn period(&self) -> Period {
        load::period(self.tick())
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

    /// Wakes a sleeping worker unless a worker is searching for work anyway.
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
            let asleep = || {
                self.seats()
                    .filter(|seat| seat.rest.is_asleep() && seat.takes_on())
            };
            let now = self.period();
            let best = asleep().min_by_key(|seat| seat.view(0, now).rank());
            best.into_iter().chain(asleep()).any(Seat::call)
        };
        self.idle
            .call(wake, || self.has_unstarted() && self.sleeps_any());
    }

    /// Returns whether a worker sleeps that can be called.
    pub(super) fn sleeps_any(&self) -> bool {
        self.seats()
            .any(|seat| seat.rest.is_asleep() && seat.takes_on())
    }

    /// Returns whether any task waits, not counting those that were put apart.
    pub(super) fn has_unstarted(&self) -> bool {
        !self.injector.is_empty() || self.seats().any(Seat::has_unstarted)
    }

    /// Surveys the other workers for worker `index`, which has to decide where a goroutine starts:
    /// all of them, or, where there are more than [`SURVEYED`], as many from a random one on.
    pub(super) fn survey(&self, index: usize) -> Survey {
        let (made, now) = (self.made(), self.period());
        let first = if made - 1 > SURVEYED {
            random::below(made)
        } else {
            0
        };
        let others: SmallVec<_> = (0..made)
            .map(|i| (first + i) % made)
            .filter(|other| *other != index)
            .filter_map(|other| self.seat(other).map(|seat| (other, seat)))
            .filter(|(_, seat)| seat.takes_on() && !seat.books.is_in_long_turn())
            .take(SURVEYED)
            .map(|(other, seat)| seat.view(other, now))
            .collect();
        let own = self.seat(index).map(|seat| seat.view(index, now));
        // In this order, as `Survey` says.
        let spawned = self.spawned();
        let placed = self.sum(|seat| seat.load.placed());
        // Some may have been both spawned and placed since the first sum.
        let waiting = spawned.wrapping_sub(placed) as isize;
        let total = if others.len() == SURVEYED {
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

    /// Sends tasks to a worker, which should start them, and wakes it if it sleeps.
    pub(super) fn send(&self, to: usize, tasks: impl Iterator<Item = TaskRef>) {
        let Some(to) = self.seat(to) else {
            unreachable!("only workers that are there are surveyed");
        };
        tasks.for_each(|task| to.sent.push(task));
        // Against `Rest::fall_asleep`, after which the worker looks at `sent`: one of the two
        // threads sees what the other has written.
        fence(Ordering::SeqCst);
        if to.rest.is_asleep() {
            self.call(to);
        } else {
            // The worker may be busy for long, so an idle worker has to watch.
            self.announce_work();
        }
    }

    /// Adds up a counter of all workers, and of the one that is just being made: it may have placed
    /// tasks already.
    fn sum(&self, counter: fn(&Seat) -> usize) -> usize {
        let seats = self.seats.iter().take(self.made() + 1);
        seats
            .filter_map(OnceLock::get)
            .fold(0_usize, |sum, seat| sum.wrapping_add(counter(seat)))
    }
}
