//! `std::sync::LazyLock` for goroutines.
//!
//! This module owns the cell `data`, which first holds the closure and then the value. Only the
//! caller that runs the closure of `once` changes the cell through `&LazyLock`; all callers may
//! read the cell once `once` is completed.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::Once;

/// A value that is made when it is first used: [`std::sync::LazyLock`] for goroutines.
///
/// The closure that makes the value may park, and a goroutine that needs the value meanwhile is
/// parked, too. The names and the rules are std's, so a change of the import replaces std's
/// `LazyLock` by this one. Goroutines and plain threads may use the same value at the same time; a
/// thread that waits is blocked.
///
/// ```
/// use go_runtime::{channel, go, sync::LazyLock};
///
/// static ANSWER: LazyLock<u32> = LazyLock::new(|| {
///     let (tx, rx) = channel::bounded(0);
///     go!(tx.send(42));
///     rx.recv().unwrap()
/// });
/// assert_eq!(*ANSWER, 42);
/// ```
///
/// [`Once`](super::Once#deadlocks) describes the deadlocks of a closure that waits for itself, and
/// of a `Drop` that waits during a panic.
///
/// # Poisoning
///
/// If the closure that makes the value panics, there will never be a value: every later use panics,
/// too.
pub struct LazyLock<T, F = fn() -> T> {
    once: Once,
    /// `Value` once `once` is completed; changed before that by the caller that runs the closure of
    /// `once`.
    data: UnsafeCell<Data<T, F>>,
}

enum Data<T, F> {
    Make(F),
    /// The closure is making the value, or it panicked, and there will never be a value.
    Nothing,
    Value(T),
}

// SAFETY: all threads can have `&T` at once, which requires `T: Sync`. The first thread to use the
// value moves the closure out and calls it, which requires `F: Send`, and another thread may drop
// the value, which requires `T: Send`. No thread has a `&F`. `once` orders the write of the value
// before every read.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}

impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// Returns a lazy value that `f` will make.
    #[inline]
    #[must_use]
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock {
            once: Once::new(),
            data: UnsafeCell::new(Data::Make(f)),
        }
    }

    /// Returns the value: makes it if there is none, or waits if another caller is making it.
    ///
    /// `*this` does the same.
    ///
    /// # Panics
    /// If the closure that makes the value panics, or panicked in an earlier call; and if the
    /// caller is that closure, which would wait for itself.
    ///
    /// ```
    /// use go_runtime::sync::LazyLock;
    ///
    /// let lazy = LazyLock::new(|| 1);
    /// assert_eq!(LazyLock::force(&lazy), &1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        match this.value() {
            Some(value) => value,
            None => this.make(),
        }
    }

    /// Returns the value for changing, and makes it if there is none.
    ///
    /// # Panics
    /// If the closure that makes the value panics, or has panicked.
    ///
    /// ```
    /// use go_runtime::sync::LazyLock;
    ///
    /// let mut lazy = LazyLock::new(|| 1);
    /// *LazyLock::force_mut(&mut lazy) += 1;
    /// assert_eq!(*lazy, 2);
    /// ```
    #[track_caller]
    pub fn force_mut(this: &mut LazyLock<T, F>) -> &mut T {
        LazyLock::force(this);
        match this.data.get_mut() {
            Data::Value(value) => value,
            _ => unreachable!("it has just been made"),
        }
    }

    /// Slow path of `force`.
    #[cold]
    #[track_caller]
    fn make(&self) -> &T {
        let made = self.once.run(false, |_| {
            let data = self.data.get();
            // SAFETY: `once` runs one closure at a time, and an unforced one only if none has run
            // before, so no other closure accesses the cell. `value` reads the cell only once
            // `once` is completed, which is after this closure has returned.
            let before = unsafe { mem::replace(&mut *data, Data::Nothing) };
            let Data::Make(f) = before else {
                unreachable!("the closure is used once");
            };
            let value = f();
            // SAFETY: `once` runs no other closure, and `value` reads the cell only once `once` is
            // completed, which is after this closure has returned. `f` cannot reach the cell: its
            // own use of this `LazyLock` panics in `once`.
            unsafe { *data = Data::Value(value) };
        });
        match (made, self.value()) {
            (Ok(()), Some(value)) => value,
            _ => panic!("LazyLock instance has previously been poisoned"),
        }
    }
}

impl<T, F> LazyLock<T, F> {
    /// Returns the value, if there is one.
    #[inline]
    fn value(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: the value was written before `once` was completed, which the load in
        // `is_completed` acquires. `once` runs no closure after that, so the cell is not written
        // again while `self` is borrowed.
        match unsafe { &*self.data.get() } {
            Data::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    /// Returns the value: see [`force`](LazyLock::force).
    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    /// Returns the value for changing: see [`force_mut`](LazyLock::force_mut).
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        LazyLock::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_tuple("LazyLock");
        match self.value() {
            Some(value) => text.field(value),
            None => text.field(&format_args!("<uninit>")),
        };
        text.finish()
    }
}
