//! A parker: one blocked operation, and the way to end it.
//!
//! Whoever blocks makes a parker on its own stack, shows it to others (a channel's queue, a timer),
//! and calls [`Parker::park`]. Somebody claims it, writes the verdict and unparks it: exactly one,
//! exactly once. In a goroutine `park` gives the worker to the next goroutine; on a plain thread it
//! blocks the thread.
//!
//! Since a goroutine never changes its worker, a wake-up may overtake the park: it lies in the
//! worker's inbox (or in its run queue) until the goroutine is off its stack, because only then
//! does the worker look.
//!
//! An async task does neither: its parker is in memory of its future, `park` is not called, and the
//! future reads the verdict when its [`Wakeup`] says that the wait is over.
//!
//! A goroutine that is unwinding does not switch: others on this worker would see
//! `thread::panicking()`. It blocks its thread instead.
//!
//! The switch lies in the user's own code: [`Parker::park`] and all that calls it between a user's
//! `recv` and here is inlined, and what happens before and after is not. A processor predicts where
//! a function returns to by the calls that it has seen, in pairs; a switch in a function of its own
//! comes between a call and its return, twice, and each time the processor guesses wrong (a round
//! trip of two goroutines on one worker: 150 ns that way, 73 this way).

use std::cell::Cell;
use std::hint;
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Instant;

use super::fiber::Fiber;
use super::fork;
use super::handshake::Handshake;
use super::inbox::Node;
use super::seat::Seat;
use super::wakeup::Wakeup;
use super::worker::Worker;
use crate::clock;

/// How a wait ended, said by the one who claimed it. The number is the waiter's own (the arm of a
/// select).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nobody has decided yet.
    Pending,
    /// What was waited for has happened.
    Done(usize),
    /// It can no longer happen: the other side is gone.
    Closed(usize),
    /// The partner took its offer back: try again.
    Retry,
    /// The deadline came first.
    TimedOut,
}

enum Who {
    Goroutine(&'static Seat),
    Thread(Thread),
    Future(Arc<Wakeup>),
}

impl Who {
    #[cold]
    fn this_thread() -> Who {
        Who::Thread(thread::current())
    }
}

/// A woken goroutine's place in its worker's inbox.
type Delivery = (&'static Seat, *const Node<Option<NonNull<Fiber>>>);

#[repr(C)]
pub(crate) struct Parker {
    handshake: Handshake,
    verdict: Cell<Verdict>,
    who: Who,
    node: Node<Option<NonNull<Fiber>>>,
}

/// How often a blocked goroutine with nothing else to run on its worker looks before it parks:
/// about a microsecond, some round trips between two cores.
const SPINS: u32 = 100;

impl Parker {
    /// A parker for the calling goroutine or thread.
    // Inlined, and in one piece at the end, so that it is made where it stays.
    #[inline(always)]
    pub(crate) fn new() -> Parker {
        let (who, fiber, spinning) = if let Some(worker) = Worker::current()
            && let Some(fiber) = worker.current_fiber()
            && !thread::panicking()
        {
            let spinning = worker.worth_spinning();
            let fiber = Some(NonNull::from(fiber));
            (Who::Goroutine(worker.seat()), fiber, spinning)
        } else {
            (Who::this_thread(), None, false)
        };
        Parker {
            handshake: Handshake::new(spinning),
            verdict: Cell::new(Verdict::Pending),
            who,
            node: Node::new(fiber),
        }
    }

    /// A parker for a future; `wakeup` says when its wait is over.
    pub(crate) fn for_future(wakeup: Arc<Wakeup>) -> Parker {
        Parker {
            handshake: Handshake::new(false),
            verdict: Cell::new(Verdict::Pending),
            who: Who::Future(wakeup),
            node: Node::new(None),
        }
    }

    /// How a future's wait has ended. Only when its [`Wakeup`] says that it has.
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.get()
    }

    /// Takes the right to end this wait; see [`Handshake::claim`].
    #[inline]
    #[must_use]
    pub(crate) fn claim(&self) -> bool {
        self.handshake.claim()
    }

    /// Whether the right to end this wait has been taken.
    pub(crate) fn is_claimed(&self) -> bool {
        self.handshake.is_claimed()
    }

    /// Ends the wait with `verdict`.
    ///
    /// # Safety
    /// `this` is valid, the caller has claimed it, and calls this once. It may dangle as soon as
    /// this returns.
    #[inline]
    pub(crate) unsafe fn unpark(this: *const Parker, verdict: Verdict) {
        // SAFETY: valid until the blocked one goes on, which nothing here allows before its last
        // use.
        let parker = unsafe { &*this };
        if let Who::Goroutine(home) = parker.who
            && let Some(worker) = Worker::current()
            && std::ptr::eq(worker.seat(), home)
        {
            return parker.make_ready(worker, verdict);
        }
        // SAFETY: passed on.
        unsafe { Self::unpark_elsewhere(this, verdict) }
    }

    /// Ends the wait of a goroutine of the worker that runs us: so it is parked, and no other
    /// thread is concerned.
    #[inline]
    fn make_ready(&self, worker: &Worker, verdict: Verdict) {
        self.verdict.set(verdict);
        if let Some(fiber) = self.node.payload() {
            worker.make_ready(fiber);
        }
    }

    /// # Safety
    /// As for [`unpark`](Self::unpark).
    #[inline(never)]
    unsafe fn unpark_elsewhere(this: *const Parker, verdict: Verdict) {
        // SAFETY: passed on.
        if let Some((home, node)) = unsafe { Self::end(this, verdict) } {
            // SAFETY: the goroutine is parked until its worker takes the node out, and the one
            // claim makes this the only push.
            unsafe { home.deliver(node, node) };
        }
    }

    /// Ends the wait, but for a last step that is given back: to put this into that worker's inbox.
    ///
    /// # Safety
    /// As for [`unpark`](Self::unpark).
    #[inline]
    unsafe fn end(this: *const Parker, verdict: Verdict) -> Option<Delivery> {
        // SAFETY: valid until the blocked one goes on, which `finish` or the queues below allow at
        // the earliest.
        let parker = unsafe { &*this };
        parker.verdict.set(verdict);
        match &parker.who {
            Who::Goroutine(home) => {
                let home: &'static Seat = home;
                match Worker::current() {
                    Some(worker) if std::ptr::eq(worker.seat(), home) => {
                        parker.make_ready(worker, verdict);
                    }
                    _ => {
                        if parker.handshake.finish() {
                            return Some((home, &raw const parker.node));
                        }
                    }
                }
            }
            Who::Thread(thread) => {
                let thread = thread.clone();
                parker.handshake.finish_thread();
                thread.unpark();
            }
            Who::Future(wakeup) => {
                let wakeup = Arc::clone(wakeup);
                wakeup.end();
            }
        }
        None
    }

    /// Called by the worker's clock: the deadline has come.
    ///
    /// # Safety
    /// The goroutine of this parker is parked on the calling worker.
    pub(super) unsafe fn time_out(&self) -> Option<NonNull<Fiber>> {
        if self.claim() {
            self.verdict.set(Verdict::TimedOut);
            self.node.payload()
        } else {
            // Somebody was faster, and will make it runnable.
            None
        }
    }

    /// Blocks until the wait has been ended, or until `deadline`, and returns the verdict.
    // Inlined for the sake of the switch (see above).
    #[inline(always)]
    pub(crate) fn park(&self, deadline: Option<Instant>) -> Verdict {
        if let Some(fiber) = self.begin_park(deadline) {
            // SAFETY: it is the one that the caller runs on.
            unsafe { fiber.suspend() };
        }
        self.verdict.get()
    }

    /// The fiber that has to be suspended for the wait to end; `None`: it has ended.
    fn begin_park(&self, deadline: Option<Instant>) -> Option<&'static Fiber> {
        match self.who {
            Who::Goroutine(_) => {
                if self.handshake.may_spin() || deadline.is_some() {
                    return self.begin_long_park(deadline);
                }
                Worker::current()?.current_fiber()
            }
            Who::Thread(_) => {
                self.park_thread(deadline);
                None
            }
            Who::Future(_) => unreachable!("a future waits by being polled"),
        }
    }

    #[inline(never)]
    fn begin_long_park(&self, deadline: Option<Instant>) -> Option<&'static Fiber> {
        let worker = Worker::current()?;
        worker.before_long_park();
        if self.handshake.may_spin() && self.spin(worker) {
            return None;
        }
        if let Some(deadline) = deadline {
            self.park_until(worker, deadline);
            return None;
        }
        worker.current_fiber()
    }

    /// Like [`park`](Self::park), for a wait that only the clock can end: it does not spin.
    pub(crate) fn park_quietly(&self, deadline: Option<Instant>) {
        if deadline.is_none()
            && let Who::Goroutine(_) = self.who
        {
            Worker::current().inspect(|worker| worker.before_long_park());
        }
        let _ = self.handshake.may_spin() && self.handshake.stop_spinning();
        self.park(deadline);
    }

    #[inline(never)]
    fn park_until(&self, worker: &Worker, deadline: Instant) {
        // SAFETY: the timer is removed before this frame ends; nothing in between unwinds.
        let timer = unsafe { worker.add_timer(deadline, self) };
        worker.suspend();
        worker.remove_timer(timer);
    }

    /// `true`: the wait ended while we looked.
    fn spin(&self, worker: &Worker) -> bool {
        for _ in 0..SPINS {
            if self.handshake.is_done() {
                worker.note_spin(true);
                return true;
            }
            if worker.seat().rest.has_mail() {
                break;
            }
            hint::spin_loop();
        }
        let ended = !self.handshake.stop_spinning();
        worker.note_spin(ended);
        ended
    }

    #[cold]
    #[inline(never)]
    fn park_thread(&self, deadline: Option<Instant>) {
        match Worker::current() {
            // A goroutine that must not switch.
            Some(worker) => worker.block_in_place(|| self.block_thread(deadline)),
            None => self.block_thread(deadline),
        }
    }

    fn block_thread(&self, mut deadline: Option<Instant>) {
        while !self.handshake.is_done() {
            match deadline {
                None => {
                    fork::note_endless_wait();
                    thread::park();
                }
                Some(end) => {
                    let now = clock::now();
                    if now < end {
                        thread::park_timeout(end - now);
                    } else if self.claim() {
                        self.verdict.set(Verdict::TimedOut);
                        return;
                    } else {
                        // Somebody was faster, and is about to end it.
                        deadline = None;
                    }
                }
            }
        }
    }
}

/// Unparks one after the other; those of a worker who come in succession are put into its inbox
/// together, when another one's come or when this is dropped.
pub(crate) struct Unparker {
    /// The first and the last of those that are still to be put in.
    chain: Option<(Delivery, *const Node<Option<NonNull<Fiber>>>)>,
}

impl Unparker {
    pub(crate) fn new() -> Unparker {
        Unparker { chain: None }
    }

    /// Ends a wait with `verdict`.
    ///
    /// # Safety
    /// As for [`Parker::unpark`], but that the parker is not seen to dangle before the next call or
    /// the drop.
    pub(crate) unsafe fn unpark(&mut self, parker: *const Parker, verdict: Verdict) {
        // SAFETY: valid, as the caller says.
        if matches!(unsafe { &(*parker).who }, Who::Future(_)) {
            // Its waker is a user's code, which may wait for one of those who have been woken
            // before.
            self.deliver();
        }
        // SAFETY: passed on.
        let Some((home, node)) = (unsafe { Parker::end(parker, verdict) }) else {
            return;
        };
        if let Some((_, last)) = self
            .chain
            .as_mut()
            .filter(|((to, _), _)| std::ptr::eq(*to, home))
        {
            // SAFETY: parked until its worker takes it out of the inbox, and so is every one in the
            // chain.
            unsafe { (*node).link(*last) };
            *last = node;
        } else {
            self.deliver();
            self.chain = Some(((home, node), node));
        }
    }

    fn deliver(&mut self) {
        if let Some(((home, first), last)) = self.chain.take() {
            // SAFETY: each of the chain is parked, and was claimed once, so this is the only push.
            unsafe { home.deliver(last, first) };
        }
    }
}

impl Drop for Unparker {
    fn drop(&mut self) {
        self.deliver();
    }
}
