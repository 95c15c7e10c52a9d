//! Goroutines that borrow from the caller that starts them, after [`std::thread::scope`].
//!
//! A [`Scope`] counts its goroutines and [`scope`] does not return, nor unwind, before all have
//! ended: this alone makes the borrows sound, even if handles are leaked. The last step of a
//! goroutine's closure subtracts the goroutine from the count. By then no value that may borrow is
//! left in the closure: its captures are gone, and the result is with the handle or dropped.

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
use crate::wait::WaitReason;

/// A scope for goroutines that borrow from outside of it; see [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    shared: Arc<Shared>,
    /// Makes the type invariant in both lifetimes, like std's `Scope`: if `'scope` could shrink, a
    /// goroutine could borrow a value that does not outlive the scope.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

struct Shared {
    running: Counter,
    /// Number of panics that no `join` has returned.
    unhandled: AtomicUsize,
}

impl Shared {
    fn note_panic(&self) {
        self.unhandled.fetch_add(1, Ordering::Relaxed);
    }
}

/// The result of a goroutine, shared by the goroutine and its handle. If no caller takes the
/// result, the later of the two owners drops it; a panic of that drop counts as a panic of the
/// goroutine in either case.
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
/// A waiting goroutine parks, and a waiting thread blocks. Like [`std::thread::scope`] the call
/// does not end before the goroutines have ended, neither by a panic nor by a leak of the handles.
/// So the goroutines may borrow everything that outlives the call, without an `Arc`, a `clone` or a
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
/// A borrowed value has to outlive the scope:
///
/// ```compile_fail,E0373
/// go_runtime::scope(|s| {
///     let inside = 1;
///     s.spawn(|| println!("{inside}"));
/// });
/// ```
///
/// A value that a goroutine borrows is dropped after the scope. A borrowed
/// [`Sender`](crate::channel::Sender) therefore stays open, and a receiver inside the scope that
/// waits for the channel to be closed waits for ever: move the sender into the goroutine, with
/// `go!(s; move { ... })` or a `move` closure.
///
/// In a goroutine that is unwinding (in a `Drop`) it blocks the worker, as every wait does then,
/// and may wait for ever for its own goroutines.
///
/// # Panics
/// If `f` panics, with its panic; otherwise if a goroutine has panicked and no
/// [`join`](ScopedJoinHandle::join) has returned that panic. In both cases the call first waits for
/// all goroutines.
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
    scope.shared.running.wait(WaitReason::Scope);
    match result {
        Err(payload) => panic::resume_unwind(payload),
        Ok(_) if scope.shared.unhandled.load(Ordering::Relaxed) > 0 => {
            panic!("a scoped goroutine panicked")
        }
        Ok(result) => result,
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a goroutine that may borrow values that outlive the scope.
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
    /// Where [`spawn`](crate::spawn) panics.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        started(self.spawn_with(Builder::new(), f))
    }

    /// Starts a goroutine with options, which may borrow values that outlive the scope.
    /// `go!(s, options; ...)` calls this, and panics on its error.
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
    /// The errors of [`Builder::spawn`].
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
    /// The errors of [`spawn`](Builder::spawn).
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
            // Unwind safety is asserted because the state of a panicked goroutine is gone, except
            // for what it shares with others.
            let running = &shared.running;
            let result = panic::catch_unwind(AssertUnwindSafe(|| running.counted(f)));
            if result.is_err() {
                shared.note_panic();
            }
            packet.put(result);
            // If the handle was dropped, the result is dropped here, which may run user code.
            drop(packet);
            shared.running.done();
        };
        /// Subtracts a goroutine that could not be started from the scope's count, even if dropping
        /// its closure panics.
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
        // goroutine's share of the packet is gone. (The handle's share cannot outlive the scope,
        // unless the handle was leaked.)
        let goroutine = unsafe { self.with_room(room_for::<F, T>()).spawn_unchecked(run) }?;
        mem::forget(refused);
        Ok(ScopedJoinHandle {
            goroutine,
            packet,
            scope: PhantomData,
        })
    }
}

/// The right to wait for a scoped goroutine's end and take its result.
///
/// Dropping the handle changes nothing: the scope waits all the same. If the `Drop` of a result
/// that has not been taken panics, that counts as a panic of the goroutine.
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
    /// If the goroutine panicked: the payload of its panic. The scope then does not repeat the
    /// panic.
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

    /// Returns a channel that is closed when the goroutine has ended.
    pub(crate) fn ended(&self) -> &Receiver<()> {
        self.goroutine.ended()
    }

    /// Takes the result, once the channel of [`ended`](Self::ended) is closed.
    ///
    /// # Panics
    /// If the result was taken before.
    #[track_caller]
    pub(crate) fn take_ended(&self) -> thread::Result<T> {
        take(self.goroutine.take_ended(), &self.packet)
    }

    /// Returns whether the goroutine has ended, so that [`join`](Self::join) would not wait.
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
        // The goroutine runs only the closure `run`, which catches the panics of `f` and of dropped
        // results.
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
