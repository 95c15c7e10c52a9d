//! A worker's seat: what the other threads see of it.
//!
//! A seat lasts for ever, as its worker does. Any thread may use its [`Rest`] and its queues. The
//! counters of [`Load`] and [`Books`] are written by the worker alone, except for two marks that
//! name their writers.

use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_deque::{Injector, Stealer};
use crossbeam_utils::CachePadded;

use super::delayed::Delayed;
use super::fiber::Fiber;
use super::inbox::Node;
use super::label::Label;
use super::load::{Load, Period};
use super::placement::View;
use super::poller::Place;
use super::rest::Rest;
use super::runtime::Runtime;
use super::task::TaskRef;
use crate::clock::{self, ThreadClock};
use crate::primitives::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering,
};

pub(crate) struct Seat {
    pub(super) rest: Rest<Option<NonNull<Fiber>>>,
    /// The thieves' end of the worker's own queue of unstarted tasks.
    pub(super) fresh: Stealer<TaskRef>,
    /// Unstarted tasks that other workers have sent to it; any worker may take them.
    pub(super) sent: Injector<TaskRef>,
    pub(super) load: CachePadded<Load>,
    /// Tasks that are to be queued later.
    pub(super) delayed: Delayed,
    /// When the first timer of a goroutine of the worker is due.
    pub(super) alarm: Alarm,
    /// The worker's other counters, and marks of its turns.
    pub(super) books: CachePadded<Books>,
    /// Where it waits for descriptors.
    pub(super) poller: Place,
    thread: OnceLock<(Thread, ThreadClock)>,
    /// The monitor asks the worker to give back memory that it does not need.
    trim_wanted: AtomicBool,
}

/// A worker's counters. The worker alone writes them, so they need no read-modify-write, and two
/// marks of its turns, which others write.
#[derive(Default)]
pub(super) struct Books {
    /// How many goroutines have run to their end.
    finished: AtomicUsize,
    /// How often the worker has searched its queues for something to run: its *turn*.
    turns: AtomicUsize,
    /// The label of the running goroutine; null in the worker's own loop.
    running: AtomicPtr<()>,
    /// The ends of the run queue.
    pub(super) ready: QueueEnds,
    /// Number of tasks that have not started, and that this worker alone may start.
    local: AtomicUsize,
    /// Why the running goroutine cannot park, as a [`Wait`]; 0 if it can, or is not known to wait.
    wait: AtomicU8,
    /// The latest turn in which a goroutine has held the worker. Written by the monitor.
    held_in: AtomicUsize,
    /// The latest turn for whose end an idle worker has waited too long. Written by such workers.
    long_in: AtomicUsize,
}

/// How many goroutines have ever been put into a worker's run queue, and been taken out. The worker
/// alone writes them.
#[derive(Default)]
pub(super) struct QueueEnds {
    pushed: AtomicUsize,
    popped: AtomicUsize,
}

impl QueueEnds {
    #[inline(always)]
    pub(super) fn pushed(&self) -> usize {
        self.pushed.load(Ordering::Relaxed)
    }
    #[inline(always)]
    pub(super) fn popped(&self) -> usize {
        self.popped.load(Ordering::Relaxed)
    }
    #[inline(always)]
    pub(super) fn set_pushed(&self, pushed: usize) {
        self.pushed.store(pushed, Ordering::Relaxed);
    }
    #[inline(always)]
    pub(super) fn set_popped(&self, popped: usize) {
        self.popped.store(popped, Ordering::Relaxed);
    }
    /// The length of the queue. For other threads, of a worker that runs, it may be a moment old.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.pushed().wrapping_sub(self.popped())
    }
}

/// Why a goroutine blocks the thread where it would be parked otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// It panics: a panic hook or, while it unwinds, a `Drop` waits.
    WhilePanicking = 1,
    /// It is within `without_parking`.
    WithoutParking = 2,
}

fn add(counter: &AtomicUsize, n: usize) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(n),
        Ordering::Release,
    );
}

impl Books {
    pub(super) fn finish(&self) {
        add(&self.finished, 1);
    }
    /// Begins a turn, and returns its number.
    #[inline]
    pub(super) fn next_turn(&self) -> usize {
        let turn = self.turns.load(Ordering::Relaxed).wrapping_add(1);
        self.turns.store(turn, Ordering::Relaxed);
        turn
    }
    pub(super) fn turn(&self) -> usize {
        self.turns.load(Ordering::Relaxed)
    }
    /// Notes that the worker runs a goroutine with this label.
    #[inline]
    pub(super) fn run(&self, label: Label) {
        // What the label refers to has been written before; the monitor reads it.
        self.running.store(label.as_ptr(), Ordering::Release);
    }
    #[inline]
    pub(super) fn run_none(&self) {
        self.running.store(ptr::null_mut(), Ordering::Relaxed);
    }
    /// Returns whether the running goroutine holds the worker, so that nothing new should start
    /// here.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        // (A worker that has not run anything is in turn 0, and so is the mark.)
        let turn = self.turn();
        turn > 0 && self.held_in.load(Ordering::Relaxed) == turn
    }
    /// Returns whether an idle worker has waited in vain for the end of the worker's turn.
    pub(super) fn is_in_long_turn(&self) -> bool {
        let turn = self.turn();
        turn > 0 && self.long_in.load(Ordering::Relaxed) == turn
    }
    /// Notes that an idle worker, the caller, has waited in vain for the end of the turn `turn`.
    pub(super) fn set_long_turn(&self, turn: usize) {
        self.long_in.store(turn, Ordering::Relaxed);
    }
    /// Notes, for the monitor, that the goroutine of the turn `turn` holds the worker.
    pub(super) fn set_held(&self, turn: usize) {
        self.held_in.store(turn, Ordering::Relaxed);
    }
    pub(super) fn running(&self) -> Option<Label> {
        // SAFETY: null, or stored by `run`.
        unsafe { Label::from_ptr(self.running.load(Ordering::Acquire)) }
    }
    pub(super) fn set_local(&self, count: usize) {
        self.local.store(count, Ordering::Relaxed);
    }
    /// Number of goroutines that only this worker can run, and that could run now, not counting
    /// those in its inbox or with a timer.
    pub(super) fn runnable(&self) -> usize {
        self.ready.len() + self.local.load(Ordering::Relaxed)
    }
    /// Notes why the running goroutine cannot park from here on; `None` if it can.
    pub(super) fn set_wait(&self, wait: Option<Wait>) {
        self.wait
            .store(wait.map_or(0, |wait| wait as u8), Ordering::Relaxed);
    }
    /// Why the running goroutine cannot park, as far as that has been noted.
    pub(super) fn wait(&self) -> Option<Wait> {
        match self.wait.load(Ordering::Relaxed) {
            0 => None,
            wait if wait == Wait::WhilePanicking as u8 => Some(Wait::WhilePanicking),
            _ => Some(Wait::WithoutParking),
        }
    }
    pub(super) fn finished(&self) -> usize {
        self.finished.load(Ordering::Acquire)
    }
}

/// The moment at which the first timer of a worker is due, for other threads. The worker alone
/// writes it.
pub(super) struct Alarm {
    base: Instant,
    /// Nanoseconds from `base` on; `u64::MAX` if there is no timer.
    due: AtomicU64,
}

impl Alarm {
    fn new() -> Alarm {
        Alarm {
            base: clock::now(),
            due: AtomicU64::new(u64::MAX),
        }
    }

    pub(super) fn base(&self) -> Instant {
        self.base
    }

    /// `due` is in nanoseconds from [`base`](Self::base) on.
    #[inline]
    pub(super) fn set(&self, due: Option<u64>) {
        self.due.store(due.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_due(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.base).as_nanos();
        now >= u128::from(self.due.load(Ordering::Relaxed))
    }
}

impl Seat {
    pub(super) fn new(fresh: Stealer<TaskRef>) -> Seat {
        Seat {
            rest: Rest::new(),
            fresh,
            sent: Injector::new(),
            load: CachePadded::default(),
            delayed: Delayed::new(),
            alarm: Alarm::new(),
            books: CachePadded::default(),
            poller: Place::default(),
            thread: OnceLock::new(),
            trim_wanted: AtomicBool::new(false),
        }
    }

    /// Whether new goroutines may start here and none is parked here.
    pub(super) fn is_empty(&self) -> bool {
        self.takes_on() && self.load.live() == 0
    }

    /// Returns whether new goroutines may start here.
    #[inline]
    pub(super) fn takes_on(&self) -> bool {
        !self.rest.is_retired() && !self.books.is_held()
    }

    /// The worker as others see it in this period.
    pub(super) fn view(&self, index: usize, now: Period) -> View {
        let active = self.load.read(now);
        View {
            index,
            leaves: active.leaves,
            parents: active.parents > 0,
            sent: self.sent.len(),
            live: active.live,
            busy: self.books.running().is_some(),
            turn: self.books.turn(),
            asleep: self.rest.is_asleep(),
        }
    }

    /// Returns whether any task waits in this worker's queues.
    pub(super) fn has_unstarted(&self) -> bool {
        !self.fresh.is_empty() || !self.sent.is_empty()
    }

    /// Puts goroutines of this worker, woken by another thread, into its inbox: a chain (see
    /// [`Rest::push`]).
    ///
    /// # Safety
    /// As for [`Rest::push`].
    #[inline]
    pub(super) unsafe fn deliver(
        &self,
        last: *const Node<Option<NonNull<Fiber>>>,
        first: *const Node<Option<NonNull<Fiber>>>,
    ) {
        // SAFETY: the caller upholds the contract of `Rest::push`, which is this function's.
        if unsafe { self.rest.push(last, first, &Runtime::of_part().idle) } {
            self.wake_thread();
        }
    }

    /// Calls the sleeping worker to search for work; the caller has counted it as searching.
    /// Returns whether the worker was asleep.
    pub(super) fn call(&self) -> bool {
        let called = self.rest.call(&Runtime::of_part().idle);
        if called {
            self.wake_thread();
        }
        called
    }

    pub(super) fn sit_down(&self) {
        // Set once, by the one thread that sits here.
        let _ = self
            .thread
            .set((thread::current(), ThreadClock::of_this_thread()));
    }

    fn wake_thread(&self) {
        // A worker's thread is known before the worker first sleeps. It sleeps in its poller, or
        // parked if there was no poller when it fell asleep, and there may be one by now.
        if let Some(poller) = self.poller.get() {
            poller.wake();
        }
        if let Some((thread, _)) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Returns how long its thread has computed, if the system says so.
    pub(super) fn computed(&self) -> Option<Duration> {
        self.thread.get().and_then(|(_, clock)| clock.read())
    }

    /// Returns whether its thread is blocked in the system, if the system says so.
    pub(super) fn is_blocked(&self) -> Option<bool> {
        self.thread.get().and_then(|(_, clock)| clock.is_blocked())
    }

    /// Returns how many goroutines that only this worker can run could run now, for as long as its
    /// running goroutine lets them: at least so many.
    pub(super) fn waiting(&self, now: Instant) -> usize {
        let unseen = self.rest.has_mail() || self.alarm.is_due(now);
        self.books.runnable() + usize::from(unseen)
    }

    /// Returns in which call of the system its thread is, if it is in one and the system says so.
    pub(super) fn system_call(&self) -> Option<String> {
        self.thread.get().and_then(|(_, clock)| clock.system_call())
    }

    pub(super) fn want_trim(&self) {
        self.trim_wanted.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_trim_wanted(&self) -> bool {
        self.trim_wanted.load(Ordering::Relaxed)
    }

    pub(super) fn note_trimmed(&self) {
        self.trim_wanted.store(false, Ordering::Relaxed);
    }
}
