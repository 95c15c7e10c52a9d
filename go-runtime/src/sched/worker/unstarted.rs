//! The tasks that a worker may start, and the choice of the one that it starts next. [`placement`]
//! decides on which worker a goroutine starts.
//!
//! A task that has not started lies in one of these queues:
//!
//! ```text
//! queue                   filled by                       emptied by
//! the worker's queue      the worker                      the worker (newest), thieves (oldest)
//! the worker's `sent`     other workers                   any worker, oldest first
//! the injector            threads; overflow of a queue    any worker, oldest first
//! the worker's `pinned`   the worker                      the worker, oldest first
//! the quarantined tasks   any worker                      see `holding_sites`
//! ```
//!
//! A task is *placed* when a worker decides to start it, and once only: tasks in `pinned` and in
//! `holding_sites.quarantined` are placed, all others are not.
//!
//! The worker takes tasks that were sent to it first. Of its own queue it starts the newest task,
//! which keeps trees of goroutines small; once per millisecond it starts the oldest, so that no
//! task starves; and while only a few tasks wait it alternates between the two ends. At the end of
//! each round it also takes a quarantined task, or else one from the injector, because its own
//! queue may never run dry.
//!
//! Only the worker's thread uses an [`Unstarted`]; the thieves' end of the queue is in the worker's
//! shared side.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::iter;
use std::time::Instant;

use crossbeam_deque::Steal;

use crate::clock;
use crate::sched::placement::{self, OnStart};
use crate::sched::runtime::{Queue, Runtime};
use crate::sched::shared::WorkerShared;
use crate::sched::task::TaskRef;
use crate::sched::tuning::{FEW_TASKS, OLDEST_WAIT, QUEUE_CAPACITY};

pub(super) struct Unstarted {
    runtime: &'static Runtime,
    shared: &'static WorkerShared,
    /// The worker's end of its queue.
    pub(super) queue: Queue,
    /// Tasks that no other worker may start. They are placed.
    pinned: RefCell<VecDeque<TaskRef>>,
    /// When the oldest task of the queue was last preferred to the newest.
    oldest_started: Cell<Option<Instant>>,
    /// Whether the oldest task starts next, rather than the newest.
    oldest_first: Cell<bool>,
}

/// Takes one task from a queue that other workers may be using at the same time, and retries as
/// long as they interfere.
pub(super) fn steal_one(steal: impl Fn() -> Steal<TaskRef>) -> Option<TaskRef> {
    iter::repeat_with(steal)
        .find(|steal| !steal.is_retry())?
        .success()
}

impl Unstarted {
    pub(super) fn new(
        runtime: &'static Runtime,
        shared: &'static WorkerShared,
        queue: Queue,
    ) -> Unstarted {
        Unstarted {
            runtime,
            shared,
            queue,
            pinned: RefCell::default(),
            oldest_started: Cell::new(None),
            oldest_first: Cell::new(false),
        }
    }

    // --- putting tasks in ---

    /// Queues a new task that any worker may start.
    #[inline]
    pub(super) fn push(&self, task: TaskRef) {
        if self.queue.len() >= QUEUE_CAPACITY || self.shared.sleep.is_retired() {
            self.runtime.injector.push(task);
        } else {
            self.queue.push(task);
        }
    }

    /// Queues placed tasks that this worker alone may start.
    pub(super) fn pin(&self, tasks: impl IntoIterator<Item = TaskRef>) {
        let mut pinned = self.pinned.borrow_mut();
        pinned.extend(tasks);
        self.shared.stats.set_pinned(pinned.len());
    }

    // --- taking tasks out ---

    /// Returns whether no task waits in a queue of this worker.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.has_pinned() && self.queue.is_empty() && self.shared.sent.is_empty()
    }

    #[inline]
    pub(super) fn has_pinned(&self) -> bool {
        !self.pinned.borrow().is_empty()
    }

    /// Returns a task to start, if there is any: alternately a pinned task, and a task that other
    /// workers could take as well.
    // Always inlined: as a rule there is none, and each turn asks.
    #[inline(always)]
    pub(super) fn next(&self, turn: usize) -> Option<TaskRef> {
        if self.is_empty() {
            return None;
        }
        self.next_of_some(turn)
    }

    #[inline(never)]
    fn next_of_some(&self, turn: usize) -> Option<TaskRef> {
        if !self.has_pinned() {
            self.next_of_all(turn)
        // (Not the bit of `take`: or else no oldest task would start while pinned ones wait.)
        } else if turn & 4 == 0 {
            self.next_pinned()
        } else {
            self.next_of_all(turn).or_else(|| self.next_pinned())
        }
    }

    fn next_pinned(&self) -> Option<TaskRef> {
        let mut pinned = self.pinned.borrow_mut();
        let task = pinned.pop_front();
        self.shared.stats.set_pinned(pinned.len());
        task
    }

    /// Returns a task that this worker starts now, of those that any worker may start. Sends tasks
    /// that should start elsewhere to their worker.
    fn next_of_all(&self, turn: usize) -> Option<TaskRef> {
        loop {
            let sent = &self.shared.sent;
            let queued = self.queue.len() + if sent.is_empty() { 0 } else { sent.len() };
            if queued == 0 {
                return None;
            }
            if self.shared.sleep.is_retired() {
                self.hand_over();
                return None;
            }
            let task = self.take(turn)?;
            if let Some(task) = self.start_or_send(task, queued) {
                return Some(task);
            }
        }
    }

    /// Takes a task that was sent, or else one from the worker's queue.
    #[inline]
    fn take(&self, turn: usize) -> Option<TaskRef> {
        let sent = &self.shared.sent;
        // A task that was sent here has waited in another queue before. (There are never many,
        // since other workers send only what this worker lacks.)
        if !sent.is_empty()
            && let Some(task) = steal_one(|| sent.steal())
        {
            return Some(task);
        }
        // Starting the newest first keeps trees of goroutines small; now and then the oldest
        // starts, so that no task starves.
        let is_mixed = self.queue.len() <= FEW_TASKS && turn & 2 == 0;
        if is_mixed || self.oldest_first.get() {
            self.oldest_first.set(false);
            steal_one(|| self.shared.stealer.steal())
        } else {
            self.queue.pop()
        }
    }

    /// Moves all unstarted tasks to the injector, for the other workers, because this worker has
    /// retired.
    #[cold]
    fn hand_over(&self) {
        while let Some(task) = self.take(0) {
            self.runtime.injector.push(task);
        }
        self.runtime.announce_work();
    }

    // --- at the end of a round ---

    /// Returns a quarantined task, or one from the injector, that should start now, and lets the
    /// oldest task of the worker's queue start soon. Otherwise a worker whose queue never runs dry
    /// would keep these tasks waiting for ever.
    pub(super) fn end_round(&self) -> Option<TaskRef> {
        self.note_the_oldest();
        self.next_quarantined().or_else(|| self.next_injected())
    }

    /// Lets the oldest task start next, unless an oldest task did so within the last millisecond.
    fn note_the_oldest(&self) {
        let now = clock::now();
        if self
            .oldest_started
            .get()
            .is_none_or(|last| now - last >= OLDEST_WAIT)
        {
            self.oldest_started.set(Some(now));
            self.oldest_first.set(true);
        }
    }

    /// Takes a task from the injector, although this worker's own queue has tasks: those may be
    /// newer, and may spawn others for ever.
    fn next_injected(&self) -> Option<TaskRef> {
        let injector = &self.runtime.injector;
        if injector.is_empty() || self.shared.sleep.is_retired() {
            return None;
        }
        let task = steal_one(|| injector.steal())?;
        self.start_or_send(task, 1 + self.queue.len())
    }

    /// Takes a quarantined task, if no goroutine lives here, or there is no holding site.
    pub(super) fn next_quarantined(&self) -> Option<TaskRef> {
        let sites = &self.runtime.holding_sites;
        if self.shared.sleep.is_retired()
            || sites.quarantined.is_empty()
            || sites.has_any() && self.shared.load.live() > 0
        {
            return None;
        }
        steal_one(|| sites.quarantined.steal())
    }

    // --- where a task starts ---

    /// Returns the task, one of `queued` in this worker's queues, if it starts here. Otherwise
    /// sends it away.
    #[inline]
    fn start_or_send(&self, task: TaskRef, queued: usize) -> Option<TaskRef> {
        if self.is_from_holding_site(task) {
            return self.start_alone(task);
        }
        let (leaves, parents) = self.shared.load.own();
        let others = self.runtime.active().saturating_sub(1);
        if placement::may_start_anyway(leaves, parents > 0, others, queued) {
            return Some(self.place(task));
        }
        self.start_or_send_by_survey(task)
    }

    #[inline(never)]
    fn start_or_send_by_survey(&self, task: TaskRef) -> Option<TaskRef> {
        let survey = self.runtime.survey(self.shared.index());
        match survey.on_start(1 + self.queue.len() + self.shared.sent.len()) {
            OnStart::Start => Some(self.place(task)),
            OnStart::Send { to, count } => {
                let next = iter::from_fn(|| self.take(0));
                self.runtime
                    .send(to, iter::once(task).chain(next).take(count));
                None
            }
        }
    }

    /// Returns the task if it starts here, although other workers have less to do.
    pub(super) fn start_anyway(&self, task: TaskRef) -> Option<TaskRef> {
        if self.is_from_holding_site(task) {
            self.start_alone(task)
        } else {
            Some(self.place(task))
        }
    }

    /// Returns whether the task comes from a holding site.
    #[inline]
    fn is_from_holding_site(&self, task: TaskRef) -> bool {
        // SAFETY: the task has not started, so the scheduler's reference, which only `TaskRef::run`
        // gives back, keeps it alive.
        self.runtime
            .holding_sites
            .contains(unsafe { task.get() }.spawned_at())
    }

    /// Starts a task that may hold its worker, if no goroutine lives here; otherwise sends it to a
    /// worker where none lives, or quarantines it.
    #[cold]
    fn start_alone(&self, task: TaskRef) -> Option<TaskRef> {
        if self.shared.load.live() == 0 {
            return Some(self.place(task));
        }
        match self.runtime.survey(self.shared.index()).empty() {
            Some(empty) => self.runtime.send(empty, iter::once(task)),
            // The task is placed at once, so that no survey counts it as waiting: most workers may
            // not take it.
            None => self
                .runtime
                .holding_sites
                .quarantined
                .push(self.place(task)),
        }
        None
    }

    /// Notes that this worker has decided to start the task.
    fn place(&self, task: TaskRef) -> TaskRef {
        self.shared.load.place();
        task
    }

    /// Gives back memory that a longer queue needed.
    pub(super) fn shrink(&self) {
        let mut pinned = self.pinned.borrow_mut();
        let length = pinned.len();
        pinned.shrink_to(2 * length);
    }
}
