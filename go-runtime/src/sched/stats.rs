//! A worker's counters and marks, by which other threads follow what the worker does.
//!
//! Only the worker's own thread writes the counters, so plain loads and stores suffice. Two marks
//! have other writers, which their fields name. Every reader may see a value that is a moment old.

use std::ptr;

use super::label::Label;
use super::task::MonitorTick;
use crate::primitives::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering};

/// A worker's counters and marks.
#[derive(Default)]
pub(super) struct WorkerStats {
    /// Number of goroutines that have run to their end.
    finished: AtomicUsize,
    /// Number of times that the worker has searched its queues for something to run. The value is
    /// the number of the worker's *turn*: as long as it stays, the worker runs the same goroutine,
    /// or sleeps.
    turns: AtomicUsize,
    /// The label of the running goroutine; null in the worker's own loop.
    running: AtomicPtr<()>,
    /// The ends of the run queue.
    pub(super) run_queue: QueueEnds,
    /// Number of tasks that have not started and that this worker alone may start.
    pinned: AtomicUsize,
    /// Why the running goroutine cannot park, as a [`Wait`]; 0 if it can, or if no reason was
    /// recorded.
    wait: AtomicU8,
    /// The latest turn in which a goroutine held the worker. The monitor writes this.
    held_turn: AtomicUsize,
    /// The tick at which the monitor has first seen that turn. The monitor writes this.
    held_since: AtomicU32,
    /// The latest turn for whose end an idle worker waited too long. Idle workers write this.
    long_turn: AtomicUsize,
}

/// The reason why a goroutine blocks its thread where it would otherwise be parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// The goroutine panics: a panic hook waits or, while the goroutine unwinds, a `Drop`.
    WhilePanicking = 1,
    /// The goroutine is within `without_parking`.
    WithoutParking = 2,
}

/// Numbers of fibers that were pushed to a run queue, and popped from it, since the start.
#[derive(Default)]
pub(super) struct QueueEnds {
    pushed: AtomicUsize,
    popped: AtomicUsize,
}

impl QueueEnds {
    #[inline(always)]
    pub(super) fn pushed(&self) -> usize {
        self.pushed.load(Ordering::Relaxed)
    }
    #[inline(always)]
    pub(super) fn popped(&self) -> usize {
        self.popped.load(Ordering::Relaxed)
    }
    #[inline(always)]
    pub(super) fn set_pushed(&self, pushed: usize) {
        self.pushed.store(pushed, Ordering::Relaxed);
    }
    #[inline(always)]
    pub(super) fn set_popped(&self, popped: usize) {
        self.popped.store(popped, Ordering::Relaxed);
    }
    /// Returns the length of the queue, as another thread sees it. The worker may push and pop
    /// between the two reads; so the length may be wrong by as much, but is not negative.
    pub(super) fn len_seen(&self) -> usize {
        let popped = self.popped();
        let length = self.pushed().wrapping_sub(popped).cast_signed();
        length.max(0).cast_unsigned()
    }
    /// Returns the length of the queue, for the worker.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.pushed().wrapping_sub(self.popped())
    }
}

impl WorkerStats {
    // --- for the worker ---

    /// Counts a goroutine that has run to its end.
    pub(super) fn finish(&self) {
        let finished = self.finished.load(Ordering::Relaxed).wrapping_add(1);
        self.finished.store(finished, Ordering::Release);
    }

    /// Begins a turn, and returns its number.
    #[inline]
    pub(super) fn next_turn(&self) -> usize {
        let turn = self.turn().wrapping_add(1);
        self.turns.store(turn, Ordering::Relaxed);
        turn
    }

    /// Notes that the worker runs a goroutine with this label.
    #[inline]
    pub(super) fn run(&self, label: Label) {
        // Release: the monitor reads what the label refers to, which was written before.
        self.running.store(label.as_ptr(), Ordering::Release);
    }

    /// Notes that the worker is in its own loop. Where one parked goroutine just follows another,
    /// this is left out; before anything that may take long it is not, because the monitor would
    /// take the goroutine that ran last for one that holds its worker.
    #[inline]
    pub(super) fn run_none(&self) {
        self.running.store(ptr::null_mut(), Ordering::Relaxed);
    }

    pub(super) fn set_pinned(&self, count: usize) {
        self.pinned.store(count, Ordering::Relaxed);
    }

    /// Notes why the running goroutine cannot park from here on; `None` if it can.
    pub(super) fn set_wait(&self, wait: Option<Wait>) {
        self.wait
            .store(wait.map_or(0, |wait| wait as u8), Ordering::Relaxed);
    }

    // --- for other threads ---

    /// Notes that the caller, an idle worker, waited in vain for the end of the turn `turn`.
    pub(super) fn set_long_turn(&self, turn: usize) {
        self.long_turn.store(turn, Ordering::Relaxed);
    }

    /// Notes, for the monitor, that the goroutine of the turn `turn` holds the worker, and has done
    /// so since the tick `since`.
    pub(super) fn set_held(&self, turn: usize, since: MonitorTick) {
        self.held_since.store(since, Ordering::Relaxed);
        // Release: `held_since` reads the tick once it sees the turn.
        self.held_turn.store(turn, Ordering::Release);
    }

    // --- for all threads ---

    /// Returns the number of the current turn.
    #[inline]
    pub(super) fn turn(&self) -> usize {
        self.turns.load(Ordering::Relaxed)
    }

    /// Returns the number of goroutines that have run to their end.
    pub(super) fn finished(&self) -> usize {
        self.finished.load(Ordering::Acquire)
    }

    /// Returns the label of the running goroutine.
    pub(super) fn running(&self) -> Option<Label> {
        // SAFETY: the pointer is null, or `run` made it from a `Label` and stored it here.
        unsafe { Label::from_ptr(self.running.load(Ordering::Acquire)) }
    }

    /// Returns whether the running goroutine holds the worker, so that nothing new should start
    /// here.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        // Turn 0 never counts: a worker that has not run anything is in turn 0, and the mark is 0
        // as well.
        let turn = self.turn();
        turn > 0 && self.held_turn.load(Ordering::Relaxed) == turn
    }

    /// Returns since which tick the running goroutine holds the worker, if it does.
    pub(super) fn held_since(&self) -> Option<MonitorTick> {
        let turn = self.turn();
        let held = turn > 0 && self.held_turn.load(Ordering::Acquire) == turn;
        held.then(|| self.held_since.load(Ordering::Relaxed))
    }

    /// Returns whether an idle worker waited in vain for the end of the current turn.
    pub(super) fn is_in_long_turn(&self) -> bool {
        let turn = self.turn();
        turn > 0 && self.long_turn.load(Ordering::Relaxed) == turn
    }

    /// Returns the number of goroutines that only this worker can run and that could run now,
    /// without those in its inbox and those with a timer.
    pub(super) fn runnable(&self) -> usize {
        self.run_queue.len_seen() + self.pinned()
    }

    /// Returns the number of unstarted tasks that this worker alone may start.
    pub(super) fn pinned(&self) -> usize {
        self.pinned.load(Ordering::Relaxed)
    }

    /// Returns the recorded reason why the running goroutine cannot park, if there is one.
    pub(super) fn wait(&self) -> Option<Wait> {
        match self.wait.load(Ordering::Relaxed) {
            0 => None,
            wait if wait == Wait::WhilePanicking as u8 => Some(Wait::WhilePanicking),
            _ => Some(Wait::WithoutParking),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_read_while_the_queue_changes_is_not_negative() {
        let ends = QueueEnds::default();
        ends.set_pushed(3);
        assert_eq!(ends.len_seen(), 3);
        ends.set_popped(5);
        assert_eq!(ends.len_seen(), 0);
        ends.set_popped(usize::MAX);
        assert_eq!(ends.len_seen(), 4);

        let stats = WorkerStats::default();
        stats.run_queue.set_popped(1);
        assert_eq!(stats.runnable(), 0);
    }
}
