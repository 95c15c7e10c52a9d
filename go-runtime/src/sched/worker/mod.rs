//! A worker: one thread's loop that runs goroutines, and what it does for them.
//!
//! Everything in a [`Worker`] belongs to its thread; what other threads may touch is in its
//! [`WorkerShared`]. Each part of a worker, in a file of its own, owns its state and its rules.
//! `run` has the loop that joins the parts, and this file has the operations that a running
//! goroutine calls.

mod current;
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
pub(super) mod fairness;
mod idling;
mod rounds;
mod run;
mod run_queue;
mod stacks;
mod stealing;
mod timers;
mod traced;
mod trim;
mod unstarted;

use std::cell::{Cell, RefCell};
#[cfg(target_os = "linux")]
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use current::Current;
use idling::Idling;
use rounds::Rounds;
use run_queue::RunQueue;
use stacks::Stacks;
use timers::Timers;
use unstarted::Unstarted;

use super::blocks::{Blocks, Depot};
use super::fiber::{Fiber, RUNNABLE};
use super::label::{Label, Site};
use super::load;
#[cfg(target_os = "linux")]
use super::nesting;
use super::recording::{self, Kind, Recorder};
use super::runtime::{Queue, Runtime};
use super::shared::WorkerShared;
use super::sleeper::Sleeper;
use super::stats::Wait;
use super::task::{Task, TaskRef};
use super::timer_heap::TimerKey;
use super::tuning::SLICE;
use crate::clock;

pub(crate) struct Worker {
    runtime: &'static Runtime,
    shared: &'static WorkerShared,
    /// Started goroutines that can go on.
    run_queue: RunQueue,
    /// Tasks that have not started, and which of them starts next.
    unstarted: Unstarted,
    /// Timers of parked goroutines.
    timers: Timers,
    /// Fibers and stacks that are not in use.
    stacks: Stacks,
    /// How the worker searches, spins and watches when it has nothing to run.
    idling: Idling,
    rounds: Rounds,
    /// The goroutine that runs.
    current: Current,
    /// Memory for tasks.
    blocks: Blocks,
    /// Where the worker records its events, while it runs the traced loop.
    recorder: RefCell<Option<Arc<Recorder>>>,
}

thread_local! {
    static CURRENT: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

impl Worker {
    /// Makes a worker. It lasts as long as the process, because suspended goroutines refer to it.
    pub(super) fn new(
        runtime: &'static Runtime,
        shared: &'static WorkerShared,
        queue: Queue,
    ) -> &'static Worker {
        let worker = Box::leak(Box::new(Worker {
            runtime,
            shared,
            run_queue: RunQueue::new(&shared.stats.run_queue),
            unstarted: Unstarted::new(runtime, shared, queue),
            timers: Timers::new(shared),
            stacks: Stacks::new(runtime, shared.index()),
            idling: Idling::new(runtime, shared),
            rounds: Rounds::new(),
            current: Current::new(runtime.debug().nesting),
            blocks: Blocks::default(),
            recorder: RefCell::default(),
        }));
        #[cfg(target_os = "linux")]
        {
            let start = (&raw const *worker).addr();
            let unstarted = start + offset_of!(Worker, unstarted);
            let after = unstarted + size_of::<Unstarted>();
            shared.set_private([start..unstarted, after..start + size_of::<Worker>()]);
        }
        worker
    }

    /// Returns the worker whose thread this is. `Worker` is not `Sync`, so the reference stays on
    /// this thread.
    #[inline]
    pub(crate) fn current() -> Option<&'static Worker> {
        // SAFETY: the word is null, or `run` set it, on the worker's own thread, to a worker that
        // is never freed.
        unsafe { CURRENT.get().as_ref() }
    }

    /// Takes the worker away from the calling thread; see [`fork`](super::fork).
    #[cfg(unix)]
    pub(super) fn leave_thread() {
        CURRENT.set(ptr::null());
    }

    /// Returns the worker's index, which no other worker has.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.shared.index()
    }

    #[inline]
    pub(crate) fn shared(&self) -> &'static WorkerShared {
        self.shared
    }

    #[inline]
    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    #[inline]
    pub(super) fn depot(&self) -> &'static Depot {
        &self.runtime.depot
    }

    // --- the goroutine that runs ---

    /// Returns the goroutine that runs; `None` in the worker's own loop.
    #[inline]
    pub(crate) fn current_task(&self) -> Option<TaskRef> {
        self.running_fiber()?.task()
    }

    /// Returns whether the caller is the worker's own loop, on the thread's stack.
    #[inline]
    pub(crate) fn is_in_its_loop(&self) -> bool {
        self.current.running().is_none()
    }

    /// Returns whether the caller is a goroutine that may be parked: not the worker's own loop, and
    /// not within [`without_parking`](Self::without_parking).
    #[inline]
    pub(crate) fn may_park(&self) -> bool {
        self.current.parkable().is_some()
    }

    /// Runs `f` in the current goroutine so that nothing in it can park: the worker runs no other
    /// goroutine before `f` has returned or unwound.
    pub(crate) fn without_parking<T>(&self, f: impl FnOnce() -> T) -> T {
        self.current.without_parking(&self.shared.stats, f)
    }

    /// Runs `wait`, which blocks the thread where the goroutine cannot be parked, and lets the
    /// monitor know why.
    pub(crate) fn block_in_place(&self, wait: impl FnOnce()) {
        let before = self.shared.stats.wait();
        let why = before.or(Some(Wait::WhilePanicking));
        self.shared.stats.set_wait(why);
        wait();
        self.shared.stats.set_wait(before);
    }

    /// Notes what the running goroutine, which blocks its thread, is about to wait for, or that it
    /// waits no more.
    pub(crate) fn note_wait(&self, waiting: u64) {
        self.running_fiber()
            .inspect(|fiber| fiber.note_wait(waiting));
    }

    /// Sets what the running goroutine's operation that is built from others waits for, and returns
    /// what that was before; see `wait::named`.
    pub(crate) fn replace_outer_wait(&self, outer: u64) -> u64 {
        self.running_fiber()
            .map_or(0, |fiber| fiber.replace_outer(outer))
    }

    /// Returns whether an access of `address` has run over the end of the running goroutine's
    /// stack. For a signal handler on this thread.
    pub(super) fn is_overflow(&self, address: usize) -> bool {
        let fiber = self.running_fiber();
        fiber.is_some_and(|fiber| fiber.is_overflow(address))
    }

    /// Returns the number of the running goroutine's stack, unless other code uses the table of all
    /// stacks just then. This neither waits nor allocates.
    #[cfg(target_os = "linux")]
    pub(super) fn current_stack_number(&self) -> Option<usize> {
        self.running_fiber()?.try_stack_number()
    }

    /// Returns the size of the running goroutine's stack, in bytes.
    pub(super) fn current_stack_size(&self) -> Option<usize> {
        Some(self.running_fiber()?.stack_size())
    }

    /// Returns the fiber that the calling code runs on, if any, whether it may park or not.
    #[inline]
    pub(crate) fn running_fiber(&self) -> Option<&'static Fiber> {
        // SAFETY: the fiber that runs is alive as long as its code runs. The caller runs on the
        // fiber, or is a signal handler that interrupted it, so the reference does not outlive the
        // fiber.
        self.current
            .running()
            .map(|fiber| unsafe { fiber.as_ref() })
    }

    /// Returns the fiber that the calling code runs on, if any and if it may park.
    #[inline]
    pub(crate) fn current_fiber(&self) -> Option<&'static Fiber> {
        // SAFETY: the fiber that runs is alive as long as its code runs. The caller runs on the
        // fiber, so the reference does not outlive the fiber.
        self.current
            .parkable()
            .map(|fiber| unsafe { fiber.as_ref() })
    }

    // --- switching ---

    /// Makes a parked goroutine of this worker runnable.
    // Always inlined: a hand-over within a worker is little else.
    #[inline(always)]
    pub(crate) fn make_ready(&self, fiber: NonNull<Fiber>) {
        // SAFETY: a parked goroutine's fiber has a task, and so its worker, this one, does not
        // destroy it.
        unsafe { fiber.as_ref() }.note_wait(RUNNABLE);
        self.run_queue.push(fiber);
    }

    /// Lets the other goroutines that are ready run first. Where nothing can park, lets other
    /// threads run instead.
    // Always inlined because it contains the switch (see `wait::parker`).
    #[inline(always)]
    pub(crate) fn yield_now(&self) {
        if let Some(fiber) = self.begin_yield() {
            // SAFETY: `begin_yield` returns the fiber that the calling code runs on.
            unsafe { suspend(fiber) };
        } else {
            thread::yield_now();
        }
    }

    /// Queues the current fiber, and returns it: the caller has to suspend it. Returns `None` where
    /// nothing can park.
    fn begin_yield(&self) -> Option<&'static Fiber> {
        let fiber = self.current_fiber()?;
        self.run_queue.push(NonNull::from(fiber));
        Some(fiber)
    }

    /// Leaves the current goroutine's stack until the goroutine is made runnable.
    #[inline(always)]
    pub(super) fn suspend(&self) {
        let Some(fiber) = self.current_fiber() else {
            unreachable!("only a goroutine suspends");
        };
        // SAFETY: `current_fiber` returns the fiber that the calling code runs on.
        unsafe { suspend(fiber) }
    }

    // --- timers ---

    /// Arranges for the worker to call `sleeper` at `deadline`, unless the timer is removed before.
    ///
    /// # Safety
    /// The sleeper's function may be called on this thread, with the sleeper's address, until the
    /// timer has fired or been removed.
    pub(super) unsafe fn add_timer(&self, deadline: Instant, sleeper: Sleeper) -> TimerKey {
        // SAFETY: the contract of `Timers::add` is this function's, which the caller upholds.
        unsafe { self.timers.add(deadline, sleeper) }
    }

    pub(super) fn remove_timer(&self, key: TimerKey) {
        self.timers.remove(key);
    }

    /// Fires some of the timers that are due, and queues some of the tasks that are to start by
    /// now. Returns whether it has queued tasks.
    fn fire_timers(&self) -> bool {
        self.timers.set_left(false);
        if self.timers.is_empty() && self.shared.delayed.is_empty() {
            return false;
        }
        let now = clock::now();
        let mut more = self.timers.fire(now, |fiber| {
            if recording::is_on() {
                self.record(Kind::UnparkByTimer, fiber.addr().get() as u64, None, 0);
            }
            self.make_ready(fiber);
        });
        let is_due = self.shared.delayed.is_due(now);
        if is_due {
            for task in self.shared.delayed.pop_due(now) {
                self.note_spawn(task);
                self.queue(task);
            }
            more |= self.shared.delayed.is_due(now);
        }
        self.timers.set_left(more);
        is_due
    }

    // --- spawning and ending ---

    /// Queues a new goroutine, and makes sure that an idle worker learns of it.
    #[inline]
    pub(super) fn spawn(&self, task: TaskRef) {
        let spawner = self.note_spawn(task);
        // SAFETY: the task has not been queued yet, so the scheduler's reference keeps it alive.
        unsafe { task.get() }.set_spawner(spawner);
        self.queue(task);
    }

    #[inline]
    fn queue(&self, task: TaskRef) {
        self.unstarted.push(task);
        self.runtime.announce_work();
    }

    /// Queues a goroutine that no other worker may start.
    pub(crate) fn spawn_pinned(&self, task: TaskRef) {
        // The task is placed before it is counted as spawned, so that the number of waiting tasks
        // is never too high.
        self.shared.load.place();
        let spawner = self.note_spawn(task);
        // SAFETY: the task has not been queued yet, so the scheduler's reference keeps it alive.
        unsafe { task.get() }.set_spawner(spawner);
        self.unstarted.pin([task]);
    }

    /// Counts a spawn, and returns where the goroutine was spawned that runs here.
    #[inline]
    fn note_spawn(&self, task: TaskRef) -> Option<Site> {
        if recording::is_on() {
            recording::record_spawn(task);
        }
        self.shared.load.spawn();
        let fiber = self.running_fiber()?;
        // SAFETY: this runs within the task's run or within the `Drop` of its result, which comes
        // before the task's memory is freed.
        let task = unsafe { fiber.task()?.get() };
        // Only this worker uses the task's `parent`.
        if !task.parent.replace(true) {
            self.shared.load.become_parent(fiber.active_in());
        }
        Some(task.spawned_at())
    }

    /// Notes that the current goroutine has run to its end. Other goroutines cannot see its result
    /// yet.
    pub(crate) fn note_finish(&self) {
        if let Some(fiber) = self.current_fiber()
            && let Some(task) = fiber.task()
        {
            // The task counts as a parent from here on, so that a goroutine spawned by the `Drop`
            // of its result does not change counts that the task has left. SAFETY: the caller runs
            // this task and gives the scheduler's reference back later, so the task is alive. Only
            // this worker uses the task's `parent`.
            let parent = unsafe { task.get() }.parent.replace(true);
            if fiber.label().is_named() {
                // SAFETY: the caller gives the scheduler's reference back later, so the task is
                // alive.
                self.take_name_back(fiber, unsafe { task.get() });
            }
            self.shared.stats.finish();
            self.shared.load.end(fiber.active_in(), parent);
            fiber.set_active_in(load::NEVER);
        }
    }

    /// Replaces the label of a task that has run to its end: see [`label`](super::label).
    #[cold]
    fn take_name_back(&self, fiber: &Fiber, task: &Task) {
        fiber.set_label(Label::plain(task.spawned_at()));
        self.shared.stats.run(fiber.label());
    }

    // --- fairness ---

    /// Notes a failed poll of the current goroutine. The goroutine may be polling all the time for
    /// something that only a goroutine behind it can give, so after a number of failed polls the
    /// other goroutines run first.
    pub(crate) fn note_failed_poll(&self) {
        let is_over = self.current.failed_polls.add() || self.has_run_for_a_slice();
        if is_over && !thread::panicking() {
            if self.has_nothing_to_run() || !self.may_park() {
                // The goroutine that could end the polling may be on another worker, whose thread
                // waits for this processor.
                thread::yield_now();
            }
            self.yield_to_others();
        }
    }

    /// Lets the other goroutines run first if the current one has run for a slice.
    pub(crate) fn end_slice(&self) {
        // (Where nothing can park there is no fiber to switch from.)
        if self.has_run_for_a_slice() && self.may_park() && !thread::panicking() {
            self.yield_to_others();
        }
    }

    fn has_run_for_a_slice(&self) -> bool {
        self.runtime.tick().wrapping_sub(self.rounds.tick()) >= SLICE
    }

    /// Lets all other goroutines run first, including those woken by other threads or by the clock.
    pub(crate) fn yield_to_others(&self) {
        self.drain_inbox();
        self.fire_timers();
        while self.timers.are_left() {
            self.fire_timers();
        }
        self.yield_now();
    }

    /// Returns whether no other goroutine can run here, not counting goroutines in the inbox.
    #[inline]
    fn has_nothing_to_run(&self) -> bool {
        self.run_queue.is_empty() && self.unstarted.is_empty()
    }

    /// Returns whether nothing else can run here, and another worker is awake, on which the holder
    /// of a lock may be running.
    #[inline]
    pub(crate) fn may_spin(&self) -> bool {
        self.runtime.active() > 1
            && self.has_nothing_to_run()
            && !self.shared.sleep.inbox_nonempty()
            && self.runtime.idle.sleepers() + 1 < self.runtime.active()
    }

    /// Returns whether a goroutine that is about to block should take the long way, on which it may
    /// spin for its wake-up: nothing else can run here, another worker is awake to wake it, and
    /// spinning paid off recently. (With `GODEBUG=nesting=1` all goroutines take the long way,
    /// where they are checked.)
    #[inline]
    pub(crate) fn worth_spinning(&self) -> bool {
        // (While nesting is checked, no spin is noted, so the credit lasts.)
        self.current.spin_credit.take() && (self.may_spin() || self.current.checks_nesting)
    }

    /// Notes whether a goroutine that spun was woken meanwhile.
    pub(crate) fn note_spin(&self, paid: bool) {
        if !self.current.checks_nesting {
            self.current.spin_credit.note(paid);
        }
    }

    /// Searches the stack of the goroutine, which is about to park the long way, if
    /// `GODEBUG=nesting=1` asks for that.
    pub(crate) fn before_long_park(&self) {
        #[cfg(target_os = "linux")]
        if self.current.checks_nesting
            && let Some(task) = self.current_task()
        {
            // SAFETY: the task runs, and the scheduler's reference, which it gives back at its end,
            // keeps it alive.
            nesting::check(unsafe { task.get() });
        }
    }
}

/// Leaves the stack of `fiber` until its worker resumes it.
///
/// # Safety
/// The calling code runs on this fiber.
#[inline(always)]
pub(crate) unsafe fn suspend(fiber: &Fiber) {
    #[cfg(feature = "tracing")]
    let spans = super::spans::exit_all();
    #[cfg_attr(
        not(target_os = "linux"),
        expect(unused_variables, reason = "it is false")
    )]
    // SAFETY: the caller says that it runs on the fiber.
    let is_to_record = unsafe { fiber.suspend() };
    #[cfg(target_os = "linux")]
    if is_to_record {
        super::frames::record_and_suspend();
    }
    #[cfg(feature = "tracing")]
    super::spans::enter_again(spans);
}
