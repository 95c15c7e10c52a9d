//! Goroutines: spawning, joining, panics, and the program's `main` as one.

mod builder;
mod delayed_spawn;
mod job;
mod join_arm;
mod join_future;
mod main_goroutine;
mod panic_message;
mod panic_report;
mod sleep;
mod thread;
mod without_parking;

pub use builder::{Builder, spawn, spawn_local};
pub use builder::{Cloned, spawn_local_with, spawn_with, started};
pub(crate) use delayed_spawn::DelayedSpawn;
pub use job::JoinHandle;
pub use join_future::JoinFuture;
pub use main_goroutine::run_main;
pub use panic_message::panic_message;
pub use sleep::park_forever;
pub(crate) use sleep::sleep_until;
pub use without_parking::without_parking;

use std::hint;
use std::time::Duration;

use crate::sched::{Runtime, Worker};

/// Lets other goroutines of this worker run, then goes on. Go's `runtime.Gosched`.
///
/// On a thread that is no worker, in a goroutine that is unwinding (which never switches, see
/// [the crate's page on panics](crate#panics)) and in [`without_parking`], it is
/// [`std::thread::yield_now`].
///
/// ```
/// let child = go_runtime::spawn(|| {
///     go_runtime::yield_now();
///     1
/// });
/// assert_eq!(child.join().unwrap(), 1);
/// ```
// Inlined for the sake of the switch (see `sched::parker`).
#[inline(always)]
pub fn yield_now() {
    match Worker::current() {
        Some(worker) if !std::thread::panicking() => worker.yield_now(),
        _ => std::thread::yield_now(),
    }
}

/// The caller has looked for something that is not there, and will not wait: should it do so all the time, others have to run too.
pub(crate) fn polled_in_vain() {
    if let Some(worker) = Worker::current() {
        worker.note_vain_poll();
    }
}

/// Looks a moment later, for one who waits for a lock and has looked `rounds` times: `false` if it should queue instead.
pub(crate) fn spin_for_lock(rounds: u32) -> bool {
    // A thread that is no worker knows nothing of who else runs.
    let worth_it = rounds < LOCK_ROUNDS && Worker::current().is_none_or(Worker::may_spin_for_lock);
    if worth_it {
        for _ in 0..LOCK_SPINS {
            hint::spin_loop();
        }
    }
    worth_it
}

/// Returns whether the caller can wait without keeping goroutines off its thread: it is no worker's
/// thread, or a goroutine that neither unwinds nor is in [`without_parking`].
pub(crate) fn may_switch() -> bool {
    Worker::current().is_none_or(|worker| {
        worker.current_task().is_none() || worker.may_park() && !std::thread::panicking()
    })
}

/// The caller's number, by which it knows itself again: no other goroutine or thread that lives has it, and it is not 0.
pub(crate) fn caller() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    match Worker::current().and_then(Worker::current_task) {
        Some(task) => task.as_ptr().addr().get(),
        None => HERE.with(|here| std::ptr::from_ref(here).addr()),
    }
}

/// Blocks the thread for a moment, for a caller that may not switch and polls for what others do.
pub(crate) fn doze() {
    let doze = || std::thread::sleep(Duration::from_micros(20));
    match Worker::current() {
        Some(worker) => worker.block_in_place(doze),
        None => doze(),
    }
}

/// How often, and how long each time, as in Go: a holder that is running will mostly be done by then.
const LOCK_ROUNDS: u32 = 4;
const LOCK_SPINS: u32 = 30;

/// Lets others run who cannot otherwise, because they have been woken and wait behind the calling goroutine.
#[cold]
pub(crate) fn give_way() {
    if let Some(worker) = Worker::current()
        && !std::thread::panicking()
    {
        worker.give_way();
    }
}

/// Returns how many worker threads run goroutines: what the program has
/// [set](crate::Config::workers), else the number in the environment variable `GOMAXPROCS`, else
/// the number of CPUs. It does not change while the program runs.
///
/// # Panics
/// If the runtime cannot start, for example because `GOMAXPROCS` is no number from 1 to 1024.
///
/// ```
/// assert!(go_runtime::gomaxprocs() >= 1);
/// ```
#[track_caller]
pub fn gomaxprocs() -> usize {
    Runtime::get().workers()
}

/// Returns how many goroutines there are: started or not, running or blocked, with a thread of
/// their own or without. Go's `runtime.NumGoroutine`.
///
/// A goroutine that somebody has joined is not counted any more. While others start and end, the number may be a moment old.
///
/// # Panics
/// If the runtime cannot start.
///
/// ```
/// let (stop, done) = go_runtime::channel::bounded::<()>(0);
/// let waiting = go_runtime::spawn(move || done.recv());
/// assert!(go_runtime::num_goroutine() >= 1);
/// drop(stop);
/// assert!(waiting.join().unwrap().is_err());
/// ```
#[track_caller]
pub fn num_goroutine() -> usize {
    Runtime::get().count() + thread::count()
}
