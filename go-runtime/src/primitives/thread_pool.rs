//! An elastic pool of threads. Work runs at once, on an idle thread or on a new one, up to a limit.
//! Idle threads end after [`KEEP_ALIVE`].
//!
//! One lock guards everything that the threads share. It is held for a few instructions, or while a
//! thread is created; no work runs under it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::uncaptured;

/// How long an idle thread waits for work before it ends. Creating a thread takes about ten
/// microseconds, so the time need not be long.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Time between two attempts to create a thread for work that the pool has already accepted.
const RETRY: Duration = Duration::from_millis(10);

/// Number of threads of all pools. Only for figures: each pool has its own count.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of threads of all pools; it may be a moment old.
pub(crate) fn threads_of_all_pools() -> usize {
    THREADS.load(Ordering::Relaxed)
}

/// How many threads a pool has, and how much work waits for one.
pub(crate) struct PoolCounts {
    pub(crate) threads: usize,
    /// Number of the threads that have nothing to do.
    pub(crate) idle: usize,
    /// Number of pieces of work that no thread has taken yet.
    pub(crate) waiting: usize,
}

pub(crate) struct ThreadPool<W> {
    state: Mutex<State<W>>,
    /// Signals idle threads that there is work.
    work: Condvar,
    /// Name of the threads, for tools and panic messages.
    name: &'static str,
    /// Runs a piece of work on the calling thread. It must not unwind.
    run: fn(W),
    on_failure: OnFailure,
}

/// What the pool does with work for which the system cannot create a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// The work waits for another thread of the pool, if the pool has any. For work that ends
    /// without the help of other work.
    Wait,
    /// The work is refused. For work that may wait for other work of the pool.
    Refuse,
}

struct State<W> {
    waiting: VecDeque<Work<W>>,
    threads: usize,
    /// Number of threads that wait for work, or that were signaled and have not taken any work yet.
    idle: usize,
}

impl<W> State<W> {
    fn add_thread(&mut self) {
        self.threads += 1;
        THREADS.fetch_add(1, Ordering::Relaxed);
    }

    fn remove_thread(&mut self) {
        self.threads -= 1;
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Work<W> {
    work: W,
    /// Stack size in bytes of the thread that runs the work; `None` for std's default.
    stack_size: Option<usize>,
}

impl<W: Send> ThreadPool<W> {
    pub(crate) const fn new(
        name: &'static str,
        run: fn(W),
        on_failure: OnFailure,
    ) -> ThreadPool<W> {
        ThreadPool {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            work: Condvar::new(),
            name,
            run,
            on_failure,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        // No code under the lock panics halfway through a change, so a poisoned lock guards
        // consistent data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many threads the pool has at the moment, and how much work waits.
    pub(crate) fn counts(&self) -> PoolCounts {
        let state = self.lock();
        PoolCounts {
            threads: state.threads,
            // A thread that has been signaled still counts as idle.
            idle: state.idle.saturating_sub(state.waiting.len()),
            waiting: state.waiting.len().saturating_sub(state.idle),
        }
    }

    /// Passes `work` to a thread of the pool. If there are `ceiling` threads and none is idle, the
    /// work waits for the first thread that finishes its own work.
    ///
    /// A thread with its own `stack_size`, in bytes, is not reused.
    ///
    /// # Errors
    /// No thread is idle, the system cannot create one, and the work cannot wait (see
    /// [`OnFailure`]). The work comes back.
    pub(crate) fn submit(
        &'static self,
        work: W,
        stack_size: Option<usize>,
        ceiling: usize,
    ) -> Result<(), (io::Error, W)> {
        let work = Work { work, stack_size };
        let mut state = self.lock();
        let is_served = stack_size.is_none() && state.idle > state.waiting.len();
        if is_served || state.threads >= ceiling {
            state.waiting.push_back(work);
            drop(state);
            self.work.notify_one();
            return Ok(());
        }
        // The lock is held while the thread is created, so that no work is queued for a thread that
        // then cannot be created.
        match self.start(work) {
            Ok(()) => state.add_thread(),
            Err((_, work)) if self.on_failure == OnFailure::Wait && state.threads > 0 => {
                state.waiting.push_back(work);
            }
            Err((error, work)) => return Err((error, work.work)),
        }
        Ok(())
    }

    /// Starts a thread that runs `work` first. The caller adds it to the count.
    fn start(&'static self, work: Work<W>) -> Result<(), (io::Error, Work<W>)> {
        let mut builder = thread::Builder::new().name(self.name.into());
        if let Some(size) = work.stack_size {
            builder = builder.stack_size(size);
        }
        // If std cannot create the thread it drops the closure, so the work is passed beside the
        // closure.
        let slot = Arc::new(Mutex::new(Some(work)));
        let theirs = Arc::clone(&slot);
        let run = move || {
            if let Some(work) = take(&theirs) {
                self.serve(work);
            }
        };
        match uncaptured::spawn(builder, run) {
            Ok(()) => Ok(()),
            Err(error) => match take(&slot) {
                Some(work) => Err((error, work)),
                None => unreachable!("only the thread takes the work, and there is none"),
            },
        }
    }

    /// Runs `first`, and then work from the queue.
    fn serve(&'static self, first: Work<W>) {
        let is_special = first.stack_size.is_some();
        (self.run)(first.work);
        let mut state = self.lock();
        loop {
            if is_special && state.waiting.is_empty() {
                state.remove_thread();
                return;
            }
            if let Some(work) = state.waiting.pop_front() {
                drop(state);
                if is_special || work.stack_size.is_some() {
                    // (This thread's stack has another size.)
                    return self.replace(work);
                }
                (self.run)(work.work);
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, KEEP_ALIVE);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = again;
            state.idle -= 1;
            if timeout.timed_out() && state.waiting.is_empty() {
                state.remove_thread();
                return;
            }
        }
    }

    /// Starts a new thread for `work`, which replaces the calling thread. Because the pool has
    /// accepted the work, this retries until the system can create a thread.
    fn replace(&'static self, mut work: Work<W>) {
        while let Err((_, back)) = self.start(work) {
            work = back;
            thread::sleep(RETRY);
        }
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
