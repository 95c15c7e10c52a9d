//! Where a new goroutine is queued, and what its worker counts when goroutines are spawned, run and
//! end.

use super::Worker;
use crate::sched::fiber::Fiber;
use crate::sched::label::Label;
use crate::sched::load;
use crate::sched::task::{Task, TaskRef};

/// Capacity of a worker's queue; the overflow goes to the injector. A longer queue would keep the
/// memory of its greatest length, and a queue that thieves have emptied cannot even give it back.
const MOST_FRESH: usize = 4096;

impl Worker {
    /// Queues a new goroutine. The caller then announces it.
    pub(in crate::sched) fn spawn(&self, task: TaskRef) {
        self.note_spawn();
        if self.fresh.len() >= MOST_FRESH || self.seat.rest.is_retired() {
            self.runtime.injector.push(task);
        } else {
            self.fresh.push(task);
        }
    }

    /// Queues a goroutine that no other worker may start.
    pub(crate) fn spawn_local(&self, task: TaskRef) {
        // Placed first: so the number of tasks that wait is never too high.
        self.seat.load.place();
        self.note_spawn();
        let mut local = self.local.borrow_mut();
        local.push_back(task);
        self.seat.books.set_local(local.len());
    }

    fn note_spawn(&self) {
        self.seat.load.spawn();
        if let Some(fiber) = self.running_fiber()
            && let Some(task) = fiber.task()
            // SAFETY: this runs within the task's run or within the `Drop` of its result, which
            // comes before the task's memory is freed. `parent` is this worker's own.
            && !unsafe { task.get() }.parent.replace(true)
        {
            self.seat.load.become_parent(fiber.active_in());
        }
    }

    /// Notes that the goroutine of this fiber runs in this period.
    #[inline]
    pub(super) fn note_active(&self, fiber: &Fiber) {
        if fiber.active_in() != self.period.get() {
            self.activate(fiber);
        }
    }

    #[inline(never)]
    fn activate(&self, fiber: &Fiber) {
        if let Some(task) = fiber.task() {
            // SAFETY: the fiber has a task, which it clears when the task's run is over. The task's
            // memory is not freed before the last suspension within that run, which is in the
            // `Drop` of its result at the latest. `parent` is this worker's own.
            let parent = unsafe { task.get() }.parent.get();
            self.seat.load.activate(fiber.active_in(), parent);
            fiber.set_active_in(self.period.get());
        }
    }

    /// Notes that the current goroutine has run to its end. Others cannot see its result yet.
    pub(crate) fn note_finish(&self) {
        if let Some(fiber) = self.current_fiber()
            && let Some(task) = fiber.task()
        {
            // A parent from here on: what the `Drop` of its result spawns must not change counts
            // that it has left.
            // SAFETY: the caller runs this task and gives the scheduler's reference back later, so
            // the task is alive. `parent` is this worker's own.
            let parent = unsafe { task.get() }.parent.replace(true);
            if fiber.label().is_named() {
                // SAFETY: the caller gives the scheduler's reference back later, so the task is
                // alive.
                self.take_name_back(fiber, unsafe { task.get() });
            }
            self.seat.books.finish();
            self.seat.load.end(fiber.active_in(), parent);
            fiber.set_active_in(load::NEVER);
        }
    }

    /// Replaces the label of a task that has run to its end: see [`label`](crate::sched::label).
    #[cold]
    fn take_name_back(&self, fiber: &Fiber, task: &Task) {
        fiber.set_label(Label::plain(task.spawned_at()));
        self.seat.books.run(fiber.label());
    }
}
