//! A worker's seat: what the other threads see of it.
//!
//! A seat lasts for ever, as its worker does. Its [`Rest`] is for everybody, the counters are
//! written by the worker alone.

use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_deque::{Injector, Stealer};
use crossbeam_utils::CachePadded;

use super::delayed::Delayed;
use super::fiber::Fiber;
use super::inbox::Node;
use super::load::{Load, Period};
use super::placement::View;
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
    /// What other workers have sent to it to be started; others may take it as well.
    pub(super) sent: Injector<TaskRef>,
    pub(super) load: CachePadded<Load>,
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
    finished: AtomicUsize,
    /// How often it has looked for something to run.
    turns: AtomicUsize,
    /// Where the goroutine that it runs was spawned; null in its own loop.
    running: AtomicPtr<Location<'static>>,
    /// The turn in which one goroutine has held the worker for long. Written by the monitor.
    held_in: AtomicUsize,
    /// The turn whose goroutine another worker has been waiting for. Written by that worker.
    long_in: AtomicUsize,
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
    /// Counts one look for something to run, and returns the number of it.
    #[inline]
    pub(super) fn next_turn(&self) -> usize {
        let turn = self.turns.load(Ordering::Relaxed).wrapping_add(1);
        self.turns.store(turn, Ordering::Relaxed);
        turn
    }
    pub(super) fn turn(&self) -> usize {
        self.turns.load(Ordering::Relaxed)
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
    /// Whether the goroutine that it runs has held it for long, so that nothing new should start
    /// here.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        // (A worker that has not run anything is in turn 0, and so is the mark.)
        let turn = self.turn();
        turn > 0 && self.held_in.load(Ordering::Relaxed) == turn
    }
    /// Whether its turn has lasted for so long that another worker did not wait for its end.
    pub(super) fn is_in_long_turn(&self) -> bool {
        let turn = self.turn();
        turn > 0 && self.long_in.load(Ordering::Relaxed) == turn
    }
    /// For a worker that has waited for the end of the turn `turn`.
    pub(super) fn set_long_turn(&self, turn: usize) {
        self.long_in.store(turn, Ordering::Relaxed);
    }
    /// For the monitor: the goroutine that it runs, in its turn `turn`, has held it for long.
    pub(super) fn set_held(&self, turn: usize) {
        self.held_in.store(turn, Ordering::Relaxed);
    }
    pub(super) fn running(&self) -> Option<&'static Location<'static>> {
        // SAFETY: null, or a location, which is there for ever and never changes.
        unsafe { self.running.load(Ordering::Relaxed).as_ref() }
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
            sent: Injector::new(),
            load: CachePadded::default(),
            delayed: Delayed::new(),
            books: CachePadded::default(),
            poller: Place::default(),
            thread: OnceLock::new(),
            trim_wanted: AtomicBool::new(false),
        }
    }

    /// Whether new goroutines may start here.
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

    /// Whether anything waits here to be started.
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
        // SAFETY: passed on.
        if unsafe { self.rest.push(last, first, &Runtime::get().idle) } {
            self.wake_thread();
        }
    }

    /// Calls the sleeping worker; who calls has counted it as searching. `false`: it does not
    /// sleep.
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
        // A worker that sleeps has sat down before. In one of two places: if it fell asleep when
        // there was no poller, there may be one by now.
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
