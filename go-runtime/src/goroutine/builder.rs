//! Spawning: [`spawn`], [`spawn_local`] and [`Builder`]. Each of them checks the options, makes a
//! job, and hands the job to the scheduler or to a thread of its own.

use std::io;
use std::panic::Location;

use super::job::{JoinHandle, new_job};
use super::{panic_report, thread};
use crate::sched::{self, Options, Runtime, TaskRef, Worker, global};
use crate::stack;

/// Number of copies of its closure, and of its result, that a goroutine's stack holds at once in an
/// unoptimized build.
const CLOSURES: usize = 12;
const RESULTS: usize = 14;

/// Returns how many bytes of its stack a goroutine takes for a closure and a result of these types.
pub(crate) const fn room_for<F, T>() -> usize {
    let closures = CLOSURES.saturating_mul(room_for_one::<F>());
    closures.saturating_add(RESULTS.saturating_mul(room_for_one::<T>()))
}

/// Returns how many bytes of a stack one copy of such a value may take. A value with a larger
/// alignment than the stack's may leave a gap.
pub(crate) const fn room_for_one<V>() -> usize {
    match align_of::<V>() {
        ..=16 => size_of::<V>(),
        align => size_of::<V>().saturating_add(align),
    }
}

/// std's default for the stack of a thread, in bytes.
const THREAD_STACK: usize = 2 << 20;

/// Starts a goroutine that runs `f`. [`go!`](crate::go) expands to a call of this.
///
/// The goroutine may start on any worker, and stays on that worker. It starts at some time after
/// this call, perhaps only when the caller blocks or yields.
///
/// # Panics
/// If the runtime cannot start (the message says why and what to do), or if there is no memory for
/// more stacks.
///
/// ```
/// let child = go_runtime::spawn(|| 6 * 7);
/// assert_eq!(child.join().unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    spawn_with(Builder::new(), f)
}

/// Starts a goroutine on the caller's own worker. `go!(local; ...)` expands to a call of this.
///
/// The caller and the new goroutine then share a thread: `f` and its result need not be `Send`, and
/// a message between the two crosses no core; but they never run at the same time.
///
/// # Panics
/// If the caller is no goroutine (a plain thread has no worker to share), and where [`spawn`]
/// panics.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// go_runtime::spawn(|| {
///     let count = Rc::new(Cell::new(1));
///     let same = Rc::clone(&count);
///     go_runtime::spawn_local(move || same.set(2)).join().unwrap();
///     assert_eq!(count.get(), 2);
/// })
/// .join()
/// .unwrap();
/// ```
#[track_caller]
pub fn spawn_local<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    spawn_local_with(Builder::new(), f)
}

/// [`spawn`] with the macro's options.
#[doc(hidden)]
#[track_caller]
pub fn spawn_with<F, T>(builder: Builder, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Starts the runtime first: the message of its panic needs no prefix.
    global::get();
    started(builder.spawn(f))
}

/// [`spawn_local`] with the macro's options.
#[doc(hidden)]
#[track_caller]
pub fn spawn_local_with<F, T>(builder: Builder, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    started(builder.spawn_local(f))
}

/// Unwraps the handle that `go!` returns, whichever `spawn_with` made it.
///
/// # Panics
/// If the goroutine could not be spawned.
#[doc(hidden)]
#[track_caller]
pub fn started<H>(spawned: io::Result<H>) -> H {
    match spawned {
        Ok(handle) => handle,
        Err(error) => panic!("cannot spawn a goroutine: {error}"),
    }
}

/// A cloned variable for a closure that borrows everything else. This type is not `Copy`, so a call
/// of `take` in the closure moves the clone into the closure.
#[doc(hidden)]
#[derive(Debug)]
pub struct Cloned<T>(pub T);

impl<T> Cloned<T> {
    #[inline]
    pub fn take(self) -> T {
        self.0
    }
}

/// A goroutine with options: a name for messages, a stack of its own size, a thread of its own.
///
/// ```
/// use go_runtime::Builder;
/// let handle = Builder::new()
///     .name("acceptor")
///     .stack_size(1 << 20)
///     .spawn(|| "ready")?;
/// assert_eq!(handle.join().unwrap(), "ready");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default, Clone)]
#[must_use = "a builder does nothing until its spawn method is called"]
pub struct Builder {
    options: Option<Box<Options>>,
}

impl Builder {
    /// Makes a builder with no name, and a stack of the default size.
    pub fn new() -> Builder {
        Builder::default()
    }

    fn options(&mut self) -> &mut Options {
        self.options.get_or_insert_default()
    }

    /// Sets the goroutine's name, which the message of a panic shows.
    ///
    /// The OS thread keeps its own name, which [`std::thread::Thread::name`] and the system's tools
    /// show: `go-worker-0` and so on, or `go-thread` for a goroutine with a
    /// [`thread`](Builder::thread) of its own.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.options().name = Some(name.into());
        self
    }

    /// Sets the size of the stack in bytes, from 32 KiB to 1 GiB.
    ///
    /// The size is rounded up to a power of two, guard page included. The default is 256 KiB or the
    /// value of `GOSTACK`. Memory is taken only for the pages that are touched. The closure and the
    /// result lie on the stack, in several copies: if these may take more than half of the stack,
    /// the stack is enlarged by their size. For a size out of range [`spawn`](Builder::spawn)
    /// returns an error.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.options().stack_size = Some(bytes);
        self
    }

    /// Gives the goroutine an OS thread of its own for as long as it runs, as `go!(thread; ...)`
    /// does. It stands for Go's `runtime.LockOSThread`, and for the thread that Go gives a
    /// goroutine in a system call.
    ///
    /// It is for code that blocks its thread, or that requires that no other code runs on its
    /// thread meanwhile: clients of databases that block, std's and parking_lot's locks that are
    /// held over a wait, rayon, OpenSSL, `tracing`'s `enter`, scoped thread-locals, wasmtime, mlua.
    /// [The page on crates](crate::docs::crates) has the recipes.
    ///
    /// Otherwise the goroutine is like any other: it has a [`JoinHandle`] and a name, its panics
    /// are handled alike, and [`num_goroutines`](crate::num_goroutines) counts it. Channels,
    /// `select!`, locks, contexts, timers and [`net`](crate::net) work in it, as they do on any
    /// thread. The differences are:
    /// - A message between it and another goroutine costs as much as a message between a thread and
    ///   a goroutine, which is the time that the system takes to wake a thread.
    /// - [`go!(local; ...)`](crate::spawn_local) cannot be called in it: there is no worker to
    ///   share. [`blocking`](crate::blocking) runs its closure on the spot, and
    ///   [`yield_now`](crate::yield_now) is std's.
    /// - Its stack is a thread's, of 2 MiB or the value of `RUST_MIN_STACK`, unless
    ///   [`stack_size`](Builder::stack_size) is given. (`GOSTACK` does not apply to it.) If the
    ///   stack overflows, the message is std's, and names the thread.
    /// - The thread's own name is `go-thread`, whatever [`name`](Builder::name) the goroutine has.
    ///
    /// `GOMAXPROCS` does not count these threads. A thread is used again by later goroutines, which
    /// find the thread-locals that earlier goroutines left, and ends after two idle seconds; a
    /// goroutine with a stack size of its own has a new thread. There are up to 1,024 of these
    /// threads, or the value of the environment variable `GOBLOCKING`, beside as many for
    /// [`blocking`](crate::blocking). A goroutine beyond that number starts when another one has
    /// ended, so more goroutines than that must not wait for each other.
    ///
    /// ```
    /// use std::sync::Mutex;
    /// use go_runtime::{Builder, channel, go};
    ///
    /// let (tx, rx) = channel::bounded(0);
    /// let ledger = Mutex::new(0); // std's: it blocks the thread, so the guard is kept on one
    /// let adds = Builder::new().thread().spawn(move || {
    ///     let mut sum = ledger.lock().unwrap();
    ///     rx.iter().for_each(|n: i32| *sum += n);
    ///     *sum
    /// })?;
    /// go!({ (1..=4).for_each(|n| tx.send(n).unwrap()) });
    /// assert_eq!(adds.join().unwrap(), 10);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread(mut self) -> Builder {
        self.options().thread = true;
        self
    }

    /// Asks for `bytes` of stack beyond those for the closure and its result. Small amounts are
    /// ignored.
    pub(crate) fn with_room(mut self, bytes: usize) -> Builder {
        if bytes > stack::MIN_SIZE / 8 {
            self.options().room = bytes;
        }
        self
    }

    /// Starts a goroutine that runs `f`; see [`spawn`](crate::spawn).
    ///
    /// # Errors
    /// `InvalidInput` for a stack size out of range; `OutOfMemory` while other goroutines wait for
    /// the memory of a stack; `Other` if the runtime cannot start; the system's error if the
    /// goroutine is to have a [`thread`](Builder::thread) and none can be made. The message says
    /// what to do. `f` is dropped.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: `F` and `T` are `'static`, so the closure and its result borrow nothing that
        // could end.
        unsafe { self.spawn_unchecked(f) }
    }

    /// [`spawn`](Builder::spawn) without the check of lifetimes.
    ///
    /// # Safety
    /// Everything that `f` and its result borrow lives until the goroutine has ended and both are
    /// dropped.
    #[track_caller]
    pub(crate) unsafe fn spawn_unchecked<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let spawned_at = Location::caller();
        let (runtime, options) = self.check::<F, T>()?;
        let has_options = options.is_some();
        // SAFETY: both types are `Send`, so the task may run on any worker. The caller says that
        // everything that `f` and its result borrow lives long enough.
        let (task, handle) = unsafe { new_job(f, spawned_at, options) };
        if has_options {
            start_with_options(runtime, task)?;
        } else {
            sched::spawn(runtime, task);
        }
        Ok(handle)
    }

    /// Starts a goroutine on the caller's own worker; see [`spawn_local`](crate::spawn_local).
    ///
    /// # Errors
    /// The errors of [`spawn`](Builder::spawn); `Unsupported` if the caller is no goroutine, or a
    /// goroutine with a thread of its own; `InvalidInput` if the new goroutine is to have a
    /// [`thread`](Builder::thread) of its own.
    #[track_caller]
    pub fn spawn_local<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let spawned_at = Location::caller();
        if self.wants_thread() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a goroutine with a thread of its own cannot be local, that is, share the thread \
                 of its caller's worker: leave out one of the two",
            ));
        }
        let (_, options) = self.check::<F, T>()?;
        let Some(worker) = Worker::current().filter(|worker| worker.current_task().is_some())
        else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a local goroutine shares its caller's worker, and a thread has none, nor has a \
                 goroutine with a thread of its own: call it from another goroutine (with \
                 #[go_runtime::main], `main` is one), or leave out `local`",
            ));
        };
        // SAFETY: the next line queues the task on this worker only, so neither the closure nor its
        // result need be `Send`. Both are `'static`, so they borrow nothing that could end.
        let (task, handle) = unsafe { new_job(f, spawned_at, options) };
        worker.spawn_pinned(task);
        Ok(handle)
    }

    fn wants_thread(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.thread)
    }

    #[track_caller]
    pub(super) fn check<F, T>(mut self) -> io::Result<(&'static Runtime, Option<Box<Options>>)> {
        let runtime = global::try_get().map_err(|error| io::Error::other(error.to_string()))?;
        panic_report::install();
        if let Some(size) = self.options.as_ref().and_then(|options| options.stack_size) {
            stack::check_size(size)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        }
        let more = self.options.as_ref().map_or(0, |options| options.room);
        let room = room_for::<F, T>().saturating_add(more);
        if room > stack::MIN_SIZE / 2 {
            let usual = if self.wants_thread() {
                THREAD_STACK
            } else {
                runtime.default_stack_size()
            };
            let size = self.options.as_ref().and_then(|options| options.stack_size);
            let size = size.unwrap_or(usual);
            if room > size / 2 {
                let enlarged = size.saturating_add(room).min(stack::MAX_SIZE);
                self.options().stack_size = Some(enlarged);
            }
        }
        let size = self.options.as_ref().and_then(|options| options.stack_size);
        if !self.wants_thread() && runtime.is_out_of_stacks(size) {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "there is no memory for more stacks, and goroutines are waiting for it: raise the \
                 limit on memory (ulimit -v) or on mappings (vm.max_map_count), set a smaller \
                 GOSTACK, or run fewer goroutines at once",
            ));
        }
        Ok((runtime, self.options))
    }
}

/// Starts a goroutine that has options, perhaps on a thread of its own.
///
/// # Errors
/// If no thread can be made. This function then releases the scheduler's reference to the task.
#[inline(never)]
fn start_with_options(runtime: &Runtime, task: TaskRef) -> io::Result<()> {
    let (wants_thread, stack_size) = {
        // SAFETY: `task` is the scheduler's reference, which has not been passed on yet, so the
        // task lives.
        let task = unsafe { task.get() };
        (task.wants_thread(), task.stack_size())
    };
    if !wants_thread {
        sched::spawn(runtime, task);
        return Ok(());
    }
    thread::start(runtime, task, stack_size).map_err(|(error, task)| {
        // SAFETY: this is the scheduler's reference, which `start` has given back unused, and it is
        // not used again.
        unsafe { task.release() };
        let what = format!(
            "no thread can be made for a goroutine with a thread of its own ({error}): raise the \
             limit on threads or memory (ulimit -u, ulimit -v), or run fewer of them at once"
        );
        io::Error::new(error.kind(), what)
    })
}
