//! `std::sync::LazyLock` for goroutines.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::Once;

/// A value that is made when it is first used: [`std::sync::LazyLock`], but what makes the value
/// may park, and a goroutine that comes meanwhile is parked too.
///
/// The names and the rules are std's, so it takes the place of std's by a change of the import.
/// Goroutines and plain threads may use it at the same time; a thread that waits is blocked.
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
/// Who waits for itself, or in a `Drop` during a panic: see [`Once`](super::Once#deadlocks).
///
/// # Poisoning
///
/// If what makes the value panics, there will never be one: every later use panics too.
pub struct LazyLock<T, F = fn() -> T> {
    once: Once,
    /// `Value` once `once` is completed; changed by who is at it, before.
    data: UnsafeCell<Data<T, F>>,
}

enum Data<T, F> {
    Make(F),
    /// It is being made, or the one who made it has panicked.
    Nothing,
    Value(T),
}

// SAFETY: all have `&T`, for which it is `Sync`; who makes it has taken the closure along, and
// sends the value to who drops it, for which both are `Send`.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}

impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `f` will make.
    #[inline]
    #[must_use]
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock {
            once: Once::new(),
            data: UnsafeCell::new(Data::Make(f)),
        }
    }

    /// The value, as `*this` has it: makes it, or waits for the one who is making it.
    ///
    /// # Panics
    /// If what makes it panics, or has done so; and if the caller is what makes it, so that it
    /// would wait for itself.
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

    /// [`force`](LazyLock::force), to change it.
    ///
    /// # Panics
    /// If what makes it panics, or has done so.
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

    #[cold]
    #[track_caller]
    fn make(&self) -> &T {
        let made = self.once.run(false, |_| {
            let data = self.data.get();
            // SAFETY: one at a time is here, once, and nobody reads before it is done.
            let before = unsafe { mem::replace(&mut *data, Data::Nothing) };
            let Data::Make(f) = before else {
                unreachable!("the closure is used once");
            };
            let value = f();
            // SAFETY: as above.
            unsafe { *data = Data::Value(value) };
        });
        match (made, self.value()) {
            (Ok(()), Some(value)) => value,
            _ => panic!("LazyLock instance has previously been poisoned"),
        }
    }
}

impl<T, F> LazyLock<T, F> {
    #[inline]
    fn value(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: written before, and not again as long as it is borrowed.
        match unsafe { &*self.data.get() } {
            Data::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    /// The value: see [`force`](LazyLock::force).
    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    /// The value: see [`force_mut`](LazyLock::force_mut).
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
