//! The threads that run blocking calls: as many as there are calls, up to a ceiling. Idle ones end after a while.
//!
//! All that they share is behind one lock, which is held for a moment only.

use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Header;
use crate::sched::Runtime;

/// How long a thread waits for something to do before it ends. Making one takes some ten microseconds, so it need not be long.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    waiting: VecDeque<Waiting>,
    threads: usize,
    /// Threads that wait for work, or have been woken for some that they have not taken yet.
    idle: usize,
}

struct Waiting(NonNull<Header>);

// SAFETY: a call is `Send`, but for its parker, and that is made for being ended by others.
unsafe impl Send for Waiting {}

static POOL: Pool = Pool {
    state: Mutex::new(State {
        waiting: VecDeque::new(),
        threads: 0,
        idle: 0,
    }),
    work: Condvar::new(),
};

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could leave it half-changed happens under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a thread run the call.
///
/// # Errors
/// There is no thread, and none can be made. The call will not be run.
///
/// # Safety
/// The call waits, and stays until it has been run, if this succeeds.
pub(super) unsafe fn submit(call: NonNull<Header>) -> io::Result<()> {
    let ceiling = Runtime::get().blocking_threads();
    let mut state = POOL.lock();
    state.waiting.push_back(Waiting(call));
    if state.idle >= state.waiting.len() {
        drop(state);
        POOL.work.notify_one();
        return Ok(());
    }
    if state.threads >= ceiling {
        // The first that is done with another one takes it.
        return Ok(());
    }
    // Under the lock, so that nobody relies on a thread that then cannot be made.
    match thread::Builder::new()
        .name("go-blocking".into())
        .spawn(work)
    {
        Ok(_) => state.threads += 1,
        // Another thread will come to it.
        Err(_) if state.threads > 0 => {}
        Err(error) => {
            state.waiting.pop_back();
            return Err(error);
        }
    }
    Ok(())
}

/// What a thread of the pool does.
fn work() {
    let mut state = POOL.lock();
    loop {
        if let Some(Waiting(call)) = state.waiting.pop_front() {
            drop(state);
            // SAFETY: taken out of the queue, so this is the one time; it waits until it has been run.
            unsafe { (call.as_ref().run)(call) };
            state = POOL.lock();
            continue;
        }
        state.idle += 1;
        let waited = POOL.work.wait_timeout(state, KEEP_ALIVE);
        let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state = again;
        state.idle -= 1;
        if timeout.timed_out() && state.waiting.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}
