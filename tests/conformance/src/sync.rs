//! `std::sync` for goroutines: its condition variable parks the goroutine, because the thread that
//! a test waits for may be a goroutine of the same worker.

use std::ops::{Deref, DerefMut};
use std::sync;

pub use std::sync::*;

use go_runtime::channel::{Sender, bounded};

/// A mutex that may block the thread: it is held only for moments, and never while its goroutine
/// parks.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// A guard that knows its mutex, for [`Condvar::wait`].
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    /// Creates a mutex, like [`std::sync::Mutex::new`].
    pub fn new(value: T) -> Self {
        Mutex(sync::Mutex::new(value))
    }

    /// Locks the mutex, like [`std::sync::Mutex::lock`].
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

/// A condition variable. Each waiter has a channel, which a notification closes.
#[derive(Debug, Default)]
pub struct Condvar {
    waiting: sync::Mutex<Vec<Sender<()>>>,
}

impl Condvar {
    /// Creates a condition variable, like [`std::sync::Condvar::new`].
    pub fn new() -> Self {
        Condvar::default()
    }

    fn waiting(&self) -> sync::MutexGuard<'_, Vec<Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a notification, like [`std::sync::Condvar::wait`].
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        let (notify, notified) = bounded(0);
        self.waiting().push(notify);
        drop(guard);
        // The channel is closed without a message.
        let _ = notified.recv();
        mutex.lock()
    }

    /// Wakes all waiters, like [`std::sync::Condvar::notify_all`].
    pub fn notify_all(&self) {
        self.waiting().clear();
    }
}
