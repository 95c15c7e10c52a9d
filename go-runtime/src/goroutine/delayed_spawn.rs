//! A goroutine that is to start at a moment, and may be called off until then.

use std::io;
use std::mem;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Builder;
use super::job::new_job;
use crate::clock;
use crate::sched::{self, DelayedKey, Runtime, TaskRef, global};

/// The right to call it off. Dropping this changes nothing.
pub(crate) struct DelayedSpawn(Mutex<State>);

enum State {
    /// It is in a worker's heap, unless it has been started since.
    Set(DelayedKey),
    /// Its moment never comes: the task is ours.
    Kept {
        task: TaskRef,
        stopped: bool,
    },
    Started,
}

impl DelayedSpawn {
    /// `when` is `None` for never.
    ///
    /// # Errors
    /// As [`Builder::spawn`]; `f` is dropped. Later there are none.
    #[track_caller]
    pub(crate) fn new<F>(when: Option<Instant>, f: F) -> io::Result<DelayedSpawn>
    where
        F: FnOnce() + Send + 'static,
    {
        let spawned_at = Location::caller();
        let (runtime, options) = Builder::new().check::<F, ()>()?;
        // SAFETY: the closure is `Send` and borrows nothing.
        let (task, handle) = unsafe { new_job(f, spawned_at, options) };
        drop(handle);
        Ok(DelayedSpawn(Mutex::new(set(runtime, task, when))))
    }

    /// `true`: it was still to start, and will not.
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

    /// Has it start at `when` instead. `false`: it has been started.
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
            // SAFETY: the scheduler's reference, which it has never got or has given back; nobody
            // can start the task any more.
            unsafe { task.release() };
        }
    }
}
