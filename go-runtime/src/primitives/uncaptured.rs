//! Threads that do not inherit captured output.
//!
//! If the output of `print!` and of panic messages is captured, a new thread inherits the capture
//! from its creator: libtest (`cargo test`) captures each test's output. Threads that serve the
//! whole process must not inherit it: the output of other tests' goroutines on them would go to the
//! test that has started the runtime, and would be lost if that test passes. There is no stable way
//! to refuse the capture. So such a thread is created by a helper thread that std does not know,
//! and that therefore captures nothing:
//!
//! ```text
//!     caller --- pthread_create ---> helper --- std::thread::Builder::spawn ---> thread
//!        ^                             |
//!        +------- pthread_join --------+
//! ```
//!
//! A thread that was created this way captures nothing, and needs no helper to create others.

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
    /// Whether this thread was created by this module.
    static IS_UNCAPTURED: Cell<bool> = const { Cell::new(false) };
}

/// Starts a thread that does not inherit captured output.
///
/// # Errors
/// The system cannot create a thread. The closure is then dropped.
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

/// Size of the helper's stack in bytes; creating a thread takes some KiB of it.
#[cfg(unix)]
const STACK: usize = 256 << 10;

/// The closure that the helper runs, and afterwards its result.
#[cfg(unix)]
enum Work<F, R> {
    ToDo(F),
    Running,
    Done(R),
    Panicked(Box<dyn Any + Send>),
}

/// Runs `make` on a thread that captures nothing, so that the threads that `make` creates capture
/// nothing either.
///
/// # Errors
/// The system cannot create a thread for running `make`, which is then dropped.
///
/// # Panics
/// If `make` panics.
#[cfg(unix)]
pub(crate) fn uncaptured<F, R>(make: F) -> io::Result<R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let mut work = Work::ToDo(make);
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: the pointer is valid for writes, and the attributes have not been initialized yet.
    let error = unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: the attributes were initialized above. (If the size is refused, the default size is
    // used.)
    unsafe { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK) };
    let mut helper = MaybeUninit::uninit();
    // SAFETY: the attributes are initialized, and `helper` is valid for writes. `run::<F, R>` gets
    // a pointer to a `Work<F, R>`, which this function neither touches nor frees before it has
    // joined the helper. The closure and its result are `Send`, so another thread may use them.
    let error = unsafe {
        libc::pthread_create(
            helper.as_mut_ptr(),
            attributes.as_ptr(),
            run::<F, R>,
            (&raw mut work).cast(),
        )
    };
    // SAFETY: the attributes were initialized above, and are not used again.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: `pthread_create` has succeeded, so `helper` is initialized; only this call joins it,
    // and none detaches it.
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
    // SAFETY: `uncaptured` passes a pointer to its `Work<F, R>`, and does not touch it until this
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

/// Runs `make` on the calling thread: on these systems there is no helper thread.
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
