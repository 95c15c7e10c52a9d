//! Calls that block their thread, run on a pool of threads for that purpose.
//!
//! [`blocking`] submits the closure, where it lies on the goroutine's stack, to a [`ThreadPool`],
//! and parks the goroutine.
//!
//! ```text
//!   goroutine's stack            pool thread
//!   +---------------+
//!   | Call          |  <------  takes the closure, runs it, stores the result,
//!   |   parker      |           claims and unparks the parker
//!   |   stage       |
//!   +---------------+
//! ```
//!
//! While the pool has the call, the goroutine stays parked and its stack stays in place; that is
//! why the closure may borrow from the stack. `stage` belongs to the goroutine before the
//! submission and after the wake-up, and to the pool thread in between.

mod std_io;

use std::cell::UnsafeCell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;
use std::thread;

use crate::primitives::thread_pool::{OnFailure, PoolCounts, ThreadPool};
use crate::sched::recording::{self, Kind};
use crate::sched::{Worker, global};
use crate::wait::{Parker, Verdict, WaitReason, Why};

pub(crate) use std_io::{reads, writes};

/// Runs `f`, which may block its thread for long, on another thread, and parks the goroutine
/// meanwhile.
///
/// It is for operations that the runtime cannot wait for otherwise: name resolution, foreign
/// functions, locks that are held for long. (For files, child processes and the standard input
/// there are [`fs`](crate::fs), [`process`](crate::process) and [`io`](crate::io).) Other
/// goroutines of the worker continue, and so do timers. `f` may borrow from the caller's stack.
///
/// `f` sees the pool thread's thread-locals, and runs on a stack of the size that std gives its
/// threads (2 MiB, or the value of `RUST_MIN_STACK`). If it panics, the panic hook reports the
/// thread, `go-blocking`, and not the goroutine.
///
/// A value that is `Send` but not `Sync`, such as a connection of rusqlite, is lent as a mutable
/// reference that the closure captures by `move`: `let db = &mut *guard; blocking(move ||
/// db.execute(..))`.
///
/// The threads are not counted by `GOMAXPROCS`. They are created on demand, up to 1,024 or the
/// value of the environment variable `GOBLOCKING`; further calls wait until a thread is free. (So
/// calls that wait for each other must be fewer than that.) A thread that has been idle for two
/// seconds ends. If the system cannot create another thread, calls wait for the existing ones.
///
/// On a thread that is no worker, in a goroutine that is unwinding (which never switches, see
/// [the crate's page on panics](crate#panics)) and in [`without_parking`](crate::without_parking),
/// `f` runs on the caller's thread.
///
/// # Panics
/// If `f` panics, with the same payload. If the pool has no thread and the system cannot create
/// one; `f` is then dropped without having run.
///
/// ```
/// use go_runtime::{blocking, go};
/// go! {
///     let path = String::from("/no/such/file");
///     let text = blocking(|| std::fs::read_to_string(&path));
///     assert!(text.is_err());
/// }
/// .join()
/// .unwrap();
/// ```
pub fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + RunsOnAnotherThread,
    T: Send,
{
    run(f).unwrap_or_else(|error| panic!("{error}"))
}

/// The bound on the closure of [`blocking`]: `Send`, with its own error message. Every closure that
/// is `Send` implements it.
#[diagnostic::on_unimplemented(
    message = "`blocking` runs its closure on another thread, and this one cannot go there",
    label = "it captures something that is not `Send`",
    note = "what it captures by reference has to be `Sync`, and what it captures by `move`, `Send`",
    note = "what is `Send` and not `Sync` goes as a mutable reference: \
            `let db = &mut db; blocking(move || db.query())`; what is neither (`Rc`, a guard of a \
            lock) stays here: take out of it, before, what the closure needs"
)]
pub trait RunsOnAnotherThread: Send {}

#[diagnostic::do_not_recommend]
impl<F: Send> RunsOnAnotherThread for F {}

/// Runs `f` like [`blocking`], and returns an error instead of panicking if there is no thread.
pub(crate) fn blocking_io<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send,
    T: Send,
{
    run(f)?
}

/// Runs `f` on a thread of the pool, or on the calling thread where it cannot park.
///
/// # Errors
/// There is no thread: `f` has been dropped.
fn run<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let mut f = Some(f);
    let mut value = None;
    call_elsewhere(&mut || value = f.take().map(|f| f()))?;
    Ok(value.expect("the closure has been called, once"))
}

/// Calls `closure` once, like [`run`]. It knows no type of its caller, and so is compiled once, and
/// not for each kind of closure.
///
/// # Errors
/// There is no thread: the closure has not been called.
fn call_elsewhere(closure: &mut (dyn FnMut() + Send)) -> io::Result<()> {
    if !Worker::current().is_some_and(Worker::may_park) || thread::panicking() {
        closure();
        return Ok(());
    }
    let call = Call {
        parker: Parker::new(),
        stage: UnsafeCell::new(Stage::Waiting(closure)),
    };
    let ceiling = global::get().blocking_threads();
    if let Err((error, _)) = POOL.submit(Waiting(NonNull::from(&call).cast()), None, ceiling) {
        let what = format!(
            "no thread can be made for a blocking call ({error}): raise the limit on threads or \
             memory (ulimit -u, ulimit -v)"
        );
        return Err(io::Error::new(error.kind(), what));
    }
    call.parker.note(Why::alone(WaitReason::Blocking));
    call.parker.park_quietly(None);
    match call.stage.into_inner() {
        Stage::Ended(Ok(())) => Ok(()),
        Stage::Ended(Err(payload)) => panic::resume_unwind(payload),
        Stage::Waiting(_) | Stage::Running => {
            unreachable!("it is unparked when the call has ended")
        }
    }
}

/// A call that waits for a thread. Only [`call_elsewhere`] creates one, and it does not return
/// before the call has been run, unless the pool has refused it.
struct Waiting(NonNull<Call<'static>>);

// SAFETY: the pool thread that receives the call uses three parts of it: the closure, which is
// `Send`; its outcome, which is `Send`; and the parker, which any thread may unpark.
unsafe impl Send for Waiting {}

static POOL: ThreadPool<Waiting> = ThreadPool::new("go-blocking", run_call, OnFailure::Wait);

/// Returns how many threads there are for blocking calls, and how many calls wait for one.
pub(crate) fn counts() -> PoolCounts {
    POOL.counts()
}

fn run_call(Waiting(call): Waiting) {
    // SAFETY: the call lies in the frame of `call_elsewhere`, which waits until its parker is
    // unparked; only this call of the function does that, because no other code knows the parker,
    // and the pool runs each piece of work once. So the call and what its closure borrows live
    // until then.
    unsafe { Call::run(call) };
}

/// A call. It lies on the stack of the goroutine that waits for it. While it waits, `stage` belongs
/// to the pool thread that runs it.
struct Call<'a> {
    parker: Parker,
    stage: UnsafeCell<Stage<'a>>,
}

enum Stage<'a> {
    Waiting(&'a mut (dyn FnMut() + Send)),
    Running,
    Ended(thread::Result<()>),
}

impl Call<'_> {
    /// Calls the closure, stores the outcome, and unparks the goroutine.
    ///
    /// # Safety
    /// The call waits, it and what its closure borrows live until the goroutine is unparked, and
    /// this is called once for it.
    unsafe fn run(this: NonNull<Self>) {
        // SAFETY: the call lives until the unpark below, and has no exclusive borrow.
        let call = unsafe { this.as_ref() };
        // SAFETY: from the submission to the unpark only the thread that runs the call accesses
        // `stage`, and this thread runs it.
        let stage = unsafe { std::mem::replace(&mut *call.stage.get(), Stage::Running) };
        let Stage::Waiting(closure) = stage else {
            unreachable!("a call is run once");
        };
        if recording::is_on() {
            recording::record(Kind::BlockingBegin, 0, None);
        }
        // Unwind-safe: only the goroutine sees what a panicking closure leaves half-done, and the
        // panic continues there.
        let outcome = panic::catch_unwind(AssertUnwindSafe(closure));
        if recording::is_on() {
            recording::record(Kind::BlockingEnd, 0, None);
        }
        // SAFETY: the goroutine accesses `stage` only after the unpark below, so this thread is
        // still the only one that does.
        unsafe { *call.stage.get() = Stage::Ended(outcome) };
        let claimed = call.parker.claim();
        debug_assert!(claimed, "no other thread knows the parker");
        // SAFETY: this thread has claimed the parker, and unparks it once. It does not touch the
        // call afterwards.
        unsafe { Parker::unpark(&raw const call.parker, Verdict::Done(0)) };
    }
}
