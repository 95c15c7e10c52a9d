//! A worker: one thread's loop that runs goroutines.
//!
//! Everything in a [`Worker`] belongs to its thread; what other threads may touch is in its
//! [`Seat`]. The loop alternates between started goroutines that are ready and tasks that have not
//! started. When it runs dry, and once per round besides, it looks into its inbox and at the clock;
//! then it steals, looks around for a moment, and sleeps.

#[cfg(all(
    target_os = "linux",
    target_env = "gnu",
    not(target_feature = "crt-static")
))]
mod exit_watch;
#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    not(target_feature = "crt-static")
)))]
#[path = "no_exit_watch.rs"]
mod exit_watch;
mod firing;
mod idleness;
pub(super) mod patience;
mod run_queue;
mod spawning;
mod stacks;
mod starting;
mod trim;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::thread;
use std::time::Instant;

use run_queue::RunQueue;

use crate::clock;
use crate::sched::blocks::{Blocks, Depot};
use crate::sched::fiber::Fiber;
use crate::sched::inbox::Drained;
use crate::sched::load::{self, Period};
#[cfg(target_os = "linux")]
use crate::sched::overflow;
use crate::sched::parking::Sleeper;
use crate::sched::placement::Watch;
use crate::sched::runtime::{Queue, Runtime};
use crate::sched::seat::{Seat, Wait};
use crate::sched::task::{MonitorTick, TaskRef};
use crate::sched::timers::Timers;

/// Length of a round in turns, or until the monitor's next tick if they take longer. Then the
/// worker sees to its inbox, its timers and, at most once per millisecond, its oldest task.
const ROUND: usize = 64;

pub(crate) struct Worker {
    runtime: &'static Runtime,
    seat: &'static Seat,
    index: usize,
    /// Started goroutines that can go on.
    ready: RunQueue,
    /// Tasks that have not started, and that no other worker may start. They are placed.
    local: RefCell<VecDeque<TaskRef>>,
    /// Tasks that have not started; the thieves' end is in the seat.
    fresh: crossbeam_deque::Worker<TaskRef>,
    /// When the oldest task of `fresh` was last preferred to the newest.
    oldest_started: Cell<Option<Instant>>,
    /// How many of the oldest are started before the newest.
    oldest_turns: Cell<usize>,
    /// A task that this worker starts next; no other worker can take it.
    forced: Cell<Option<TaskRef>>,
    /// The monitor's tick that this worker has seen last.
    tick: Cell<MonitorTick>,
    /// The period of that tick.
    period: Cell<Period>,
    /// The turn with which the round ends.
    round_ends: Cell<usize>,
    timers: RefCell<Timers<Sleeper>>,
    /// More are due than have been fired last time.
    timers_left: Cell<bool>,
    /// Idle fibers and stacks.
    pool: RefCell<stacks::Pool>,
    /// Goroutines that wait for the memory of a stack.
    stackless: RefCell<VecDeque<TaskRef>>,
    /// One of this worker's stacks has become free since they tried last.
    stack_freed: Cell<bool>,
    /// When they try again in any case.
    stack_retry: Cell<Option<Instant>>,
    /// The fiber that runs and may park; `None` in the worker's own loop. A signal handler may look
    /// at any time: it is one word, and the switch to the fiber, of which the compiler must assume
    /// that it reads memory, comes after it has been written.
    current: Cell<Option<NonNull<Fiber>>>,
    /// The fiber that runs while it must not park: then `current` is `None`, so that whatever parks
    /// a goroutine blocks the thread instead, as it does in the worker's own loop.
    unparkable: Cell<Option<NonNull<Fiber>>>,
    exit_watch: exit_watch::ExitWatch,
    /// Whether the worker is counted in `Idle::searching`.
    searching: Cell<bool>,
    /// Maximum number of tasks to take from another queue at a time: one after a sleep, and twice
    /// as many each time. So if the first goroutine that the worker starts holds it, no others are
    /// in its queue.
    batch: Cell<usize>,
    /// Its watch over tasks that it has left to other workers.
    watch: RefCell<Watch>,
    /// Whether other workers rely on this one to search, or to watch: `searching`, or a watch is
    /// on.
    on_duty: Cell<bool>,
    looks: idleness::Looks,
    /// Memory for tasks.
    blocks: Blocks,
    /// Whether blocked goroutines found it worth spinning of late.
    spin_credit: Cell<i32>,
    /// Number of polls in vain since the current goroutine was resumed.
    vain_polls: Cell<u32>,
}

thread_local! {
    static CURRENT: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

impl Worker {
    pub(super) fn new(
        runtime: &'static Runtime,
        index: usize,
        fresh: crossbeam_deque::Worker<TaskRef>,
    ) -> &'static Worker {
        let Some(seat) = runtime.seat(index) else {
            unreachable!("a worker has its seat before it comes");
        };
        // Leaked, because suspended goroutines refer to it for as long as the process lives.
        Box::leak(Box::new(Worker {
            runtime,
            seat,
            index,
            ready: RunQueue::new(&seat.books.ready),
            local: RefCell::default(),
            fresh,
            oldest_started: Cell::new(None),
            oldest_turns: Cell::new(0),
            forced: Cell::new(None),
            tick: Cell::new(0),
            period: Cell::new(load::NEVER),
            round_ends: Cell::new(0),
            timers: RefCell::new(Timers::since(seat.alarm.base())),
            timers_left: Cell::new(false),
            pool: RefCell::default(),
            stackless: RefCell::default(),
            stack_freed: Cell::new(false),
            stack_retry: Cell::new(None),
            current: Cell::new(None),
            unparkable: Cell::new(None),
            exit_watch: exit_watch::ExitWatch::new(),
            searching: Cell::new(false),
            batch: Cell::new(1),
            watch: RefCell::default(),
            on_duty: Cell::new(false),
            looks: idleness::Looks::default(),
            blocks: Blocks::default(),
            spin_credit: Cell::new(if runtime.debug().nesting {
                patience::CHECKS_NESTING
            } else {
                8
            }),
            vain_polls: Cell::new(0),
        }))
    }

    /// What the calling thread needs to become a worker's; it may take memory.
    pub(super) fn prepare_thread(seat: &Seat) {
        #[cfg(target_os = "linux")]
        overflow::prepare_thread();
        seat.sit_down();
    }

    /// The worker whose thread this is. `Worker` is not `Sync`, so the reference stays on this
    /// thread.
    #[inline]
    pub(crate) fn current() -> Option<&'static Worker> {
        // SAFETY: null, or set by `run` to a worker that is never freed, on the worker's own
        // thread.
        unsafe { CURRENT.get().as_ref() }
    }

    /// Makes the calling thread one without a worker; see `fork`.
    #[cfg(unix)]
    pub(super) fn leave_thread() {
        CURRENT.set(ptr::null());
    }

    /// The worker's index, which no other worker has.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn seat(&self) -> &'static Seat {
        self.seat
    }

    /// The goroutine that runs now; `None` in the worker's own loop.
    #[inline]
    pub(crate) fn current_task(&self) -> Option<TaskRef> {
        self.running_fiber()?.task()
    }

    /// Returns whether the caller is the worker's own loop, on the thread's stack.
    #[inline]
    pub(crate) fn is_in_its_loop(&self) -> bool {
        self.running_fiber().is_none()
    }

    /// Returns whether the caller is a goroutine that may be parked: not the worker's own loop, and
    /// not within [`without_parking`](Self::without_parking).
    #[inline]
    pub(crate) fn may_park(&self) -> bool {
        self.current.get().is_some()
    }

    /// Runs `f` in the current goroutine so that nothing in it can park: the worker runs no other
    /// goroutine before `f` has returned or unwound.
    pub(crate) fn without_parking<T>(&self, f: impl FnOnce() -> T) -> T {
        /// Lets the fiber park again, however the region is left.
        struct Region<'a>(&'a Worker);
        impl Drop for Region<'_> {
            fn drop(&mut self) {
                self.0.current.set(self.0.unparkable.get());
                self.0.unparkable.set(None);
                self.0.seat.books.set_wait(None);
            }
        }
        let Some(fiber) = self.current.get() else {
            // In such a region already, or in the worker's own loop, which never parks.
            return f();
        };
        // In this order: a signal handler finds the fiber in one of the two.
        self.unparkable.set(Some(fiber));
        self.current.set(None);
        self.seat.books.set_wait(Some(Wait::WithoutParking));
        let _region = Region(self);
        f()
    }

    /// Runs `wait`, which blocks the thread where the goroutine cannot be parked, and lets the
    /// monitor know why.
    pub(crate) fn block_in_place(&self, wait: impl FnOnce()) {
        let before = self.seat.books.wait();
        self.seat
            .books
            .set_wait(before.or(Some(Wait::WhilePanicking)));
        wait();
        self.seat.books.set_wait(before);
    }

    /// Whether an access of `address` has run over the end of the running goroutine's stack. For a
    /// signal handler on this thread.
    pub(super) fn is_overflow(&self, address: usize) -> bool {
        let fiber = self.running_fiber();
        fiber.is_some_and(|fiber| fiber.is_overflow(address))
    }

    /// The size of the running goroutine's stack, in bytes.
    pub(super) fn current_stack_size(&self) -> Option<usize> {
        Some(self.running_fiber()?.stack_size())
    }

    #[inline]
    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    #[inline]
    pub(super) fn depot(&self) -> &'static Depot {
        &self.runtime.depot
    }

    // --- for goroutines that run on this worker ---

    /// Makes a parked goroutine of this worker runnable.
    // A hand-over within a worker is little else.
    #[inline(always)]
    pub(crate) fn make_ready(&self, fiber: NonNull<Fiber>) {
        self.ready.push(fiber);
    }

    /// Lets the other goroutines that are ready run first; where nothing can park, other threads.
    // Inlined for the sake of the switch (see `wait::parker`).
    #[inline(always)]
    pub(crate) fn yield_now(&self) {
        if let Some(fiber) = self.begin_yield() {
            // SAFETY: `begin_yield` returns the fiber that the calling code runs on.
            unsafe { fiber.suspend() };
        } else {
            thread::yield_now();
        }
    }

    /// Queues the current fiber, and returns it: the caller has to suspend it. Returns `None` where
    /// nothing can park.
    fn begin_yield(&self) -> Option<&'static Fiber> {
        let fiber = self.current_fiber()?;
        self.make_ready(NonNull::from(fiber));
        Some(fiber)
    }

    /// The fiber that the calling code runs on, if any, whether it may park or not.
    #[inline]
    pub(super) fn running_fiber(&self) -> Option<&'static Fiber> {
        let fiber = self.current.get().or_else(|| self.unparkable.get());
        // SAFETY: the fiber that runs is alive, and the caller of this runs on it (or is a signal
        // handler that has interrupted it): the reference does not outlive it.
        fiber.map(|fiber| unsafe { fiber.as_ref() })
    }

    /// The fiber that the calling code runs on, if any and if it may park; it is alive for as long
    /// as that code runs.
    #[inline]
    pub(crate) fn current_fiber(&self) -> Option<&'static Fiber> {
        // SAFETY: the fiber that runs is alive, and the caller of this runs on it: the reference
        // does not outlive it.
        self.current.get().map(|fiber| unsafe { fiber.as_ref() })
    }

    /// Leaves the current goroutine's stack until it is made runnable.
    #[inline(always)]
    pub(crate) fn suspend(&self) {
        let Some(fiber) = self.current.get() else {
            unreachable!("only a goroutine suspends");
        };
        // SAFETY: `current` says that the calling code runs on this fiber, which is alive as long
        // as it runs.
        unsafe { fiber.as_ref().suspend() }
    }

    // --- the loop ---

    pub(super) fn run(&'static self) {
        CURRENT.set(self);
        self.note_tick();
        let mut idle_since = None;
        loop {
            if let Some(next) = self.next() {
                idle_since = None;
                self.go_off_duty();
                let fiber = match next {
                    Next::Started(fiber) => Some(fiber),
                    Next::New(task) => self.start(task),
                };
                if let Some(fiber) = fiber {
                    self.execute(fiber);
                }
                continue;
            }
            let since = *idle_since.get_or_insert_with(clock::now);
            let looked_for = clock::now() - since;
            if looked_for < self.look_for() && self.start_searching() {
                self.look_around(looked_for);
            } else {
                self.sleep();
                self.note_gap(clock::now() - since);
                idle_since = None;
            }
        }
    }

    /// Returns what to run next, from this worker's queues or from elsewhere.
    #[inline]
    fn next(&self) -> Option<Next> {
        let turn = self.seat.books.next_turn();
        if turn == self.round_ends.get()
            && let Some(task) = self.end_round(turn)
        {
            return Some(Next::New(task));
        }
        if turn.is_multiple_of(firing::AT_A_TIME) && self.timers_left.get() {
            self.fire_timers();
        }
        // Alternately, so that goroutines that yield all the time do not keep new ones out, nor
        // goroutines that spawn all the time the ready ones.
        let found = if turn.is_multiple_of(2) {
            self.next_ready().or_else(|| self.next_new(turn))
        } else {
            self.next_new(turn).or_else(|| self.next_ready())
        };
        found.or_else(|| self.next_elsewhere(turn))
    }

    /// Reads the monitor's tick, and returns whether it is a new one.
    #[inline]
    fn note_tick(&self) -> bool {
        let tick = self.runtime.tick();
        let is_new = self.tick.get() != tick;
        if is_new {
            self.begin_tick(tick);
        }
        is_new
    }

    /// Ends the round at the next turn, and begins a period if the tick does.
    #[cold]
    fn begin_tick(&self, tick: MonitorTick) {
        self.tick.set(tick);
        self.round_ends.set(self.seat.books.turn().wrapping_add(1));
        let period = load::period(tick);
        if self.period.replace(period) != period {
            self.seat.load.enter(period);
        }
    }

    /// Sees to all that might wait for ever otherwise. Returns a task from the injector if it
    /// should start now.
    #[inline(never)]
    fn end_round(&self, turn: usize) -> Option<TaskRef> {
        self.round_ends.set(turn.wrapping_add(ROUND));
        if let Some(task) = self.forced.take() {
            return Some(task);
        }
        self.collect_mail();
        self.poll();
        self.fire_timers();
        if self.stack_freed.get() {
            self.retry_stackless();
        }
        if self.seat.is_trim_wanted() {
            self.trim_at_work();
        }
        // The injector's tasks are in no worker's queue: a worker that never runs dry has to look
        // there as well.
        if !self.seat.has_unstarted() {
            self.search_awake(false);
            return self.forced.take();
        }
        self.note_the_oldest();
        self.next_apart().or_else(|| self.next_injected())
    }

    #[inline]
    fn next_ready(&self) -> Option<Next> {
        self.ready.pop().map(Next::Started)
    }

    /// Returns a task to start: alternately from `local` and from the queues that others may take
    /// from.
    #[inline]
    fn next_new(&self, turn: usize) -> Option<Next> {
        if self.local.borrow().is_empty() {
            return self.next_unstarted(turn).map(Next::New);
        }
        let next_local = || {
            let mut local = self.local.borrow_mut();
            let task = local.pop_front();
            self.seat.books.set_local(local.len());
            task
        };
        let task = if turn & 2 == 0 {
            next_local()
        } else {
            self.next_unstarted(turn).or_else(next_local)
        };
        task.map(Next::New)
    }

    /// Returns what to run next when the worker's queues are empty.
    fn next_elsewhere(&self, turn: usize) -> Option<Next> {
        if self.seat.rest.has_mail() {
            self.collect_mail();
        }
        let queued = self.fire_timers();
        self.next_ready().or_else(|| {
            if queued || self.stack_freed.get() && self.retry_stackless() || self.search_awake(true)
            {
                let forced = self.forced.take().map(Next::New);
                forced.or_else(|| self.next_new(turn))
            } else {
                None
            }
        })
    }

    /// Wakes the goroutines whose descriptors have become ready, and returns whether any has.
    fn poll(&self) -> bool {
        let poller = self.seat.poller.get();
        poller.is_some_and(|poller| poller.is_in_use() && poller.poll())
    }

    fn collect_mail(&self) {
        let drained = self.drain_inbox();
        debug_assert!(!drained.called, "only a sleeping worker is called");
    }

    fn drain_inbox(&self) -> Drained {
        let rest = &self.seat.rest;
        rest.drain(|fiber| fiber.into_iter().for_each(|fiber| self.make_ready(fiber)))
    }

    /// Runs one goroutine until it parks, yields or ends.
    #[inline]
    fn execute(&self, fiber: NonNull<Fiber>) {
        // SAFETY: a fiber in a queue of this worker, or one that `start` has just returned, has a
        // task that has not ended. Only this worker destroys its fibers, and only idle ones.
        let (is_unlisted, label) =
            unsafe { (fiber.as_ref().is_unlisted(), fiber.as_ref().label()) };
        if is_unlisted {
            self.note_touched(fiber);
        }
        // SAFETY: alive, since it has not been resumed since the proof at the head of this
        // function.
        self.note_active(unsafe { fiber.as_ref() });
        self.current.set(Some(fiber));
        self.vain_polls.set(0);
        self.seat.books.run(label);
        // SAFETY: this is the worker's loop, and the fiber is its own: it has a task, which it has
        // started, or starts now.
        let ended = unsafe { fiber.as_ref().resume() };
        self.seat.books.run_none();
        self.current.set(None);
        self.exit_watch.renew();
        let is_new_tick = self.note_tick();
        if ended {
            self.recycle(fiber);
        } else if is_new_tick {
            // The turn may have reached into another period.
            // SAFETY: its task has not ended, so the fiber is not idle and has not been destroyed.
            self.note_active(unsafe { fiber.as_ref() });
        }
    }
}

/// What to run next.
enum Next {
    Started(NonNull<Fiber>),
    New(TaskRef),
}
