//! The frames of waiting goroutines, which they record themselves.
//!
//! Only code on a stack can walk it, and only the goroutine's own worker may switch there. So the
//! worker resumes the goroutine although nothing has woken it, and says that it is to record: the
//! goroutine, about to return from its suspension, records its frames and suspends again. Of the
//! program's code only its global allocator may run.
//!
//! ```text
//!   requester          worker                              waiting goroutine
//!   request, notify -> end of a round, or after a sleep:
//!                      resume_to_record ------------------> records its frames
//!   waits     <------- answer           <------------------ suspends again
//! ```
//!
//! Only addresses are recorded; the requester, which is no goroutine that parks, looks up their
//! names. A worker that is held does not answer, and the frames of its goroutines stay unknown.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use super::fiber::{Fiber, RUNNABLE};
use super::runtime::Runtime;
use super::worker::Worker;
use crate::clock;
use crate::primitives::mutex::lock;
use crate::stack;

/// How long workers have to answer that are not held. A thread that is ready gets its processor
/// within that time on all but the busiest machines.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The time between two wake-ups of a worker that has not answered. One that was just falling
/// asleep may miss the first.
const NOTIFY_EVERY: Duration = Duration::from_millis(1);

/// A request for the frames of some goroutines of one worker.
pub(super) struct Request {
    /// The numbers of their stacks.
    numbers: HashSet<usize>,
    answer: Mutex<Option<Vec<(usize, Backtrace)>>>,
    answered: Condvar,
}

/// The requests to a worker.
#[derive(Default)]
pub(super) struct Requests {
    any: AtomicBool,
    /// (The requester drops its request when it no longer waits for the answer.)
    all: Mutex<Vec<Weak<Request>>>,
}

thread_local! {
    /// The frames that a goroutine has recorded for this worker.
    static RECORDED: Cell<Option<Backtrace>> = const { Cell::new(None) };
}

impl Requests {
    fn add(&self, request: Weak<Request>) {
        let mut all = lock(&self.all);
        all.retain(|request| request.strong_count() > 0);
        all.push(request);
        drop(all);
        self.any.store(true, Ordering::Release);
    }

    #[inline]
    pub(super) fn are_there(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn take(&self) -> Vec<Weak<Request>> {
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut lock(&self.all))
    }
}

/// Records the frames of goroutines, each given by its worker's index and its number, and blocks
/// the calling thread meanwhile. Those are missing in the result that do not wait any more, whose
/// worker is held, or is the caller's, or whose stack has no room for it.
pub(crate) fn record(
    runtime: &'static Runtime,
    goroutines: impl Iterator<Item = (usize, usize)>,
) -> HashMap<usize, Backtrace> {
    let mut by_worker: HashMap<usize, HashSet<usize>> = HashMap::new();
    for (worker, number) in goroutines {
        by_worker.entry(worker).or_default().insert(number);
    }
    let mut open = Vec::new();
    // The caller's worker could answer only if the caller let it go on, and a caller that panics
    // may not: the goroutines that ran meanwhile would seem to panic, too.
    if let Some(own) = Worker::current() {
        by_worker.remove(&own.shared().index());
    }
    for (worker, numbers) in by_worker {
        let Some(worker) = runtime.worker(worker) else {
            continue;
        };
        let request = Arc::new(Request {
            numbers,
            answer: Mutex::new(None),
            answered: Condvar::new(),
        });
        worker.frames.add(Arc::downgrade(&request));
        open.push((worker, request));
    }
    let mut recorded = HashMap::new();
    let end = clock::now() + ANSWER_WITHIN;
    while !open.is_empty() && clock::now() < end {
        for (worker, _) in &open {
            runtime.notify(worker);
        }
        wait_for(&open[0].1);
        open.retain(|(worker, request)| match lock(&request.answer).take() {
            Some(answer) => {
                recorded.extend(answer);
                false
            }
            None => !worker.stats.is_held(),
        });
    }
    recorded
}

/// Waits a moment for an answer.
fn wait_for(request: &Request) {
    let answer = lock(&request.answer);
    if answer.is_none() {
        drop(request.answered.wait_timeout(answer, NOTIFY_EVERY));
    }
}

/// Records the frames of the goroutine that calls this, and suspends it again, until it is resumed
/// to go on.
// Without an argument, so that the switch need not keep one.
#[cold]
#[inline(never)]
pub(super) fn record_and_suspend() {
    let Some(fiber) = Worker::current().and_then(Worker::running_fiber) else {
        return;
    };
    loop {
        RECORDED.set(Some(Backtrace::force_capture()));
        // SAFETY: `running_fiber` is the fiber that the calling code runs on.
        if !unsafe { fiber.suspend() } {
            return;
        }
    }
}

impl Worker {
    /// Answers the requests for frames.
    #[cold]
    pub(super) fn record_frames(&self) {
        // The goroutine that ran last has nothing to do with the time that this takes.
        self.shared().stats.run_none();
        for request in self.shared().frames.take() {
            let Some(request) = request.upgrade() else {
                continue;
            };
            let mut waiting = Vec::new();
            stack::for_each_carved(|number, _, place: NonNull<Fiber>| {
                if !request.numbers.contains(&number) {
                    return;
                }
                // SAFETY: the stack exists during this call, which the table's lock makes sure of.
                // Its memory is zeroed until its worker makes a fiber at this place. Nothing else
                // is ever carved out of a stack, so after that there is this fiber, or one before
                // it.
                if let Some(seen) = unsafe { Fiber::see(place) }
                    && seen.worker == self.shared().index()
                    && seen.waiting != RUNNABLE
                {
                    waiting.push((number, place));
                }
            });
            let mut answer = Vec::new();
            for (number, fiber) in waiting {
                // SAFETY: this is the worker's loop. `see` found the fiber to be this worker's,
                // with a task that waits. Only this worker runs its tasks to their ends and
                // destroys its fibers, and it has only recorded others since then.
                let frames = unsafe { self.frames_of(fiber) };
                answer.extend(frames.map(|frames| (number, frames)));
            }
            *lock(&request.answer) = Some(answer);
            request.answered.notify_all();
        }
    }

    /// Lets the waiting goroutine of a fiber record its frames. Returns `None` if its stack has no
    /// room for that.
    ///
    /// # Safety
    /// The fiber is this worker's and has a task, which waits; the caller is outside of any fiber.
    unsafe fn frames_of(&self, fiber: NonNull<Fiber>) -> Option<Backtrace> {
        // SAFETY: the caller says that the fiber exists.
        let this = unsafe { fiber.as_ref() };
        if !this.has_room_to_record() {
            return None;
        }
        self.begin_recording(fiber);
        // SAFETY: the caller says that this is the fiber's worker, outside of any fiber, and that
        // the fiber's task waits. Only the task itself notes that it waits, so it has run; and as
        // the caller runs, the task has left its stack. Before its end it does so only through
        // `Fiber::suspend`.
        unsafe { this.resume_to_record() };
        self.end_recording();
        RECORDED.take()
    }
}
