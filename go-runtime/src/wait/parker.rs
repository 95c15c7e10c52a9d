//! A parker: one blocked operation, and the way to end it.
//!
//! A blocking operation makes a [`Parker`] on its own stack, publishes it in a queue or in a timer,
//! and calls [`Parker::park`]. Exactly one thread, exactly once, claims the parker, writes the
//! verdict and unparks it. In a goroutine, `park` gives the worker to the next goroutine; on a
//! plain thread it blocks the thread.
//!
//! The parker belongs to the blocked operation: only the thread that has claimed it writes to it,
//! and only until its `unpark` has made the operation go on. A queue or a timer that holds a
//! pointer to a parker must have dropped the pointer before the operation's frame ends.
//!
//! A goroutine never changes its worker, so a wake-up may overtake the park: it lies in the
//! worker's inbox, or in the worker's run queue, which the worker reads only when the goroutine has
//! left its stack.
//!
//! An async task neither parks nor blocks a thread: its parker lies in memory that the future owns,
//! and the future reads the verdict when its [`Wakeup`] says that the wait is over.
//!
//! A goroutine that is unwinding does not switch, since the other goroutines of its worker would
//! see `thread::panicking()`. Such a goroutine blocks its worker's thread instead.
//!
//! The switch happens in the user's own code: [`Parker::park`] and every function between it and a
//! user's `recv` are inlined, and what happens before and after the switch is not. A processor
//! predicts return addresses from the calls that it has seen, in pairs. A switch inside a function
//! of its own separates a call from its return twice, and each time the prediction fails, which
//! doubles the time of a round trip between two goroutines of one worker.

use std::cell::Cell;
use std::hint;
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Instant;

use super::handshake::Handshake;
use super::reason::Why;
use super::threads;
use super::verdict::Verdict;
use super::wakeup::Wakeup;
use crate::clock;
use crate::primitives::prefetch::LINE;
use crate::sched::{self, Fiber, InboxNode, OwnerWorker, Sleeper, Worker, fork};

/// The kind of the blocked operation, which determines how a waker makes the operation go on.
pub(super) enum Blocked {
    Goroutine(OwnerWorker),
    Thread(Thread),
    Future(Arc<Wakeup>),
}

impl Blocked {
    #[cold]
    fn this_thread() -> Blocked {
        Blocked::Thread(thread::current())
    }
}

/// The delivery of a woken goroutine: its worker, and its node for that worker's inbox.
pub(super) type Delivery = (OwnerWorker, *const InboxNode);

#[repr(C)]
pub(crate) struct Parker {
    handshake: Handshake,
    verdict: Cell<Verdict>,
    blocked: Blocked,
    node: InboxNode,
}

// The worker's clock prefetches the first `LINE` bytes of a parker before it ends the wait
// (`Sleeper::prefetch`), so a parker must not be larger.
const _: () = assert!(size_of::<Parker>() <= LINE);

impl Parker {
    /// Makes a parker for the calling goroutine or thread.
    // Inlined, with one struct expression at the end, so that the parker is built in its final
    // place.
    #[inline(always)]
    pub(crate) fn new() -> Parker {
        let (blocked, fiber, spinning) = if let Some(worker) = Worker::current()
            && let Some(fiber) = worker.current_fiber()
            && !thread::panicking()
        {
            let spinning = worker.worth_spinning();
            let fiber = Some(NonNull::from(fiber));
            (Blocked::Goroutine(worker.as_owner()), fiber, spinning)
        } else {
            (Blocked::this_thread(), None, false)
        };
        Parker {
            handshake: Handshake::new(spinning),
            verdict: Cell::new(Verdict::Pending),
            blocked,
            node: InboxNode::new(fiber),
        }
    }

    /// Makes a parker for a future; `wakeup` says when the future's wait is over.
    pub(crate) fn for_future(wakeup: Arc<Wakeup>) -> Parker {
        Parker {
            handshake: Handshake::new(false),
            verdict: Cell::new(Verdict::Pending),
            blocked: Blocked::Future(wakeup),
            node: InboxNode::new(None),
        }
    }

    /// Returns how a future's wait ended. Called only after the future's [`Wakeup`] has reported
    /// the end.
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.get()
    }

    /// Notes for `debug` what the operation is about to wait for, and why.
    // Inlined, for a goroutine that parks.
    #[inline(always)]
    pub(crate) fn note(&self, why: Why) {
        if let Some(fiber) = self.node.payload() {
            // SAFETY: the fiber is the calling goroutine's, as `new` found it.
            unsafe { fiber.as_ref() }.note_wait(why.to_word());
        } else {
            note_of_thread(why);
        }
    }

    /// Takes the right to end this wait; see [`Handshake::claim`].
    #[inline]
    #[must_use]
    pub(crate) fn claim(&self) -> bool {
        self.handshake.claim()
    }

    /// Returns whether the right to end this wait has been taken.
    pub(crate) fn is_claimed(&self) -> bool {
        self.handshake.is_claimed()
    }

    /// Returns whether a future waits with this parker, so that to unpark it runs a waker.
    pub(super) fn is_future(&self) -> bool {
        matches!(self.blocked, Blocked::Future(_))
    }

    /// Ends the wait with `verdict`.
    ///
    /// # Safety
    /// `this` is valid. The caller has claimed the wait, and ends it by this one call. `this` may
    /// dangle as soon as the call returns.
    #[inline]
    pub(crate) unsafe fn unpark(this: *const Parker, verdict: Verdict) {
        // SAFETY: the caller says that `this` is valid. The parker's frame lasts until the blocked
        // operation goes on, which only the caller's one claim allows: the last use of the
        // reference is to make the goroutine ready, and the goroutine runs on this thread, later.
        let parker = unsafe { &*this };
        if let Blocked::Goroutine(owner) = parker.blocked
            && let Some(worker) = owner.if_here()
        {
            // SAFETY: `blocked` is a goroutine's.
            return unsafe { parker.make_ready(worker, verdict) };
        }
        // SAFETY: `this` is valid. The caller has claimed the wait, and ends it once, because this
        // path and the one above exclude each other.
        unsafe { Self::unpark_elsewhere(this, verdict) }
    }

    /// Ends the wait of a goroutine of the worker whose thread calls this. That goroutine is
    /// parked, because its thread is running the caller, and no other thread takes part.
    ///
    /// # Safety
    /// `blocked` says that the wait is a goroutine's.
    #[inline]
    unsafe fn make_ready(&self, worker: &Worker, verdict: Verdict) {
        self.verdict.set(verdict);
        // SAFETY: `new` has put the fiber of a goroutine, which the caller says that it is, into
        // the node, and nothing takes it out.
        worker.make_ready(unsafe { self.node.payload().unwrap_unchecked() });
    }

    /// # Safety
    /// The contract of [`unpark`](Self::unpark).
    #[inline(never)]
    unsafe fn unpark_elsewhere(this: *const Parker, verdict: Verdict) {
        // SAFETY: the caller upholds the contract of `unpark`, which is also that of `end`.
        if let Some((owner, node)) = unsafe { Self::end(this, verdict) } {
            // SAFETY: `end` returns a delivery for a parked goroutine only, which stays parked, and
            // its node valid, until its worker takes the node out of the inbox. The wait is claimed
            // once, so the node is in no inbox.
            unsafe { owner.deliver(node, node) };
        }
    }

    /// Ends the wait, except for a last step that may remain for the caller: to deliver the
    /// returned node into the inbox of the returned worker.
    ///
    /// # Safety
    /// The contract of [`unpark`](Self::unpark). If a delivery is returned, the parker stays valid
    /// until the caller makes the delivery.
    #[inline]
    pub(super) unsafe fn end(this: *const Parker, verdict: Verdict) -> Option<Delivery> {
        // SAFETY: the caller says that `this` is valid. The blocked operation goes on, and ends the
        // parker's life, only after `finish` or `finish_thread` or `Wakeup::end` below, or after it
        // has been made ready, and each branch uses the reference last for that step.
        let parker = unsafe { &*this };
        parker.verdict.set(verdict);
        match &parker.blocked {
            Blocked::Goroutine(owner) => {
                let owner = *owner;
                match owner.if_here() {
                    // SAFETY: `blocked` is a goroutine's.
                    Some(worker) => unsafe { parker.make_ready(worker, verdict) },
                    None => {
                        if parker.handshake.finish() {
                            return Some((owner, &raw const parker.node));
                        }
                    }
                }
            }
            Blocked::Thread(thread) => {
                let thread = thread.clone();
                parker.handshake.finish_thread();
                thread.unpark();
            }
            Blocked::Future(wakeup) => {
                let wakeup = Arc::clone(wakeup);
                wakeup.end();
            }
        }
        None
    }

    /// Blocks until the wait has been ended, or until `deadline`, and returns the verdict.
    // Inlined because it contains the switch; see the head of this file.
    #[inline(always)]
    pub(crate) fn park(&self, deadline: Option<Instant>) -> Verdict {
        if let Some(fiber) = self.begin_park(deadline) {
            // SAFETY: `begin_park` returns the fiber that the calling code runs on.
            unsafe { sched::suspend(fiber) };
        }
        self.verdict.get()
    }

    /// Returns the fiber that has to be suspended for the wait to end, or `None` if the wait has
    /// ended.
    fn begin_park(&self, deadline: Option<Instant>) -> Option<&'static Fiber> {
        let Some(fiber) = self.node.payload() else {
            self.park_thread(deadline);
            return None;
        };
        if self.handshake.may_spin() || deadline.is_some() {
            return self.begin_long_park(deadline);
        }
        // SAFETY: the fiber is the one that the caller runs on, as `new` found it, so it is alive
        // as long as the caller's code runs. (The reference stays on this thread: `Fiber` is not
        // `Sync`.)
        Some(unsafe { fiber.as_ref() })
    }

    #[inline(never)]
    fn begin_long_park(&self, deadline: Option<Instant>) -> Option<&'static Fiber> {
        let worker = Worker::current()?;
        worker.before_long_park();
        if self.handshake.may_spin() && self.spin(worker) {
            // The goroutine has not left its stack, so no worker clears what was noted.
            worker.note_wait(Why::NOTHING.to_word());
            return None;
        }
        if let Some(deadline) = deadline {
            self.park_until(worker, deadline);
            return None;
        }
        worker.current_fiber()
    }

    /// Parks as [`park`](Self::park) does, without spinning: for a wait that lasts at least as long
    /// as a timer or a system call.
    pub(crate) fn park_quietly(&self, deadline: Option<Instant>) {
        if deadline.is_none()
            && let Blocked::Goroutine(_) = self.blocked
        {
            Worker::current().inspect(|worker| worker.before_long_park());
        }
        let _ = self.handshake.may_spin() && self.handshake.stop_spinning();
        self.park(deadline);
    }

    #[inline(never)]
    fn park_until(&self, worker: &Worker, deadline: Instant) {
        if let Some(fiber) = self.node.payload() {
            // SAFETY: the fiber is the calling goroutine's, as `new` found it.
            unsafe { fiber.as_ref() }.note_timer();
        }
        let sleeper = Sleeper::new(NonNull::from(self).cast(), time_out);
        // SAFETY: `time_out` needs a valid parker of a goroutine that is parked on the worker that
        // calls it. `self` outlives the call of `suspend_until`, the sleeper is called during that
        // call only, and the goroutine is off its stack whenever its worker fires a timer.
        unsafe { worker.suspend_until(deadline, sleeper) };
    }

    /// Returns whether the wait ended while this goroutine polled.
    fn spin(&self, worker: &Worker) -> bool {
        for _ in 0..sched::PARK_SPINS {
            if self.handshake.is_done() {
                worker.note_spin(true);
                return true;
            }
            if worker.inbox_nonempty() {
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
        debug_assert!(!self.is_future(), "a future waits by being polled");
        match Worker::current() {
            // This goroutine must not switch, so it blocks its worker's thread.
            Some(worker) => {
                worker.block_in_place(|| self.block_thread(deadline));
                worker.note_wait(Why::NOTHING.to_word());
            }
            None => threads::wait(deadline.is_none(), || self.block_thread(deadline)),
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
                        // Another thread claimed the wait, and is about to end it.
                        deadline = None;
                    }
                }
            }
        }
    }
}

/// Notes what the calling thread, or the calling goroutine that blocks its thread, is about to wait
/// for.
#[cold]
fn note_of_thread(why: Why) {
    match Worker::current() {
        Some(worker) => worker.note_wait(why.to_word()),
        None => threads::note(why),
    }
}

/// Ends the wait of a parker because its deadline has come. Returns the goroutine that is runnable
/// from now on, or `None` if another thread has claimed the wait and is about to end it.
///
/// # Safety
/// `parker` points to a valid [`Parker`] of a goroutine that is parked on the calling worker.
unsafe fn time_out(parker: NonNull<()>) -> Option<NonNull<Fiber>> {
    // SAFETY: the caller says that the parker is valid. Its goroutine, on whose stack the parker
    // lies, runs on this thread only, and so not before this function has returned.
    let parker = unsafe { parker.cast::<Parker>().as_ref() };
    if parker.claim() {
        parker.verdict.set(Verdict::TimedOut);
        parker.node.payload()
    } else {
        None
    }
}
