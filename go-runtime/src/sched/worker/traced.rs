//! The worker's loop while `trace` records: the same steps as those of `run`, and events between
//! them.
//!
//! A wake-up within a worker has no step that records it. The loop compares the run queue before
//! and after: a goroutine that was pushed during a turn was woken by the goroutine of the turn, and
//! one that was pushed between two turns was woken by the worker's loop, because a descriptor was
//! ready. Goroutines that other threads or the clock have woken are pushed as well, but their
//! wake-ups have been recorded before, and the reader takes the first event. Only the worker's own
//! thread uses this.

use std::ptr::NonNull;

use super::Worker;
use super::run::Next;
use crate::sched::fiber::{Fiber, RUNNABLE};
use crate::sched::recording::ring::Site;
use crate::sched::recording::{self, Kind, LONGEST_NAME, Recorder};
use crate::sched::task::TaskRef;

fn word(fiber: NonNull<Fiber>) -> u64 {
    fiber.addr().get() as u64
}

impl Worker {
    /// Lets the worker see soon whether it should record.
    pub(in crate::sched) fn end_round_soon(&self) {
        self.rounds.end_soon(self.shared.stats.turn());
    }

    /// Records an event, if the worker runs the traced loop.
    #[inline(never)]
    pub(in crate::sched) fn record(&self, kind: Kind, first: u64, site: Option<Site>, second: u64) {
        if let Some(recorder) = &*self.recorder.borrow() {
            recorder.record(kind, first, site, second);
        }
    }

    /// Runs goroutines, `next` first, and records what they do, until the session ends. Returns
    /// `next` if no session is on any more.
    #[cold]
    #[inline(never)]
    pub(super) fn run_traced(&self, mut next: Option<Next>) -> Option<Next> {
        let Some(session) = recording::current() else {
            return next;
        };
        let Some(recorder) = session.recorder(self.index()) else {
            return next;
        };
        self.recorder.replace(Some(recorder.clone()));
        let mut pushed = self.run_queue.pushed();
        // When the last turn ended, if the next one follows at once: the clock takes longer than
        // what is between two turns.
        let mut ended_at = None;
        while next.is_some() || session.is_on() {
            let round = self.rounds.last_turn();
            let here = next.take().or_else(|| self.next_here::<false>());
            if here.is_none() || self.rounds.last_turn() != round {
                ended_at = None;
            }
            let found = here.or_else(|| self.wait_for_next(|| session.is_on()));
            let (fiber, task) = match found {
                // The session has ended: its memory is freed before the worker sleeps again.
                None => continue,
                Some(Next::Started(fiber)) => (Some(fiber), None),
                Some(Next::New(task)) => {
                    ended_at = None;
                    (self.start(task), Some(task))
                }
            };
            let Some(fiber) = fiber else {
                continue;
            };
            let popped = task.is_none() && self.run_queue.has_popped_since(pushed);
            for woken in popped
                .then_some(fiber)
                .into_iter()
                .chain(self.run_queue.pushed_since(pushed))
            {
                recorder.record(Kind::UnparkByPoller, word(woken), None, 0);
            }
            let now = ended_at.unwrap_or_else(|| recorder.now());
            self.record_begin(&recorder, now, fiber, task);
            pushed = self.run_queue.pushed();
            let ended = self.execute(fiber);
            let now = recorder.now();
            self.record_end(&recorder, now, fiber, ended, pushed);
            ended_at = Some(now);
            pushed = self.run_queue.pushed();
        }
        self.recorder.replace(None);
        None
    }

    #[inline]
    fn record_begin(
        &self,
        recorder: &Recorder,
        now: u64,
        fiber: NonNull<Fiber>,
        task: Option<TaskRef>,
    ) {
        // SAFETY: the fiber is about to run, so it has a task, and only this worker could destroy
        // it. Its label is that of the task, whose options live as long as the task, or has no
        // name: `note_finish` replaces it before the task can be freed.
        let (site, name) = unsafe { fiber.as_ref().label().read() };
        if let Some(name) = name {
            record_name(recorder, now, name);
        }
        let kind = match task {
            Some(_) => Kind::Start,
            None => Kind::GoOn,
        };
        let task = task.map_or(0, |task| task.as_ptr().addr().get() as u64);
        recorder.record_at(now, kind, word(fiber), Some(site), task);
    }

    #[inline]
    fn record_end(
        &self,
        recorder: &Recorder,
        now: u64,
        fiber: NonNull<Fiber>,
        ended: bool,
        pushed: usize,
    ) {
        let mut yields = false;
        for woken in self.run_queue.pushed_since(pushed) {
            if woken == fiber && !ended {
                yields = true;
            } else {
                recorder.record_at(now, Kind::Unpark, word(woken), None, 0);
            }
        }
        let (kind, waiting) = if ended {
            (Kind::End, RUNNABLE)
        } else if yields {
            (Kind::Yield, RUNNABLE)
        } else {
            // SAFETY: the goroutine has not ended, so its fiber exists, and only this worker could
            // destroy it.
            (Kind::Park, unsafe { fiber.as_ref() }.waiting())
        };
        let queue = self.run_queue.len() + self.unstarted.queue.len();
        recorder.record_at(now, kind, queue as u64, None, waiting);
    }
}

#[cold]
fn record_name(recorder: &Recorder, now: u64, name: &str) {
    let name = &name.as_bytes()[..name.len().min(LONGEST_NAME)];
    for part in name.chunks(16) {
        let mut bytes = [0; 16];
        bytes[..part.len()].copy_from_slice(part);
        let [first, second] = [0, 8].map(|at| {
            let mut half = [0; 8];
            half.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(half)
        });
        recorder.record_at(now, Kind::Name, first, None, second);
    }
}
