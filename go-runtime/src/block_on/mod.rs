//! Futures in ordinary code: the caller polls the future on its own stack, and parks between polls.
//!
//! Only the caller touches the future, so the future need be neither `Send` nor `'static`. Other
//! threads get only its waker, a [`Signal`] (or, with a done channel, [`Calls`]), which they may
//! keep for any time.

mod signal;
#[cfg(feature = "tokio")]
mod tokio;

use std::convert::Infallible;
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use self::signal::Signal;
use crate::Canceled;
use crate::channel::Receiver;
use crate::wait::Observable;
use crate::wait::edges::Edges;
use crate::wait::{WaitReason, before_a_wait, note_failed_poll};

/// Runs a future to completion, and returns its output. While the future is pending, it parks a
/// goroutine, and blocks a thread.
///
/// So a goroutine may use an async library as if it were synchronous. The future is polled on the
/// caller's stack: it may borrow, need not be `Send`, and, like everything in a goroutine, never
/// changes its thread. Other goroutines of the worker run while it is pending, and also when it
/// yields by waking itself (as `yield_now` of the async libraries does). `block_on` may be called
/// within a future that another `block_on` polls; the outer one then waits as well. (To use what a
/// block of `go!` has captured, make the future an `async move` block.)
///
/// ```
/// use go_runtime::{block_on, channel, go};
///
/// let (tx, rx) = channel::bounded(0);
/// go! { tx.send(6).unwrap() };
/// let answer = go! { block_on(async move { rx.recv_async().await.unwrap() * 7 }) };
/// assert_eq!(block_on(answer).unwrap(), 42); // A `JoinHandle` can be awaited as well.
/// ```
///
/// # Libraries that need their own runtime
///
/// A future that brings its own threads (a channel, a timer of `async-io`) works as it is. A future
/// that is made for tokio (its timers and sockets, `tokio::spawn`) looks for a tokio runtime, and
/// panics if there is none. The feature `tokio` of this crate provides one: the future is polled in
/// the context of a runtime of one thread, which the process has for this purpose and the first
/// `block_on` starts. That thread drives timers and sockets, and runs the tasks of `tokio::spawn`;
/// the future itself runs in its goroutine.
///
/// A *thread* that is in the context of another tokio runtime stays in it. A *goroutine* does not:
/// a context belongs to the thread, so the context of a worker may come from a guard
/// (`Handle::enter`) that another goroutine holds while it is parked, of a runtime that nothing
/// drives. To have a future polled by a runtime of your own, pass it to that runtime:
/// `block_on(handle.spawn(future))`. Hold no guard of `Handle::enter` while the goroutine may park:
/// the guards of a thread have to be dropped in the reverse order of entering, and tokio panics if
/// they are not.
///
/// A value that looks for the runtime when it is *created*, such as `tokio::time::sleep`, has to be
/// created in the context: in an `async` block or function. reqwest's `send()` does so if
/// the request has a timeout: write `block_on(async { request.send().await })`, and not
/// `block_on(request.send())`. (The latter works on a worker that has run a `block_on` before, and
/// panics on a worker that has not.)
///
/// ```
/// # #[cfg(feature = "tokio")] {
/// use std::time::Duration;
/// use go_runtime::{block_on, go};
///
/// let slept = go! {
///     block_on(async {
///         tokio::time::sleep(Duration::from_millis(1)).await;
///         tokio::spawn(async { "slept" }).await.unwrap()
///     })
/// };
/// assert_eq!(slept.join().unwrap(), "slept");
/// # }
/// ```
///
/// In a thread of a tokio runtime, use `.await`: `block_on` would block that thread, and the task
/// that it waits for may be queued behind it.
///
/// # Panics
/// If the future panics, with the same payload. With the feature `tokio`, if the system has no
/// thread or no descriptor for starting the runtime; a later call tries again.
///
/// In the destructor of a thread-local, futures that do not need tokio work. Futures that need it
/// panic there if tokio's own thread-local has been destroyed before; and a panic in such a
/// destructor ends the process.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let signal = Arc::new(Signal::new());
    let waker = Waker::from(Arc::clone(&signal));
    let pause = || {
        // The waker was called during the poll: the future may only want to yield to other
        // goroutines.
        if signal.take() {
            crate::yield_now();
        } else {
            signal.wait();
        }
        Ok::<(), Infallible>(())
    };
    let Ok(output) = poll_to_the_end(future, &waker, pause);
    output
}

/// Runs a future like [`block_on`], until a done channel ends it: the future is then dropped while
/// it is pending, as async code does to cancel.
///
/// `done` ends it when it is closed, or has a message, which is not received. It is checked before
/// each poll, so if it is ready from the beginning the future is not polled at all. In particular
/// `done` may be a context's channel ([`ctx.done()`](crate::context::Context::done)), which also
/// gives a deadline. A poll that does not return is not interrupted.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{Canceled, block_on_with, channel, context::Context};
///
/// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
/// let (_tx, rx) = channel::bounded::<i32>(0);
/// assert_eq!(block_on_with(ctx.done(), rx.recv_async()), Err(Canceled));
/// assert_eq!(block_on_with(&channel::never::<()>(), async { 42 }), Ok(42));
/// ```
///
/// # Errors
/// [`Canceled`] if `done` came first.
///
/// # Panics
/// Like [`block_on`].
pub fn block_on_with<D, F: IntoFuture>(
    done: &Receiver<D>,
    future: F,
) -> Result<F::Output, Canceled> {
    let fail_if_done = || {
        if done.is_ready() {
            return Err(Canceled);
        }
        Ok(())
    };
    fail_if_done().inspect_err(|_| note_failed_poll())?;
    let calls = Arc::new(Calls(Edges::new()));
    let waker = Waker::from(Arc::clone(&calls));
    let mut seen = calls.0.now();
    poll_to_the_end(future, &waker, || {
        if calls.0.now() != seen {
            crate::yield_now();
        } else {
            // What ended the wait does not matter here: `fail_if_done` checks the done channel, and
            // the next poll checks the future.
            calls.0.wait(WaitReason::Future, seen, || None, Some(done));
        }
        seen = calls.0.now();
        fail_if_done()
    })
}

/// The waker of a [`block_on_with`], which counts each call as an edge.
struct Calls(Edges);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.add();
        self.0.wake_one();
    }
}

/// Polls the future until it is ready, and calls `pause` after each poll that leaves it pending.
/// Returns the error of `pause`, if there is one.
fn poll_to_the_end<F: IntoFuture, E>(
    future: F,
    waker: &Waker,
    mut pause: impl FnMut() -> Result<(), E>,
) -> Result<F::Output, E> {
    // A future need not wait: without this call a goroutine whose futures are all ready would keep
    // its worker.
    before_a_wait();
    // Declared before the future, so that it is dropped after the future.
    #[cfg(feature = "tokio")]
    let mut entered = tokio::Entered::new();
    let mut future = pin!(future.into_future());
    let mut context = Context::from_waker(waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Ok(value);
        }
        #[cfg(feature = "tokio")]
        entered.begin_wait();
        let paused = pause();
        #[cfg(feature = "tokio")]
        entered.end_wait();
        paused?;
    }
}
