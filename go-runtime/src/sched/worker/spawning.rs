//! Goroutines come and go: where a new one is queued, and what the worker's books say of it.

use super::Worker;
use crate::sched::fiber::Fiber;
use crate::sched::load;
use crate::sched::task::TaskRef;

/// So many wait in a worker's own queue; more are for all. The queue would keep the memory of its
/// greatest length, and one that thieves have emptied has not even a chance to give it back.
const MOST_FRESH: usize = 4096;

impl Worker {
    pub(in crate::sched) fn spawn(&self, task: TaskRef) {
        self.note_spawn();
        if self.fresh.len() >= MOST_FRESH || self.seat.rest.is_retired() {
            self.runtime.injector.push(task);
        } else {
            self.fresh.push(task);
        }
    }

    /// Queues a goroutine that nobody else may start.
    pub(crate) fn spawn_local(&self, task: TaskRef) {
        self.note_spawn();
        self.seat.load.place();
        self.local.borrow_mut().push_back(task);
    }

    fn note_spawn(&self) {
        self.seat.load.spawn();
        if let Some(fiber) = self.current_fiber()
            && let Some(task) = fiber.task()
            // SAFETY: the goroutine that runs holds a reference.
            && !unsafe { task.get() }.parent.replace(true)
        {
            self.seat.load.become_parent(fiber.active_in());
        }
    }

    /// The goroutine of this fiber runs in this period.
    #[inline]
    pub(super) fn note_active(&self, fiber: &Fiber) {
        if fiber.active_in() != self.period.get() {
            self.activate(fiber);
        }
    }

    #[inline(never)]
    fn activate(&self, fiber: &Fiber) {
        if let Some(task) = fiber.task() {
            // SAFETY: the goroutine that runs holds a reference.
            let parent = unsafe { task.get() }.parent.get();
            self.seat.load.activate(fiber.active_in(), parent);
            fiber.set_active_in(self.period.get());
        }
    }

    /// The current goroutine has run to its end (its result is not seen by others yet).
    pub(crate) fn note_finish(&self) {
        if let Some(fiber) = self.current_fiber()
            && let Some(task) = fiber.task()
        {
            // SAFETY: the goroutine that runs holds a reference. A parent from here on: what the
            // `Drop` of its result spawns must not change counts that it has left.
            let parent = unsafe { task.get() }.parent.replace(true);
            self.seat.books.finish();
            self.seat.load.end(fiber.active_in(), parent);
            fiber.set_active_in(load::NEVER);
            // Telling who waits for it is short, though the system may interrupt just that; and its
            // load is gone already.
            self.seat.books.run_none();
        }
    }

    /// The current goroutine's result may be dropped now, which can take any time.
    pub(crate) fn note_release(&self) {
        if let Some(task) = self.current_task() {
            // SAFETY: the goroutine that runs holds a reference.
            self.seat.books.run(unsafe { task.get() }.spawned_at());
        }
    }
}
