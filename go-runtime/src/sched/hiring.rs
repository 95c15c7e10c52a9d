//! Making workers' threads, and retiring workers.
//!
//! The thread that starts the runtime makes GOMAXPROCS workers; from then on only the monitor adds
//! workers and retires those that are not needed. A worker's thread never ends, not even when the
//! worker has retired: goroutines that have started on it cannot run elsewhere. (Go keeps its
//! threads parked as well.)

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

#[cfg(target_os = "linux")]
use super::overflow;
use super::runtime::{Queue, Runtime};
#[cfg(target_os = "linux")]
use super::tuning::THREAD_MEMORY;
use super::worker::Worker;
use crate::primitives::uncaptured;
#[cfg(target_os = "linux")]
use crate::stack::Room;

/// Starts the thread of a worker, and waits until the thread is ready. A ready thread needs no more
/// memory, so it runs even if there is no memory for the next worker.
///
/// # Errors
/// The thread cannot be made. The worker's queue comes back.
pub(super) fn hire(
    runtime: &'static Runtime,
    index: usize,
    queue: Queue,
) -> Result<(), (io::Error, Option<Queue>)> {
    let queue = Arc::new(Mutex::new(Some(queue)));
    let take =
        |queue: &Mutex<Option<Queue>>| queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    #[cfg(target_os = "linux")]
    if let Err(error) = Room::reserve(THREAD_MEMORY) {
        return Err((error, take(&queue)));
    }
    let theirs = Arc::clone(&queue);
    let (ready, is_ready) = mpsc::channel::<()>();
    let builder = thread::Builder::new().name(format!("go-worker-{index}"));
    let run = move || {
        if let (Some(queue), Some(shared)) = (take(&theirs), runtime.worker(index)) {
            let worker = Worker::new(runtime, shared, queue);
            #[cfg(target_os = "linux")]
            overflow::prepare_thread();
            shared.set_thread();
            drop(ready);
            worker.run();
        }
    };
    match uncaptured::spawn(builder, run) {
        Ok(()) => {
            // The new worker sends nothing: when it is ready it drops its end, which ends this
            // receive.
            let _: Result<(), _> = is_ready.recv();
            Ok(())
        }
        Err(error) => Err((error, take(&queue))),
    }
}

/// Adds a worker: a retired worker, or else a new one. With `empty`, a retired worker is taken only
/// if no goroutine lives on it. `spare` keeps the queue of a worker whose thread could not be made.
///
/// # Errors
/// The system cannot make a thread, or the maximum number of workers exists.
pub(super) fn add_worker(
    runtime: &'static Runtime,
    empty: bool,
    spare: &mut Option<Queue>,
) -> io::Result<()> {
    let mut retired = runtime
        .workers()
        .filter(|worker| worker.sleep.is_retired() && !worker.stats.is_held());
    if let Some(retired) = retired.find(|worker| !empty || worker.load.live() == 0) {
        runtime.set_retired(retired, false);
        return Ok(());
    }
    let index = runtime.made();
    if index == runtime.most() {
        return Err(io::Error::other("there are very many already"));
    }
    let queue = spare.take().unwrap_or_else(|| runtime.make_worker(index));
    if let Err((error, queue)) = hire(runtime, index, queue) {
        *spare = queue;
        return Err(error);
    }
    runtime.publish(index + 1, 1);
    // The new worker may have gone to sleep before other threads could see it.
    if let Some(worker) = runtime.worker(index) {
        runtime.notify(worker);
    }
    Ok(())
}

/// Retires a worker beyond GOMAXPROCS, if one accepts goroutines.
pub(super) fn retire_one(runtime: &Runtime) {
    let mut extra = runtime.workers().skip(runtime.gomaxprocs());
    if let Some(extra) = extra.find(|worker| worker.accepts()) {
        runtime.set_retired(extra, true);
    }
}
