//! [`without_parking`]: regions of code in which a goroutine does not park.

use crate::sched::Worker;

/// Runs `f` without parking the calling goroutine: an operation that would park it blocks its
/// thread instead, and no other goroutine of this worker runs before `f` has returned.
///
/// It is for calls into crates that keep something in thread-locals, or in a library's state of the
/// thread, while a closure of yours runs, and that take for granted that such calls nest. Examples
/// are `scoped-tls`, `metrics::with_local_recorder`, and callbacks from mlua or wasmtime;
/// [Soundness](crate::docs::soundness#what-remains) has a list. Such a crate sees the thread as it
/// sees any other.
///
/// ```
/// use std::cell::Cell;
/// use go_runtime::{channel, go, without_parking};
///
/// thread_local! {
///     static DEPTH: Cell<usize> = const { Cell::new(0) };
/// }
/// // Takes for granted that it is left in the reverse order of entering.
/// fn nested<T>(f: impl FnOnce() -> T) -> T {
///     let depth = DEPTH.get();
///     DEPTH.set(depth + 1);
///     let result = f();
///     assert_eq!(DEPTH.replace(depth), depth + 1);
///     result
/// }
///
/// let (tx, rx) = channel::bounded(0);
/// let all: Vec<_> = (0..4)
///     .map(|_| go!(clone(rx) { without_parking(|| nested(|| rx.recv().unwrap())) }))
///     .collect();
/// for n in 0..4 {
///     tx.send(n).unwrap(); // from a thread
/// }
/// let sum: i32 = all.into_iter().map(|goroutine| goroutine.join().unwrap()).sum();
/// assert_eq!(sum, 6);
/// ```
///
/// # What it means
/// - Channels, `select!`, the locks of [`sync`](crate::sync), timers, [`net`](crate::net), `join`,
///   [`scope`](crate::scope) and [`block_on`](crate::block_on) work as on a thread. (A taken lock
///   of `sync` is polled, because the first in its queue may be a goroutine of this worker; data on
///   a socket may be noticed up to 15 ms late.)
/// - [`yield_now`](crate::yield_now) is [`std::thread::yield_now`], and polls in vain (`try_recv`
///   in a loop, say) do no more than that either. [`blocking`](crate::blocking) runs its closure on
///   this thread.
/// - **If the goroutine waits for another goroutine of this worker**, the worker waits for ever.
///   `go!(local; ...)` starts its goroutine, but after the region. Other goroutines that have not
///   started are started by other workers, if need be by a worker that the runtime adds.
/// - Meanwhile the worker is blocked, as in any call that blocks. Keep regions short, and give code
///   that waits for long a thread of its own, with [`Builder::thread`](crate::Builder::thread).
/// - Regions nest; the outermost one counts. On a thread that is no worker, and in a goroutine with
///   a thread of its own, `f` just runs.
///
/// # Panics
/// If `f` panics, with its panic; the region has ended then. (While a goroutine unwinds it does not
/// park either, see [the crate's page on panics](crate#panics).)
pub fn without_parking<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    match Worker::current() {
        Some(worker) => worker.without_parking(f),
        None => f(),
    }
}
