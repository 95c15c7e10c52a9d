//! A worker's shared side: the state that other threads read, and the ways in which they reach the
//! worker.
//!
//! A [`WorkerShared`] lasts as long as the process, as its worker does. Any thread may push to the
//! worker's inbox and to its queues of tasks, read its counters, and wake it. Only the worker
//! writes the counters of [`Load`] and [`WorkerStats`], except for the marks whose comments name
//! other writers.

#[cfg(target_os = "linux")]
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_deque::{Injector, Stealer};
use crossbeam_utils::CachePadded;

use super::delayed::Delayed;
use super::fiber::Fiber;
#[cfg(target_os = "linux")]
use super::frames::Requests;
use super::idle::Idle;
use super::inbox::Node;
use super::load::{Load, Period};
use super::placement::View;
use super::poller::PollerSlot;
use super::recording;
use super::sleep_state::SleepState;
use super::stats::WorkerStats;
use super::tally::Tally;
use super::task::TaskRef;
use crate::clock::{self, ThreadClock};
use crate::primitives::atomic::{AtomicBool, AtomicU64, Ordering};

/// The payload of a worker's inbox: the fiber to make runnable.
pub(crate) type InboxPayload = Option<NonNull<Fiber>>;

pub(crate) struct WorkerShared {
    /// The worker's index, which no other worker has.
    index: usize,
    /// The counts of sleeping and searching workers, in which this worker is counted.
    idle: &'static Idle,
    pub(super) sleep: SleepState<InboxPayload>,
    /// The end of the worker's own queue of unstarted tasks from which other workers steal.
    pub(super) stealer: Stealer<TaskRef>,
    /// Unstarted tasks that other workers have sent here; any worker may take them.
    pub(super) sent: Injector<TaskRef>,
    pub(super) load: CachePadded<Load>,
    /// Tasks that are to be queued later.
    pub(super) delayed: Delayed,
    /// When the first timer of a parked goroutine is due.
    pub(super) alarm: Alarm,
    pub(super) stats: CachePadded<WorkerStats>,
    pub(super) tally: CachePadded<Tally>,
    /// The worker's poller, if it has one.
    pub(super) poller: PollerSlot,
    thread: OnceLock<(Thread, ThreadClock)>,
    /// The memory of the worker that only its thread uses, and that holds no unstarted task.
    #[cfg(target_os = "linux")]
    private: OnceLock<[Range<usize>; 2]>,
    /// Requests for the frames of goroutines of the worker.
    #[cfg(target_os = "linux")]
    pub(super) frames: Requests,
    /// Whether the monitor asks the worker to give back memory.
    trim_wanted: AtomicBool,
}

/// The moment at which the first timer of a worker is due. The worker writes it, and other threads
/// read it.
pub(super) struct Alarm {
    base: Instant,
    /// Nanoseconds since `base`; `u64::MAX` if there is no timer.
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

    /// Sets the moment, in nanoseconds since [`base`](Self::base).
    #[inline]
    pub(super) fn set(&self, due: Option<u64>) {
        self.due.store(due.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns whether there is a timer.
    pub(super) fn is_set(&self) -> bool {
        self.due.load(Ordering::Relaxed) != u64::MAX
    }

    fn is_due(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.base).as_nanos();
        now >= u128::from(self.due.load(Ordering::Relaxed))
    }
}

impl WorkerShared {
    pub(super) fn new(index: usize, stealer: Stealer<TaskRef>, idle: &'static Idle) -> Self {
        WorkerShared {
            index,
            idle,
            sleep: SleepState::new(),
            stealer,
            sent: Injector::new(),
            load: CachePadded::default(),
            delayed: Delayed::new(),
            alarm: Alarm::new(),
            stats: CachePadded::default(),
            tally: CachePadded::new(Tally::new()),
            poller: PollerSlot::default(),
            thread: OnceLock::new(),
            #[cfg(target_os = "linux")]
            private: OnceLock::new(),
            #[cfg(target_os = "linux")]
            frames: Requests::default(),
            trim_wanted: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(super) fn index(&self) -> usize {
        self.index
    }

    // --- goroutines that come here ---

    /// Returns whether new goroutines may start here.
    #[inline]
    pub(super) fn accepts(&self) -> bool {
        !self.sleep.is_retired() && !self.stats.is_held()
    }

    /// Returns whether new goroutines may start here and none lives here.
    pub(super) fn is_empty(&self) -> bool {
        self.accepts() && self.load.live() == 0
    }

    /// Returns the worker as others see it in this period.
    pub(super) fn view(&self, now: Period) -> View {
        let active = self.load.read(now);
        View {
            index: self.index,
            leaves: active.leaves,
            parents: active.parents > 0,
            sent: self.sent.len(),
            live: active.live,
            busy: self.stats.running().is_some(),
            turn: self.stats.turn(),
            asleep: self.sleep.is_asleep(),
        }
    }

    /// Returns whether any unstarted task waits in this worker's queues that others may take.
    #[inline]
    pub(super) fn has_unstarted(&self) -> bool {
        !self.stealer.is_empty() || !self.sent.is_empty()
    }

    /// Puts a chain of woken goroutines of this worker into the worker's inbox, and wakes the
    /// worker if it sleeps. The chain, made with [`Node::link`], goes from the `last` woken
    /// goroutine to the `first`.
    ///
    /// # Safety
    /// Each node is in no inbox, and stays valid until the worker has drained it.
    #[inline]
    pub(crate) unsafe fn deliver(
        &self,
        last: *const Node<InboxPayload>,
        first: *const Node<InboxPayload>,
    ) {
        if recording::is_on() {
            // SAFETY: the caller makes sure that each node is valid and in no inbox, and has linked
            // the nodes from `last` to `first`.
            unsafe { recording::record_unparks(last, first) };
        }
        // SAFETY: the contract of `SleepState::push` is this function's, which the caller upholds.
        if unsafe { self.sleep.push(last, first, self.idle) } {
            self.wake_thread();
        }
    }

    // --- the worker's thread ---

    /// Notifies the sleeping worker that it should search for work; the caller has counted it as
    /// searching. Returns whether the worker was asleep.
    pub(super) fn notify(&self) -> bool {
        let notified = self.sleep.notify(self.idle);
        if notified {
            self.wake_thread();
        }
        notified
    }

    /// Records the calling thread as the worker's thread. That thread calls this once, when it
    /// starts.
    pub(super) fn set_thread(&self) {
        // `set` succeeds: each worker has one thread, and that thread calls this once.
        let _ = self
            .thread
            .set((thread::current(), ThreadClock::of_this_thread()));
    }

    /// Notes which memory of the worker holds no unstarted task, and is used by its thread only.
    #[cfg(target_os = "linux")]
    pub(super) fn set_private(&self, private: [Range<usize>; 2]) {
        // `set` succeeds: a worker is made once.
        let _ = self.private.set(private);
    }

    #[cfg(target_os = "linux")]
    pub(super) fn private(&self) -> impl Iterator<Item = Range<usize>> {
        self.private.get().cloned().into_iter().flatten()
    }

    /// Returns the system's number of the worker's thread, once it has begun.
    #[cfg(target_os = "linux")]
    pub(super) fn thread_number(&self) -> Option<i32> {
        self.thread.get().map(|(_, clock)| clock.thread())
    }

    fn wake_thread(&self) {
        self.tally.note_waking();
        // `thread` is set before the worker first sleeps. The worker sleeps in its poller, or
        // parked if it had no poller when it fell asleep; it may have got one since, so this wakes
        // both.
        if let Some(poller) = self.poller.get() {
            poller.wake();
        }
        if let Some((thread, _)) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Returns how long the thread has computed, if the system says so.
    pub(super) fn computed(&self) -> Option<Duration> {
        self.thread.get().and_then(|(_, clock)| clock.read())
    }

    /// Returns whether the thread is blocked in the system, if the system says so.
    pub(super) fn is_blocked(&self) -> Option<bool> {
        self.thread.get().and_then(|(_, clock)| clock.is_blocked())
    }

    /// Returns in which system call the thread is, if it is in one and the system says so.
    pub(super) fn system_call(&self) -> Option<String> {
        self.thread.get().and_then(|(_, clock)| clock.system_call())
    }

    /// Returns how many goroutines, at least, could run if the running one let them: those that
    /// only this worker can run.
    pub(super) fn waiting(&self, now: Instant) -> usize {
        let unseen = self.sleep.inbox_nonempty() || self.alarm.is_due(now);
        self.stats.runnable() + usize::from(unseen)
    }

    // --- giving memory back ---

    /// Asks the worker to give back memory that it does not need.
    pub(super) fn want_trim(&self) {
        self.trim_wanted.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_trim_wanted(&self) -> bool {
        self.trim_wanted.load(Ordering::Relaxed)
    }

    /// Notes that the worker has given memory back, as [`want_trim`](Self::want_trim) asked.
    pub(super) fn note_trimmed(&self) {
        self.trim_wanted.store(false, Ordering::Relaxed);
    }
}
