//! A set of goroutines whose results are taken in the order in which they end: [`JoinSet`].

// A channel carries the results, and `left` counts the results that have not been received from it
// yet. Only one caller at a time takes a result, by `&mut`, so a caller that finds `left` above 0
// gets one.

use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use crate::channel::{self, Receiver, Sender};
use crate::goroutine::{Builder, DropGuarded, room_for, room_for_one, started};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::wait::{self, WaitReason, Why};

/// Number of copies of a result that a stack holds in an unoptimized build while the result is
/// sent.
const SENDING: usize = 30;

/// Goroutines that all return a `T`, to be joined in the order in which they end.
///
/// Dropping the set ends none of its goroutines: they go on by themselves, and their results are
/// dropped (if a result's `Drop` panics, the panic hook reports that, and the panic goes no
/// further). Several goroutines or threads that share the set by reference may add to it at once.
///
/// ```
/// use go_runtime::{JoinSet, go};
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let mut set = JoinSet::new();
/// for n in 1..=3 {
///     go!(set; square(n));
/// }
/// let mut sum = 0;
/// while let Some(result) = set.join_next() {
///     sum += result.unwrap();
/// }
/// assert_eq!(sum, 14);
/// ```
///
/// Closures are collected into a set, and the set is an iterator over the results:
///
/// ```
/// use go_runtime::JoinSet;
///
/// let set: JoinSet<u64> = (1..=3).map(|n| move || n * n).collect();
/// let sum: u64 = set.into_iter().map(Result::unwrap).sum();
/// assert_eq!(sum, 14);
/// ```
///
/// A block that captures variables needs a `move`, `go!(set; move { ... })`, as it cannot borrow
/// them: the goroutines may outlive the set. For goroutines that borrow there is
/// [`scope`](crate::scope).
pub struct JoinSet<T> {
    results: Receiver<DropGuarded<thread::Result<T>>>,
    sender: Sender<DropGuarded<thread::Result<T>>>,
    /// Number of goroutines whose results have not been taken yet.
    left: AtomicUsize,
}

impl<T> JoinSet<T> {
    /// Makes a set without goroutines.
    #[must_use]
    pub fn new() -> JoinSet<T> {
        let (sender, results) = channel::unbounded();
        JoinSet {
            results,
            sender,
            left: AtomicUsize::new(0),
        }
    }

    /// Returns how many goroutines have not been joined, whether they run or have ended.
    ///
    /// ```
    /// let mut set = go_runtime::JoinSet::new();
    /// set.spawn(|| 1);
    /// assert_eq!(set.len(), 1);
    /// set.join_next();
    /// assert!(set.is_empty());
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Returns whether all goroutines have been joined, so that [`join_next`](Self::join_next)
    /// would return `None`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for a goroutine to end and takes its result. Of several ended goroutines that have not
    /// been joined, it takes the first to end. Returns `None` if all have been joined.
    ///
    /// A waiting goroutine parks, and a waiting thread blocks. The captures of the joined
    /// goroutine's closure have been dropped by then.
    ///
    /// # Errors
    /// Within the `Some`: the payload of the panic with which that goroutine ended, as
    /// [`JoinHandle::join`](crate::JoinHandle::join) gives it.
    ///
    /// ```
    /// let mut set = go_runtime::JoinSet::new();
    /// set.spawn(|| panic!("no luck"));
    /// let payload = set.join_next().unwrap().unwrap_err();
    /// assert_eq!(payload.downcast_ref::<&str>(), Some(&"no luck"));
    /// assert!(set.join_next().is_none());
    /// ```
    pub fn join_next(&mut self) -> Option<thread::Result<T>> {
        if self.is_empty() {
            return None;
        }
        let why = Why::new(WaitReason::Join, &raw const self.results).open();
        let Ok(result) = wait::named(why, || self.results.recv()) else {
            unreachable!("the set itself has a sender");
        };
        self.left.fetch_sub(1, Ordering::Relaxed);
        Some(result.into_inner())
    }

    /// Takes the result of an ended goroutine, without waiting. Returns `None` if no ended
    /// goroutine is left to be joined.
    ///
    /// ```
    /// let (stop, done) = go_runtime::channel::bounded::<()>(0);
    /// let mut set = go_runtime::JoinSet::new();
    /// set.spawn(move || done.recv().is_err());
    /// assert!(set.try_join_next().is_none());
    /// drop(stop);
    /// assert!(set.join_next().unwrap().unwrap());
    /// ```
    ///
    /// # Errors
    /// Within the `Some`, as for [`join_next`](Self::join_next).
    pub fn try_join_next(&mut self) -> Option<thread::Result<T>> {
        let result = self.results.try_recv().ok()?;
        self.left.fetch_sub(1, Ordering::Relaxed);
        Some(result.into_inner())
    }

    /// Waits for all goroutines, and returns their results in the order in which the goroutines
    /// ended.
    ///
    /// ```
    /// let set = go_runtime::JoinSet::new();
    /// for n in 0..3 {
    ///     set.spawn(move || n);
    /// }
    /// let mut numbers: Vec<i32> = set.join_all().into_iter().map(Result::unwrap).collect();
    /// numbers.sort();
    /// assert_eq!(numbers, [0, 1, 2]);
    /// ```
    pub fn join_all(self) -> Vec<thread::Result<T>> {
        self.into_iter().collect()
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Starts a goroutine of the set. `go!(set; ...)` calls it.
    ///
    /// # Panics
    /// Where [`spawn`](crate::spawn) panics; the set is then as it was before.
    #[track_caller]
    pub fn spawn<F>(&self, f: F)
    where
        F: FnOnce() -> T + Send + 'static,
    {
        started(self.spawn_with(Builder::new(), f));
    }

    /// Starts a goroutine of the set with options. `go!(set, options; ...)` calls it, and panics on
    /// its error.
    ///
    /// ```
    /// use go_runtime::{Builder, JoinSet};
    /// let mut set = JoinSet::new();
    /// set.spawn_with(Builder::new().stack_size(1 << 20), || [1_u8; 500_000].len())?;
    /// assert_eq!(set.join_next().unwrap().unwrap(), 500_000);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`Builder::spawn`]; the set is then as it was before.
    #[track_caller]
    pub fn spawn_with<F>(&self, builder: Builder, f: F) -> io::Result<()>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let sender = self.sender.clone();
        let room = room_for::<F, T>().saturating_add(SENDING.saturating_mul(room_for_one::<T>()));
        builder.with_room(room).spawn(move || {
            // Unwind safety is asserted because the state of a panicked goroutine is gone, except
            // for what it shares with others.
            let result = panic::catch_unwind(AssertUnwindSafe(f));
            // If the set was dropped, the result is dropped here.
            drop(sender.send(DropGuarded::new(result)));
        })?;
        // Taking a result needs `&mut self`, so no caller can take one while the set is borrowed
        // here, and the count may be raised after the result is sent.
        self.left.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl<T, F> Extend<F> for JoinSet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    /// Starts a goroutine of the set for each closure.
    ///
    /// # Panics
    /// Where [`spawn`](JoinSet::spawn) panics.
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, closures: I) {
        for closure in closures {
            self.spawn(closure);
        }
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    /// Makes a set with a goroutine for each closure.
    ///
    /// # Panics
    /// Where [`spawn`](JoinSet::spawn) panics.
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(closures: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        set.extend(closures);
        set
    }
}

impl<T> IntoIterator for JoinSet<T> {
    type Item = thread::Result<T>;
    type IntoIter = IntoIter<T>;

    /// Returns an iterator that waits for each goroutine, in the order in which they end.
    fn into_iter(self) -> IntoIter<T> {
        IntoIter { set: self }
    }
}

/// The results of a set's goroutines, in the order in which they end.
///
/// [`JoinSet::into_iter`] makes it. Each [`next`](Iterator::next) is a
/// [`join_next`](JoinSet::join_next). Dropping the iterator drops the set.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<T> {
    set: JoinSet<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = thread::Result<T>;

    fn next(&mut self) -> Option<thread::Result<T>> {
        self.set.join_next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.set.len();
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for IntoIter<T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}
