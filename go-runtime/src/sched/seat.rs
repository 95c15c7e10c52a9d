//! A worker's seat: what the other threads see of it.
//!
//! A seat lasts for ever, as its worker does. Its [`Rest`] is for everybody, the counters are written by the worker alone.

use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_deque::Stealer;
use crossbeam_utils::CachePadded;

use super::delayed::Delayed;
use super::fiber::Fiber;
use super::inbox::Node;
use super::placement;
use super::poller::Place;
use super::rest::Rest;
use super::runtime::Runtime;
use super::task::TaskRef;
use crate::clock::ThreadClock;
use crate::primitives::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

pub(crate) struct Seat {
    pub(super) rest: Rest<Option<NonNull<Fiber>>>,
    /// What the worker has not started yet; others may take it.
    pub(super) fresh: Stealer<TaskRef>,
    /// What is to be started later.
    pub(super) delayed: Delayed,
    /// Counters that only the worker itself writes.
    pub(super) books: CachePadded<Books>,
    /// Where it waits for descriptors.
    pub(super) poller: Place,
    thread: OnceLock<(Thread, ThreadClock)>,
    /// The monitor wants it to look whether it has memory to give back.
    trim_wanted: AtomicBool,
}

/// A worker's counters. It alone writes them, so they need no read-modify-write.
#[derive(Default)]
pub(super) struct Books {
    spawned: AtomicUsize,
    /// Those that this worker has taken upon itself to start.
    placed: AtomicUsize,
    finished: AtomicUsize,
    /// How often it has looked for something to run.
    ticks: AtomicUsize,
    /// Where the goroutine that it runs was spawned; null in its own loop.
    running: AtomicPtr<Location<'static>>,
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
    pub(super) fn become_parent(&self) {
        add(&self.leaves, 1_usize.wrapping_neg());
        add(&self.parents, 1);
    }
    pub(super) fn finish(&self, parent: bool) {
        add(&self.finished, 1);
        let kind = if parent { &self.parents } else { &self.leaves };
        add(kind, 1_usize.wrapping_neg());
    }
    /// Counts one look for something to run, and returns the number of it.
    #[inline]
    pub(super) fn tick(&self) -> usize {
        let tick = self.ticks.load(Ordering::Relaxed).wrapping_add(1);
        self.ticks.store(tick, Ordering::Relaxed);
        tick
    }
    pub(super) fn ticks(&self) -> usize {
        self.ticks.load(Ordering::Relaxed)
    }
    /// It runs a goroutine that was spawned there.
    #[inline]
    pub(super) fn run(&self, spawned_at: &'static Location<'static>) {
        let site = ptr::from_ref(spawned_at).cast_mut();
        self.running.store(site, Ordering::Relaxed);
    }
    #[inline]
    pub(super) fn run_none(&self) {
        self.running.store(ptr::null_mut(), Ordering::Relaxed);
    }
    pub(super) fn running(&self) -> Option<&'static Location<'static>> {
        // SAFETY: null, or a location, which is there for ever and never changes.
        unsafe { self.running.load(Ordering::Relaxed).as_ref() }
    }
    pub(super) fn load(&self) -> usize {
        placement::load(
            self.leaves.load(Ordering::Acquire),
            self.parents.load(Ordering::Acquire),
        )
    }
    pub(super) fn spawned(&self) -> usize {
        self.spawned.load(Ordering::Acquire)
    }
    pub(super) fn placed(&self) -> usize {
        self.placed.load(Ordering::Acquire)
    }
    pub(super) fn finished(&self) -> usize {
        self.finished.load(Ordering::Acquire)
    }
}

impl Seat {
    pub(super) fn new(fresh: Stealer<TaskRef>) -> Seat {
        Seat {
            rest: Rest::new(),
            fresh,
            delayed: Delayed::new(),
            books: CachePadded::default(),
            poller: Place::default(),
            thread: OnceLock::new(),
            trim_wanted: AtomicBool::new(false),
        }
    }

    /// Puts goroutines of this worker, woken by another thread, into its inbox: a chain (see [`Rest::push`]).
    ///
    /// # Safety
    /// As for [`Rest::push`].
    #[inline]
    pub(super) unsafe fn deliver(
        &self,
        last: *const Node<Option<NonNull<Fiber>>>,
        first: *const Node<Option<NonNull<Fiber>>>,
    ) {
        // SAFETY: passed on.
        if unsafe { self.rest.push(last, first, &Runtime::get().idle) } {
            self.wake_thread();
        }
    }

    /// Calls the sleeping worker; who calls has counted it as searching. `false`: it does not sleep.
    pub(super) fn call(&self) -> bool {
        let called = self.rest.call(&Runtime::get().idle);
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
        // A worker that sleeps has sat down before.
        // In one of two places: if it fell asleep when there was no poller, there may be one by now.
        if let Some(poller) = self.poller.get() {
            poller.wake();
        }
        if let Some((thread, _)) = self.thread.get() {
            thread.unpark();
        }
    }

    /// How long its thread has computed, if the system says so.
    pub(super) fn computed(&self) -> Option<Duration> {
        self.thread.get().and_then(|(_, clock)| clock.read())
    }

    /// Whether its thread waits for something, if the system says so.
    pub(super) fn is_blocked(&self) -> Option<bool> {
        self.thread.get().and_then(|(_, clock)| clock.is_blocked())
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
