//! A worker's seat: what the other threads see of it.
//!
//! A seat lasts for ever, as its worker does. The inbox is for everybody, the counters are written by the worker alone, and
//! what the worker is in for ([`Seat::takes_on`]) is the monitor's to say.

use std::panic::Location;
use std::ptr;
use std::sync::OnceLock;
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_deque::Stealer;
use crossbeam_utils::CachePadded;

use super::inbox::{Inbox, Node};
use super::placement;
use super::runtime::Runtime;
use super::task::TaskRef;
use crate::clock::ThreadClock;
use crate::primitives::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, fence};

/// One goroutine has held the worker for long: nothing new should come here.
const HELD: u8 = 1;
/// There are enough workers without this one: it runs what has started here, and takes on nothing new.
const RETIRED: u8 = 2;

pub(crate) struct Seat {
    inbox: CachePadded<Inbox<Option<TaskRef>>>,
    /// What the worker has not started yet; others may take it.
    pub(super) fresh: Stealer<TaskRef>,
    /// Counters that only the worker itself writes.
    pub(super) books: CachePadded<Books>,
    thread: OnceLock<(Thread, ThreadClock)>,
    /// `HELD`, `RETIRED`, both or none; written by the monitor.
    standing: AtomicU8,
    /// While it sleeps: whether it is counted among those who can be called. Written by the worker before it says that it sleeps.
    counted: AtomicBool,
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
            inbox: CachePadded::new(Inbox::new()),
            fresh,
            books: CachePadded::default(),
            thread: OnceLock::new(),
            standing: AtomicU8::new(0),
            counted: AtomicBool::new(false),
            trim_wanted: AtomicBool::new(false),
        }
    }

    pub(super) fn inbox(&self) -> &Inbox<Option<TaskRef>> {
        &self.inbox
    }

    #[inline]
    pub(super) fn has_mail(&self) -> bool {
        self.inbox.has_mail()
    }

    /// Puts goroutines of this worker, woken by another thread, into its inbox: a chain (see [`Inbox::push`]).
    ///
    /// # Safety
    /// As for [`Inbox::push`].
    #[inline]
    pub(super) unsafe fn deliver(
        &self,
        last: *const Node<Option<TaskRef>>,
        first: *const Node<Option<TaskRef>>,
    ) {
        // SAFETY: passed on.
        if unsafe { self.inbox.push(last, first) } {
            self.leave_sleepers();
            self.wake_thread();
        }
    }

    /// The worker says that it sleeps. Unless it has retired it is counted among those who can be called. `false`: it must not sleep.
    pub(super) fn fall_asleep(&self) -> bool {
        let retired = self.is_retired();
        self.counted.store(!retired, Ordering::Relaxed);
        if !retired {
            Runtime::get().idle.add_sleeper();
        }
        if !self.inbox.fall_asleep() {
            self.leave_sleepers();
            return false;
        }
        // Against the monitor, which changes the standing and then calls who sleeps: one of the two sees the other's write.
        fence(Ordering::SeqCst);
        if self.is_retired() != retired {
            let _ = self.wake_up();
            return false;
        }
        true
    }

    /// The worker does not want to sleep any more. `false`: somebody else has woken it.
    pub(super) fn wake_up(&self) -> bool {
        let woke = self.inbox.wake_up();
        if woke {
            self.leave_sleepers();
        }
        woke
    }

    /// For the one, and the only one, who has ended the worker's sleep.
    fn leave_sleepers(&self) {
        // Written before the inbox said that it sleeps, which we have read.
        if self.counted.load(Ordering::Relaxed) {
            Runtime::get().idle.remove_sleeper();
        }
    }

    /// Calls the sleeping worker; who calls has counted it as searching. `false`: it does not sleep.
    pub(super) fn call(&self) -> bool {
        fence(Ordering::SeqCst);
        let called = self.inbox.call();
        if called {
            self.leave_sleepers();
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

    /// Whether it is in for new goroutines.
    #[inline]
    pub(super) fn takes_on(&self) -> bool {
        self.standing.load(Ordering::Relaxed) == 0
    }

    pub(super) fn is_held(&self) -> bool {
        self.standing.load(Ordering::Relaxed) & HELD != 0
    }

    pub(super) fn set_held(&self, held: bool) {
        self.set_standing(HELD, held);
    }

    #[inline]
    pub(super) fn is_retired(&self) -> bool {
        self.standing.load(Ordering::Relaxed) & RETIRED != 0
    }

    pub(super) fn set_retired(&self, retired: bool) {
        self.set_standing(RETIRED, retired);
    }

    fn set_standing(&self, bit: u8, on: bool) {
        if on {
            self.standing.fetch_or(bit, Ordering::SeqCst);
        } else {
            self.standing.fetch_and(!bit, Ordering::SeqCst);
        }
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
