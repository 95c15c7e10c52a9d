//! Goroutines with a thread of their own: `go!(thread; ...)`.
//!
//! Such a task never comes to a worker: a thread of a pool runs it to its end, on the thread's own
//! stack. Since no worker is current there, each operation that would park a goroutine blocks this
//! thread, by the paths that all threads take. This module counts these goroutines, and records
//! which task runs on the thread.

use std::cell::Cell;
use std::io;

use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::thread_pool::{OnFailure, ThreadPool};
use crate::sched::{self, Runtime, TaskRef, Worker, fork};
use crate::wait::threads;

static POOL: ThreadPool<TaskRef> = ThreadPool::new("go-thread", run, OnFailure::Refuse);

/// Numbers of goroutines with a thread of their own: those started since the process began, and
/// those that have ended.
static SPAWNED: AtomicUsize = AtomicUsize::new(0);
static FINISHED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The task that runs on this thread of the pool.
    static CURRENT: Cell<Option<TaskRef>> = const { Cell::new(None) };
}

/// Runs `task` on a thread of its own. `stack_size` is in bytes, or `None` for std's default.
///
/// # Errors
/// If the system cannot make a thread; the task comes back.
pub(super) fn start(
    runtime: &Runtime,
    task: TaskRef,
    stack_size: Option<usize>,
) -> Result<(), (io::Error, TaskRef)> {
    SPAWNED.fetch_add(1, Ordering::Relaxed);
    sched::note_spawner(task);
    let started = POOL.submit(task, stack_size, runtime.blocking_threads());
    if started.is_err() {
        FINISHED.fetch_add(1, Ordering::Release);
    }
    started
}

fn run(task: TaskRef) {
    CURRENT.set(Some(task));
    // SAFETY: the scheduler's reference, which the task gives back at its end, keeps it alive.
    let header = unsafe { task.get() };
    sched::set_site_of_thread(Some(header.spawned_at()));
    let goroutine = threads::Running::new(
        task.as_ptr().addr().get(),
        header.spawned_at(),
        header.spawner(),
        header.name(),
    );
    threads::run_goroutine(goroutine, || {
        // SAFETY: `start` was given the scheduler's reference to the task, and the pool runs each
        // piece of work once.
        unsafe { task.run() };
    });
    CURRENT.set(None);
    sched::set_site_of_thread(None);
    // Another goroutine may use this thread again, and must not be in the spans of this one.
    #[cfg(feature = "tracing")]
    crate::sched::exit_forgotten();
}

/// Returns the task of the calling goroutine, which runs on a worker or on a thread of its own.
pub(super) fn current_task() -> Option<TaskRef> {
    match Worker::current() {
        Some(worker) => worker.current_task(),
        None => CURRENT.get(),
    }
}

/// Counts the current goroutine as ended. Its result is not visible to other threads yet.
#[inline]
pub(super) fn note_finish() {
    match Worker::current() {
        Some(worker) => worker.note_finish(),
        None => note_finish_of_thread(),
    }
}

#[cold]
fn note_finish_of_thread() {
    fork::end_if_child();
    FINISHED.fetch_add(1, Ordering::Release);
}

/// Returns how many goroutines with a thread of their own have been spawned.
pub(super) fn spawned() -> usize {
    SPAWNED.load(Ordering::Relaxed)
}

/// Returns the number of living goroutines with a thread of their own, running or waiting for a
/// thread.
pub(super) fn count() -> usize {
    // `FINISHED` is read first: for each end that this read sees, the read of `SPAWNED` then sees
    // the start.
    let finished = FINISHED.load(Ordering::Acquire);
    SPAWNED.load(Ordering::Acquire).wrapping_sub(finished)
}
