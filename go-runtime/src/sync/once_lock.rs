//! `std::sync::OnceLock` for goroutines.
//!
//! This module owns the cell of the value. Only the caller that runs the closure of `once` writes
//! the cell through `&OnceLock`; all callers may read the cell once `once` is completed.

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::Once;

/// A value that is set once: [`std::sync::OnceLock`] for goroutines.
///
/// The closure that makes the value may park, and a goroutine that needs the value meanwhile is
/// parked, too. The names and the rules are std's, so a change of the import replaces std's
/// `OnceLock` by this one. Goroutines and plain threads may use the same cell at the same time; a
/// thread that waits is blocked.
///
/// ```
/// use go_runtime::{go, sync::OnceLock};
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
/// assert_eq!(CONFIG.get(), None);
/// let first = || CONFIG.get_or_init(|| go!(String::from("made by a goroutine")).join().unwrap());
/// assert_eq!(first(), "made by a goroutine");
/// assert_eq!(CONFIG.set("another".into()), Err("another".into()));
/// ```
///
/// [`Once`](super::Once#deadlocks) describes the deadlocks of a closure that waits for itself, and
/// of a `Drop` that waits during a panic. A panic does not poison the cell: the next caller makes
/// the value.
///
/// As in std's `OnceLock`, a value may refer to data that is dropped before the cell, if the
/// value's own drop does not use that data:
///
/// ```
/// use go_runtime::sync::OnceLock;
///
/// let cell = OnceLock::new();
/// {
///     let text = String::new();
///     cell.set(&text).unwrap();
/// }
/// ```
///
/// ```compile_fail,E0597
/// use go_runtime::sync::OnceLock;
///
/// struct Uses<'a>(&'a str);
/// impl Drop for Uses<'_> {
///     fn drop(&mut self) {}
/// }
///
/// let cell = OnceLock::new();
/// {
///     let text = String::new();
///     let _ = cell.set(Uses(&text));
/// }
/// ```
pub struct OnceLock<T> {
    once: Once,
    /// `Some` once `once` is completed; written before that by the caller that runs the closure of
    /// `once`. (An `Option` drops the value by itself. If `OnceLock` implemented `Drop`, the value
    /// could not borrow data that is dropped before the cell.)
    value: UnsafeCell<Option<T>>,
}

// SAFETY: all threads can have `&T` at once, which requires `T: Sync`. One thread can set the value
// through `&OnceLock`, and another one take or drop it, which requires `T: Send`. `once` orders the
// write before every read.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Returns a cell without a value.
    #[must_use]
    #[inline]
    pub const fn new() -> OnceLock<T> {
        OnceLock {
            once: Once::new(),
            value: UnsafeCell::new(None),
        }
    }

    /// Returns the value, if there is one. Never waits.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        if self.once.is_completed() {
            // SAFETY: the value was written before `once` was completed, which the load in
            // `is_completed` acquires. `once` runs no closure after that, so the value is not
            // written again while `self` is borrowed.
            unsafe { &*self.value.get() }.as_ref()
        } else {
            None
        }
    }

    /// Returns the value for changing, if there is one.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Blocks until another caller has set the value, and returns the value.
    ///
    /// # Panics
    /// If the caller is making the value.
    ///
    /// ```
    /// use go_runtime::{scope, sync::OnceLock};
    ///
    /// let cell = OnceLock::new();
    /// scope(|s| {
    ///     s.spawn(|| cell.set(1));
    ///     assert_eq!(*cell.wait(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> &T {
        loop {
            if let Some(value) = self.get() {
                return value;
            }
            self.once.wait_force();
        }
    }

    /// Sets the value if there is none.
    ///
    /// The call waits if another caller is making a value. There is a value when the call returns.
    ///
    /// # Errors
    /// If there is a value already; the error is `value`.
    ///
    /// # Panics
    /// If the caller is making the value.
    #[inline]
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        if self.get().is_none() {
            self.init_from(&mut value);
        }
        match value {
            None => Ok(()),
            Some(value) => Err(value),
        }
    }

    /// Returns the value. If there is none, calls `f` to make it, or waits if another caller is
    /// making it.
    ///
    /// # Panics
    /// If `f` panics, in which case there is still no value; and if the caller is making the value,
    /// and so would wait for itself.
    ///
    /// ```
    /// let cell = go_runtime::sync::OnceLock::new();
    /// assert_eq!(cell.get_or_init(|| 1), &1);
    /// assert_eq!(cell.get_or_init(|| 2), &1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_init<F>(&self, f: F) -> &T
    where
        F: FnOnce() -> T,
    {
        match self.get() {
            Some(value) => value,
            None => self.init(f),
        }
    }

    /// Consumes the cell and returns the value, if there is one.
    ///
    /// ```
    /// use go_runtime::sync::OnceLock;
    ///
    /// assert_eq!(OnceLock::<u32>::new().into_inner(), None);
    /// assert_eq!(OnceLock::from(1).into_inner(), Some(1));
    /// ```
    #[inline]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, if there is one; the cell can then be set again.
    ///
    /// ```
    /// let mut cell = go_runtime::sync::OnceLock::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.get(), None);
    /// assert_eq!(cell.set(2), Ok(()));
    /// ```
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        if self.value.get_mut().is_some() {
            self.once = Once::new();
        }
        self.value.get_mut().take()
    }

    /// Slow path of `get_or_init`.
    #[cold]
    #[track_caller]
    fn init(&self, f: impl FnOnce() -> T) -> &T {
        // `run` refuses no forced call.
        let _ = self.once.run(true, |_| {
            let value = f();
            // SAFETY: `once` runs one closure at a time, and none after one has completed, so no
            // other closure accesses the cell. `get` reads the cell only once `once` is completed,
            // which is after this closure has returned.
            unsafe { *self.value.get() = Some(value) };
        });
        match self.get() {
            Some(value) => value,
            None => unreachable!("it has been set, and cannot be taken while it is borrowed"),
        }
    }

    /// Moves the value out of `value` into the cell, unless the cell has a value.
    #[track_caller]
    fn init_from(&self, value: &mut Option<T>) {
        // `run` refuses no forced call.
        let _ = self.once.run(true, |_| {
            // SAFETY: `once` runs one closure at a time, and none after one has completed, so no
            // other closure accesses the cell. `get` reads the cell only once `once` is completed,
            // which is after this closure has returned. The cell is still `None`, so the assignment
            // drops no value and runs no code of the user.
            unsafe { *self.value.get() = value.take() };
        });
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => text.field(value),
            None => text.field(&format_args!("<uninit>")),
        };
        text.finish()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> OnceLock<T> {
        match self.get() {
            Some(value) => OnceLock::from(value.clone()),
            None => OnceLock::new(),
        }
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> OnceLock<T> {
        let cell = OnceLock::new();
        cell.init_from(&mut Some(value));
        cell
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &OnceLock<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}
