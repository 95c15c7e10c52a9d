//! [`DelayedSpawn`]: a goroutine that is to start at a given moment, and can be canceled until
//! then.
//!
//! The job is made at once, so everything that can fail (allocating memory, starting the runtime)
//! has been done before the caller goes on. Until the given moment the scheduler's reference to the
//! task is in a worker's timer heap, or in the handle if that moment never comes. The mutex guards
//! the record of where it is.

use std::io;
use std::mem;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Builder;
use super::job::new_job;
use crate::clock;
use crate::sched::{self, DelayedKey, Runtime, TaskRef, global};

/// A handle that can cancel or postpone the start of a goroutine. Dropping the handle changes
/// nothing.
pub(crate) struct DelayedSpawn(Mutex<State>);

enum State {
    /// The task is in a worker's timer heap, unless the worker has started it meanwhile.
    Set(DelayedKey),
    /// The moment never comes: the task is kept here.
    Kept {
        task: TaskRef,
        stopped: bool,
    },
    Started,
}

impl DelayedSpawn {
    /// Makes a goroutine that starts at `when` (`None`: never) and runs `f`.
    ///
    /// # Errors
    /// The errors of [`Builder::spawn`]; `f` is dropped. After that the start cannot fail.
    #[track_caller]
    pub(crate) fn new<F>(when: Option<Instant>, f: F) -> io::Result<DelayedSpawn>
    where
        F: FnOnce() + Send + 'static,
    {
        let spawned_at = Location::caller();
        let (runtime, options) = Builder::new().check::<F, ()>()?;
        // SAFETY: the closure is `Send` and `'static`, and its result is `()`, so the task may run
        // on any worker and borrows nothing that could end.
        let (task, handle) = unsafe { new_job(f, spawned_at, options) };
        drop(handle);
        sched::note_spawner(task);
        Ok(DelayedSpawn(Mutex::new(set(runtime, task, when))))
    }

    /// Cancels the start. Returns whether the goroutine was still to start.
    pub(crate) fn stop(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Set(key) => match sched::call_off(key) {
                Some(task) => {
                    *state = State::Kept {
                        task,
                        stopped: true,
                    };
                    true
                }
                None => {
                    *state = State::Started;
                    false
                }
            },
            State::Kept {
                ref mut stopped, ..
            } => !mem::replace(stopped, true),
            State::Started => false,
        }
    }

    /// Changes the moment of the start to `when`. Returns `false` if the goroutine has already
    /// started.
    pub(crate) fn reset(&self, when: Option<Instant>) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let task = match *state {
            State::Set(key) => sched::call_off(key),
            State::Kept { task, .. } => Some(task),
            State::Started => None,
        };
        *state = match task {
            Some(task) => set(global::get(), task, when),
            None => State::Started,
        };
        task.is_some()
    }
}

fn set(runtime: &'static Runtime, task: TaskRef, when: Option<Instant>) -> State {
    match when {
        None => State::Kept {
            task,
            stopped: false,
        },
        Some(when) if when <= clock::now() => {
            sched::spawn(runtime, task);
            State::Started
        }
        Some(when) => State::Set(sched::spawn_at(runtime, task, when)),
    }
}

impl Drop for DelayedSpawn {
    fn drop(&mut self) {
        if let State::Kept { task, .. } = *self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        {
            // SAFETY: `Kept` holds the scheduler's reference, which the scheduler either never got
            // or gave back. This is the last use of the reference, because `self` is being dropped.
            unsafe { task.release() };
        }
    }
}
