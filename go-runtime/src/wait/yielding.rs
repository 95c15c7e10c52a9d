//! What an operation that does not park does for the other goroutines of its worker: when it lets
//! other goroutines run first, and how long it spins or blocks the thread instead of parking.
//!
//! The functions concern the calling goroutine and its worker. On a plain thread they have no
//! effect, or spin or sleep as any thread may.

use std::hint;
use std::thread;
use std::time::Duration;

use super::reason::Why;
use crate::sched::{self, Worker};

/// Number of rounds in which an operation spins for a lock before it queues, and number of spins in
/// each round, as in Go. By then a running holder has usually released the lock.
const LOCK_ROUNDS: u32 = 4;
const LOCK_SPINS: u32 = 30;
/// How long an operation that may not switch blocks its thread between two polls.
const POLL_INTERVAL: Duration = Duration::from_micros(20);

/// Notes a failed poll, after which the caller does not wait. After a number of failed polls, the
/// other goroutines of the caller's worker run first.
pub(crate) fn note_failed_poll() {
    if let Some(worker) = Worker::current() {
        worker.note_failed_poll();
    }
}

/// Lets the other goroutines run first if the calling one has run for a slice (`SLICE` in
/// `sched::tuning`). Called at the beginning of an operation that may wait, whether or not it need
/// wait this time: otherwise a goroutine whose operations always succeed would keep its worker.
#[inline(always)]
pub(crate) fn before_a_wait() {
    if sched::may_be_over() {
        end_slice();
    }
}

#[cold]
#[inline(never)]
fn end_slice() {
    if let Some(worker) = Worker::current() {
        worker.end_slice();
    }
}

/// Lets the woken goroutines that wait behind the calling one run first.
#[cold]
pub(crate) fn yield_to_others() {
    if let Some(worker) = Worker::current()
        && !thread::panicking()
    {
        worker.yield_to_others();
    }
}

/// Returns whether the caller can wait without keeping goroutines from running: whether it is a
/// plain thread, or a goroutine that neither unwinds nor is in `without_parking`.
pub(crate) fn may_switch() -> bool {
    Worker::current()
        .is_none_or(|worker| worker.is_in_its_loop() || worker.may_park() && !thread::panicking())
}

/// Spins for a moment, for a caller that waits for a lock and has polled it `rounds` times. Returns
/// `false`, and does not spin, if the caller should queue instead.
pub(crate) fn spin_for_lock(rounds: u32) -> bool {
    // A plain thread spins, because it does not know what else could run.
    let worth_it = rounds < LOCK_ROUNDS && Worker::current().is_none_or(Worker::may_spin);
    if worth_it {
        for _ in 0..LOCK_SPINS {
            hint::spin_loop();
        }
    }
    worth_it
}

/// Blocks the thread for a moment, for a caller that may not switch and polls instead, and that
/// waits for `why`.
pub(crate) fn sleep_briefly(why: Why) {
    let sleep = || thread::sleep(POLL_INTERVAL);
    match Worker::current() {
        Some(worker) => {
            worker.note_wait(why.to_word());
            worker.block_in_place(sleep);
            worker.note_wait(Why::NOTHING.to_word());
        }
        None => sleep(),
    }
}
