//! Labels: what other threads may read of a goroutine, which is its spawn site and its name.
//!
//! A spawn site is never freed, so its address serves as a label. A name is freed with its task,
//! perhaps while another thread reads it. So when a task is freed, the memory of its name goes to a
//! list. The monitor frees the list at the start of a tick, before it reads any name itself, and
//! unless another thread is [`reading`] names:
//!
//! ```text
//!   worker   running = label ......... running = site; task freed: name -> list ..........
//!   monitor            tick { free the list; read running, name }      tick { free the list; ...
//! ```
//!
//! A label that the monitor reads in a tick belongs to a task that had not been freed when the tick
//! began: otherwise the worker would have replaced the label before (see [`Label::plain`]).

use std::mem;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::task::Options;
use crate::primitives::mutex::lock;

pub(crate) type Site = &'static Location<'static>;

/// Either a spawn site, or, with the lowest bit set, the options of a task with a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Label(*const ());

pub(crate) const NAMED: usize = 1;
const _: () = assert!(align_of::<Options>() > NAMED && align_of::<Location<'static>>() > NAMED);

impl Label {
    /// Makes the label of a task that was spawned at `site` with these options.
    pub(super) fn new(site: Site, options: Option<&Options>) -> Label {
        match options {
            Some(options) if options.name.is_some() => {
                Label(ptr::from_ref(options).cast::<()>().wrapping_byte_add(NAMED))
            }
            _ => Label::plain(site),
        }
    }

    /// Makes a label without a name, which replaces the other label before the task's end is
    /// published.
    pub(super) fn plain(site: Site) -> Label {
        Label(ptr::from_ref(site).cast())
    }

    pub(super) fn is_named(self) -> bool {
        self.0.addr() & NAMED != 0
    }

    pub(super) fn as_ptr(self) -> *mut () {
        self.0.cast_mut()
    }

    /// Makes a label of a pointer; null makes none.
    ///
    /// # Safety
    /// `label` is null, or what [`as_ptr`](Self::as_ptr) returned for a label.
    pub(super) unsafe fn from_ptr(label: *mut ()) -> Option<Label> {
        (!label.is_null()).then_some(Label(label))
    }

    /// Returns where the task was spawned, and its name.
    ///
    /// # Safety
    /// The options from which the label was made have not been freed.
    pub(super) unsafe fn read<'a>(self) -> (Site, Option<&'a str>) {
        if self.is_named() {
            let options = self.0.wrapping_byte_sub(NAMED).cast::<Options>();
            // SAFETY: `new` made the pointer from a reference to options, and the caller makes sure
            // that they have not been freed. They are never written.
            let options = unsafe { &*options };
            let Some(site) = options.spawned_at else {
                unreachable!("set when the task was made");
            };
            (site, options.name.as_deref())
        } else {
            // SAFETY: `plain` made the pointer from a `'static` reference.
            (unsafe { &*self.0.cast() }, None)
        }
    }
}

/// Named options of freed tasks, which the monitor or a [`Reading`] may still be reading.
static FREED: Mutex<Vec<Freed>> = Mutex::new(Vec::new());

struct Freed(NonNull<Options>);

// SAFETY: a `Freed` owns the options, which are `Send`; other threads have only read them.
unsafe impl Send for Freed {}

impl Drop for Freed {
    fn drop(&mut self) {
        // SAFETY: `free` was given the ownership of the pointer, which came from a box, and each
        // pointer is in one `Freed` only.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Frees the options of a freed task: at once, unless they have a name that another
/// thread may be reading; then when the monitor next frees names ([`free_names`]).
///
/// No worker runs a task that has a thread of its own, so the monitor never reads that task's name,
/// which is freed at once. The monitor's next tick may be far off: the monitor sleeps while all
/// workers do, even if such a task runs.
///
/// # Safety
/// The pointer came from a box, and nothing else frees it. No label of a running goroutine refers
/// to the options any more.
pub(super) unsafe fn free(options: NonNull<Options>) {
    let freed = Freed(options);
    // SAFETY: `freed` owns the options and is dropped below at the earliest, and nothing writes
    // them.
    let Options { name, thread, .. } = unsafe { options.as_ref() };
    if name.is_some() && !thread {
        lock(&FREED).push(freed);
    }
}

/// Held by a thread, other than the monitor, that reads names of other threads' goroutines.
static READING: Mutex<()> = Mutex::new(());

/// The right to read names of other threads' goroutines: as long as it lives, no name is freed
/// whose label could be read since it was made.
pub(super) struct Reading(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

/// Lets the caller read names of other threads' goroutines. Other readers wait until the result is
/// dropped.
pub(super) fn reading() -> Reading {
    Reading(lock(&READING))
}

impl Reading {
    /// Returns where a task was spawned, and its name.
    ///
    /// # Safety
    /// The label was read, in a fiber or in a worker's counters, since `self` was made.
    pub(super) unsafe fn read(&self, label: Label) -> (Site, Option<&str>) {
        // SAFETY: the task had not been freed when the label was read, for its worker would have
        // replaced the label before. If the task has been freed since then, its options are in the
        // list, which is not freed while `self` holds the lock.
        unsafe { label.read() }
    }
}

/// Frees the names of freed tasks, unless another thread is [`reading`]: then the next call does.
///
/// # Safety
/// The caller is the only thread that reads labels of other threads' goroutines without
/// [`reading`], and no longer uses any label that it has read before.
pub(super) unsafe fn free_names() {
    let _alone = match READING.try_lock() {
        Ok(alone) => alone,
        Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    let freed = mem::take(&mut *lock(&FREED));
    drop(freed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// While only such goroutines run, the monitor may sleep, and would not free their names.
    #[test]
    fn names_of_goroutines_with_a_thread_are_freed_at_once() {
        let name = "names_of_goroutines_with_a_thread";
        let options = Options {
            name: Some(name.to_owned()),
            thread: true,
            ..Options::default()
        };
        // SAFETY: the pointer comes from a box, and no label refers to the options.
        unsafe { free(NonNull::from(Box::leak(Box::new(options)))) };
        let freed = lock(&FREED);
        let is_kept = freed.iter().any(|kept| {
            // SAFETY: options in the list have not been freed, and the list is locked.
            unsafe { kept.0.as_ref() }.name.as_deref() == Some(name)
        });
        assert!(!is_kept);
    }
}
