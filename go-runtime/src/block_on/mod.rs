//! Futures in ordinary code: polled where the caller stands, which parks in between.
//!
//! The future stays on the caller's stack and is polled by the caller only, so it need be neither `Send` nor `'static`. What others get is its
//! waker, a [`Signal`], which they may keep for as long as they like.

mod signal;
#[cfg(feature = "tokio")]
mod tokio;

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use self::signal::Signal;

/// Runs a future to its end, and returns what it comes to. It parks a goroutine, and blocks a thread, while the future is pending.
///
/// So a goroutine may use an async library as if it were an ordinary one. The future is polled on the caller's stack: it may borrow, need not
/// be `Send`, and, like everything in a goroutine, never changes its thread. Other goroutines of the worker run while it is pending, and
/// also where it lets others run by waking itself (as `yield_now` of the async libraries does). `block_on` may be called within a future that is polled
/// by another `block_on`; the outer one then waits as well. (What a block of `go!` has captured, its future takes by `async move`.)
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
/// A future that brings its own threads (a channel, a timer of `async-io`'s) works as it is. What is made for tokio, such as its timers, sockets and
/// `tokio::spawn`, looks for a tokio runtime, and panics if there is none. With the feature `tokio` of this crate there is one: the future is polled
/// in the context of a runtime that the process has for this, with one thread, which is started by the first `block_on`. That thread drives
/// timers and sockets, and runs what is given to `tokio::spawn`; the future itself runs in its goroutine.
///
/// A *thread* that is in the context of another tokio runtime stays in that one. A *goroutine* does
/// not: a context is the thread's, so what is found on a worker may be the guard (`Handle::enter`)
/// of another goroutine, held over a wait, and of a runtime that nothing drives. To have a future
/// polled by a runtime of your own, give it to that one: `block_on(handle.spawn(future))`. Hold no
/// guard of `Handle::enter` while the goroutine may wait: those of a thread have to be dropped in
/// the reverse order of entering, and tokio panics if they are not.
///
/// What looks for the runtime when it is *made*, as `tokio::time::sleep` does, has to be made in the context: in an `async` block or function, as below.
/// reqwest's `send()` does if the request has a timeout: write `block_on(async { request.send().await })`, and not `block_on(request.send())`. (The latter
/// works on a worker that has run a `block_on` before, and panics on one that has not.)
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
/// In a thread of a tokio runtime, use `.await`: `block_on` would block that thread, and what it waits for may be behind it.
///
/// # Panics
/// If the future panics, with the same payload. With the feature `tokio`, if the system has no thread or no descriptor for the runtime to be
/// started; a later call tries again.
///
/// In the destructor of a thread-local, futures that need no tokio work. Those that need it panic
/// there, by tokio, if tokio's own thread-local has been destroyed before; and a panic in such a
/// destructor ends the process.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    // Declared before the future, so dropped after it.
    #[cfg(feature = "tokio")]
    let mut entered = tokio::Entered::new();
    let mut future = pin!(future.into_future());
    let signal = Arc::new(Signal::new());
    let waker = Waker::from(Arc::clone(&signal));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        #[cfg(feature = "tokio")]
        entered.begin_wait();
        // Called during the poll: this may be a future that wants others to run first.
        if signal.take() {
            crate::yield_now();
        } else {
            signal.wait();
        }
        #[cfg(feature = "tokio")]
        entered.end_wait();
    }
}
