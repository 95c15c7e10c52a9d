//! Threads that take over no captured output.
//!
//! A thread takes over from its maker where `print!` and the messages of panics go, if something
//! captures them: libtest (`cargo test`) does so for each test. Threads that serve the whole
//! process must not: what other tests' goroutines print on them would belong to the test that has
//! started the runtime, and would be lost if that one passes. There is no stable way to refuse.
//! So such a thread is made by a helper of which std knows nothing, and which captures nothing:
//!
//! ```text
//!     caller --- pthread_create ---> helper --- std::thread::Builder::spawn ---> thread
//!        ^                             |
//!        +------- pthread_join --------+
//! ```
//!
//! A thread that was made so captures nothing, and needs no helper to make others.

#[cfg(unix)]
use std::any::Any;
use std::cell::Cell;
use std::io;
#[cfg(unix)]
use std::mem::MaybeUninit;
#[cfg(unix)]
use std::panic::{self, AssertUnwindSafe};
#[cfg(unix)]
use std::ptr;
use std::thread::Builder;

thread_local! {
    /// Whether the thread was made here.
    static IS_UNCAPTURED: Cell<bool> = const { Cell::new(false) };
}

/// Starts a thread that takes over no captured output.
///
/// # Errors
/// The system has no thread to give. The closure is dropped then.
pub(crate) fn spawn(builder: Builder, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let make = || {
        builder.spawn(|| {
            IS_UNCAPTURED.set(true);
            f();
        })
    };
    let made = if IS_UNCAPTURED.get() {
        make()
    } else {
        uncaptured(make)?
    };
    made.map(drop)
}

/// The size of the helper's stack in bytes: it makes a thread, which takes some KiB.
#[cfg(unix)]
const STACK: usize = 256 << 10;

/// What the helper runs, and then its result.
#[cfg(unix)]
enum Work<F, R> {
    ToDo(F),
    Running,
    Done(R),
    Panicked(Box<dyn Any + Send>),
}

/// Runs `make` on a thread that captures nothing, so that the threads that it starts do not either.
///
/// # Errors
/// The system has no thread to give for running `make`, which is dropped then.
///
/// # Panics
/// If `make` does.
#[cfg(unix)]
pub(crate) fn uncaptured<F, R>(make: F) -> io::Result<R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let mut work = Work::ToDo(make);
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: it is made here.
    let error = unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: it has been made. (If the size is refused, the usual one does.)
    unsafe { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK) };
    let mut helper = MaybeUninit::uninit();
    // SAFETY: the attributes have been made. `run` is given the work of its own types, which is
    // neither touched nor freed here before the helper has ended. What it contains is `Send`.
    let error = unsafe {
        libc::pthread_create(
            helper.as_mut_ptr(),
            attributes.as_ptr(),
            run::<F, R>,
            (&raw mut work).cast(),
        )
    };
    // SAFETY: they have been made, and are used no more.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: the helper has been made, and nobody else joins or detaches it.
    let error = unsafe { libc::pthread_join(helper.assume_init(), ptr::null_mut()) };
    if error != 0 {
        // The helper may still use `work`.
        std::process::abort();
    }
    match work {
        Work::Done(result) => Ok(result),
        Work::Panicked(payload) => panic::resume_unwind(payload),
        Work::ToDo(_) | Work::Running => unreachable!("the helper has ended"),
    }
}

#[cfg(unix)]
extern "C" fn run<F: FnOnce() -> R, R>(work: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `uncaptured` passes its work of this type, and leaves it to this thread until the
    // thread has ended.
    let work = unsafe { &mut *work.cast::<Work<F, R>>() };
    if let Work::ToDo(make) = std::mem::replace(work, Work::Running) {
        *work = match panic::catch_unwind(AssertUnwindSafe(make)) {
            Ok(result) => Work::Done(result),
            Err(payload) => Work::Panicked(payload),
        };
    }
    ptr::null_mut()
}

/// As above, but without a helper.
#[cfg(not(unix))]
pub(crate) fn uncaptured<R>(make: impl FnOnce() -> R) -> io::Result<R> {
    Ok(make())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn threads_are_made() {
        let (tx, rx) = std::sync::mpsc::channel();
        let theirs = tx.clone();
        let first = move || {
            let second = move || theirs.send(2).unwrap();
            spawn(Builder::new(), second).unwrap();
            tx.send(1).unwrap();
        };
        spawn(Builder::new(), first).unwrap();
        let mut said: Vec<i32> = rx.iter().collect();
        said.sort_unstable();
        assert_eq!(said, [1, 2]);
    }

    #[test]
    fn the_result_comes_back() {
        let mut lent = 1;
        let result = uncaptured(|| {
            lent += 1;
            std::thread::current().id()
        });
        assert_ne!(result.unwrap(), std::thread::current().id());
        assert_eq!(lent, 2);
    }

    #[test]
    fn a_panic_comes_back() {
        let panics = || uncaptured(|| panic::resume_unwind(Box::new("expected")));
        let payload = panic::catch_unwind(panics).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"expected"));
    }
}
