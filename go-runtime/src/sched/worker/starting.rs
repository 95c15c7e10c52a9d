//! Which goroutine a worker starts next, and where it gets them from; the rule itself is in [`placement`].
//!
//! What has not started lies in the injector and in the workers' queues. The owner takes the newest of its queue, others steal the
//! oldest; whoever must not start one leaves it where it is, and sees to it that the right worker learns of it.

use std::time::Duration;

use crossbeam_deque::Stealer;

use super::Worker;
use crate::clock;
use crate::primitives::atomic::Ordering;
use crate::sched::placement::{self, Held, Survey};
use crate::sched::seat::Seat;
use crate::sched::task::{Era, TaskRef};

/// How often the oldest that has not started is preferred to the newest.
const OLDEST_WAIT: Duration = Duration::from_millis(1);
/// The same if it has waited for so long that it is old.
const OLD_WAIT: Duration = Duration::from_micros(125);
const OLD: Era = 3;
/// Where so few wait, the newest and the oldest are started in turn: those of a kind have often been spawned one after the other (a pool's senders, and then
/// its receivers), and each worker should have some of each.
const FEW: usize = 8;

impl Worker {
    /// One that has not started, if this worker is the one to start it.
    #[inline]
    pub(super) fn next_fresh(&self, tick: usize) -> Option<TaskRef> {
        if self.fresh.is_empty() || !self.may_start() {
            return None;
        }
        // The newest first keeps trees of goroutines small; now and then the oldest, so that none starves; and every other time if they are really
        // old and each turn takes long.
        let waits = self.oldest_waits.get() && self.turns_are_long.get() && tick & 4 == 0;
        let is_mixed = self.fresh.len() <= FEW && tick & 2 == 0;
        let oldest = if waits || self.oldest_has_turn.replace(false) || is_mixed {
            self.next_oldest(tick)
        } else {
            None
        };
        oldest.or_else(|| {
            let task = self.fresh.pop()?;
            self.seat.books.place();
            Some(task)
        })
    }

    /// The oldest of the own queue, or of that of all.
    #[inline(never)]
    fn next_oldest(&self, tick: usize) -> Option<TaskRef> {
        self.oldest_waits.set(false);
        if tick & 8 == 0
            && let Some(task) = self.next_injected()
        {
            return Some(task);
        }
        let task = self.seat.fresh.steal().success()?;
        self.seat.books.place();
        self.note_age(task);
        Some(task)
    }

    fn note_age(&self, task: TaskRef) {
        // SAFETY: the scheduler's reference is held until the goroutine has ended.
        let queued_in = unsafe { task.get() }.queued_in.get();
        let age = self.runtime.era().wrapping_sub(queued_in);
        self.oldest_waits.set(age >= OLD);
    }

    /// Whether one of the oldest has been started long ago. Each may be the root of a tree, which makes the caches the colder the more of them grow at a time.
    pub(super) fn is_turn_of_the_oldest(&self) -> bool {
        let now = clock::now();
        let wait = if self.oldest_waits.get() {
            OLD_WAIT
        } else {
            OLDEST_WAIT
        };
        let last = self.oldest_started.get();
        let is_due = last.is_none_or(|last| now - last >= wait);
        if is_due {
            self.oldest_started.set(Some(now));
        }
        is_due
    }

    /// One that has not started, from the queue of all, though there are some in the own one: those are newer, and may go on for ever.
    pub(super) fn next_injected(&self) -> Option<TaskRef> {
        let injector = &self.runtime.injector;
        if injector.is_empty() || self.seat.rest.is_retired() || self.share(injector.len()) == 0 {
            return None;
        }
        let task = injector.steal().success()?;
        self.seat.books.place();
        self.note_age(task);
        Some(task)
    }

    /// Whether this worker may start one from its own queue.
    pub(super) fn may_start(&self) -> bool {
        if self.seat.rest.is_retired() {
            self.hand_over();
            return false;
        }
        let load = self.seat.books.load();
        let others = self.runtime.made() - 1;
        if placement::may_start_anyway(load, others, self.fresh.len()) {
            self.held.replace(None);
            return true;
        }
        let survey = self.runtime.survey(self.index);
        if survey.may_start(load) {
            self.held.replace(None);
            return true;
        }
        self.leave_to_others(&survey, load)
    }

    /// Leaves all that has not started to the others, for this worker takes on nothing new.
    #[cold]
    fn hand_over(&self) {
        while let Some(task) = self.fresh.pop() {
            self.runtime.injector.push(task);
        }
        self.runtime.announce_work();
    }

    /// Something waits that a worker with less to do should start. `true`: all of those are kept busy, so this one may.
    #[cold]
    fn leave_to_others(&self, survey: &Survey, load: usize) -> bool {
        let runtime = self.runtime;
        let mut held = self.held.borrow_mut();
        let held = held.get_or_insert_with(|| Held::new(runtime.seats().map(Seat::computed)));
        let computed = |index: usize| runtime.seat(index)?.computed();
        if held.is_overdue(survey, load, clock::now(), computed) {
            return true;
        }
        self.runtime.has_held.store(true, Ordering::Relaxed);
        // One that looks for work takes it, or calls the next before it sleeps.
        let idle = &self.runtime.idle;
        if idle.sleepers() > 0 && idle.searching() <= usize::from(self.searching.get()) {
            self.runtime.call_one();
        }
        false
    }

    /// Brings some of what waits elsewhere to the own queue. `true`: there may be something now.
    pub(super) fn steal(&self) -> bool {
        let runtime = self.runtime;
        if self.seat.rest.is_retired() {
            return false;
        }
        if !runtime.has_fresh() {
            // What was held has found its worker; what comes next starts with its own patience.
            self.held.replace(None);
            return false;
        }
        let injected = runtime.injector.len();
        if injected > 0 {
            let share = self.share(injected);
            if share > 0 {
                let stolen = runtime.injector.steal_batch_with_limit(&self.fresh, share);
                if !stolen.is_empty() {
                    return true;
                }
            }
        }
        let count = runtime.made();
        for i in 1..count {
            let Some(victim) = runtime.seat((self.index + i) % count) else {
                continue;
            };
            let waiting = victim.fresh.len();
            if waiting > 0 {
                let share = self.share(waiting);
                if share > 0 && self.steal_from(&victim.fresh, share) {
                    return true;
                }
            }
        }
        false
    }

    /// Takes up to `most` of the oldest in a run, as who talks to whom has often been spawned one after the other.
    fn steal_from(&self, queue: &Stealer<TaskRef>, most: usize) -> bool {
        let mut left = most;
        // One call takes a few dozen at most. What thieves take meanwhile counts as taken by this one.
        while left > 0 {
            let before = queue.len();
            let stolen = queue.steal_batch_with_limit(&self.fresh, left);
            if stolen.is_empty() {
                break;
            }
            left = left.saturating_sub(before.saturating_sub(queue.len()).max(1));
        }
        left < most
    }

    /// How many this worker should take from a queue with `waiting`.
    fn share(&self, waiting: usize) -> usize {
        let load = self.seat.books.load();
        let survey = self.runtime.survey(self.index);
        let share = survey.share(load, waiting);
        if share > 0 {
            return share;
        }
        usize::from(self.leave_to_others(&survey, load))
    }
}
