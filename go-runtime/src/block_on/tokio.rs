//! The tokio runtime in whose context futures are polled.
//!
//! A context is the thread's, and contexts are left in the reverse order of entering, to which
//! goroutines of one thread that are parked in polls (by a channel's `recv`, by a
//! [`block_on`](super::block_on) within) could not keep. So a worker that is in no context enters
//! ours once and for good.
//!
//! A worker that is in another one is there by the guard of some goroutine, which holds it over a
//! park; tokio does not tell whose it is, nor whether anything drives that runtime. So it does not
//! count, and each poll enters ours and leaves it again before the goroutine waits.

use std::mem;
use std::sync::OnceLock;

use ::tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

use crate::primitives::uncaptured::uncaptured;
use crate::sched::Worker;

/// The process's own, which is never shut down: a goroutine may need it until the very end.
static SHARED: OnceLock<Runtime> = OnceLock::new();

/// The context of a `block_on`, until this is dropped. It has to be dropped after the future, which
/// may need it then.
pub(super) struct Entered(Option<EnterGuard<'static>>);

impl Entered {
    /// Sees to it that the thread is in a context in which the future can be polled.
    pub(super) fn new() -> Entered {
        Entered(enter())
    }

    /// Before the caller waits: other goroutines of its worker run then.
    pub(super) fn begin_wait(&mut self) {
        if Worker::current().is_some() {
            self.0 = None;
        }
    }

    /// Before the next poll.
    pub(super) fn end_wait(&mut self) {
        if self.0.is_none() {
            self.0 = enter();
        }
    }
}

/// Enters our runtime's context, unless the thread is in it, or is no worker and in another one.
fn enter() -> Option<EnterGuard<'static>> {
    let context = match Handle::try_current() {
        Ok(handle) => Some(handle.id()),
        // In the destructor of a thread-local that is older than tokio's. What needs tokio panics
        // there; what does not need it works.
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
    // The thread's last user of the runtime is its destructor of tokio's thread-local, which drops
    // the handle that `enter` has put there.
    mem::forget(guard);
    None
}

fn shared() -> &'static Runtime {
    // After a panic the next call tries again.
    SHARED.get_or_init(|| match start() {
        Ok(runtime) => runtime,
        Err(error) => panic!(
            "the tokio runtime for block_on cannot be started ({error}): raise the limit on \
             threads, memory or open files (ulimit -u, -v, -n), or call block_on in the context of \
             a runtime of your own"
        ),
    })
}

/// One worker: it waits for the system's events and fires timers, both of which is little work, and
/// hands over to the goroutines' workers, which run the futures. More would be taken from those;
/// what is spawned on tokio and computes is better off as a goroutine.
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
