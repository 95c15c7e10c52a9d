//! Stealing: how a worker takes tasks from the injector and from other workers' queues, and its
//! watch over tasks that it leaves to less loaded workers.
//!
//! A worker steals the oldest tasks of a queue. [`placement`](crate::sched::placement) decides how
//! many, up to a limit: one task after a sleep, then two, four, and so on. A worker that ends its
//! watch because it has found something to run notifies another worker, which may watch in its
//! place. Only the worker's own thread uses this module.

use std::cell::{Cell, RefCell};
use std::iter;
use std::mem;
use std::time::Instant;

use crossbeam_deque::{Injector, Steal, Stealer};

use super::unstarted::{Unstarted, steal_one};
use crate::clock;
use crate::sched::placement::{OnSteal, Survey, Watch};
use crate::sched::recording::{self, Kind};
use crate::sched::runtime::{Queue, Runtime};
use crate::sched::shared::WorkerShared;
use crate::sched::task::TaskRef;

pub(super) struct Stealing {
    runtime: &'static Runtime,
    shared: &'static WorkerShared,
    /// Maximum number of tasks to take from another queue at a time: one after a sleep, and twice
    /// as many each time. So if the first goroutine that the worker starts holds the worker, no
    /// other tasks are stuck in the worker's queue.
    batch: Cell<usize>,
    watch: RefCell<Watch>,
}

/// What a search has found.
pub(super) enum Found {
    /// Tasks, which are in the worker's queue now.
    Queued,
    /// A task that this worker has to start at once, since no other worker can take it any more.
    Task(TaskRef),
}

/// A queue that other workers use as well.
enum Source<'a> {
    Injector(&'a Injector<TaskRef>),
    Stealer(&'a Stealer<TaskRef>),
}

impl Source<'_> {
    fn len(&self) -> usize {
        match self {
            Source::Injector(queue) => queue.len(),
            Source::Stealer(queue) => queue.len(),
        }
    }

    fn steal(&self) -> Option<TaskRef> {
        steal_one(|| match self {
            Source::Injector(queue) => queue.steal(),
            Source::Stealer(queue) => queue.steal(),
        })
    }

    /// Moves up to `most` of the oldest tasks in a run, as neighbors often talk to each other.
    /// Returns whether it moved any tasks.
    fn steal_into(&self, own: &Queue, most: usize) -> bool {
        let mut left = most;
        // One call takes a few dozen tasks at most. Tasks that other thieves take meanwhile count
        // as taken by this worker, which then takes too few rather than too many.
        while left > 0 {
            let before = self.len();
            let stolen = match self {
                Source::Injector(queue) => queue.steal_batch_with_limit(own, left),
                Source::Stealer(queue) => queue.steal_batch_with_limit(own, left),
            };
            match stolen {
                Steal::Success(()) => {
                    left = left.saturating_sub(before.saturating_sub(self.len()).max(1))
                }
                Steal::Empty => break,
                Steal::Retry => {}
            }
        }
        left < most
    }
}

impl Stealing {
    pub(super) fn new(runtime: &'static Runtime, shared: &'static WorkerShared) -> Stealing {
        Stealing {
            runtime,
            shared,
            batch: Cell::new(1),
            watch: RefCell::default(),
        }
    }

    /// Returns the queues that this worker may take from, except its own.
    fn queues_elsewhere(&self) -> impl Iterator<Item = Source<'_>> {
        let (count, index) = (self.runtime.made(), self.shared.index());
        let victims = (1..count).filter_map(move |i| self.runtime.worker((index + i) % count));
        let theirs = victims.flat_map(|worker| {
            [
                Source::Stealer(&worker.stealer),
                Source::Injector(&worker.sent),
            ]
        });
        iter::once(Source::Injector(&self.runtime.injector)).chain(theirs)
    }

    /// Moves waiting tasks from other queues to this worker's, as many as this worker should start.
    /// Wakes a less loaded worker for tasks that it leaves; an `idle` worker also keeps watch over
    /// them.
    pub(super) fn search(&self, unstarted: &Unstarted, idle: bool) -> Option<Found> {
        if self.shared.sleep.is_retired() {
            self.end_watch();
            return None;
        }
        if let Some(task) = unstarted.next_quarantined() {
            return Some(Found::Task(task));
        }
        let (mut survey, mut has_notified) = (None, false);
        for queue in self.queues_elsewhere() {
            let queued = queue.len();
            if queued == 0 {
                continue;
            }
            let survey = &*survey.get_or_insert_with(|| self.runtime.survey(self.shared.index()));
            match survey.on_steal(queued) {
                OnSteal::Take(count) => {
                    if queue.steal_into(&unstarted.queue, count.min(self.batch.get())) {
                        self.batch.set(self.batch.get().saturating_mul(2));
                        self.shared.tally.count_steal();
                        if recording::is_on() {
                            recording::record(Kind::Steal, unstarted.queue.len() as u64, None);
                        }
                        return Some(Found::Queued);
                    }
                }
                OnSteal::Leave { wake } => {
                    if let Some(least) = wake.and_then(|index| self.runtime.worker(index))
                        && !mem::replace(&mut has_notified, true)
                    {
                        self.runtime.notify(least);
                    }
                    if idle
                        && self.watch_is_over(survey)
                        && let Some(task) = queue.steal()
                    {
                        self.shared.tally.count_steal();
                        // `None` means that the task was sent to another worker, or quarantined.
                        let task = unstarted.start_anyway(task);
                        return Some(task.map_or(Found::Queued, Found::Task));
                    }
                }
            }
        }
        if survey.is_none() {
            self.end_watch();
        }
        None
    }

    /// Notes that the worker is about to sleep.
    pub(super) fn begin_sleep(&self) {
        self.batch.set(1);
    }

    // --- the watch ---

    /// Returns whether this worker watches tasks that it has left to other workers.
    pub(super) fn is_watching(&self) -> bool {
        self.watch.borrow().is_on()
    }

    /// Returns when the sleeping worker has to search again because of its watch.
    pub(super) fn next_survey(&self) -> Option<Instant> {
        self.watch.borrow().next_survey(clock::now())
    }

    /// Returns whether this worker may start a task that it has left to less loaded workers.
    #[cold]
    fn watch_is_over(&self, survey: &Survey) -> bool {
        let worker = |index| self.runtime.worker(index);
        let mut watch = self.watch.borrow_mut();
        let now = clock::now();
        let is_over = watch.is_over(
            survey,
            now,
            |index| worker(index)?.computed(),
            |index| {
                worker(index)
                    .and_then(WorkerShared::is_blocked)
                    .unwrap_or(true)
            },
        );
        if is_over {
            // These turns are marked as long: other idle workers leave no task to a worker that is
            // still in such a turn.
            for (index, turn) in watch.long_turns(now) {
                worker(index)
                    .filter(|worker| worker.stats.turn() == turn)
                    .inspect(|worker| worker.stats.set_long_turn(turn));
            }
        }
        is_over
    }

    fn end_watch(&self) {
        if self.is_watching() {
            self.watch.borrow_mut().end();
        }
    }
}
