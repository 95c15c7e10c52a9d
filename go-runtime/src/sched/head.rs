//! The head of the running goroutine's entry in a dump, as the goroutine's own thread writes it, or
//! a signal handler that has interrupted it. It neither allocates nor waits.

use std::fmt;

use super::label::Site;
use super::worker::Worker;
use crate::primitives::one_line::OneLine;

/// The running goroutine, as dumps show it.
pub(crate) struct Head<'a> {
    /// `None` if it cannot be told at the moment.
    pub(crate) number: Option<usize>,
    name: Option<&'a str>,
    pub(crate) spawned_at: Site,
    spawner: Option<Site>,
    worker: usize,
}

impl Head<'_> {
    /// Calls `f` with the head of the goroutine that runs on the worker, if one does.
    pub(crate) fn with<T>(worker: &Worker, f: impl FnOnce(Head<'_>) -> T) -> Option<T> {
        let task = worker.current_task()?;
        // SAFETY: the fiber has its task until the task's run is over, which ends with the freeing
        // of the task: after the last code of the program, the `Drop` of the result. The caller is
        // such code, or a signal handler that has interrupted it, so the task is alive meanwhile.
        let task = unsafe { task.get() };
        Some(f(Head {
            number: worker.current_stack_number(),
            name: task.name(),
            spawned_at: task.spawned_at(),
            spawner: task.spawner(),
            worker: worker.shared().index(),
        }))
    }
}

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("goroutine ")?;
        match self.number {
            Some(number) => write!(f, "{number}")?,
            None => f.write_str("?")?,
        }
        f.write_str(" [running]")?;
        if let Some(name) = self.name {
            write!(f, " {{name: {:.80}}}", OneLine(name))?;
        }
        write!(
            f,
            ":\ncreated at {}, on worker {}",
            self.spawned_at, self.worker
        )?;
        if let Some(spawner) = self.spawner {
            write!(f, "\n\tby the goroutine created at {spawner}")?;
        }
        Ok(())
    }
}
