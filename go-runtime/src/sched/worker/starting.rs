//! Which goroutine a worker starts next, and where it gets them from. Where a goroutine starts is
//! decided in [`placement`].
//!
//! What has not started lies in one of three kinds of queue: a worker's own, of which the owner
//! takes the newest and others steal the oldest; what other workers have sent to a worker; and the
//! injector, for what threads spawn and for what is too much for a worker's own queue. Any worker
//! may take from any of them.

use std::iter;
use std::time::Duration;

use crossbeam_deque::{Injector, Steal, Stealer};

use super::Worker;
use crate::clock;
use crate::sched::placement::{self, OnStart, OnSteal, Survey};
use crate::sched::seat::Seat;
use crate::sched::task::TaskRef;

/// How often the oldest task is preferred to the newest. More often costs time: each of the oldest
/// may be the root of a tree, and the more of them grow at a time, the colder are the caches
/// (`compare`, skynet). `--test starvation` notices if never.
const OLDEST_WAIT: Duration = Duration::from_millis(1);
/// Where so few wait, the newest and the oldest are started in turn: those of a kind have often
/// been spawned one after the other (a pool's senders, and then its receivers), and each worker
/// should have some of each (`compare`, mpmc0).
const FEW: usize = 8;

/// Takes one task, however many others try at the same time.
fn steal_one(steal: impl Fn() -> Steal<TaskRef>) -> Option<TaskRef> {
    iter::repeat_with(steal)
        .find(|steal| !steal.is_retry())?
        .success()
}

/// A queue that belongs to all, or to another worker.
enum Queue<'a> {
    Shared(&'a Injector<TaskRef>),
    Own(&'a Stealer<TaskRef>),
}

impl Queue<'_> {
    fn len(&self) -> usize {
        match self {
            Queue::Shared(queue) => queue.len(),
            Queue::Own(queue) => queue.len(),
        }
    }

    fn steal(&self) -> Option<TaskRef> {
        steal_one(|| match self {
            Queue::Shared(queue) => queue.steal(),
            Queue::Own(queue) => queue.steal(),
        })
    }

    /// Moves up to `most` of the oldest in a run, as neighbors often talk to each other. Returns
    /// whether it has moved any.
    fn steal_into(&self, own: &super::Queue, most: usize) -> bool {
        let mut left = most;
        // One call takes a few dozen at most. What other thieves take meanwhile counts as taken by
        // this one.
        while left > 0 {
            let before = self.len();
            let stolen = match self {
                Queue::Shared(queue) => queue.steal_batch_with_limit(own, left),
                Queue::Own(queue) => queue.steal_batch_with_limit(own, left),
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
    /// A task that this worker starts now, from what it has queued or was sent. What should start
    /// elsewhere is sent there.
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

    #[inline]
    fn take_unstarted(&self, turn: usize) -> Option<TaskRef> {
        let sent = &self.seat.sent;
        // What was sent has waited already. (And there is never much of it, since others send only
        // what is lacking here.)
        if !sent.is_empty()
            && let Some(task) = steal_one(|| sent.steal())
        {
            return Some(task);
        }
        // The newest first keeps trees of goroutines small; now and then the oldest, so that none
        // starves.
        let is_mixed = self.fresh.len() <= FEW && turn & 2 == 0;
        if self.oldest_has_turn.replace(false) || is_mixed {
            steal_one(|| self.seat.fresh.steal())
        } else {
            self.fresh.pop()
        }
    }

    /// Decides about a task that was one of `queued` in this worker's queues.
    #[inline]
    fn start_or_send(&self, task: TaskRef, queued: usize) -> Option<TaskRef> {
        if self.is_bad(task) {
            return self.start_alone(task);
        }
        let (leaves, parents) = self.seat.load.own();
        let others = self.runtime.made() - 1;
        if placement::may_start_anyway(leaves, parents > 0, others, queued) {
            return Some(self.place(task));
        }
        self.start_or_send_by_survey(task)
    }

    /// Whether the task's spawn site has a bad reputation.
    #[inline]
    fn is_bad(&self, task: TaskRef) -> bool {
        // SAFETY: the scheduler's reference is held until the goroutine has ended.
        self.runtime
            .reputation
            .is_bad(unsafe { task.get() }.spawned_at())
    }

    /// Has a task that may hold its worker start where nothing is parked.
    #[cold]
    fn start_alone(&self, task: TaskRef) -> Option<TaskRef> {
        if self.seat.load.live() == 0 {
            return Some(self.place(task));
        }
        match self.runtime.survey(self.index).empty() {
            Some(empty) => self.runtime.send(empty, iter::once(task)),
            // Other workers need not reckon with it any more.
            None => self.runtime.reputation.apart.push(self.place(task)),
        }
        None
    }

    /// A task that was put apart, if nothing is parked here, or all sites are forgiven.
    fn next_apart(&self) -> Option<TaskRef> {
        let reputation = &self.runtime.reputation;
        if reputation.apart.is_empty() || reputation.is_any() && self.seat.load.live() > 0 {
            return None;
        }
        steal_one(|| reputation.apart.steal())
    }

    /// The task is this worker's from now on.
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

    /// Leaves all that has not started to the others, for this worker takes on nothing new.
    #[cold]
    fn hand_over(&self) {
        while let Some(task) = self.take_unstarted(0) {
            self.runtime.injector.push(task);
        }
        self.runtime.announce_work();
    }

    /// Whether the oldest was preferred last long ago.
    pub(super) fn is_turn_of_the_oldest(&self) -> bool {
        let now = clock::now();
        let last = self.oldest_started.get();
        let is_due = last.is_none_or(|last| now - last >= OLDEST_WAIT);
        if is_due {
            self.oldest_started.set(Some(now));
        }
        is_due
    }

    /// One task from the injector, though this worker has some of its own: those are newer, and may
    /// go on for ever.
    pub(super) fn next_injected(&self) -> Option<TaskRef> {
        let injector = &self.runtime.injector;
        if injector.is_empty() || self.seat.rest.is_retired() {
            return None;
        }
        let task = steal_one(|| injector.steal())?;
        self.start_or_send(task, 1 + self.fresh.len())
    }

    /// The queues that this worker may take from, beside its own.
    fn queues_elsewhere(&self) -> impl Iterator<Item = Queue<'_>> {
        let count = self.runtime.made();
        let victims = (1..count).filter_map(move |i| self.runtime.seat((self.index + i) % count));
        let theirs = victims.flat_map(|seat| [Queue::Own(&seat.fresh), Queue::Shared(&seat.sent)]);
        iter::once(Queue::Shared(&self.runtime.injector)).chain(theirs)
    }

    /// Brings some of what waits elsewhere to this worker's queue, as far as it is this worker's to
    /// start, and returns whether it has. If not, sees to it that the right worker learns of it; an
    /// `idle` worker keeps watch besides.
    pub(super) fn search(&self, idle: bool) -> bool {
        if self.seat.rest.is_retired() {
            self.end_watch();
            return false;
        }
        if let Some(task) = self.next_apart() {
            self.local.borrow_mut().push_back(task);
            return true;
        }
        let mut survey = None;
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
                    if let Some(least) = wake.and_then(|index| self.runtime.seat(index)) {
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
                        self.local.borrow_mut().extend(task);
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

    /// The same for a worker that may not count as searching: while it moved tasks, other workers
    /// may have looked in vain, and gone to sleep.
    pub(super) fn search_awake(&self, idle: bool) -> bool {
        let found = self.search(idle);
        if found && !self.searching.get() {
            self.runtime.announce_work();
        }
        found
    }

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
            // The next idle worker need not watch for as long again.
            for (index, turn) in watch.long_turns(now) {
                seat(index).inspect(|seat| seat.books.set_long_turn(turn));
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
