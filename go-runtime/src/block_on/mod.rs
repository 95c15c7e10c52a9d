//! Futures in ordinary code: polled where the caller stands, which parks in between.
//!
//! The future stays on the caller's stack and is polled by the caller only, so it need be neither
//! `Send` nor `'static`. What others get is its waker, a [`Signal`], which they may keep for as
//! long as they like.

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
use crate::channel::edges::Edges;
use crate::channel::observe::Observable;
use crate::goroutine::polled_in_vain;

/// Runs a future to its end, and returns what it comes to. It parks a goroutine, and blocks a
/// thread, while the future is pending.
///
/// So a goroutine may use an async library as if it were an ordinary one. The future is polled on
/// the caller's stack: it may borrow, need not be `Send`, and, like everything in a goroutine,
/// never changes its thread. Other goroutines of the worker run while it is pending, and also where
/// it lets others run by waking itself (as `yield_now` of the async libraries does). `block_on` may
/// be called within a future that is polled by another `block_on`; the outer one then waits as
/// well. (What a block of `go!` has captured, its future takes by `async move`.)
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
/// A future that brings its own threads (a channel, a timer of `async-io`'s) works as it is. What
/// is made for tokio, such as its timers, sockets and `tokio::spawn`, looks for a tokio runtime,
/// and panics if there is none. With the feature `tokio` of this crate there is one: the future is
/// polled in the context of a runtime that the process has for this, with one thread, which is
/// started by the first `block_on`. That thread drives timers and sockets, and runs what is given
/// to `tokio::spawn`; the future itself runs in its goroutine.
///
/// A *thread* that is in the context of another tokio runtime stays in that one. A *goroutine* does
/// not: a context is the thread's, so what is found on a worker may be the guard (`Handle::enter`)
/// of another goroutine, held over a wait, and of a runtime that nothing drives. To have a future
/// polled by a runtime of your own, give it to that one: `block_on(handle.spawn(future))`. Hold no
/// guard of `Handle::enter` while the goroutine may wait: those of a thread have to be dropped in
/// the reverse order of entering, and tokio panics if they are not.
///
/// What looks for the runtime when it is *made*, as `tokio::time::sleep` does, has to be made in
/// the context: in an `async` block or function, as below. reqwest's `send()` does if the request
/// has a timeout: write `block_on(async { request.send().await })`, and not
/// `block_on(request.send())`. (The latter works on a worker that has run a `block_on` before, and
/// panics on one that has not.)
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
/// In a thread of a tokio runtime, use `.await`: `block_on` would block that thread, and what it
/// waits for may be behind it.
///
/// # Panics
/// If the future panics, with the same payload. With the feature `tokio`, if the system has no
/// thread or no descriptor for the runtime to be started; a later call tries again.
///
/// In the destructor of a thread-local, futures that need no tokio work. Those that need it panic
/// there, by tokio, if tokio's own thread-local has been destroyed before; and a panic in such a
/// destructor ends the process.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let signal = Arc::new(Signal::new());
    let waker = Waker::from(Arc::clone(&signal));
    let pause = || {
        // A call during the poll: this may be a future that wants others to run first.
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

/// [`block_on`] that a done channel ends: the future is then dropped where it is pending, as async
/// code does to cancel.
///
/// `done` is closed, or has a message, which is not received. It is looked at before each poll, so
/// if it is closed from the beginning the future is not polled at all. In particular `done` may be
/// a context's ([`ctx.done()`](crate::context::Context::done)), which makes a deadline, too. A poll
/// that does not return is not ended.
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
/// If `done` came first.
///
/// # Panics
/// As [`block_on`].
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
    fail_if_done().inspect_err(|_| polled_in_vain())?;
    let calls = Arc::new(Calls(Edges::new()));
    let waker = Waker::from(Arc::clone(&calls));
    let mut seen = calls.0.now();
    poll_to_the_end(future, &waker, || {
        if calls.0.now() != seen {
            crate::yield_now();
        } else {
            // However it ends, what may have ended it is looked at.
            calls.0.wait(seen, || None, Some(done));
        }
        seen = calls.0.now();
        fail_if_done()
    })
}

/// The waker of a [`block_on_with`]: each call is an edge.
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

/// Polls the future until it is ready, with `pause` after each poll that leaves it pending, or
/// until that fails.
fn poll_to_the_end<F: IntoFuture, E>(
    future: F,
    waker: &Waker,
    mut pause: impl FnMut() -> Result<(), E>,
) -> Result<F::Output, E> {
    // Declared before the future, so dropped after it.
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
