//! Handing a new goroutine to the scheduler, at once or at a given moment.

use std::cell::Cell;
use std::time::Instant;

use super::label::Site;
use super::runtime::Runtime;
use super::shared::WorkerShared;
use super::task::TaskRef;
use super::timer_heap::TimerKey;
use super::worker::Worker;
use crate::primitives::atomic::{Ordering, fence};
use crate::primitives::random;

thread_local! {
    /// Where the goroutine was spawned that this thread, which is no worker, runs.
    static OF_THREAD: Cell<Option<Site>> = const { Cell::new(None) };
}

/// Notes where the goroutine was spawned that the calling thread, which is no worker, runs from now
/// on; `None` if it runs none.
pub(crate) fn set_site_of_thread(site: Option<Site>) {
    OF_THREAD.set(site);
}

/// Returns where the calling goroutine was spawned; `None` if the caller is a thread.
fn site_of_caller() -> Option<Site> {
    let Some(worker) = Worker::current() else {
        return OF_THREAD.get();
    };
    // SAFETY: the task is the caller's own, which the scheduler's reference keeps alive meanwhile.
    Some(unsafe { worker.current_task()?.get() }.spawned_at())
}

/// Notes in a task that is in no queue where the goroutine was spawned that calls this.
pub(crate) fn note_spawner(task: TaskRef) {
    // SAFETY: the caller has not handed the task on, so it holds the scheduler's reference, which
    // keeps the task alive.
    unsafe { task.get() }.set_spawner(site_of_caller());
}

/// Queues a new goroutine, and makes sure that an idle worker learns of it.
pub(crate) fn spawn(runtime: &Runtime, task: TaskRef) {
    match Worker::current() {
        Some(worker) => worker.spawn(task),
        None => {
            note_spawner(task);
            runtime.inject(task);
        }
    }
}

/// Identifies a goroutine that is to be queued at a given moment.
#[derive(Clone, Copy)]
pub(crate) struct DelayedKey {
    worker: &'static WorkerShared,
    key: TimerKey,
}

/// Arranges for a new goroutine to be queued at `when`, unless [`call_off`] takes it back before.
pub(crate) fn spawn_at(runtime: &'static Runtime, task: TaskRef, when: Instant) -> DelayedKey {
    let own = Worker::current().map(Worker::shared);
    let worker = own
        .or_else(|| runtime.worker(random::below(runtime.gomaxprocs())))
        .unwrap_or_else(|| unreachable!("there are GOMAXPROCS workers at least"));
    let (key, is_first) = worker.delayed.add(when, task);
    if is_first && own.is_none() {
        // Pairs with `Worker::sleep`, which announces the sleep and then reads when the earliest
        // task is due: at least one of the two threads sees the other's write.
        fence(Ordering::SeqCst);
        if worker.sleep.is_asleep() {
            runtime.notify(worker);
        }
    }
    DelayedKey { worker, key }
}

/// Takes a goroutine back that is not queued yet.
pub(crate) fn call_off(delayed: DelayedKey) -> Option<TaskRef> {
    delayed.worker.delayed.remove(delayed.key)
}
