//! Spawning.

use std::io;
use std::panic::Location;

use super::job::{JoinHandle, new_job};
use super::panic_report;
use crate::sched::{Options, Runtime, Worker};
use crate::stack;

/// A closure or result larger than this many bytes gets a larger stack than the default, since it passes over it.
const LARGE_VALUE: usize = 8 << 10;

/// Starts a goroutine that runs `f`. What [`go!`](crate::go) expands to.
///
/// The goroutine may run on any worker, but stays on the one where it has started. It starts at some time after this
/// call, perhaps only when the caller blocks or yields.
///
/// # Panics
/// If the runtime cannot start (the message says why and what to do), or if there is no memory for more stacks.
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

/// Starts a goroutine on the caller's own worker. What `go!(local; ...)` expands to.
///
/// The two then share a thread: `f` and its result need not be `Send`, and a message between them crosses
/// no core; but they never run at the same time.
///
/// # Panics
/// If the caller is no goroutine (a plain thread has no worker to share), or as [`spawn`].
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

/// `spawn` for the macro's options.
#[doc(hidden)]
#[track_caller]
pub fn spawn_with<F, T>(builder: Builder, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Start errors are worded for themselves.
    Runtime::get();
    match builder.spawn(f) {
        Ok(handle) => handle,
        Err(error) => panic!("cannot spawn a goroutine: {error}"),
    }
}

/// `spawn_local` for the macro's options.
#[doc(hidden)]
#[track_caller]
pub fn spawn_local_with<F, T>(builder: Builder, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match builder.spawn_local(f) {
        Ok(handle) => handle,
        Err(error) => panic!("cannot spawn a goroutine: {error}"),
    }
}

/// A clone that a closure takes with it which borrows everything else: it is no `Copy`, so that `take` in a closure moves it there.
#[doc(hidden)]
pub struct Cloned<T>(pub T);

impl<T> Cloned<T> {
    #[inline]
    pub fn take(self) -> T {
        self.0
    }
}

/// A goroutine with options: a name for messages, a stack of its own size.
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
    /// No name, and a stack of the default size.
    pub fn new() -> Builder {
        Builder { options: None }
    }

    fn options(&mut self) -> &mut Options {
        self.options.get_or_insert_default()
    }

    /// A name, which the message of a panic shows.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.options().name = Some(name.into());
        self
    }

    /// The size of the stack in bytes, from 32 KiB to 1 GiB, rounded up to a power of two, guard page included; the default is 256 KiB or what
    /// `GOSTACK` says. Memory is
    /// taken only for the pages that are touched. A closure or a result of many kilobytes, which has to lie on the stack,
    /// enlarges it. Sizes out of range are an error of [`spawn`](Builder::spawn).
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.options().stack_size = Some(bytes);
        self
    }

    /// Starts a goroutine that runs `f`; see [`spawn`](crate::spawn).
    ///
    /// # Errors
    /// `InvalidInput` for a stack size that cannot be; `OutOfMemory` while other goroutines wait for the memory of
    /// a stack; `Other` if the runtime cannot start. The message says what to do. `f` is dropped.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: nothing is borrowed.
        unsafe { self.spawn_unchecked(f) }
    }

    /// [`spawn`](Builder::spawn) without the check of lifetimes.
    ///
    /// # Safety
    /// What `f` and its result borrow lives until the goroutine has ended and both are gone.
    #[track_caller]
    pub(crate) unsafe fn spawn_unchecked<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let spawned_at = Location::caller();
        let (runtime, options) = self.check::<F, T>()?;
        // SAFETY: both types are `Send`; the lifetimes are the caller's word.
        let (task, handle) = unsafe { new_job(f, spawned_at, options) };
        runtime.spawn(task);
        Ok(handle)
    }

    /// Starts a goroutine on the caller's own worker; see [`spawn_local`](crate::spawn_local).
    ///
    /// # Errors
    /// As [`spawn`](Builder::spawn), and `Unsupported` if the caller is no goroutine.
    #[track_caller]
    pub fn spawn_local<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let spawned_at = Location::caller();
        let Some(worker) = Worker::current().filter(|worker| worker.current_task().is_some())
        else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a local goroutine shares its caller's worker, and a plain thread has none: call it from a goroutine \
                 (with #[go_runtime::main], `main` is one), or leave out `local`",
            ));
        };
        let (_, options) = self.check::<F, T>()?;
        // SAFETY: the next line queues it on this worker.
        let (task, handle) = unsafe { new_job(f, spawned_at, options) };
        worker.spawn_local(task);
        Ok(handle)
    }

    pub(super) fn check<F, T>(mut self) -> io::Result<(&'static Runtime, Option<Box<Options>>)> {
        let runtime = Runtime::try_get().map_err(|error| io::Error::other(error.to_string()))?;
        panic_report::install();
        if let Some(size) = self.options.as_ref().and_then(|options| options.stack_size) {
            stack::check_size(size)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        }
        let large = size_of::<F>().max(size_of::<T>());
        if large > LARGE_VALUE {
            // Unoptimised code copies a value several times over.
            let least = runtime.default_stack_size() + 8 * large;
            let size = &mut self.options().stack_size;
            *size = Some(size.unwrap_or(0).max(least.min(stack::MAX_SIZE)));
        }
        let size = self.options.as_ref().and_then(|options| options.stack_size);
        if runtime.is_out_of_stacks(size) {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "there is no memory for more stacks, and goroutines are waiting for it: raise the limit on memory \
                 (ulimit -v) or on mappings (vm.max_map_count), set a smaller GOSTACK, or run fewer goroutines at once",
            ));
        }
        Ok((runtime, self.options))
    }
}
