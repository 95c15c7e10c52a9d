//! Go's `sync.WaitGroup`: handles on a [`Counter`].

mod counter;

pub(crate) use counter::Counter;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::channel::Receiver;
use crate::goroutine::{Builder, JoinHandle, started};
use crate::time::TimedOut;
use crate::wait::note_failed_poll;
use crate::wait::{WaitReason, Woken};
use crate::{Canceled, clock};

/// A counter of goroutines, which lets a caller wait until all of them have ended.
///
/// The counter starts at 0. [`go`](WaitGroup::go) starts a goroutine that is counted, and
/// [`wait`](WaitGroup::wait) waits until the counter is 0. Clones share the counter.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use go_runtime::sync::WaitGroup;
///
/// static HITS: AtomicUsize = AtomicUsize::new(0);
/// let group = WaitGroup::new();
/// for _ in 0..10 {
///     group.go(|| HITS.fetch_add(1, Ordering::Relaxed));
/// }
/// group.wait();
/// assert_eq!(HITS.load(Ordering::Relaxed), 10);
/// ```
///
/// Work that is not a goroutine of its own is counted by hand: [`add`](WaitGroup::add) raises the
/// counter, [`done`](WaitGroup::done) lowers it by one. As in Go, a call that raises the counter
/// from 0 must come before the `wait`.
///
/// ```
/// use go_runtime::{go, sync::WaitGroup};
///
/// let group = WaitGroup::new();
/// group.add(10);
/// for _ in 0..10 {
///     go!(clone(group) { group.done() });
/// }
/// group.wait();
/// ```
#[derive(Clone)]
pub struct WaitGroup {
    counter: Arc<Counter>,
}

impl WaitGroup {
    /// Returns a group with a count of 0.
    #[must_use]
    pub fn new() -> WaitGroup {
        WaitGroup {
            counter: Arc::new(Counter::new()),
        }
    }

    /// Starts a goroutine that runs `f` and is counted until it has ended, even by a panic.
    ///
    /// This is Go's `WaitGroup.Go`. The goroutine is counted from this call on, until `f` and all
    /// its captures have been dropped. The handle returns a panic from `join`; if the handle has
    /// been dropped, only the panic hook sees the panic. `wait` does not repeat a panic. `wait` may
    /// return a moment before [`is_finished`](JoinHandle::is_finished) returns `true`; and, if the
    /// handle has been dropped, before the result is dropped.
    ///
    /// ```
    /// let group = go_runtime::sync::WaitGroup::new();
    /// let sum = group.go(|| 40 + 2);
    /// let failed = group.go(|| panic!("no luck"));
    /// group.wait();
    /// assert_eq!(sum.join().unwrap(), 42);
    /// assert!(failed.join().is_err());
    /// ```
    ///
    /// # Panics
    /// For the reasons of [`spawn`](crate::spawn), and then the counter stays as it was; or if the
    /// counter would exceed `isize::MAX`.
    #[track_caller]
    pub fn go<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        started(self.spawn_with(Builder::new(), f))
    }

    /// Starts a goroutine as [`go`](WaitGroup::go) does; [`go!`](crate::go) calls this method.
    ///
    /// The form of the macro is `go!(group; f(x))`.
    ///
    /// ```
    /// use go_runtime::{go, sync::WaitGroup};
    ///
    /// let group = WaitGroup::new();
    /// for n in 1..=3 {
    ///     go!(group; move { assert!(n > 0) });
    /// }
    /// group.wait();
    /// ```
    ///
    /// # Panics
    /// For the reasons of [`go`](WaitGroup::go).
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.go(f)
    }

    /// Starts a goroutine with options, which is counted as a goroutine of [`go`](WaitGroup::go)
    /// is.
    ///
    /// `go!(group, options; ...)` calls this method, and panics on its error.
    ///
    /// ```
    /// use go_runtime::{Builder, go, sync::WaitGroup};
    ///
    /// let group = WaitGroup::new();
    /// group.spawn_with(Builder::new().name("first"), || 1)?;
    /// go!(group, name = "second"; { 2 });
    /// group.wait();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`Builder::spawn`]; then the counter stays as it was.
    ///
    /// # Panics
    /// If the counter would exceed `isize::MAX`.
    #[track_caller]
    pub fn spawn_with<F, T>(&self, builder: Builder, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.add(1);
        // If no goroutine is started, the tuple is dropped in this order: first `f`, then its
        // count.
        let counted = (f, Counted(self.clone()));
        builder.spawn(move || {
            let (f, counted) = counted;
            let result = counted.0.counter.counted(f);
            drop(counted);
            result
        })
    }

    /// Raises the counter by `n`.
    ///
    /// # Panics
    /// If the counter would exceed `isize::MAX`, as it would with a number that was meant to be
    /// negative. The counter stays as it was.
    #[track_caller]
    pub fn add(&self, n: usize) {
        self.counter.add(n);
    }

    /// Lowers the counter by one; at 0 wakes all waiters.
    ///
    /// # Panics
    /// If the counter is 0 already: `done` was called more often than `add` had announced (Go:
    /// *negative WaitGroup counter*). The counter stays 0.
    #[track_caller]
    pub fn done(&self) {
        self.counter.done();
    }

    /// Waits until the counter is 0.
    pub fn wait(&self) {
        self.counter.wait(WaitReason::WaitGroupWait);
    }

    /// Waits until the counter is 0, for at most `timeout`.
    ///
    /// A timeout does not end the goroutines that are counted. A timeout beyond what an [`Instant`]
    /// can express is no limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// use go_runtime::sync::WaitGroup;
    ///
    /// let group = WaitGroup::new();
    /// group.add(1);
    /// assert!(group.wait_timeout(Duration::from_millis(1)).is_err());
    /// group.done();
    /// assert!(group.wait_timeout(Duration::ZERO).is_ok());
    /// ```
    ///
    /// # Errors
    /// If the timeout passed first.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), TimedOut> {
        self.wait_until(clock::after(timeout))
    }

    /// Waits until the counter is 0, but not beyond `deadline`.
    ///
    /// # Errors
    /// If the deadline passed first.
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), TimedOut> {
        self.wait_until(Some(deadline))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        match self.counter.wait_until(deadline, None) {
            Woken::TimedOut => {
                note_failed_poll();
                Err(TimedOut)
            }
            Woken::ByEvent | Woken::ByNothing | Woken::ByDone => Ok(()),
        }
    }

    /// Waits until the counter is 0, or until `done` is closed or has a message.
    ///
    /// That message is not received. Pass [`ctx.done()`](crate::context::Context::done), for
    /// instance.
    ///
    /// ```
    /// use go_runtime::{Canceled, channel::bounded, go, sync::WaitGroup};
    ///
    /// let group = WaitGroup::new();
    /// group.add(1);
    /// let (stop, done) = bounded::<()>(0);
    /// let waiting = go!(move || group.wait_with(&done));
    /// drop(stop);
    /// assert_eq!(waiting.join().unwrap(), Err(Canceled));
    /// ```
    ///
    /// # Errors
    /// If `done` was closed or had a message first; also if the counter is 0 and `done` is closed
    /// already.
    pub fn wait_with<D>(&self, done: &Receiver<D>) -> Result<(), Canceled> {
        match self.counter.wait_until(None, Some(done)) {
            Woken::ByDone => {
                note_failed_poll();
                Err(Canceled)
            }
            Woken::ByEvent | Woken::ByNothing | Woken::TimedOut => Ok(()),
        }
    }
}

/// One count of the group, which is subtracted when this is dropped.
struct Counted(WaitGroup);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        WaitGroup::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counter.fmt(f)
    }
}
