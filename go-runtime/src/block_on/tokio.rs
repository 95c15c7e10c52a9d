//! The tokio runtime in whose context futures are polled.
//!
//! A tokio context belongs to a thread, and contexts have to be left in the reverse order of
//! entering. Goroutines of one thread that are parked within polls (in a channel's `recv`, or in a
//! nested [`block_on`](super::block_on)) could not keep to that order. So a worker that is in no
//! context enters this crate's context once, and never leaves it.
//!
//! A worker that is in another context is there because some goroutine holds its guard over a park.
//! tokio does not tell which goroutine that is, nor whether anything drives that runtime. So the
//! other context is ignored: each poll enters this crate's context, and leaves it again before the
//! goroutine parks.

use std::mem;
use std::sync::OnceLock;

use ::tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

use crate::primitives::uncaptured::uncaptured;
use crate::sched::Worker;

/// The process's tokio runtime. It is never shut down, because a goroutine may need it until the
/// process ends.
static SHARED: OnceLock<Runtime> = OnceLock::new();

/// The context of a `block_on`, which is left when this is dropped. Drop it after the future, whose
/// destructor may need the context.
pub(super) struct Entered(Option<EnterGuard<'static>>);

impl Entered {
    /// Makes sure that the thread is in a context in which the future can be polled.
    pub(super) fn new() -> Entered {
        Entered(enter())
    }

    /// Leaves the context before the caller parks, because other goroutines of its worker run then.
    pub(super) fn begin_wait(&mut self) {
        if Worker::current().is_some() {
            self.0 = None;
        }
    }

    /// Enters the context again before the next poll.
    pub(super) fn end_wait(&mut self) {
        if self.0.is_none() {
            self.0 = enter();
        }
    }
}

/// Enters our runtime's context. Does nothing if the thread is in it already, or is no worker and
/// in another context.
fn enter() -> Option<EnterGuard<'static>> {
    let context = match Handle::try_current() {
        Ok(handle) => Some(handle.id()),
        // This is the destructor of a thread-local that is older than tokio's. A future that needs
        // tokio panics there; other futures work.
        Err(error) if error.is_thread_local_destroyed() => return None,
        Err(_) => None,
    };
    if Worker::current().is_none() {
        return context.is_none().then(|| shared().enter());
    }
    let shared = shared();
    if context == Some(shared.handle().id()) {
        return None;
    }
    let guard = shared.enter();
    if context.is_some() {
        return Some(guard);
    }
    // The guard is leaked, so the context is never left. The thread's last use of the runtime is
    // the destructor of tokio's thread-local, which drops the handle that `enter` stored there.
    mem::forget(guard);
    None
}

fn shared() -> &'static Runtime {
    // If this panics, the cell stays empty and the next call tries again.
    SHARED.get_or_init(|| match start() {
        Ok(runtime) => runtime,
        Err(error) => panic!(
            "the tokio runtime for block_on cannot be started ({error}): raise the limit on \
             threads, memory or open files (ulimit -u, -v, -n), or call block_on in the context of \
             a runtime of your own"
        ),
    })
}

/// Starts the runtime, with one worker. It waits for the system's events and fires timers, which is
/// little work, and wakes goroutines, whose workers run the futures. More tokio workers would take
/// CPU time from those; a spawned task that computes is better run as a goroutine.
fn start() -> std::io::Result<Runtime> {
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("go-tokio")
            .enable_all()
            .build()
    };
    uncaptured(build).and_then(|built| built)
}
