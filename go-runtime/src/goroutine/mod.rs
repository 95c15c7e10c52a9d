//! Goroutines: spawning, joining, panics, and the program's `main` as a goroutine.

mod builder;
mod delayed_spawn;
mod job;
mod join_arm;
mod join_future;
mod main_goroutine;
mod panic_message;
mod panic_report;
mod thread;
mod without_parking;

pub use builder::{Builder, spawn, spawn_local};
pub use builder::{Cloned, spawn_local_with, spawn_with, started};
pub(crate) use builder::{room_for, room_for_one};
pub(crate) use delayed_spawn::DelayedSpawn;
#[cfg(target_os = "linux")]
pub(crate) use job::JOINER;
pub use job::JoinHandle;
pub use join_future::JoinFuture;
#[cfg(target_os = "linux")]
pub(crate) use main_goroutine::is_main;
pub use main_goroutine::run_main;
pub use panic_message::panic_message;
pub use without_parking::without_parking;

use std::mem;
use std::panic::{self, AssertUnwindSafe};

use crate::primitives::one_line::OneLine;
use crate::sched::{Worker, global};
use crate::wait::threads;

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
// Inlined so that the context switch is inlined into the caller (see `wait::parker`).
#[inline(always)]
pub fn yield_now() {
    match Worker::current() {
        Some(worker) if !std::thread::panicking() => worker.yield_now(),
        _ => std::thread::yield_now(),
    }
}

/// Returns a number that identifies the calling goroutine or thread: no other living goroutine or
/// thread has the same number, and it is not 0.
pub(crate) fn caller() -> usize {
    match Worker::current().and_then(Worker::current_task) {
        Some(task) => task.as_ptr().addr().get(),
        None => threads::id(),
    }
}

/// Returns words for the calling goroutine or thread, for messages.
pub(crate) fn describe_caller() -> String {
    let Some(task) = thread::current_task() else {
        let thread = std::thread::current();
        return match thread.name() {
            Some(name) => format!("the thread '{}'", OneLine(name)),
            None => "a thread".into(),
        };
    };
    // SAFETY: the calling goroutine holds a reference to its task.
    let task = unsafe { task.get() };
    let site = task.spawned_at();
    match task.name() {
        Some(name) => format!("the goroutine '{}', spawned at {site},", OneLine(name)),
        None => format!("the goroutine spawned at {site}"),
    }
}

/// Runs `f`, which drops a result that the program does not want, and returns whether it did not
/// panic. A panic is caught here, after the panic hook has reported it.
pub(crate) fn contain_panic(f: impl FnOnce()) -> bool {
    match panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(()) => true,
        Err(payload) => {
            // The payload is leaked because its own `Drop` could panic as well, and no caller is
            // left to catch that.
            mem::forget(payload);
            false
        }
    }
}

/// A result on its way to its receiver. If the result is dropped on the way, a panic of its `Drop`
/// is caught there. So it does not matter whether the goroutine or the receiver drops the result.
pub(crate) struct DropGuarded<T>(Option<T>);

impl<T> DropGuarded<T> {
    pub(crate) fn new(result: T) -> DropGuarded<T> {
        DropGuarded(Some(result))
    }

    pub(crate) fn into_inner(mut self) -> T {
        match self.0.take() {
            Some(result) => result,
            None => unreachable!("the result is taken out once"),
        }
    }
}

impl<T> Drop for DropGuarded<T> {
    fn drop(&mut self) {
        if self.0.is_some() {
            contain_panic(|| self.0 = None);
        }
    }
}

/// Returns how many worker threads run goroutines.
///
/// This is the number that the program has [set](crate::Config::workers), else the number in the
/// environment variable `GOMAXPROCS`, else the number of CPUs. It does not change while the program
/// runs.
///
/// # Panics
/// If the runtime cannot start, for example because `GOMAXPROCS` is no number from 1 to 1024.
///
/// ```
/// assert!(go_runtime::gomaxprocs() >= 1);
/// ```
#[must_use]
#[track_caller]
pub fn gomaxprocs() -> usize {
    global::get().gomaxprocs()
}

/// Returns how many goroutines there are: started or not, running or blocked, with a thread of
/// their own or without. Go's `runtime.NumGoroutine`.
///
/// A goroutine that has been joined is not counted any more. The number may be a moment old while
/// other goroutines start and end.
///
/// # Panics
/// If the runtime cannot start.
///
/// ```
/// let (stop, done) = go_runtime::channel::bounded::<()>(0);
/// let waiting = go_runtime::spawn(move || done.recv());
/// assert!(go_runtime::num_goroutines() >= 1);
/// drop(stop);
/// assert!(waiting.join().unwrap().is_err());
/// ```
#[doc(alias = "NumGoroutine")]
#[must_use]
#[track_caller]
pub fn num_goroutines() -> usize {
    global::get().count() + thread::count()
}

/// Returns how many goroutines with a thread of their own live, and how many have been spawned.
pub(crate) fn with_threads() -> (usize, usize) {
    // In this order, so that the second is not less than the first.
    let living = thread::count();
    (living, thread::spawned())
}
