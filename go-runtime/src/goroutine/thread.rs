//! Goroutines with a thread of their own: `go!(thread; ...)`.
//!
//! Such a task never comes to a worker: a thread of a pool runs it to its end, on the thread's own
//! stack. Since no worker is current there, everything that parks a goroutine blocks this thread,
//! by the paths that all threads take. What is left to do here is to count, and to know the task
//! that runs.

use std::cell::Cell;
use std::io;

use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::primitives::thread_pool::{OnFailure, ThreadPool};
use crate::sched::{Runtime, TaskRef, Worker, fork};

static POOL: ThreadPool<TaskRef> = ThreadPool::new("go-thread", run, OnFailure::Refuse);

/// Number of such goroutines that have ever been started, and that have ended.
static SPAWNED: AtomicUsize = AtomicUsize::new(0);
static FINISHED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The task that runs on this thread of the pool.
    static CURRENT: Cell<Option<TaskRef>> = const { Cell::new(None) };
}

/// Has a thread of its own run `task`; `stack_size` is in bytes, `None` for std's default.
///
/// # Errors
/// The system has no thread to give. The task comes back.
pub(super) fn start(
    runtime: &Runtime,
    task: TaskRef,
    stack_size: Option<usize>,
) -> Result<(), (io::Error, TaskRef)> {
    SPAWNED.fetch_add(1, Ordering::Relaxed);
    let started = POOL.submit(task, stack_size, runtime.blocking_threads());
    if started.is_err() {
        FINISHED.fetch_add(1, Ordering::Release);
    }
    started
}

fn run(task: TaskRef) {
    CURRENT.set(Some(task));
    // SAFETY: `start` was given the scheduler's reference, and the pool runs a piece of work once.
    unsafe { task.run() };
    CURRENT.set(None);
    // The thread is used again, by a goroutine that has entered no span.
    #[cfg(feature = "tracing")]
    crate::sched::exit_forgotten();
}

/// The goroutine that calls this: of a worker, or with a thread of its own.
pub(super) fn current_task() -> Option<TaskRef> {
    match Worker::current() {
        Some(worker) => worker.current_task(),
        None => CURRENT.get(),
    }
}

/// Notes that the current goroutine has run to its end. Others cannot see its result yet.
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

/// Number of goroutines with a thread of their own that live, running or waiting for a thread.
pub(super) fn count() -> usize {
    // The ends first: each belongs to a start that is then counted too.
    let finished = FINISHED.load(Ordering::Acquire);
    SPAWNED.load(Ordering::Acquire).wrapping_sub(finished)
}
