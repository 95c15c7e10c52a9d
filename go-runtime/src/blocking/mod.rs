//! Calls that block the thread, on threads that are there for that.
//!
//! [`blocking`] submits the closure, where it lies on the goroutine's stack, to a [`ThreadPool`],
//! and parks the goroutine. The goroutine cannot go on, and its stack stays, until a thread of the
//! pool has run the closure to its end and unparks the goroutine; that is why the closure may
//! borrow.

mod std_io;

use std::cell::UnsafeCell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;
use std::thread;

use crate::primitives::thread_pool::{OnFailure, ThreadPool};
use crate::sched::{Runtime, Worker};
use crate::wait::{Parker, Verdict};

pub(crate) use std_io::{reads, writes};

/// Runs `f`, which may block its thread for long, on a thread of its own, and parks the goroutine
/// meanwhile.
///
/// It is for what the runtime cannot wait for otherwise: name resolution, foreign functions, locks
/// that are held for long. (Of files, child processes and the standard input [`fs`](crate::fs),
/// [`process`](crate::process) and [`io`](crate::io) take care.) Other goroutines of the worker go
/// on, and so do timers. `f` may borrow from the caller's stack.
///
/// `f` runs with the pool's thread-locals, and on a stack of the size that std gives its threads (2
/// MiB, or what `RUST_MIN_STACK` says). Should it panic, the panic hook reports the thread,
/// `go-blocking`, and not the goroutine.
///
/// What is `Send` and not `Sync`, such as a connection of rusqlite's, is lent as a mutable
/// reference, that the closure takes by `move`: `let db = &mut *guard; blocking(move ||
/// db.execute(..))`.
///
/// The threads are not counted by `GOMAXPROCS`. They are made when they are needed, up to 1,024, or
/// what the environment variable `GOBLOCKING` says; calls beyond that wait until one of them is
/// free. (So calls that wait for each other must not be that many.) A thread that has had nothing
/// to do for two seconds ends. Where the system has no more threads to give, calls wait for those
/// that there are.
///
/// On a thread that is no worker, in a goroutine that is unwinding (which never switches, see [the
/// crate's page on panics](crate#panics)) and in [`without_parking`](crate::without_parking), `f`
/// runs on the caller's thread.
///
/// # Panics
/// If `f` panics, with the same payload. If the system has no thread to give and the pool has none;
/// `f` is then dropped without having been run.
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

/// `Send`, for the closure of [`blocking`], which every closure that is `Send` implements.
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

/// [`blocking`] for what can say that there is no thread.
pub(crate) fn blocking_io<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send,
    T: Send,
{
    run(f)?
}

/// # Errors
/// There is no thread: `f` has been dropped.
fn run<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    if !Worker::current().is_some_and(Worker::may_park) || thread::panicking() {
        return Ok(f());
    }
    let call = Call {
        header: Header {
            run: Call::<F, T>::run,
        },
        parker: Parker::new(),
        stage: UnsafeCell::new(Stage::Waiting(f)),
    };
    let waiting = Waiting(NonNull::from(&call).cast());
    let ceiling = Runtime::get().blocking_threads();
    if let Err((error, _)) = POOL.submit(waiting, None, ceiling) {
        let what = format!(
            "no thread can be made for a blocking call ({error}): raise the limit on threads or \
             memory (ulimit -u, ulimit -v)"
        );
        return Err(io::Error::new(error.kind(), what));
    }
    call.parker.park_quietly(None);
    match call.stage.into_inner() {
        Stage::Ended(Ok(value)) => Ok(value),
        Stage::Ended(Err(payload)) => panic::resume_unwind(payload),
        Stage::Waiting(_) | Stage::Running => {
            unreachable!("it is unparked when the call has ended")
        }
    }
}

/// What the pool knows of a call.
struct Header {
    run: unsafe fn(NonNull<Header>),
}

/// A call that waits for a thread. Only [`run`] makes one, and then does not return before the call
/// has been run, unless the pool has refused it.
struct Waiting(NonNull<Header>);

// SAFETY: the closure and its result are `Send`, as the bounds of `run` say, and a parker is made
// to be ended by other threads. Nothing else of a call is used by the thread that runs it.
unsafe impl Send for Waiting {}

static POOL: ThreadPool<Waiting> = ThreadPool::new("go-blocking", run_call, OnFailure::Wait);

fn run_call(Waiting(call): Waiting) {
    // SAFETY: `run` has made it from a whole `Call<F, T>`, with the function of these types, and
    // its frame stays until the call has unparked it: nothing else can, as no one else knows the
    // parker. The pool runs a piece of work once.
    unsafe { (call.as_ref().run)(call) };
}

/// A call. It lies on the stack of the goroutine that waits for it; the thread that runs it is the
/// only one who uses `stage` meanwhile.
// The header comes first, so a pointer to it is a pointer to the call.
#[repr(C)]
struct Call<F, T> {
    header: Header,
    parker: Parker,
    stage: UnsafeCell<Stage<F, T>>,
}

enum Stage<F, T> {
    Waiting(F),
    Running,
    Ended(thread::Result<T>),
}

impl<F, T> Call<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    /// # Safety
    /// `header` is that of a `Call<F, T>` that waits, and this is called once.
    unsafe fn run(header: NonNull<Header>) {
        // SAFETY: it was made from the whole call, which stays until the unpark below.
        let call = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: the stage is ours.
        let stage = unsafe { std::mem::replace(&mut *call.stage.get(), Stage::Running) };
        let Stage::Waiting(closure) = stage else {
            unreachable!("a call is run once");
        };
        // What the closure leaves half-done is seen by the goroutine only, where the panic goes on.
        let outcome = panic::catch_unwind(AssertUnwindSafe(closure));
        // SAFETY: as above.
        unsafe { *call.stage.get() = Stage::Ended(outcome) };
        let claimed = call.parker.claim();
        debug_assert!(claimed, "nobody else knows the parker");
        // SAFETY: claimed, once. The call is not touched any more.
        unsafe { Parker::unpark(&raw const call.parker, Verdict::Done(0)) };
    }
}
