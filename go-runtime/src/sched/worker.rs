//! A worker: one thread's loop that runs goroutines.
//!
//! Everything in a [`Worker`] belongs to its thread; what others may touch is in its [`Seat`]. The loop takes the
//! started goroutines that are ready and the ones that have not started in turn, looks into its inbox and at the
//! clock when it runs dry and every so often besides, then steals, looks around for a moment, and sleeps.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hint;
use std::io::{self, Write};
use std::ptr::{self, NonNull};
use std::thread;
use std::time::{Duration, Instant};

use super::fiber::Fiber;
use super::parker::Parker;
use super::placement::{self, Held, Survey};
use super::runtime::{Runtime, Seat};
use super::task::TaskRef;
use super::timers::{TimerKey, Timers};
use crate::clock;
use crate::primitives::atomic::Ordering;
use crate::stack::Stack;

/// After so many goroutines the inbox, the timers and the oldest of the waiting get their turn.
const ROUND: u32 = 64;
/// After so many it looks whether another worker holds something for it.
const HELD_ROUND: u32 = 8;
/// How long an idle worker looks around before it sleeps, if work has been coming late.
const SHORT_LOOK: Duration = Duration::from_micros(20);
/// The same if work has been coming soon: about what it costs to put a thread to sleep and wake it again.
const LONG_LOOK: Duration = Duration::from_micros(100);
/// How soon a worker that has nothing else to do tries again to get memory for a stack.
const STACK_RETRY: Duration = Duration::from_millis(20);
/// How many idle stacks a worker keeps.
const IDLE_FIBERS: usize = 1024;

pub(crate) struct Worker {
    runtime: &'static Runtime,
    seat: &'static Seat,
    index: usize,
    /// Started goroutines that can go on, and `local` ones that can start.
    ready: RefCell<VecDeque<TaskRef>>,
    /// What has not started; the other end is in the seat.
    fresh: crossbeam_deque::Worker<TaskRef>,
    timers: RefCell<Timers>,
    /// Idle fibers with stacks of the default size, the hottest last.
    fibers: RefCell<Vec<NonNull<Fiber>>>,
    /// Goroutines that wait for the memory of a stack.
    stackless: RefCell<VecDeque<TaskRef>>,
    current: Cell<Option<(TaskRef, NonNull<Fiber>)>>,
    ticks: Cell<u32>,
    /// It is counted in `Runtime::searching`.
    searching: Cell<bool>,
    /// Something waits that should be started by another worker.
    held: RefCell<Option<Held>>,
    /// How long to look around before it sleeps.
    look_for: Cell<Duration>,
    /// Whether blocked goroutines found it worth spinning of late.
    spin_credit: Cell<i32>,
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
        // Leaked, because suspended goroutines refer to it for as long as the process lives.
        Box::leak(Box::new(Worker {
            runtime,
            seat: &runtime.seats[index],
            index,
            ready: RefCell::default(),
            fresh,
            timers: RefCell::default(),
            fibers: RefCell::default(),
            stackless: RefCell::default(),
            current: Cell::new(None),
            ticks: Cell::new(0),
            searching: Cell::new(false),
            held: RefCell::default(),
            look_for: Cell::new(SHORT_LOOK),
            spin_credit: Cell::new(8),
        }))
    }

    /// The worker whose thread this is. `Worker` is not `Sync`, so the reference stays on this thread.
    #[inline]
    pub(crate) fn current() -> Option<&'static Worker> {
        // SAFETY: null, or set by `run` to a worker that is never freed, on the worker's own thread.
        unsafe { CURRENT.get().as_ref() }
    }

    pub(super) fn seat(&self) -> &'static Seat {
        self.seat
    }

    /// The goroutine that runs now; `None` in the worker's own loop.
    #[inline]
    pub(crate) fn current_task(&self) -> Option<TaskRef> {
        self.current.get().map(|(task, _)| task)
    }

    // --- for goroutines that run on this worker ---

    pub(super) fn spawn(&self, task: TaskRef) {
        self.note_spawn();
        self.fresh.push(task);
    }

    /// Queues a goroutine that nobody else may start.
    pub(crate) fn spawn_local(&self, task: TaskRef) {
        self.note_spawn();
        self.seat.books.place();
        self.ready.borrow_mut().push_back(task);
    }

    fn note_spawn(&self) {
        self.seat.books.spawn();
        if let Some(task) = self.current_task() {
            // SAFETY: the goroutine that runs holds a reference.
            let task = unsafe { task.get() };
            if !task.parent.replace(true) {
                self.seat.books.become_parent();
            }
        }
    }

    /// The current goroutine has run to its end (its result is not seen by others yet).
    pub(crate) fn note_finish(&self) {
        if let Some(task) = self.current_task() {
            // SAFETY: the goroutine that runs holds a reference.
            let parent = unsafe { task.get() }.parent.get();
            self.seat.books.finish(parent);
            // What is left to do is short, and its load is gone already.
            self.seat.books.set_busy(false);
        }
    }

    /// Makes a parked goroutine of this worker runnable.
    #[inline]
    pub(super) fn make_ready(&self, task: TaskRef) {
        self.ready.borrow_mut().push_back(task);
    }

    /// Lets the others run first.
    pub(crate) fn yield_now(&self) {
        if let Some(task) = self.current_task() {
            self.make_ready(task);
            self.suspend();
        }
    }

    /// Leaves the current goroutine's stack until somebody makes it runnable.
    #[inline]
    pub(super) fn suspend(&self) {
        let Some((_, fiber)) = self.current.get() else {
            unreachable!("only a goroutine suspends");
        };
        // SAFETY: `current` says that the calling code runs on this fiber, which is alive as long as it runs.
        unsafe { fiber.as_ref().suspend() }
    }

    /// # Safety
    /// The parker stays where it is until the timer has fired or been removed.
    pub(super) unsafe fn add_timer(&self, deadline: Instant, parker: &Parker) -> TimerKey {
        self.timers.borrow_mut().add(deadline, parker)
    }

    pub(super) fn remove_timer(&self, key: TimerKey) {
        self.timers.borrow_mut().remove(key);
    }

    /// Whether a goroutine that is about to block should look for its wake-up for a moment: nothing else can run here,
    /// somebody else is awake to wake it, and it has paid off of late.
    #[inline]
    pub(super) fn worth_spinning(&self) -> bool {
        let credit = self.spin_credit.get();
        if credit <= 0 {
            // Try again now and then.
            self.spin_credit
                .set(if credit <= -32 { 1 } else { credit - 1 });
            return false;
        }
        self.runtime.seats.len() > 1
            && self.ready.borrow().is_empty()
            && self.fresh.is_empty()
            && !self.seat.has_mail()
            && self.runtime.idle.sleepers() + 1 < self.runtime.seats.len()
    }

    pub(super) fn note_spin(&self, paid: bool) {
        let credit = self.spin_credit.get();
        self.spin_credit
            .set(if paid { 8.min(credit + 2) } else { credit - 1 });
    }

    // --- the loop ---

    pub(super) fn run(&self) {
        CURRENT.set(self);
        self.seat.sit_down();
        let mut idle_since = None;
        loop {
            if let Some(task) = self.next() {
                idle_since = None;
                self.stop_searching();
                self.execute(task);
                continue;
            }
            let since = *idle_since.get_or_insert_with(clock::now);
            if clock::now() - since < self.look_for.get() && self.start_searching() {
                for _ in 0..4 {
                    hint::spin_loop();
                }
            } else {
                self.sleep();
                // Work that came soon after would have been worth looking for.
                let soon = clock::now() - since < 2 * LONG_LOOK;
                self.look_for.set(if soon { LONG_LOOK } else { SHORT_LOOK });
                idle_since = None;
            }
        }
    }

    /// What to run next, from here or from elsewhere.
    #[inline]
    fn next(&self) -> Option<TaskRef> {
        let tick = self.ticks.get().wrapping_add(1);
        self.ticks.set(tick);
        if tick.is_multiple_of(ROUND) {
            self.collect_mail();
            self.fire_timers();
        }
        if tick.is_multiple_of(HELD_ROUND) && self.runtime.has_held.load(Ordering::Relaxed) {
            // Somebody leaves work to those who have less, perhaps to this one.
            self.runtime.has_held.store(false, Ordering::Relaxed);
            self.steal();
        }
        // In turn, so that neither those who yield all the time nor those who spawn all the time keep the others out.
        let found = if tick.is_multiple_of(2) {
            self.next_ready().or_else(|| self.next_fresh(tick))
        } else {
            self.next_fresh(tick).or_else(|| self.next_ready())
        };
        found.or_else(|| self.next_elsewhere(tick))
    }

    #[inline]
    fn next_ready(&self) -> Option<TaskRef> {
        self.ready.borrow_mut().pop_front()
    }

    fn next_elsewhere(&self, tick: u32) -> Option<TaskRef> {
        if self.seat.has_mail() {
            self.collect_mail();
        }
        self.fire_timers();
        self.next_ready().or_else(|| {
            if !self.fibers.borrow().is_empty() {
                self.retry_stackless();
            }
            if self.steal() {
                self.next_fresh(tick)
            } else {
                None
            }
        })
    }

    /// One that has not started, if this worker is the one to start it.
    #[inline]
    fn next_fresh(&self, tick: u32) -> Option<TaskRef> {
        if self.fresh.is_empty() || !self.may_start() {
            return None;
        }
        // The newest first keeps trees of goroutines small; now and then the oldest, so that none starves.
        let oldest = if tick % ROUND < 2 {
            self.seat.fresh.steal().success()
        } else {
            None
        };
        let task = oldest.or_else(|| self.fresh.pop())?;
        self.seat.books.place();
        Some(task)
    }

    /// Whether this worker may start one from its own queue.
    fn may_start(&self) -> bool {
        let load = self.seat.books.load();
        let others = self.runtime.seats.len() - 1;
        if placement::may_start_anyway(load, others, self.fresh.len()) {
            self.held.replace(None);
            return true;
        }
        let survey = self.runtime.survey(self.index);
        if survey.may_start(load) {
            self.held.replace(None);
            return true;
        }
        self.leave_to_others(&survey, load)
    }

    /// Something waits that a worker with less to do should start. `true`: all of those are kept busy, so this one may.
    #[cold]
    fn leave_to_others(&self, survey: &Survey, load: usize) -> bool {
        let seats = &self.runtime.seats;
        let mut held = self.held.borrow_mut();
        let held = held.get_or_insert_with(|| Held::new(seats.iter().map(Seat::computed)));
        if held.is_overdue(survey, load, |index| seats[index].computed()) {
            return true;
        }
        self.runtime.has_held.store(true, Ordering::Relaxed);
        // One that looks for work takes it, or calls the next before it sleeps.
        let idle = &self.runtime.idle;
        if idle.sleepers() > 0 && idle.searching() <= usize::from(self.searching.get()) {
            self.runtime.call_one();
        }
        false
    }

    /// Brings some of what waits elsewhere to the own queue. `true`: there may be something now.
    fn steal(&self) -> bool {
        let runtime = self.runtime;
        if !runtime.has_fresh() {
            // What was held has found its worker; what comes next starts with its own patience.
            self.held.replace(None);
            return false;
        }
        let injected = runtime.injector.len();
        if injected > 0 {
            let share = self.share(injected);
            if share > 0 {
                let stolen = runtime.injector.steal_batch_with_limit(&self.fresh, share);
                if !stolen.is_empty() {
                    return true;
                }
            }
        }
        let count = runtime.seats.len();
        for i in 1..count {
            let victim = &runtime.seats[(self.index + i) % count];
            let waiting = victim.fresh.len();
            if waiting > 0 {
                let share = self.share(waiting);
                if share > 0 {
                    let stolen = victim.fresh.steal_batch_with_limit(&self.fresh, share);
                    if !stolen.is_empty() {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// How many this worker should take from a queue with `waiting`.
    fn share(&self, waiting: usize) -> usize {
        let load = self.seat.books.load();
        let survey = self.runtime.survey(self.index);
        let share = survey.share(load, waiting);
        if share > 0 {
            return share;
        }
        usize::from(self.leave_to_others(&survey, load))
    }

    fn collect_mail(&self) {
        let mut ready = self.ready.borrow_mut();
        let drained = self.seat.inbox().drain(|task| ready.extend(task));
        debug_assert!(!drained.called, "only a sleeping worker is called");
    }

    fn fire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = clock::now();
        while let Some(parker) = {
            let mut timers = self.timers.borrow_mut();
            timers.pop_due(now)
        } {
            // SAFETY: the goroutine that added the timer is parked on this worker until it removes it.
            if let Some(task) = unsafe { parker.as_ref().time_out() } {
                self.make_ready(task);
            }
        }
    }

    /// Runs one goroutine until it parks, yields or ends.
    #[inline]
    fn execute(&self, task: TaskRef) {
        // SAFETY: the scheduler's reference is held until the goroutine has ended.
        let started = unsafe { task.get() }.fiber.get();
        let Some(fiber) = started.or_else(|| self.start(task)) else {
            return;
        };
        self.current.set(Some((task, fiber)));
        self.seat.books.set_busy(true);
        // SAFETY: this is the worker's loop, and the fiber is its own: it was started above, or here earlier.
        let ended = unsafe { fiber.as_ref().resume() };
        self.seat.books.set_busy(false);
        self.current.set(None);
        if ended {
            self.recycle(fiber);
        }
    }

    /// Gives a task its stack.
    fn start(&self, task: TaskRef) -> Option<NonNull<Fiber>> {
        // SAFETY: the scheduler's reference is held until the goroutine has ended.
        let header = unsafe { task.get() };
        let default = self.runtime.default_stack_size();
        let size = header.stack_size().unwrap_or(default);
        let idle = if size == default {
            self.fibers.borrow_mut().pop()
        } else {
            None
        };
        let fiber = match idle {
            Some(fiber) => fiber,
            None => match Stack::new(size) {
                Ok(stack) => Fiber::new(stack),
                Err(error) => {
                    self.wait_for_stack(task, size, &error);
                    return None;
                }
            },
        };
        if self.runtime.out_of_stacks.load(Ordering::Relaxed) {
            let short = !self.stackless.borrow().is_empty();
            self.runtime.out_of_stacks.store(short, Ordering::Relaxed);
        }
        header.fiber.set(Some(fiber));
        // SAFETY: the fiber is idle and ours.
        unsafe { fiber.as_ref() }.assign(task);
        self.seat.books.start();
        Some(fiber)
    }

    #[cold]
    fn wait_for_stack(&self, task: TaskRef, size: usize, error: &io::Error) {
        if !self.runtime.out_of_stacks.swap(true, Ordering::Relaxed) {
            // Memory is short, so none is allocated; and one write keeps the message in one piece.
            let mut text = io::Cursor::new([0; 512]);
            let _ = writeln!(
                text,
                "go-runtime: no memory for a stack of {size} bytes ({error}). The goroutine waits until another one ends, \
                 and new ones are refused meanwhile. Raise the limit on memory (ulimit -v) or on mappings \
                 (vm.max_map_count), set a smaller GOSTACK, or run fewer goroutines at once."
            );
            let length = text.position() as usize;
            let _ = io::stderr().write_all(&text.get_ref()[..length]);
        }
        self.stackless.borrow_mut().push_back(task);
    }

    /// Queues those that wait for a stack again.
    fn retry_stackless(&self) {
        let waiting = self.stackless.take();
        self.ready.borrow_mut().extend(waiting);
    }

    fn recycle(&self, fiber: NonNull<Fiber>) {
        let mut idle = self.fibers.borrow_mut();
        // SAFETY: idle, and this worker's.
        let size = unsafe { fiber.as_ref() }.stack_size();
        if idle.len() < IDLE_FIBERS && size == self.runtime.default_stack_size() {
            idle.push(fiber);
        } else {
            // SAFETY: its task has ended, and this is the worker's loop.
            unsafe { Fiber::destroy(fiber) };
        }
    }

    // --- idleness ---

    /// `false`: enough others are looking already.
    fn start_searching(&self) -> bool {
        if !self.searching.get() {
            let others = self.runtime.idle.searching();
            if others > 0 && others * 2 >= self.runtime.seats.len() {
                return false;
            }
            self.runtime.idle.start_searching();
            self.searching.set(true);
        }
        true
    }

    #[inline]
    fn stop_searching(&self) {
        let was_last = self.searching.replace(false) && self.runtime.idle.stop_searching();
        if was_last && self.runtime.has_fresh() {
            self.runtime.announce_work();
        }
    }

    fn sleep(&self) {
        let inbox = self.seat.inbox();
        let idle = &self.runtime.idle;
        idle.add_sleeper();
        if !inbox.fall_asleep() {
            idle.remove_sleeper();
            return;
        }
        idle.last_look(self.searching.replace(false));
        if self.steal() || !self.fresh.is_empty() && self.may_start() {
            self.get_up();
            return;
        }
        if !self.runtime.has_fresh() {
            self.held.replace(None);
        }
        let alarm = self.alarm();
        while inbox.is_asleep() {
            match alarm {
                None => thread::park(),
                Some(alarm) => {
                    let now = clock::now();
                    if alarm <= now {
                        break;
                    }
                    thread::park_timeout(alarm - now);
                }
            }
        }
        self.get_up();
        // Another worker, or the rest of the process, may have given memory back.
        self.retry_stackless();
    }

    fn get_up(&self) {
        if self.seat.inbox().wake_up() {
            self.runtime.idle.remove_sleeper();
            return;
        }
        let mut ready = self.ready.borrow_mut();
        let drained = self.seat.inbox().drain(|task| ready.extend(task));
        if drained.called {
            // Who called has counted us.
            self.searching.set(true);
        }
    }

    /// When a sleeping worker has to get up by itself.
    fn alarm(&self) -> Option<Instant> {
        let timer = self.timers.borrow().next();
        let held = self.held.borrow().as_ref().map(Held::next_look);
        let stack = (!self.stackless.borrow().is_empty()).then(|| clock::now() + STACK_RETRY);
        [timer, held, stack].into_iter().flatten().min()
    }
}
