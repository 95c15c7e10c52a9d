//! Placement: which worker starts a goroutine. It is decided once, because a started goroutine
//! stays where it is.
//!
//! The measure is a worker's load ([`View::load`]): the goroutines that ran on it within the last
//! 100 to 200 ms and still live, and the ones that were sent to it and have not started. Two rules
//! follow from it:
//!
//! 1. **A worker that takes a task from its queue starts it, or sends it away**
//!    ([`Survey::on_start`]). It starts the task as long as its queue holds enough others to bring
//!    each less loaded worker up to its own load. Otherwise it sends the least loaded worker what
//!    that one lacks, in a run, and wakes it. Short goroutines end before they weigh anything, so
//!    trees of them stay where they are spawned; a pool of GOMAXPROCS goroutines ends up one on
//!    each worker; a thousand neighbors are cut into a few runs.
//! 2. **An idle worker takes from any queue** by the same measure ([`Survey::on_steal`]). If a less
//!    loaded worker should have the task, the idle one wakes that worker and keeps watch
//!    ([`Watch`]): once every such worker has been busy for [`PATIENCE`], the idle worker starts
//!    the task itself, whatever the loads are.
//!
//! So a task waits for [`PATIENCE`] at most while some worker is idle. A worker counts as busy only
//! by its own processor time, or when it is blocked in the system: a worker that the system has
//! merely preempted will come.
//!
//! Everything here is arithmetic on what the caller has read; `simulation` runs it on up to 128
//! virtual workers.

#[cfg(test)]
mod simulation;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

/// How long a task waits for a busy worker while another one is idle: some ten times what a wake-up
/// of a thread takes at best, and a tenth of the worst start that users should see.
/// `placement::simulation` notices when it is exceeded.
pub(super) const PATIENCE: Duration = Duration::from_micros(100);

/// Weight of a goroutine that has not spawned any. All that have spawned weigh one together: a
/// parent mostly waits for its children, and would otherwise keep its worker out of every pool that
/// it makes; with no weight at all, a parent and its only child would share a worker.
const LEAF: usize = 2;

/// So many more goroutines that do nothing weigh as much as the parents of the other worker: a
/// server's idle connections come to the worker that accepts them, too.
const PARENTS_WORTH: usize = 64;

/// A worker's load, of its active goroutines.
#[inline]
fn load(leaves: usize, parents: bool) -> usize {
    leaves * LEAF + usize::from(parents)
}

/// A worker as others see it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// Its place among all workers.
    pub(crate) index: usize,
    /// Recently active goroutines that have not spawned any.
    pub(crate) leaves: usize,
    /// Whether any recently active goroutine has spawned.
    pub(crate) parents: bool,
    /// Goroutines that other workers have sent to it, and that have not started.
    pub(crate) sent: usize,
    /// All live goroutines that have started on it.
    pub(crate) live: usize,
    /// Whether it runs a goroutine at the moment, and the number of that turn.
    pub(crate) busy: bool,
    pub(crate) turn: usize,
    pub(crate) asleep: bool,
}

impl View {
    fn load(&self) -> usize {
        load(self.leaves, self.parents)
    }

    /// The less, the sooner it should get the next goroutine.
    pub(crate) fn rank(&self) -> (usize, usize) {
        (self.load() + self.sent * LEAF, self.live)
    }

    /// How many goroutines it lacks until its load is `level`.
    fn lacks(&self, level: usize) -> usize {
        level.saturating_sub(self.load()).div_ceil(LEAF)
    }
}

/// What a worker goes by: its own load, the other workers that accept goroutines, and how many
/// tasks wait.
///
/// The rules hold under races because no goroutine is counted twice: whoever makes a survey reads
/// the loads first, then how many goroutines were ever spawned, and last how many have been placed.
/// Each of the two only grows, and a goroutine is placed before it counts as load. So `waiting` is
/// never too high, and a worker that is unsure leaves a task to others.
pub(crate) struct Survey {
    level: usize,
    /// The others, or as many of the `total` as are surveyed.
    others: SmallVec<[View; 16]>,
    total: usize,
    /// Tasks that no worker has placed, everywhere.
    waiting: usize,
}

/// What becomes of a task that a worker has taken from its own queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnStart {
    Start,
    /// It goes to this worker, and so do the next ones, `count` in all.
    Send {
        to: usize,
        count: usize,
    },
}

/// What an idle worker does about a queue of tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnSteal {
    /// It takes so many.
    Take(usize),
    /// It leaves them to less loaded workers, of which this one sleeps and has to be woken.
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
        // Where many live, a thirtieth more or less is as good as equal.
        let load = own.load();
        Survey {
            level: load - load / 32,
            others,
            total,
            waiting,
        }
    }

    /// A worker on which nothing is parked and that has nothing to do.
    pub(crate) fn empty(&self) -> Option<usize> {
        let is_empty = |view: &&View| view.live == 0 && view.sent == 0 && !view.busy;
        self.others.iter().find(is_empty).map(|view| view.index)
    }

    /// How many goroutines the others lack until each has a load of `level`, if those that are not
    /// surveyed are like the rest.
    fn lacking(&self, level: usize) -> usize {
        let surveyed: usize = self.others.iter().map(|other| other.lacks(level)).sum();
        surveyed * self.total / self.others.len().max(1)
    }

    fn least_loaded(&self) -> Option<&View> {
        self.others.iter().min_by_key(|other| other.rank())
    }

    /// For a worker that has taken a task from its own queue, which was one of `queued`.
    pub(crate) fn on_start(&self, queued: usize) -> OnStart {
        let lacking = self.lacking(self.level);
        match self.least_loaded() {
            Some(to) if lacking >= self.waiting.max(1) => OnStart::Send {
                to: to.index,
                count: (to.lacks(self.level) * queued / lacking).max(1),
            },
            _ => OnStart::Start,
        }
    }

    /// For a worker that looks at a queue with `queued` tasks of another one, or of all.
    pub(crate) fn on_steal(&self, queued: usize) -> OnSteal {
        let most = queued.min(self.waiting);
        // The k-th task taken is started at a load of `level + (k - 1) * LEAF`; what the others
        // lack grows with k, so search by halves.
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

    /// The less loaded workers, for which tasks are left.
    fn preferred(&self) -> impl Iterator<Item = &View> {
        self.others
            .iter()
            .filter(|other| other.lacks(self.level) > 0)
    }
}

/// Whether a worker with these active goroutines may start one of `queued` in its own queue,
/// whatever the `others` have. It saves a survey.
#[inline]
pub(crate) fn may_start_anyway(leaves: usize, parents: bool, others: usize, queued: usize) -> bool {
    load(leaves, parents).div_ceil(LEAF) * others < queued
}

/// An idle worker's watch over tasks that it has left to less loaded workers.
///
/// It lasts until the worker finds no task that waits: also while the worker runs goroutines of its
/// own in between, for workers that only ever have short breaks must not lose count.
#[derive(Default)]
pub(crate) struct Watch {
    /// The less loaded workers that were busy whenever they were looked at.
    busy: SmallVec<[Busy; 8]>,
    /// When the watch began.
    since: Option<Instant>,
}

struct Busy {
    index: usize,
    /// When it was seen to be busy first, its turn, and how long its thread had computed, if the
    /// system says so.
    since: Instant,
    turn: usize,
    computed: Option<Duration>,
}

impl Watch {
    /// Whether each worker that is less loaded has been busy for [`PATIENCE`], so that the idle one
    /// may start a task.
    pub(crate) fn is_over(
        &mut self,
        survey: &Survey,
        now: Instant,
        computed: impl Fn(usize) -> Option<Duration>,
        is_blocked: impl Fn(usize) -> bool,
    ) -> bool {
        let since = *self.since.get_or_insert(now);
        // Workers that become less loaded in turn must not put the end off for ever.
        let is_old = now >= since + 2 * PATIENCE;
        let mut all_busy = true;
        for view in survey.preferred() {
            let known = self.busy.iter().position(|busy| busy.index == view.index);
            all_busy &= match known {
                // It is about to look for work, or has been woken.
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
                Some(at) if now < self.busy[at].since + PATIENCE => is_old,
                Some(at) => self.busy[at].is_at_work(&computed, &is_blocked),
            };
        }
        all_busy
    }

    /// The workers that have been busy, and the turn of each: if that still lasts, no task should
    /// wait for it.
    pub(crate) fn long_turns(&self, now: Instant) -> impl Iterator<Item = (usize, usize)> {
        let long = self
            .busy
            .iter()
            .filter(move |busy| now >= busy.since + PATIENCE);
        long.map(|busy| (busy.index, busy.turn))
    }

    /// When an idle worker has to look again; less often if it has been waiting for a preempted
    /// worker for a while.
    pub(crate) fn next_look(&self, now: Instant) -> Option<Instant> {
        let pause = |since: Instant| ((now - since) / 4).clamp(PATIENCE, 10 * PATIENCE);
        self.since.map(|since| now + pause(since))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    pub(crate) fn end(&mut self) {
        self.since = None;
        self.busy.clear();
    }
}

impl Busy {
    /// Whether it is not merely preempted by the system.
    fn is_at_work(
        &self,
        computed: impl Fn(usize) -> Option<Duration>,
        is_blocked: impl Fn(usize) -> bool,
    ) -> bool {
        match (self.computed, computed(self.index)) {
            (Some(then), Some(now)) => now >= then + PATIENCE || is_blocked(self.index),
            _ => true,
        }
    }
}
