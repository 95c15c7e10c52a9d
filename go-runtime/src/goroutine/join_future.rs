//! Awaiting the end of a goroutine: by a future, [`JoinFuture`], or by a channel that is then
//! closed, `Ending`.
//!
//! Both put the parker of a future into the goroutine's word `joiner`, in memory of its own
//! (`Joiner`). An exchange of the word decides whether the owner takes the parker out again or the
//! goroutine's end unparks it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::job::JoinHandle;
use crate::channel::{Receiver, Sender, bounded};
use crate::primitives::atomic::{AtomicPtr, Ordering};
use crate::wait::{Parker, Wakeup};

/// A future that waits for a goroutine; awaiting a [`JoinHandle`] makes it. Dropping it detaches
/// the goroutine, as dropping the handle does.
///
/// ```
/// let child = go_runtime::spawn(|| 6 * 7);
/// let answer = futures::executor::block_on(async { child.await.unwrap() });
/// assert_eq!(answer, 42);
/// ```
///
/// # Panics
/// If it is polled again after it has ended.
#[must_use = "futures do nothing unless polled"]
pub struct JoinFuture<T> {
    /// `drop` takes the joiner out of the goroutine's word, which the handle keeps alive until
    /// then.
    joiner: Option<Joiner>,
    handle: Option<JoinHandle<T>>,
}

/// A parker for a goroutine's word, in memory of its own. The owner takes the parker out of the
/// word, or abandons it to the goroutine.
struct Joiner {
    parker: NonNull<Parker>,
    wakeup: Arc<Wakeup>,
}

// SAFETY: a parker of a future may be used and dropped on any thread; the owner and the goroutine
// that ends the wait are kept apart by the goroutine's word and the wakeup.
unsafe impl Send for Joiner {}
// SAFETY: a shared reference gives access only to the `Wakeup`, which is `Sync`, and to the
// parker's address, which `stand_in` puts into an atomic word.
unsafe impl Sync for Joiner {}

impl Joiner {
    fn new(waker: &Waker) -> Joiner {
        let wakeup = Arc::new(Wakeup::new(waker.clone()));
        let parker = Box::new(Parker::for_future(Arc::clone(&wakeup)));
        Joiner {
            parker: NonNull::from(Box::leak(parker)),
            wakeup,
        }
    }

    /// Puts the parker into the goroutine's word. Returns `false` if the goroutine has ended.
    fn stand_in(&self, word: &AtomicPtr<Parker>) -> bool {
        word.compare_exchange(
            ptr::null_mut(),
            self.parker.as_ptr(),
            Ordering::AcqRel,
            Ordering::Acquire,
        )
        .is_ok()
    }

    /// # Safety
    /// The parker is not in the word, and the wait is over if it ever was.
    unsafe fn free(self) {
        // SAFETY: `new` leaked this box. The caller says that the parker is not in the word and
        // that its wait, if there was one, is over, so the goroutine does not use it. `self` is
        // used up, so it is freed once.
        drop(unsafe { Box::from_raw(self.parker.as_ptr()) });
    }

    /// Takes the parker out of the word, because the owner is being dropped. If the goroutine has
    /// just taken the parker out, leaves it to the goroutine, which ends the wait.
    fn leave(self, word: &AtomicPtr<Parker>) {
        let ours = self.parker.as_ptr();
        let left =
            word.compare_exchange(ours, ptr::null_mut(), Ordering::AcqRel, Ordering::Acquire);
        if left.is_ok() {
            // SAFETY: the exchange took the parker out of the word, so the goroutine will not find
            // it.
            unsafe { self.free() };
        } else {
            // The goroutine has taken the parker out, and ends the wait.
            let wakeup = Arc::clone(&self.wakeup);
            // SAFETY: a parker may be dropped on any thread, and borrows nothing. The goroutine
            // that took the parker out ends the wait.
            unsafe { wakeup.abandon(Box::new(move || self.free())) };
        }
    }
}

/// The end of a goroutine as a channel, which is closed when the goroutine ends. It is made when a
/// select, or a join with a deadline, first waits for the goroutine.
///
/// A future's parker stands in the goroutine's word, and its waker closes the channel.
pub(super) struct Ending {
    closed: Receiver<()>,
    /// The parker in the word; `None` if the goroutine had ended before.
    joiner: Option<Joiner>,
}

struct Closer(Sender<()>);

impl Wake for Closer {
    fn wake(self: Arc<Self>) {
        self.0.close();
    }
}

impl Ending {
    /// Makes the ending of the goroutine whose word is `word`. No parker may be in the word.
    pub(super) fn new(word: &AtomicPtr<Parker>) -> Ending {
        let (sender, closed) = bounded(0);
        let closer = Arc::new(Closer(sender));
        let joiner = Joiner::new(&Waker::from(Arc::clone(&closer)));
        if joiner.stand_in(word) {
            let joiner = Some(joiner);
            return Ending { closed, joiner };
        }
        // SAFETY: `stand_in` returned `false`, so the parker has never been in the word.
        unsafe { joiner.free() };
        closer.0.close();
        Ending {
            closed,
            joiner: None,
        }
    }

    pub(super) fn closed(&self) -> &Receiver<()> {
        &self.closed
    }

    /// Takes the parker out of `word`, for which it was made, or leaves the parker to the goroutine
    /// that has just taken it out.
    pub(super) fn leave(self, word: &AtomicPtr<Parker>) {
        if let Some(joiner) = self.joiner {
            joiner.leave(word);
        }
    }
}

/// An [`Ending`] that is made on demand, in one word, because most handles never need it.
pub(super) struct LazyEnding {
    /// Null, or a pointer from a leaked box.
    made: AtomicPtr<Ending>,
    ending: PhantomData<Option<Box<Ending>>>,
}

impl LazyEnding {
    #[inline]
    pub(super) fn new() -> LazyEnding {
        LazyEnding {
            made: AtomicPtr::new(ptr::null_mut()),
            ending: PhantomData,
        }
    }

    /// Returns the ending, and makes it at the first call. `word` must be the same in every call,
    /// and no other parker may be in it.
    pub(super) fn get_or_make(&self, word: &AtomicPtr<Parker>) -> &Ending {
        // One thread at a time makes an ending: a second ending of the same handle would find the
        // first one's parker in the word.
        static MAKING: Mutex<()> = Mutex::new(());
        let made = || {
            // SAFETY: the pointer is null or comes from the box below. The box is not freed while
            // `self` is borrowed, because `take` borrows `self` mutably.
            unsafe { self.made.load(Ordering::Acquire).as_ref() }
        };
        made().unwrap_or_else(|| {
            let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
            made().unwrap_or_else(|| {
                let ending = Box::leak(Box::new(Ending::new(word)));
                self.made.store(ending, Ordering::Release);
                ending
            })
        })
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<Box<Ending>> {
        let made = mem::replace(self.made.get_mut(), ptr::null_mut());
        // SAFETY: if the pointer is not null, `get_or_make` leaked the box, and the replacement by
        // null makes this the only call that takes it.
        (!made.is_null()).then(|| unsafe { Box::from_raw(made) })
    }
}

impl Drop for LazyEnding {
    #[inline]
    fn drop(&mut self) {
        drop(self.take());
    }
}

// A panic leaves the ending as usable as before: no user code runs while it is made or taken.
impl UnwindSafe for LazyEnding {}
impl RefUnwindSafe for LazyEnding {}

impl<T> Future for JoinFuture<T> {
    type Output = std::thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(handle) = &this.handle else {
            panic!("a goroutine was awaited again after it had ended");
        };
        let waker = context.waker();
        match &this.joiner {
            Some(joiner) if !joiner.wakeup.poll(waker) => return Poll::Pending,
            Some(_) => {
                if let Some(joiner) = this.joiner.take() {
                    // SAFETY: `poll` returned that the wait is over: the goroutine has taken the
                    // parker out of the word and unparked it.
                    unsafe { joiner.free() };
                }
            }
            None if handle.has_ended() => {}
            None => {
                let joiner = Joiner::new(waker);
                if joiner.stand_in(handle.joiner()) {
                    this.joiner = Some(joiner);
                    return Poll::Pending;
                }
                // SAFETY: `stand_in` returned `false`, so the parker has never been in the word.
                unsafe { joiner.free() };
            }
        }
        let Some(handle) = this.handle.take() else {
            unreachable!("it was there at the top");
        };
        // SAFETY: each arm of the `match` that comes here has seen that the goroutine has ended: by
        // the end of the wait, by `has_ended`, or by `stand_in`.
        Poll::Ready(unsafe { handle.take() })
    }
}

#[cfg(feature = "futures")]
impl<T> futures_core::future::FusedFuture for JoinFuture<T> {
    fn is_terminated(&self) -> bool {
        self.handle.is_none()
    }
}

impl<T> Drop for JoinFuture<T> {
    fn drop(&mut self) {
        if let (Some(joiner), Some(handle)) = (self.joiner.take(), &self.handle) {
            joiner.leave(handle.joiner());
        }
    }
}

impl<T> IntoFuture for JoinHandle<T> {
    type Output = std::thread::Result<T>;
    type IntoFuture = JoinFuture<T>;

    fn into_future(mut self) -> JoinFuture<T> {
        self.forget_ending();
        JoinFuture {
            joiner: None,
            handle: Some(self),
        }
    }
}

// No field is pinned: the parker that the goroutine knows by its address is allocated separately.
impl<T> Unpin for JoinFuture<T> {}

impl<T> fmt::Debug for JoinFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture")
            .field("handle", &self.handle)
            .finish()
    }
}
