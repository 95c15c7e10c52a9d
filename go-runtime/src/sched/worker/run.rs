//! The loop of a worker: which goroutine runs next.
//!
//! ```text
//! end of a round  -> the inbox, the poller, timers; a quarantined task, or one from the injector
//! ready, tasks    -> alternately a started goroutine that is ready, and a task to start
//! inbox, timers   -> when both queues are empty
//! other queues    -> tasks that other workers, or threads, have queued
//! spin, sleep     -> until a thread wakes the worker, a timer is due, or an event comes
//! ```
//!
//! No wake-up is lost because of the order of the steps in [`Worker::sleep`]: see `idle` and
//! `inbox`, and the model checks. Only the worker's own thread runs this.

use std::ptr::NonNull;
use std::thread;
use std::time::Instant;

use super::stealing::Found;
use super::{CURRENT, Worker};
use crate::clock;
use crate::sched::fiber::Fiber;
use crate::sched::inbox::Drained;
use crate::sched::poller::Poller;
use crate::sched::recording::{self, Kind};
#[cfg(feature = "tracing")]
use crate::sched::spans;
use crate::sched::tally::Probed;
use crate::sched::task::TaskRef;
use crate::sched::tuning::TIMERS_AT_A_TIME;

/// What to run next.
pub(super) enum Next {
    Started(NonNull<Fiber>),
    New(TaskRef),
}

impl Worker {
    /// Runs goroutines for as long as the process lasts.
    pub(in crate::sched) fn run(&'static self) -> ! {
        CURRENT.set(self);
        self.note_tick();
        loop {
            let next = self.next_here::<true>();
            let fiber = match next.unwrap_or_else(|| self.next_elsewhere()) {
                Next::Started(fiber) => Some(fiber),
                Next::New(task) => self.start(task),
            };
            if let Some(fiber) = fiber {
                self.execute(fiber);
            }
        }
    }

    /// Reads the monitor's tick, and returns whether it is a new one.
    #[inline]
    fn note_tick(&self) -> bool {
        self.rounds.note(self.runtime.tick(), self.shared)
    }

    // --- what runs next ---

    /// Begins a turn, and returns what to run in it, from this worker's queues. In the loop that
    /// records nothing (`PLAIN`) this may run the other loop before, at the end of a round.
    // Always inlined: a hand-over within a worker is little else.
    #[inline(always)]
    pub(super) fn next_here<const PLAIN: bool>(&self) -> Option<Next> {
        let turn = self.shared.stats.next_turn();
        if self.rounds.ends_with(turn)
            && let Some(task) = self.end_round::<PLAIN>(turn)
        {
            return Some(Next::New(task));
        }
        if turn.is_multiple_of(TIMERS_AT_A_TIME) && self.timers.are_left() {
            self.fire_timers();
        }
        // Ready goroutines and new ones alternate: so goroutines that yield all the time do not
        // keep new ones from starting, and goroutines that spawn all the time do not keep ready
        // ones from running.
        if turn.is_multiple_of(2) {
            self.next_ready().or_else(|| self.next_new(turn))
        } else {
            self.next_new(turn).or_else(|| self.next_ready())
        }
    }

    #[inline(always)]
    fn next_ready(&self) -> Option<Next> {
        self.run_queue.pop().map(Next::Started)
    }

    #[inline(always)]
    fn next_new(&self, turn: usize) -> Option<Next> {
        self.unstarted.next(turn).map(Next::New)
    }

    /// Ends a round: handles everything that could otherwise wait for ever. Returns a task that
    /// should start now.
    #[inline(never)]
    fn end_round<const PLAIN: bool>(&self, turn: usize) -> Option<TaskRef> {
        let task = self.see_to_the_rest(turn);
        if PLAIN && recording::is_on() {
            return match self.run_traced(task.map(Next::New)) {
                Some(Next::New(task)) => Some(task),
                // (What is left is what was passed.)
                Some(Next::Started(_)) | None => None,
            };
        }
        task
    }

    fn see_to_the_rest(&self, turn: usize) -> Option<TaskRef> {
        self.shared.stats.run_none();
        self.rounds.begin(turn);
        if self.shared.tally.is_probed() {
            self.check_probe(turn);
        }
        self.drain_inbox();
        self.poll();
        self.fire_timers();
        if self.stacks.has_freed() {
            self.retry_stackless();
        }
        if self.shared.is_trim_wanted() {
            self.trim_at_work();
        }
        #[cfg(target_os = "linux")]
        if self.shared.frames.are_there() {
            self.record_frames();
        }
        // The injector's tasks are in no worker's queue: a worker that never runs dry has to look
        // there as well.
        if self.shared.has_unstarted() {
            return self.unstarted.end_round();
        }
        match self.idling.search_awake(&self.unstarted, false) {
            Some(Found::Task(task)) => Some(task),
            Some(Found::Queued) | None => None,
        }
    }

    /// Records the latency that the monitor has asked for, or lets the round end when it may be
    /// known.
    #[cold]
    fn check_probe(&self, turn: usize) {
        match self.shared.tally.check_probe(self.run_queue.popped()) {
            Probed::Reached => {}
            Probed::Ahead(fibers) => self.rounds.end_within(turn, fibers),
        }
    }

    #[inline(never)]
    fn next_turn(&self) -> Option<Next> {
        self.next_here::<false>()
    }

    /// Waits for something to run, when this worker's queues are empty.
    #[inline(never)]
    fn next_elsewhere(&self) -> Next {
        let next = self.wait_here();
        if recording::is_on() {
            return self.trace_and_wait(next);
        }
        next
    }

    fn wait_here(&self) -> Next {
        let next = self.wait_for_next(|| true);
        next.unwrap_or_else(|| unreachable!("it goes on until it has found something"))
    }

    /// Runs `next` and more as long as it is to be recorded, and then waits for something to run.
    #[cold]
    fn trace_and_wait(&self, mut next: Next) -> Next {
        // (A session may have ended, and the next one begun.)
        while recording::is_on() {
            let left = self.run_traced(Some(next));
            next = left
                .or_else(|| self.next_turn())
                .unwrap_or_else(|| self.wait_here());
        }
        next
    }

    /// Waits for something to run. Returns `None` if after a sleep it is not to go on.
    pub(super) fn wait_for_next(&self, goes_on: impl Fn() -> bool) -> Option<Next> {
        self.shared.stats.run_none();
        if self.shared.tally.is_probed() {
            self.check_probe(self.shared.stats.turn());
        }
        let mut idle_since = None;
        let next = loop {
            if let Some(next) = self.search() {
                break Some(next);
            }
            let since = *idle_since.get_or_insert_with(clock::now);
            let spun = clock::now() - since;
            if spun < self.idling.spin_for() && self.idling.start_searching() {
                self.idling.spin(spun);
            } else {
                let task = self.sleep();
                self.idling.note_gap(clock::now() - since);
                idle_since = None;
                if let Some(task) = task {
                    break Some(Next::New(task));
                }
                if !goes_on() {
                    break None;
                }
            }
            if let Some(next) = self.next_turn() {
                break Some(next);
            }
        };
        self.idling.stop_searching();
        next
    }

    /// Checks once the inbox, the timers, and the queues of other workers.
    fn search(&self) -> Option<Next> {
        if self.shared.sleep.inbox_nonempty() {
            self.drain_inbox();
        }
        let queued = self.fire_timers();
        if let Some(next) = self.next_ready() {
            return Some(next);
        }
        if queued || self.stacks.has_freed() && self.retry_stackless() {
            return self.next_new(self.shared.stats.turn());
        }
        match self.idling.search_awake(&self.unstarted, true)? {
            Found::Task(task) => Some(Next::New(task)),
            Found::Queued => self.next_new(self.shared.stats.turn()),
        }
    }

    // --- what comes from elsewhere ---

    /// Makes the goroutines in the inbox, which other threads woke, runnable.
    pub(super) fn drain_inbox(&self) {
        let drained = self.empty_inbox();
        debug_assert!(!drained.notified, "only a sleeping worker is notified");
    }

    fn empty_inbox(&self) -> Drained {
        self.shared
            .sleep
            .drain(|fiber| fiber.into_iter().for_each(|fiber| self.make_ready(fiber)))
    }

    /// Wakes the goroutines whose descriptors have become ready.
    fn poll(&self) {
        if let Some(poller) = self.shared.poller.get()
            && poller.is_in_use()
        {
            poller.poll();
        }
    }

    /// Queues some of the tasks again that wait for a stack, and returns whether there were any.
    fn retry_stackless(&self) -> bool {
        self.unstarted.pin(self.stacks.take_waiting());
        self.unstarted.has_pinned()
    }

    // --- running ---

    /// Gives a placed task its stack. Returns `None` if there is no memory for one: the task waits.
    // Always inlined, like what it calls, so that `run` is compiled as if the traced loop, which
    // calls it too, did not exist.
    #[inline(always)]
    pub(super) fn start(&self, task: TaskRef) -> Option<NonNull<Fiber>> {
        // To make a stack may take long, beside processes that compute.
        self.shared.stats.run_none();
        let fiber = self.stacks.assign(task, self.rounds.period())?;
        self.shared.load.start();
        Some(fiber)
    }

    /// Runs one goroutine until it parks, yields or ends. Returns whether it has ended, which
    /// leaves the fiber to the next goroutine, or destroys it.
    #[inline(always)]
    pub(super) fn execute(&self, fiber: NonNull<Fiber>) -> bool {
        // SAFETY: the fiber comes from a queue of this worker, or from `start`, so it has a task
        // that has not ended. Only this worker destroys its fibers, and only idle ones; nothing
        // below does before `recycle`.
        let this = unsafe { fiber.as_ref() };
        let label = this.label();
        if this.is_unlisted() {
            self.stacks.note_touched(fiber);
        }
        self.note_active(this);
        self.current.begin(fiber);
        self.shared.stats.run(label);
        // SAFETY: this is the loop of the fiber's worker, outside of any fiber, and the fiber has a
        // task, which it has started, or starts now.
        let ended = unsafe { this.resume() };
        self.current.end();
        self.current.exit_watch.renew();
        let is_new_tick = self.note_tick();
        if ended {
            self.shared.stats.run_none();
            #[cfg(feature = "tracing")]
            spans::exit_forgotten();
            self.stacks.recycle(fiber);
        } else if is_new_tick {
            // The next period may have begun during the turn.
            self.note_active(this);
        }
        ended
    }

    /// Runs a goroutine's fiber that only records its frames: no turn of the goroutine.
    #[cfg(target_os = "linux")]
    pub(in crate::sched) fn begin_recording(&self, fiber: NonNull<Fiber>) {
        // SAFETY: the caller is about to resume the fiber, so it exists.
        if unsafe { fiber.as_ref() }.is_unlisted() {
            self.stacks.note_touched(fiber);
        }
        self.current.begin(fiber);
    }

    /// Ends what [`begin_recording`](Self::begin_recording) has begun.
    #[cfg(target_os = "linux")]
    pub(in crate::sched) fn end_recording(&self) {
        self.current.end();
        // The global allocator may have initialized thread-locals.
        self.current.exit_watch.renew();
    }

    /// Notes that the goroutine of this fiber runs in this period.
    #[inline]
    fn note_active(&self, fiber: &Fiber) {
        if fiber.active_in() != self.rounds.period() {
            self.activate(fiber);
        }
    }

    #[inline(never)]
    fn activate(&self, fiber: &Fiber) {
        if let Some(task) = fiber.task() {
            // SAFETY: the fiber has a task, which it clears when the task's run is over. The task's
            // memory is not freed before the last suspension within that run, which is in the
            // `Drop` of its result at the latest. Only this worker uses the task's `parent`.
            let parent = unsafe { task.get() }.parent.get();
            self.shared.load.activate(fiber.active_in(), parent);
            fiber.set_active_in(self.rounds.period());
        }
    }

    // --- sleeping ---

    /// Sleeps until a thread wakes the worker, a timer is due, or an event comes. Returns a task if
    /// the last search found one that this worker has to start.
    fn sleep(&self) -> Option<TaskRef> {
        debug_assert!(self.run_queue.is_empty() && !self.unstarted.has_pinned());
        self.idling.stealing.begin_sleep();
        // Read before the worker announces its sleep, so that a thread that wakes the worker sees
        // the same poller.
        let poller = self.shared.poller.get();
        if !self.shared.sleep.fall_asleep(&self.runtime.idle) {
            self.resume_after_sleep();
            return None;
        }
        self.idling.begin_final_search();
        if poller.is_none() && self.shared.poller.get().is_some() {
            // Another thread made the poller meanwhile, and then checked whether this worker
            // sleeps. This worker announced its sleep, and then checked for the poller. So at least
            // one of the two sees what the other did.
            self.idling.search_again();
            self.resume_after_sleep();
            return None;
        }
        if self.shared.sleep.is_retired() && self.runtime.has_unstarted() {
            // Other workers may have relied on this worker to search, which it no longer does.
            self.runtime.announce_work();
        }
        let found = if self.shared.has_unstarted() {
            Some(Found::Queued)
        } else {
            self.idling.stealing.search(&self.unstarted, true)
        };
        if let Some(found) = found {
            self.idling.search_again();
            self.resume_after_sleep();
            return match found {
                Found::Task(task) => Some(task),
                Found::Queued => None,
            };
        }
        if recording::is_on() {
            self.record(Kind::Sleep, 0, None, 0);
        }
        let since = self.sleep_until_woken(poller, self.alarm());
        if recording::is_on() {
            self.record(Kind::Wake, 0, None, 0);
        }
        self.shared.tally.note_awake(since);
        self.resume_after_sleep();
        if self.stacks.is_retry_due() {
            self.retry_stackless();
        }
        None
    }

    /// Sleeps, and returns when the sleep began.
    fn sleep_until_woken(&self, poller: Option<&Poller>, alarm: Option<Instant>) -> Instant {
        let since = clock::now();
        while self.shared.sleep.is_asleep() {
            let now = clock::now();
            if alarm.is_some_and(|alarm| alarm <= now) {
                break;
            }
            let trim = self.trim_due_asleep(now, since);
            if trim.is_some_and(|trim| trim <= now) {
                self.trim(now);
                continue;
            }
            let until = [alarm, trim].into_iter().flatten().min();
            match (poller, until) {
                (Some(poller), _) => {
                    if poller.sleep(until, || self.shared.sleep.is_asleep()) {
                        break;
                    }
                }
                (None, None) => thread::park(),
                (None, Some(until)) => thread::park_timeout(until - now),
            }
        }
        since
    }

    /// Returns when the sleeping worker has to wake up by itself.
    fn alarm(&self) -> Option<Instant> {
        [
            self.timers.next(),
            self.shared.delayed.next(),
            self.idling.stealing.next_survey(),
            self.stacks.next_retry(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn resume_after_sleep(&self) {
        let by_itself = self.shared.sleep.wake_up(&self.runtime.idle);
        self.runtime.note_awake();
        self.note_tick();
        if !by_itself {
            self.shared.tally.count_wakeup();
            if self.empty_inbox().notified {
                self.idling.note_notified();
            }
        }
        #[cfg(target_os = "linux")]
        if self.shared.frames.are_there() {
            self.record_frames();
        }
    }
}
