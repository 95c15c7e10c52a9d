//! `std::sync::OnceLock` for goroutines.

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::Once;

/// A value that is set once: [`std::sync::OnceLock`], but what makes the value may park, and a
/// goroutine that comes meanwhile is parked too.
///
/// The names and the rules are std's, so it takes the place of std's by a change of the import.
/// Goroutines and plain threads may use it at the same time; a thread that waits is blocked.
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
/// Who waits for itself, or in a `Drop` during a panic: see [`Once`](super::Once#deadlocks). A
/// panic does not poison it: the next one makes the value.
///
/// A value may refer to what is dropped first, as in std's, if dropping it uses nothing of that:
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
    /// `Some` once `once` is completed; written by who is at it, before. (An `Option` drops as it
    /// is to be dropped, whatever `T` borrows.)
    value: UnsafeCell<Option<T>>,
}

// SAFETY: all have `&T`, for which it is `Sync`; and who sets it sends it to who takes it, for
// which it is `Send`.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// One without a value.
    #[must_use]
    #[inline]
    pub const fn new() -> OnceLock<T> {
        OnceLock {
            once: Once::new(),
            value: UnsafeCell::new(None),
        }
    }

    /// The value, if there is one. It never waits.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        if self.once.is_completed() {
            // SAFETY: written before, and not again as long as it is borrowed.
            unsafe { &*self.value.get() }.as_ref()
        } else {
            None
        }
    }

    /// The value, if there is one, to be changed.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Waits until others have set the value.
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

    /// Sets the value if there is none. It may wait for one who is making one. There is a value
    /// when it returns.
    ///
    /// # Errors
    /// If there is one already: `value`.
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

    /// The value; if there is none `f` makes it. If another one is making it, waits for that one.
    ///
    /// # Panics
    /// If `f` does, then there is still no value; and if the caller is making the value, so that it
    /// would wait for itself.
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

    /// The value, if there is one.
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

    /// Takes the value out, if there is one: it can be set again.
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

    #[cold]
    #[track_caller]
    fn init(&self, f: impl FnOnce() -> T) -> &T {
        // It is not refused, as it is forced.
        let _ = self.once.run(true, |_| {
            let value = f();
            // SAFETY: one at a time is here, nobody reads before it is done, and nobody is here
            // after one has been done.
            unsafe { *self.value.get() = Some(value) };
        });
        match self.get() {
            Some(value) => value,
            None => unreachable!("it has been set, and cannot be taken while it is borrowed"),
        }
    }

    /// Sets the value to the one in `value`, unless there is one.
    #[track_caller]
    fn init_from(&self, value: &mut Option<T>) {
        let _ = self.once.run(true, |_| {
            // SAFETY: as in `init`; there is none to be dropped.
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
