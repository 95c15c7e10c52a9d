//! Which goroutine a worker starts next, and from which queue it takes that. On which worker a
//! goroutine starts is decided in [`placement`].
//!
//! A task that has not started lies in one of these queues:
//!
//! ```text
//! queue               filled by                       emptied by
//! a worker's fresh    the worker                      the worker (newest), thieves (oldest)
//! a worker's sent     other workers                   any worker, oldest first
//! the injector        threads; overflow of a queue    any worker, oldest first
//! a worker's local    the worker                      the worker
//! reputation.apart    any worker                      see `reputation`
//! ```
//!
//! A task is *placed* when a worker decides to start it, and once only: tasks in `local` and in
//! `apart` are placed, all others are not.

use std::iter;
use std::mem;
use std::time::Duration;

use crossbeam_deque::{Injector, Steal, Stealer};

use super::Worker;
use crate::clock;
use crate::sched::placement::{self, OnStart, OnSteal, Survey};
use crate::sched::seat::Seat;
use crate::sched::task::TaskRef;

/// How often the oldest task is preferred to the newest, so that none starves (`--test
/// starvation`). Not more often: each of the oldest may be the root of a tree, and the more trees
/// grow at a time, the colder are the caches (`compare`, skynet).
const OLDEST_WAIT: Duration = Duration::from_millis(1);
/// Up to this number of tasks in its queue, a worker starts the newest and the oldest alternately:
/// goroutines of a kind have often been spawned one after the other (a pool's senders, and then its
/// receivers), and each worker should have some of each (`compare`, mpmc0).
const FEW: usize = 8;
/// Where hundreds wait, so many more of the oldest are started each time: with sixty-four of them,
/// skynet took five times as long, with eight it takes no longer than with one (`compare`).
const MORE_OF_THE_OLDEST: usize = 7;

/// Takes one task, however many other workers try at the same time.
fn steal_one(steal: impl Fn() -> Steal<TaskRef>) -> Option<TaskRef> {
    iter::repeat_with(steal)
        .find(|steal| !steal.is_retry())?
        .success()
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
    /// Returns whether it has moved any.
    fn steal_into(&self, own: &super::Queue, most: usize) -> bool {
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

impl Worker {
    /// Returns a task that this worker starts now, from its own queue or what it was sent. Sends
    /// tasks that should start elsewhere to their worker.
    #[inline]
    pub(super) fn next_unstarted(&self, turn: usize) -> Option<TaskRef> {
        if self.fresh.is_empty() && self.seat.sent.is_empty() {
            return None;
        }
        self.next_of_some(turn)
    }

    #[inline(never)]
    fn next_of_some(&self, turn: usize) -> Option<TaskRef> {
        loop {
            let sent = &self.seat.sent;
            let queued = self.fresh.len() + if sent.is_empty() { 0 } else { sent.len() };
            if queued == 0 {
                return None;
            }
            if self.seat.rest.is_retired() {
                self.hand_over();
                return None;
            }
            let task = self.take_unstarted(turn)?;
            if let Some(task) = self.start_or_send(task, queued) {
                return Some(task);
            }
        }
    }

    /// Takes a task that was sent, or else one from the own queue.
    #[inline]
    fn take_unstarted(&self, turn: usize) -> Option<TaskRef> {
        let sent = &self.seat.sent;
        // A task that was sent has waited already. (There are never many, since other workers send
        // only what this worker lacks.)
        if !sent.is_empty()
            && let Some(task) = steal_one(|| sent.steal())
        {
            return Some(task);
        }
        // The newest first keeps trees of goroutines small; now and then the oldest, so that no
        // task starves.
        let is_mixed = self.fresh.len() <= FEW && turn & 2 == 0;
        if is_mixed || self.is_turn_of_the_oldest() {
            steal_one(|| self.seat.fresh.steal())
        } else {
            self.fresh.pop()
        }
    }

    /// Returns the task, one of `queued` in this worker's queues, if it starts here. Otherwise
    /// sends it away.
    #[inline]
    fn start_or_send(&self, task: TaskRef, queued: usize) -> Option<TaskRef> {
        if self.is_bad(task) {
            return self.start_alone(task);
        }
        let (leaves, parents) = self.seat.load.own();
        let others = self.runtime.active().saturating_sub(1);
        if placement::may_start_anyway(leaves, parents > 0, others, queued) {
            return Some(self.place(task));
        }
        self.start_or_send_by_survey(task)
    }

    /// Returns whether the task's spawn site has a bad reputation.
    #[inline]
    fn is_bad(&self, task: TaskRef) -> bool {
        // SAFETY: the task has not started, so the scheduler's reference, which only `TaskRef::run`
        // gives back, keeps it alive.
        self.runtime
            .reputation
            .is_bad(unsafe { task.get() }.spawned_at())
    }

    /// Has a task that may hold its worker start where no goroutine lives.
    #[cold]
    fn start_alone(&self, task: TaskRef) -> Option<TaskRef> {
        if self.seat.load.live() == 0 {
            return Some(self.place(task));
        }
        match self.runtime.survey(self.index).empty() {
            Some(empty) => self.runtime.send(empty, iter::once(task)),
            // Placed at once, as no survey should count a task as waiting that most may not take.
            None => self.runtime.reputation.apart.push(self.place(task)),
        }
        None
    }

    /// Takes a task that was put apart, if no goroutine lives here, or all sites are forgiven.
    pub(super) fn next_apart(&self) -> Option<TaskRef> {
        let reputation = &self.runtime.reputation;
        if self.seat.rest.is_retired()
            || reputation.apart.is_empty()
            || reputation.is_any() && self.seat.load.live() > 0
        {
            return None;
        }
        steal_one(|| reputation.apart.steal())
    }

    /// Notes that this worker has decided to start the task.
    fn place(&self, task: TaskRef) -> TaskRef {
        self.seat.load.place();
        task
    }

    #[inline(never)]
    fn start_or_send_by_survey(&self, task: TaskRef) -> Option<TaskRef> {
        let survey = self.runtime.survey(self.index);
        match survey.on_start(1 + self.fresh.len() + self.seat.sent.len()) {
            OnStart::Start => Some(self.place(task)),
            OnStart::Send { to, count } => {
                let next = iter::from_fn(|| self.take_unstarted(0));
                self.runtime
                    .send(to, iter::once(task).chain(next).take(count));
                None
            }
        }
    }

    /// Leaves all unstarted tasks to the other workers, as this worker has retired.
    #[cold]
    fn hand_over(&self) {
        while let Some(task) = self.take_unstarted(0) {
            self.runtime.injector.push(task);
        }
        self.runtime.announce_work();
    }

    #[inline]
    fn is_turn_of_the_oldest(&self) -> bool {
        let turns = self.oldest_turns.get();
        if turns > 0 {
            self.oldest_turns.set(turns - 1);
        }
        turns > 0
    }

    /// Has the task started before anything else is: no other worker can take it any more.
    fn force(&self, task: TaskRef) {
        self.forced.set(Some(task));
        self.round_ends.set(self.seat.books.turn().wrapping_add(1));
    }

    /// Gives the oldest their turn, if they have not had it for a while: one of them, or some if
    /// many wait.
    pub(super) fn note_the_oldest(&self) {
        let now = clock::now();
        if self
            .oldest_started
            .get()
            .is_none_or(|last| now - last >= OLDEST_WAIT)
        {
            self.oldest_started.set(Some(now));
            self.oldest_turns
                .set(1 + (self.fresh.len() / 64).min(MORE_OF_THE_OLDEST));
        }
    }

    /// Takes one task from the injector, although this worker's own queue has some: those are
    /// newer, and may spawn others for ever.
    pub(super) fn next_injected(&self) -> Option<TaskRef> {
        let injector = &self.runtime.injector;
        if injector.is_empty() || self.seat.rest.is_retired() {
            return None;
        }
        let task = steal_one(|| injector.steal())?;
        self.start_or_send(task, 1 + self.fresh.len())
    }

    /// Returns the queues that this worker may take from, except its own.
    fn queues_elsewhere(&self) -> impl Iterator<Item = Source<'_>> {
        let count = self.runtime.made();
        let victims = (1..count).filter_map(move |i| self.runtime.seat((self.index + i) % count));
        let theirs =
            victims.flat_map(|seat| [Source::Stealer(&seat.fresh), Source::Injector(&seat.sent)]);
        iter::once(Source::Injector(&self.runtime.injector)).chain(theirs)
    }

    /// Moves waiting tasks from other queues to this worker's, as many as this worker should start,
    /// and returns whether it has taken any. (One in `forced` is to be started at once: no other
    /// worker can take it any more.) Wakes a less loaded worker for tasks that it leaves;
    /// an `idle` worker also keeps watch over them.
    pub(super) fn search(&self, idle: bool) -> bool {
        if self.seat.rest.is_retired() {
            self.end_watch();
            return false;
        }
        if let Some(task) = self.next_apart() {
            self.force(task);
            return true;
        }
        let (mut survey, mut has_called) = (None, false);
        for queue in self.queues_elsewhere() {
            let queued = queue.len();
            if queued == 0 {
                continue;
            }
            let survey = &*survey.get_or_insert_with(|| self.runtime.survey(self.index));
            match survey.on_steal(queued) {
                OnSteal::Take(count) => {
                    if queue.steal_into(&self.fresh, count.min(self.batch.get())) {
                        self.batch.set(self.batch.get().saturating_mul(2));
                        return true;
                    }
                }
                OnSteal::Leave { wake } => {
                    if let Some(least) = wake.and_then(|index| self.runtime.seat(index))
                        && !mem::replace(&mut has_called, true)
                    {
                        self.runtime.call(least);
                    }
                    if idle
                        && self.watch_is_over(survey)
                        && let Some(task) = queue.steal()
                    {
                        let task = if self.is_bad(task) {
                            self.start_alone(task)
                        } else {
                            Some(self.place(task))
                        };
                        task.into_iter().for_each(|task| self.force(task));
                        return true;
                    }
                }
            }
        }
        if survey.is_none() {
            self.end_watch();
        }
        false
    }

    /// Searches, as [`search`](Self::search), for a worker that may not count as searching: while
    /// it moved tasks, other workers may have searched in vain, and gone to sleep.
    pub(super) fn search_awake(&self, idle: bool) -> bool {
        let found = self.search(idle);
        if found && !self.searching.get() {
            self.runtime.announce_work();
        }
        found
    }

    /// Returns whether this worker may start a task that it has left to less loaded workers.
    #[cold]
    fn watch_is_over(&self, survey: &Survey) -> bool {
        let seat = |index| self.runtime.seat(index);
        self.on_duty.set(true);
        let mut watch = self.watch.borrow_mut();
        let now = clock::now();
        let is_over = watch.is_over(
            survey,
            now,
            |index| seat(index)?.computed(),
            |index| seat(index).and_then(Seat::is_blocked).unwrap_or(true),
        );
        if is_over {
            // Other idle workers then leave no task to a worker that is still in such a turn.
            for (index, turn) in watch.long_turns(now) {
                seat(index)
                    .filter(|seat| seat.books.turn() == turn)
                    .inspect(|seat| seat.books.set_long_turn(turn));
            }
        }
        is_over
    }

    fn end_watch(&self) {
        if self.watch.borrow().is_on() {
            self.watch.borrow_mut().end();
        }
    }
}
