//! The tokio runtime in whose context futures are polled.
//!
//! A context is the thread's, and contexts are left in the reverse order of entering, which goroutines of one thread that are parked in polls (by a
//! channel's `recv`, by a [`block_on`](super::block_on) within) could not keep to. So a worker enters once and for good, and only where it is in no
//! context, lest it come between another one and its end.

use std::cell::Cell;
use std::mem;
use std::sync::OnceLock;

use ::tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

use crate::sched::Worker;

/// The process's own, which is never shut down: a goroutine may need it until the very end.
static SHARED: OnceLock<Runtime> = OnceLock::new();

thread_local! {
    /// This thread is a worker's and has entered for good.
    static ENTERED: Cell<bool> = const { Cell::new(false) };
}

/// Before each poll: sees to it that the thread is in some context. The guard, which a thread gets that is no worker, may stay until the end of the call.
pub(super) fn enter() -> Option<EnterGuard<'static>> {
    if ENTERED.get() || Handle::try_current().is_ok() {
        return None;
    }
    let guard = shared().enter();
    if Worker::current().is_some() {
        // The thread's last user of the runtime is its destructor of tokio's thread-local, which drops the handle that `enter` has put there.
        mem::forget(guard);
        ENTERED.set(true);
        return None;
    }
    Some(guard)
}

fn shared() -> &'static Runtime {
    // After a panic the next call tries again.
    SHARED.get_or_init(|| match start() {
        Ok(runtime) => runtime,
        Err(error) => panic!(
            "the tokio runtime for block_on cannot be started ({error}): raise the limit on threads, memory or open files (ulimit -u, -v, -n), or \
             call block_on in the context of a runtime of your own"
        ),
    })
}

/// One worker: it waits for the system's events and fires timers, both of which is little work, and hands over to the goroutines' workers, which
/// run the futures. More would be taken from those; what is spawned on tokio and computes is better off as a goroutine.
fn start() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("go-tokio")
        .enable_all()
        .build()
}
