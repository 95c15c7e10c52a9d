//! What the tests use of `std::sync` to wait, for goroutines: a condition variable that parks, and the lock to go with it.

use std::ops::{Deref, DerefMut};
use std::sync;
use std::sync::{LockResult, PoisonError};

use go_runtime::channel::{unbounded, Receiver, Sender};

/// A lock that is held for moments only, so that it may block its thread.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// Knows its lock, for [`Condvar::wait`].
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    /// An open lock.
    pub fn new(value: T) -> Self {
        Mutex(sync::Mutex::new(value))
    }

    /// As [`std::sync::Mutex::lock`].
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let of = |guard| MutexGuard { mutex: self, guard };
        match self.0.lock() {
            Ok(guard) => Ok(of(guard)),
            Err(error) => Err(PoisonError::new(of(error.into_inner()))),
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// Each waiting goroutine takes one message, of those that a notification sends to all who have come before.
#[derive(Debug)]
pub struct Condvar {
    wake: Sender<()>,
    sleep: Receiver<()>,
    waiting: sync::Mutex<usize>,
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl Condvar {
    /// Nobody waits yet.
    pub fn new() -> Self {
        let (wake, sleep) = unbounded();
        Condvar {
            wake,
            sleep,
            waiting: sync::Mutex::new(0),
        }
    }

    /// As [`std::sync::Condvar::wait`].
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        drop(guard);
        self.sleep.recv().expect("its sender lives in here as well");
        mutex.lock()
    }

    /// As [`std::sync::Condvar::notify_all`].
    pub fn notify_all(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..std::mem::take(&mut *waiting) {
            self.wake
                .send(())
                .expect("its receiver lives in here as well");
        }
    }
}
