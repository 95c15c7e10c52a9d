//! The typed part of a task: the closure, then its result, and the joiner that waits for it.
//!
//! A [`Job`] is one allocation, with the scheduler's header in front. The scheduler and the
//! [`JoinHandle`] own the job together. Its `stage` belongs to the scheduler until `joiner` is
//! [`ended`], and to the handle afterwards. Once one of the two owners has released its reference,
//! the stage belongs to the other.

use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::panic::{self, AssertUnwindSafe, Location};
use std::ptr;
use std::time::{Duration, Instant};

use super::join_future::LazyEnding;
use super::thread;
use crate::channel::{Receiver, RecvTimeoutError};
use crate::clock;
use crate::primitives::atomic::{AtomicPtr, Ordering};
use crate::sched::{Options, Task, TaskRef, VTable, task_memory};
use crate::wait::{self, Parker, Verdict, WaitReason, Why};

type Outcome<T> = Result<T, Box<dyn Any + Send + 'static>>;

// The header comes first, so a pointer to it is a pointer to the job.
#[repr(C)]
struct Job<F, T> {
    task: Task,
    /// The state of the join. It is null, then perhaps a pointer to the parker of `join`, or of a
    /// future or an `Ending` (either may take its parker out again), then [`ended`], then perhaps
    /// [`taken`].
    joiner: AtomicPtr<Parker>,
    stage: UnsafeCell<Stage<F, T>>,
}

/// Where a task has the parker that waits for its end, in bytes, for `debug`.
#[cfg(target_os = "linux")]
pub(crate) const JOINER: usize = size_of::<Task>();

enum Stage<F, T> {
    Waiting(F),
    Running,
    Ended(Outcome<T>),
}

/// The functions of a `Job<F, T>` that a handle calls, since the handle does not know `F`.
struct HandleVTable<T> {
    joiner: unsafe fn(TaskRef) -> *const AtomicPtr<Parker>,
    /// Takes the result out. May be called only after the goroutine has ended.
    take: unsafe fn(TaskRef) -> Option<Outcome<T>>,
}

const fn ended() -> *mut Parker {
    ptr::without_provenance_mut(1)
}

/// The value of `joiner` once a select has taken the result of the ended goroutine.
const fn taken() -> *mut Parker {
    ptr::without_provenance_mut(2)
}

impl<F, T> Job<F, T>
where
    F: FnOnce() -> T,
{
    const VTABLE: VTable = VTable {
        run: Self::run,
        destroy: Self::destroy,
    };
    const HANDLE: HandleVTable<T> = HandleVTable {
        joiner: Self::joiner,
        take: Self::take,
    };

    /// # Safety
    /// `task` is the header of a live `Job<F, T>`. Only such a job gets this type's vtables.
    unsafe fn of<'a>(task: TaskRef) -> &'a Self {
        // SAFETY: `repr(C)` puts the header first; the pointer was made from the whole job in
        // `new_job`.
        unsafe { task.as_ptr().cast::<Self>().as_ref() }
    }

    unsafe fn run(task: TaskRef) {
        // SAFETY: `new_job` puts this function's vtable only into a `Job<F, T>`, and the
        // scheduler's reference keeps the job alive.
        let job = unsafe { Self::of(task) };
        // SAFETY: until the end of the goroutine is published, the stage belongs to the scheduler,
        // which calls `run` once.
        let stage = unsafe { mem::replace(&mut *job.stage.get(), Stage::Running) };
        let Stage::Waiting(closure) = stage else {
            unreachable!("a task is started once");
        };
        // Unwind safety is asserted because the state of a panicked goroutine is gone, except for
        // what it shares with others; `std::thread` does the same.
        let outcome = panic::catch_unwind(AssertUnwindSafe(closure));
        thread::note_finish();
        // SAFETY: the end has not been published yet, so the stage is still the scheduler's, and no
        // reference to it is in use.
        unsafe { *job.stage.get() = Stage::Ended(outcome) };
        let joiner = job.joiner.swap(ended(), Ordering::AcqRel);
        if !joiner.is_null() {
            // SAFETY: a joiner in this word waits until it is unparked. The swap took it out, which
            // stands for the claim: such a wait has no deadline, and a future that is dropped takes
            // its parker out of the word first, or else leaves the parker to this unpark.
            unsafe { Parker::unpark(joiner, Verdict::Done(0)) };
        }
        // The result may be dropped here, which may run user code.
        // SAFETY: this is the scheduler's reference, which is not used again.
        unsafe { task.release() }
    }

    unsafe fn destroy(task: TaskRef) {
        let job = task.as_ptr().cast::<Self>();
        // SAFETY: the last reference is gone, so this is the only access.
        let stage = unsafe { job.as_ref() }.stage.get();
        // SAFETY: the last reference to the job is gone, so this is the only access to the stage,
        // and it ends with the expression.
        let is_closure = matches!(unsafe { &*stage }, Stage::Waiting(_));
        // The task stays allocated during the drop, as a `Drop` that parks needs it.
        // SAFETY: the stage is valid and this is the only access. It is overwritten below, and so
        // neither read nor dropped again.
        let drop_stage = || unsafe { stage.drop_in_place() };
        let dropped = panic::catch_unwind(AssertUnwindSafe(drop_stage));
        // SAFETY: `new_job` has allocated this memory for a `Job<F, T>` with the same layout, and
        // the last reference is gone. The write replaces the dropped stage, so that the job is
        // valid when it is dropped.
        unsafe {
            stage.write(Stage::Running);
            job.drop_in_place();
            task_memory::free(job.cast(), Layout::new::<Self>());
        }
        if let Err(payload) = dropped {
            if is_closure && !std::thread::panicking() {
                // The goroutine never started, so only this caller can see the panic.
                panic::resume_unwind(payload);
            }
            // Either the goroutine or the handle's owner drops the result, whichever is later, so
            // neither may see the panic. The payload is leaked because its `Drop` could panic as
            // well.
            mem::forget(payload);
        }
    }

    unsafe fn joiner(task: TaskRef) -> *const AtomicPtr<Parker> {
        // SAFETY: the caller holds the handle's reference, which keeps the job alive.
        unsafe { &raw const Self::of(task).joiner }
    }

    unsafe fn take(task: TaskRef) -> Option<Outcome<T>> {
        // SAFETY: the caller holds the handle's reference, and the goroutine has ended, so the
        // stage belongs to the handle.
        let stage = unsafe { mem::replace(&mut *Self::of(task).stage.get(), Stage::Running) };
        match stage {
            Stage::Ended(outcome) => Some(outcome),
            Stage::Waiting(_) | Stage::Running => None,
        }
    }
}

/// Makes a goroutine that has not been queued yet. Returns the scheduler's reference to it, and the
/// handle.
///
/// # Safety
/// If the closure or its result is not `Send`, the task is queued on the caller's own worker only
/// (and the handle, by its type, stays there). Everything that the closure and the result borrow
/// lives until the task has ended and both are dropped.
pub(super) unsafe fn new_job<F, T>(
    closure: F,
    spawned_at: &'static Location<'static>,
    options: Option<Box<Options>>,
) -> (TaskRef, JoinHandle<T>)
where
    F: FnOnce() -> T,
{
    // SAFETY: a job begins with a `Task`, whose size is not 0.
    let memory = unsafe { task_memory::allocate(Layout::new::<Job<F, T>>()) };
    let job = memory.cast::<Job<F, T>>();
    // SAFETY: the memory has just been allocated for a `Job<F, T>`, and no other thread knows it.
    unsafe {
        job.write(Job {
            task: Task::new(&Job::<F, T>::VTABLE, spawned_at, options),
            joiner: AtomicPtr::new(ptr::null_mut()),
            stage: UnsafeCell::new(Stage::<F, T>::Waiting(closure)),
        });
    }
    // SAFETY: `job` points to the header of a live job with two references, one for the task and
    // one for the handle made below.
    let task = unsafe { TaskRef::new(job.cast()) };
    let handle = JoinHandle {
        task,
        vtable: Job::<F, T>::HANDLE,
        ending: LazyEnding::new(),
        result: PhantomData,
    };
    (task, handle)
}

/// The right to wait for a goroutine's end and take its result.
///
/// A goroutine or a thread [`join`](Self::join)s; an async task awaits it.
///
/// It may be an arm of a [`select!`](crate::select), as if it were a receiver:
/// `recv(handle) -> result` or `result = <-handle` gives what `join` would. The arm borrows the
/// handle, so an arm that loses leaves the handle as it was. An arm that wins takes the result, of
/// which there is only one: a later `join` of the same handle, or an arm that is ready again,
/// panics.
///
/// ```
/// use std::time::Duration;
/// use go_runtime::{channel, go, select};
///
/// let (stop, done) = channel::bounded::<()>(0);
/// let child = go! { done.recv().is_err() };
/// let in_time = select! {
///     recv(child) -> result => Some(result.unwrap()),
///     default(Duration::from_millis(1)) => None,
/// };
/// assert_eq!(in_time, None);
/// drop(stop);
/// assert!(child.join().unwrap());
/// ```
///
/// Dropping the handle *detaches* the goroutine: it goes on by itself. The result is dropped by the
/// goroutine or with the handle, whichever is later; if the result's `Drop` panics, the panic hook
/// reports that, and the panic goes no further. When `main` returns the program ends, even if
/// goroutines still run: join the goroutines that have to finish.
///
/// ```
/// use go_runtime::go;
/// let sum = go! { (1..=10).sum::<i32>() };
/// assert_eq!(sum.join().unwrap(), 55);
/// ```
pub struct JoinHandle<T> {
    task: TaskRef,
    vtable: HandleVTable<T>,
    /// The `Ending`, made on demand. `drop` takes the ending's parker out of the goroutine's word.
    ending: LazyEnding,
    result: PhantomData<T>,
}

// The two implementations below rely on `LazyEnding` being `Send` and `Sync`.
const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<LazyEnding>();
};

// SAFETY: the handle moves a `T` to the thread that joins, and shares nothing else but atomics, the
// header's constant parts and the `Ending`, which is `Send` and `Sync`. The closure, which may not
// be `Send`, is gone before the handle is the job's last owner, or else is dropped by
// the worker.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: `&JoinHandle` gives access to atomics, constants and the `Ending`, which is `Sync`. It
// also gives the result, a `T: Send`, to the one thread whose exchange in `take_ended` succeeds.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// Waits for the goroutine to end, and returns its result. A waiting goroutine parks, and a
    /// waiting thread blocks.
    ///
    /// # Errors
    /// The payload of the panic with which the goroutine ended, as
    /// [`std::thread::JoinHandle::join`] gives it. The payload is no [`Error`](std::error::Error),
    /// so `?` does not convert it.
    ///
    /// ```
    /// let failed = go_runtime::spawn(|| panic!("no luck"));
    /// let payload = failed.join().unwrap_err();
    /// assert_eq!(payload.downcast_ref::<&str>(), Some(&"no luck"));
    /// ```
    ///
    /// # Panics
    /// If an arm of a `select!` has taken the result.
    #[track_caller]
    pub fn join(mut self) -> std::thread::Result<T> {
        self.forget_ending();
        let joiner = self.joiner();
        if !self.has_ended() {
            let parker = Parker::new();
            let ours = ptr::from_ref(&parker).cast_mut();
            // If the exchange fails, the goroutine has just ended: there is only one handle, so no
            // other parker can be in the word.
            if joiner
                .compare_exchange(ptr::null_mut(), ours, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
            {
                parker.note(Why::new(WaitReason::Join, self.task.as_ptr().as_ptr()));
                parker.park(None);
            }
        }
        // SAFETY: the goroutine has ended: the word said so, or the parker in it has been unparked.
        unsafe { self.take() }
    }

    /// Waits for the goroutine to end, for at most `timeout`.
    ///
    /// # Errors
    /// If the goroutine has not ended in time; the error is the handle.
    ///
    /// # Panics
    /// Where [`join`](Self::join) panics.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (stop, done) = go_runtime::channel::bounded::<()>(0);
    /// let child = go_runtime::spawn(move || done.recv().is_err());
    /// let child = child.join_timeout(Duration::from_millis(1)).unwrap_err();
    /// drop(stop);
    /// let result = child.join_timeout(Duration::from_secs(60)).unwrap();
    /// assert!(result.unwrap());
    /// ```
    pub fn join_timeout(self, timeout: Duration) -> Result<std::thread::Result<T>, JoinHandle<T>> {
        match clock::after(timeout) {
            Some(deadline) => self.join_deadline(deadline),
            None => Ok(self.join()),
        }
    }

    /// Waits for the goroutine to end, until `deadline` at the latest.
    ///
    /// # Errors
    /// If the goroutine has not ended in time; the error is the handle.
    ///
    /// # Panics
    /// Where [`join`](Self::join) panics.
    pub fn join_deadline(self, deadline: Instant) -> Result<std::thread::Result<T>, JoinHandle<T>> {
        let why = Why::new(WaitReason::Join, self.task.as_ptr().as_ptr()).open();
        match wait::named(why, || self.ended().recv_deadline(deadline)) {
            Err(RecvTimeoutError::Timeout) => Err(self),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(self.take_ended()),
        }
    }

    /// Returns the goroutine's name, if it was given one by [`Builder::name`](crate::Builder::name)
    /// or `go!(name = ...; ...)`.
    ///
    /// ```
    /// let child = go_runtime::go!(name = "sum"; { 1 + 2 });
    /// assert_eq!(child.name(), Some("sum"));
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        // SAFETY: the handle's reference keeps the task, and with it the name, which is written
        // before the task is made and never after.
        unsafe { self.task.get() }.name()
    }

    /// Returns a channel that is closed when the goroutine has ended.
    pub(crate) fn ended(&self) -> &Receiver<()> {
        // No other parker can be in the word: `join` and a `JoinFuture` own the handle, which is
        // borrowed here.
        self.ending.get_or_make(self.joiner()).closed()
    }

    /// Undoes [`ended`](Self::ended), so that another parker can stand in the goroutine's word.
    pub(super) fn forget_ending(&mut self) {
        if let Some(ending) = self.ending.take() {
            ending.leave(self.joiner());
        }
    }

    /// Takes the result, once the channel of [`ended`](Self::ended) is closed.
    ///
    /// # Panics
    /// If the result was taken before.
    #[track_caller]
    pub(crate) fn take_ended(&self) -> std::thread::Result<T> {
        let taking =
            self.joiner()
                .compare_exchange(ended(), taken(), Ordering::AcqRel, Ordering::Acquire);
        if taking.is_err() {
            refuse_second_taking();
        }
        // SAFETY: the word was `ended`, so the goroutine has ended. Only one exchange can replace
        // `ended`, and the functions that take the result without an exchange own the handle, which
        // is borrowed here, so the result is taken once.
        match unsafe { (self.vtable.take)(self.task) } {
            Some(outcome) => outcome,
            None => unreachable!("the word said that the result was there"),
        }
    }

    pub(super) fn joiner(&self) -> &AtomicPtr<Parker> {
        // SAFETY: the handle's reference keeps the job alive, and `new_job` gave the handle the
        // vtable of the job's own types.
        unsafe { &*(self.vtable.joiner)(self.task) }
    }

    /// # Safety
    /// The goroutine has ended: the word [`joiner`](Self::joiner) says so, or the goroutine has
    /// unparked the parker in it.
    #[track_caller]
    pub(super) unsafe fn take(self) -> std::thread::Result<T> {
        // SAFETY: the caller says that the goroutine has ended, and this call owns the only handle.
        match unsafe { (self.vtable.take)(self.task) } {
            Some(outcome) => outcome,
            None => refuse_second_taking(),
        }
    }

    /// Returns whether the goroutine has ended, so that [`join`](Self::join) would not wait.
    ///
    /// ```
    /// let (tx, rx) = go_runtime::channel::bounded::<()>(0);
    /// let waiting = go_runtime::spawn(move || rx.recv());
    /// assert!(!waiting.is_finished());
    /// drop(tx);
    /// let _ = waiting.join();
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let finished = self.has_ended();
        if !finished {
            crate::wait::note_failed_poll();
        }
        finished
    }

    /// Returns whether the goroutine has ended, and unlike [`is_finished`](Self::is_finished) never
    /// lets other goroutines run.
    pub(super) fn has_ended(&self) -> bool {
        let word = self.joiner().load(Ordering::Acquire);
        word == ended() || word == taken()
    }
}

#[cold]
#[track_caller]
fn refuse_second_taking() -> ! {
    panic!(
        "the result of this goroutine has been taken, by an arm of a select: \
         drop the handle, or leave it out of the select, when its arm has won"
    )
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.forget_ending();
        // SAFETY: this is the handle's own reference, which is not used again.
        unsafe { self.task.release() }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the handle's reference keeps the task alive.
        let task = unsafe { self.task.get() };
        f.debug_struct("JoinHandle")
            .field("name", &self.name())
            .field("spawned_at", &format_args!("{}", task.spawned_at()))
            .field("is_finished", &self.has_ended())
            .finish()
    }
}
