//! Placement: the decision which worker starts a goroutine. It is made once, because a started
//! goroutine never moves.
//!
//! The measure is a worker's load ([`View::load`]): the goroutines that ran on it within the last
//! 100 to 200 ms and still live. All *parents* of a worker, goroutines that have spawned others,
//! count together as half a goroutine, since a parent mostly waits for its children. The *least
//! loaded* worker is the one with the smallest [`View::rank`]: the load, to which each task that
//! was sent to the worker and has not started adds a goroutine, and then the number of live
//! goroutines. A worker that decides reads the loads of a limited number of other workers. Two
//! rules follow:
//!
//! 1. **A worker that takes a task from its own queue starts it, or sends it away**
//!    ([`Survey::on_start`]). The worker starts the task as long as enough other tasks wait, in all
//!    queues, to bring each less loaded worker up to its own load. Otherwise it sends the least
//!    loaded worker as many tasks as that worker lacks, in a run, and wakes that worker. Short
//!    goroutines end before they add to a load, so trees of them stay where they are spawned; a
//!    pool of GOMAXPROCS goroutines ends up with one on each worker; a thousand neighbors are cut
//!    into a few runs.
//! 2. **An idle worker takes tasks from any queue** by the same measure ([`Survey::on_steal`]). If
//!    a less loaded worker should have the task, the idle worker wakes that worker if it sleeps,
//!    and keeps watch ([`Watch`]): once every less loaded worker has been busy for [`WATCH_FOR`],
//!    the idle worker starts the task itself, whatever the loads are.
//!
//! ```text
//!   own queue ----> on_start ---> Start: here        | enough other tasks wait for the others
//!                            `--> Send: to another   | the least loaded worker lacks this one
//!   any queue ----> on_steal ---> Take: start here   | enough other tasks wait for the others
//!                            `--> Leave: and watch   | until the others have been busy too long
//! ```
//!
//! So while a worker is idle, a task waits for about [`WATCH_FOR`], or up to twice that (unless
//! it comes from a [holding site](super::holding_sites)). A worker counts as busy only by its own
//! CPU time, or when it is blocked in the system: a worker that the system has merely preempted
//! will soon take its tasks.
//!
//! This module only computes with what the caller has read, and shares nothing between threads;
//! `simulation` runs it on up to 128 virtual workers.

#[cfg(test)]
mod simulation;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::tuning::{LEAF, PARENTS_WORTH, WATCH_FOR};

/// Returns the load of a worker with these active goroutines.
#[inline]
fn load(leaves: usize, parents: bool) -> usize {
    leaves * LEAF + usize::from(parents)
}

/// A worker as other workers see it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// The worker's index.
    pub(crate) index: usize,
    /// Recently active goroutines that have not spawned any.
    pub(crate) leaves: usize,
    /// Whether any recently active goroutine has spawned.
    pub(crate) parents: bool,
    /// Goroutines that other workers have sent to this worker, and that have not started.
    pub(crate) sent: usize,
    /// All live goroutines that have started on this worker.
    pub(crate) live: usize,
    /// Whether the worker runs a goroutine at the moment.
    pub(crate) busy: bool,
    /// The number of the worker's turn, which changes when the worker runs the next goroutine.
    pub(crate) turn: usize,
    pub(crate) asleep: bool,
}

impl View {
    fn load(&self) -> usize {
        load(self.leaves, self.parents)
    }

    /// Returns the sort key of the worker: the worker with the smallest key should get the next
    /// goroutine.
    pub(crate) fn rank(&self) -> (usize, usize) {
        (self.load() + self.sent * LEAF, self.live)
    }

    /// Returns how many goroutines the worker lacks until its load is `level`.
    fn lacks(&self, level: usize) -> usize {
        level.saturating_sub(self.load()).div_ceil(LEAF)
    }
}

/// The data by which a worker decides: its own load, the other workers that accept goroutines, and
/// how many tasks wait.
///
/// The rules hold under races because no goroutine counts both as load and as waiting: the
/// surveying worker reads the loads first, then how many goroutines were ever spawned, and last how
/// many have been placed. Each of the two counts only grows, and a goroutine is placed before it
/// counts as load. So `waiting` is never too high, and in doubt a worker leaves a task to the other
/// workers.
pub(crate) struct Survey {
    /// The surveying worker's own load, reduced a little if it is high.
    level: usize,
    /// The surveyed workers, out of `total` other workers.
    others: SmallVec<[View; 16]>,
    total: usize,
    /// Number of tasks in all queues that no worker has placed.
    waiting: usize,
}

/// A worker's decision about a task that it has taken from its own queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnStart {
    /// Start the task here.
    Start,
    /// Send `count` tasks to the worker `to`: this task and the next ones in the queue.
    Send { to: usize, count: usize },
}

/// An idle worker's decision about a queue of tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnSteal {
    /// Take this number of tasks.
    Take(usize),
    /// Leave the tasks to less loaded workers, and wake `wake`, the least loaded of them that
    /// sleeps.
    Leave { wake: Option<usize> },
}

impl Survey {
    pub(crate) fn new(
        own: View,
        others: SmallVec<[View; 16]>,
        total: usize,
        waiting: usize,
    ) -> Survey {
        let mut others = others;
        for other in &mut others {
            other.parents |= own.parents && other.live > own.live + PARENTS_WORTH;
        }
        // Among many goroutines, a difference of a thirtieth is not worth sending tasks for.
        let load = own.load();
        Survey {
            level: load - load / 32,
            others,
            total,
            waiting,
        }
    }

    /// Returns a worker on which no goroutine lives, and to which no task was sent.
    pub(crate) fn empty(&self) -> Option<usize> {
        let is_empty = |view: &&View| view.live == 0 && view.sent == 0 && !view.busy;
        self.others.iter().find(is_empty).map(|view| view.index)
    }

    /// Returns how many goroutines the other workers lack until each has a load of `level`. If not
    /// all of them are surveyed this is an estimate, more likely too high than too low: then a task
    /// goes to a worker that surely lacks one.
    fn lacking(&self, level: usize) -> usize {
        let surveyed: usize = self.others.iter().map(|other| other.lacks(level)).sum();
        if surveyed == 0 || self.total <= self.others.len() {
            return surveyed;
        }
        (surveyed + 2) * self.total / self.others.len()
    }

    fn least_loaded(&self) -> Option<&View> {
        self.others.iter().min_by_key(|other| other.rank())
    }

    /// Decides for a worker that has taken a task, one of `queued`, from its own queue.
    pub(crate) fn on_start(&self, queued: usize) -> OnStart {
        let lacking = self.lacking(self.level);
        match self.least_loaded() {
            Some(to) if to.rank().0 < self.level && lacking >= self.waiting.max(1) => {
                OnStart::Send {
                    to: to.index,
                    count: (to.lacks(self.level) * queued / lacking).max(1),
                }
            }
            _ => OnStart::Start,
        }
    }

    /// Decides for a worker that has found `queued` tasks in the injector or in another worker's
    /// queue.
    pub(crate) fn on_steal(&self, queued: usize) -> OnSteal {
        let most = queued.min(self.waiting);
        // The k-th task taken is started at a load of `level + (k - 1) * LEAF`. What the other
        // workers lack grows with k, so a binary search finds the greatest k.
        let fits = |k: usize| self.lacking(self.level + (k - 1) * LEAF) <= self.waiting - k;
        let (mut good, mut bad) = (0, most + 1);
        while bad - good > 1 {
            let k = good + (bad - good) / 2;
            if fits(k) { good = k } else { bad = k }
        }
        if good > 0 {
            return OnSteal::Take(good);
        }
        let asleep = self
            .others
            .iter()
            .filter(|other| other.asleep && other.lacks(self.level) > 0);
        let wake = asleep.min_by_key(|other| other.rank());
        OnSteal::Leave {
            wake: wake.map(|other| other.index),
        }
    }

    /// Returns the less loaded workers, for which the idle worker leaves tasks.
    fn preferred(&self) -> impl Iterator<Item = &View> {
        self.others
            .iter()
            .filter(|other| other.lacks(self.level) > 0)
    }
}

/// Returns whether a worker with these active goroutines may start one of `queued` tasks in its own
/// queue, whatever the loads of the `others` are. A worker that may do so saves the survey.
#[inline]
pub(crate) fn may_start_anyway(leaves: usize, parents: bool, others: usize, queued: usize) -> bool {
    load(leaves, parents).div_ceil(LEAF) * others < queued
}

/// An idle worker's watch over tasks that it has left to less loaded workers.
///
/// The watch lasts until the worker finds no waiting task. It goes on while the worker runs a
/// goroutine in between: otherwise a worker that only ever has short breaks would never see
/// [`WATCH_FOR`] pass.
#[derive(Default)]
pub(crate) struct Watch {
    /// The less loaded workers that were busy at each of this worker's surveys.
    busy: SmallVec<[Busy; 8]>,
    /// When the watch began.
    since: Option<Instant>,
}

/// A less loaded worker that is busy.
struct Busy {
    index: usize,
    /// When the worker was first seen to be busy.
    since: Instant,
    /// The worker's turn at that time.
    turn: usize,
    /// CPU time that the worker's thread had used by then, if the system reports it.
    computed: Option<Duration>,
}

impl Watch {
    /// Returns whether each less loaded worker has been busy for [`WATCH_FOR`], so that the idle
    /// worker may start a task.
    pub(crate) fn is_over(
        &mut self,
        survey: &Survey,
        now: Instant,
        computed: impl Fn(usize) -> Option<Duration>,
        is_blocked: impl Fn(usize) -> bool,
    ) -> bool {
        let since = *self.since.get_or_insert(now);
        // Workers that become less loaded one after the other must not postpone the end forever.
        let is_old = now >= since + 2 * WATCH_FOR;
        let mut all_busy = true;
        self.busy
            .retain(|busy| survey.preferred().any(|view| view.index == busy.index));
        for view in survey.preferred() {
            let known = self.busy.iter().position(|busy| busy.index == view.index);
            all_busy &= match known {
                // A worker that is not busy is about to search its queues, or was woken and will
                // search them soon.
                _ if !view.busy => {
                    known.map(|at| self.busy.swap_remove(at));
                    false
                }
                None => {
                    self.busy.push(Busy {
                        index: view.index,
                        since: now,
                        turn: view.turn,
                        computed: computed(view.index),
                    });
                    is_old
                }
                Some(at) if now < self.busy[at].since + WATCH_FOR => is_old,
                Some(at) => self.busy[at].is_at_work(&computed, &is_blocked),
            };
        }
        all_busy
    }

    /// Returns the workers that have been busy for [`WATCH_FOR`], each with the turn in which it
    /// was first seen: if that turn still lasts, no other task should wait for the worker.
    pub(crate) fn long_turns(&self, now: Instant) -> impl Iterator<Item = (usize, usize)> {
        let long = self
            .busy
            .iter()
            .filter(move |busy| now >= busy.since + WATCH_FOR);
        long.map(|busy| (busy.index, busy.turn))
    }

    /// Returns when the sleeping worker has to survey again. The surveys become less and less
    /// frequent, because the worker may be waiting for a preempted worker.
    pub(crate) fn next_survey(&self, now: Instant) -> Option<Instant> {
        let pause = |since: Instant| ((now - since) / 4).clamp(WATCH_FOR, 10 * WATCH_FOR);
        self.since.map(|since| now + pause(since))
    }

    /// Returns whether tasks have been left to other workers.
    pub(crate) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    pub(crate) fn end(&mut self) {
        self.since = None;
        self.busy.clear();
    }
}

impl Busy {
    /// Returns whether the worker has computed for [`WATCH_FOR`] or is blocked, rather than merely
    /// preempted by the system. If the system does not report CPU times, returns `true`.
    fn is_at_work(
        &self,
        computed: impl Fn(usize) -> Option<Duration>,
        is_blocked: impl Fn(usize) -> bool,
    ) -> bool {
        match (self.computed, computed(self.index)) {
            (Some(then), Some(now)) => now >= then + WATCH_FOR || is_blocked(self.index),
            _ => true,
        }
    }
}
