//! Goroutines that borrow from the one that starts them, after [`std::thread::scope`].
//!
//! A [`Scope`] counts its goroutines and [`scope`] does not return, nor unwind, before all have
//! ended: that is all that makes the borrows sound, whatever is leaked. A goroutine is counted out
//! as the last thing that its closure does, when nothing that may borrow is left of it: the
//! closure's captures are gone, and the result is with the handle or dropped.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::channel::Receiver;
use crate::goroutine::{Builder, JoinHandle, contain_panic, room_for, started};
use crate::primitives::atomic::{AtomicUsize, Ordering};
use crate::sync::Counter;

/// A scope to start goroutines in that borrow from outside of it; see [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    shared: Arc<Shared>,
    /// Invariant in both, as std's: `'scope` must not shrink, or a goroutine could borrow what does
    /// not outlive the scope.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

struct Shared {
    running: Counter,
    /// Panics that no `join` has returned.
    unhandled: AtomicUsize,
}

impl Shared {
    fn note_panic(&self) {
        self.unhandled.fetch_add(1, Ordering::Relaxed);
    }
}

/// The result of a goroutine, shared by the goroutine and its handle. The later of the two drops
/// what has not been taken; a panic of that counts as one of the goroutine, whichever it is.
struct Packet<T> {
    result: Mutex<Option<thread::Result<T>>>,
    shared: Arc<Shared>,
}

impl<T> Packet<T> {
    fn put(&self, result: thread::Result<T>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    fn take(&self) -> Option<thread::Result<T>> {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.take()
    }
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        let result = self
            .result
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if result.is_some() && !contain_panic(|| *result = None) {
            self.shared.note_panic();
        }
    }
}

/// Runs `f`, which may start goroutines that borrow from the caller's variables, and waits for all
/// of them.
///
/// It works in a goroutine, which parks, and on a thread, which blocks. Like [`std::thread::scope`]
/// it cannot be left before the goroutines have ended, not by a panic and not by leaking what it
/// hands out; so they may use everything that outlives the call, without an `Arc`, a `clone` or a
/// `move`.
///
/// ```
/// let words = vec!["done", "channel"];
/// let mut longest = "";
/// go_runtime::scope(|s| {
///     let count = s.spawn(|| words.len());
///     s.spawn(|| longest = words.iter().max_by_key(|word| word.len()).unwrap());
///     assert_eq!(count.join().unwrap(), 2);
/// });
/// assert_eq!(longest, "channel");
/// ```
///
/// What is borrowed has to live longer than the scope:
///
/// ```compile_fail,E0373
/// go_runtime::scope(|s| {
///     let inside = 1;
///     s.spawn(|| println!("{inside}"));
/// });
/// ```
///
/// What a goroutine borrows is dropped after the scope. A [`Sender`](crate::channel::Sender) that
/// it borrows therefore stays open, and who waits inside the scope for its channel to be closed
/// waits for ever: move it in, with `go!(s; move { ... })` or a `move` closure.
///
/// Called by a goroutine that is unwinding (in a `Drop`) it blocks the worker, as everything then
/// does, and may wait for ever for its own goroutines.
///
/// # Panics
/// If `f` panics, with its panic; or else if a goroutine has panicked whose panic no
/// [`join`](ScopedJoinHandle::join) has returned. All goroutines are waited for before.
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        shared: Arc::new(Shared {
            running: Counter::new(),
            unhandled: AtomicUsize::new(0),
        }),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = panic::catch_unwind(AssertUnwindSafe(|| f(&scope)));
    scope.shared.running.wait();
    match result {
        Err(payload) => panic::resume_unwind(payload),
        Ok(_) if scope.shared.unhandled.load(Ordering::Relaxed) > 0 => {
            panic!("a scoped goroutine panicked")
        }
        Ok(result) => result,
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a goroutine that may borrow what outlives the scope.
    ///
    /// Other goroutines of the scope may use the scope too, to start more.
    ///
    /// ```
    /// let numbers = [1, 2, 3];
    /// go_runtime::scope(|s| {
    ///     s.spawn(|| {
    ///         s.spawn(|| assert_eq!(numbers.iter().sum::<i32>(), 6));
    ///     });
    /// });
    /// ```
    ///
    /// # Panics
    /// As [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        started(self.spawn_with(Builder::new(), f))
    }

    /// Starts a goroutine with options that may borrow what outlives the scope. `go!(s, options;
    /// ...)` calls it, and panics on its error.
    ///
    /// ```
    /// use go_runtime::Builder;
    /// let numbers = [1, 2, 3];
    /// let sum = go_runtime::scope(|s| {
    ///     let child = s.spawn_with(Builder::new().name("sum"), || numbers.iter().sum::<i32>())?;
    ///     std::io::Result::Ok(child.join().unwrap())
    /// })?;
    /// assert_eq!(sum, 6);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Builder::spawn`].
    #[track_caller]
    pub fn spawn_with<F, T>(
        &'scope self,
        builder: Builder,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        builder.spawn_scoped(self, f)
    }
}

impl Builder {
    /// Starts a goroutine in `scope`; see [`Scope::spawn`].
    ///
    /// ```
    /// use go_runtime::Builder;
    /// let numbers = [1, 2, 3];
    /// let sum = go_runtime::scope(|s| {
    ///     let child = Builder::new().name("sum").spawn_scoped(s, || numbers.iter().sum::<i32>())?;
    ///     std::io::Result::Ok(child.join().unwrap())
    /// })?;
    /// assert_eq!(sum, 6);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`spawn`](Builder::spawn).
    #[track_caller]
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let packet = Arc::new(Packet::<T> {
            result: Mutex::new(None),
            shared: Arc::clone(&scope.shared),
        });
        let theirs = (Arc::clone(&packet), Arc::clone(&scope.shared));
        let run = move || {
            let (packet, shared) = theirs;
            // Like a thread's state, a goroutine's is not seen by anybody after its panic, but for
            // what it shares.
            let result = panic::catch_unwind(AssertUnwindSafe(f));
            if result.is_err() {
                shared.note_panic();
            }
            packet.put(result);
            // If the handle is gone, the result is dropped here, with all that a user's `Drop`
            // does.
            drop(packet);
            shared.running.done();
        };
        /// Counts a goroutine out that has not come to be, also if the closure that it was to run
        /// panics when it is dropped.
        struct Refused<'a>(&'a Counter);
        impl Drop for Refused<'_> {
            fn drop(&mut self) {
                self.0.done();
            }
        }
        scope.shared.running.add(1);
        let refused = Refused(&scope.shared.running);
        // SAFETY: `scope` waits for the `done` at the end of the closure, or of `refused` if there
        // is no goroutine. Nothing that borrows is left then: `f` has been called, and the
        // goroutine's share of the packet is gone. (The other is with a handle that cannot outlive
        // the scope, or has been leaked.)
        let goroutine = unsafe { self.with_room(room_for::<F, T>()).spawn_unchecked(run) }?;
        mem::forget(refused);
        Ok(ScopedJoinHandle {
            goroutine,
            packet,
            scope: PhantomData,
        })
    }
}

/// The right to wait for a scoped goroutine's end and take its result. Dropping it changes nothing:
/// the scope waits all the same. Should the `Drop` of a result panic that has not been taken, that
/// counts as a panic of the goroutine.
///
/// It may be an arm of a [`select!`](crate::select), as a [`JoinHandle`] may.
pub struct ScopedJoinHandle<'scope, T> {
    goroutine: JoinHandle<()>,
    packet: Arc<Packet<T>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the goroutine to end.
    ///
    /// # Errors
    /// The payload of its panic, which the scope then does not repeat.
    ///
    /// ```
    /// go_runtime::scope(|s| {
    ///     let failed = s.spawn(|| panic!("no luck"));
    ///     assert!(failed.join().is_err());
    /// });
    /// ```
    ///
    /// # Panics
    /// If an arm of a `select!` has taken the result.
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        let ended = self.goroutine.join();
        take(ended, &self.packet)
    }

    /// Returns the goroutine's name, if it was given one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.goroutine.name()
    }

    /// A channel that is closed when the goroutine has ended.
    pub(crate) fn ended(&self) -> &Receiver<()> {
        self.goroutine.ended()
    }

    /// Takes the result, once the channel of [`ended`](Self::ended) is closed.
    ///
    /// # Panics
    /// If it has been taken before.
    #[track_caller]
    pub(crate) fn take_ended(&self) -> thread::Result<T> {
        take(self.goroutine.take_ended(), &self.packet)
    }

    /// Whether the goroutine has ended, so that [`join`](Self::join) would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.goroutine.is_finished()
    }
}

fn take<T>(ended: thread::Result<()>, packet: &Packet<T>) -> thread::Result<T> {
    match (ended, packet.take()) {
        (Ok(()), Some(result)) => {
            if result.is_err() {
                packet.shared.unhandled.fetch_sub(1, Ordering::Relaxed);
            }
            result
        }
        // Nothing but the closure is run, and it does not unwind.
        (Err(payload), _) => Err(payload),
        (Ok(()), None) => unreachable!("the result is put before the end, and taken once"),
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("running", &self.shared.running)
            .finish()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.goroutine.fmt(f)
    }
}
