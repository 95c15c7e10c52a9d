//! `std::sync` for goroutines: a condition variable parks them, as the threads that the tests wait
//! for may share their thread.

use std::ops::{Deref, DerefMut};
use std::sync;

pub use std::sync::*;

use go_runtime::channel::{Sender, bounded};

/// Held for moments only, never while its goroutine parks: so it may block the thread.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// Knows its lock, for [`Condvar::wait`].
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    /// As [`std::sync::Mutex::new`].
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

/// Each who waits has a channel, which a notification closes.
#[derive(Debug, Default)]
pub struct Condvar {
    waiting: sync::Mutex<Vec<Sender<()>>>,
}

impl Condvar {
    /// As [`std::sync::Condvar::new`].
    pub fn new() -> Self {
        Condvar::default()
    }

    fn waiting(&self) -> sync::MutexGuard<'_, Vec<Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`std::sync::Condvar::wait`].
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        let (notify, notified) = bounded(0);
        self.waiting().push(notify);
        drop(guard);
        // Closed without a message.
        let _ = notified.recv();
        mutex.lock()
    }

    /// As [`std::sync::Condvar::notify_all`].
    pub fn notify_all(&self) {
        self.waiting().clear();
    }
}
