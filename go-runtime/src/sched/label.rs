//! What other threads may read of a running goroutine: where it was spawned, and its name.
//!
//! A spawn site lives for ever, so its address is all that it takes. A name does not: it is freed
//! with its task, perhaps while another thread reads it. So the memory of a name goes to a list
//! when its task does, and the monitor, which alone reads names of other threads' goroutines, frees
//! it at the beginning of a tick, when it reads none:
//!
//! ```text
//!   worker   running = label ......... running = site; task freed: name -> list ..........
//!   monitor            tick { free the list; read running, name }      tick { free the list; ...
//! ```
//!
//! A label that the monitor reads in a tick is of a task that had not been freed when the tick
//! began, or else the worker would have replaced it before: see [`Label::plain`].

use std::mem;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

use super::task::Options;

pub(super) type Site = &'static Location<'static>;

/// Either a spawn site, or, with the lowest bit set, the options of a task with a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(*const ());

const NAMED: usize = 1;
const _: () = assert!(align_of::<Options>() > NAMED && align_of::<Location<'static>>() > NAMED);

impl Label {
    /// The label of a task that was spawned at `site` with these options.
    pub(super) fn new(site: Site, options: Option<&Options>) -> Label {
        match options {
            Some(options) if options.name.is_some() => {
                Label(ptr::from_ref(options).cast::<()>().wrapping_byte_add(NAMED))
            }
            _ => Label::plain(site),
        }
    }

    /// A label without a name, which replaces the other one before the task's end is published.
    pub(super) fn plain(site: Site) -> Label {
        Label(ptr::from_ref(site).cast())
    }

    pub(super) fn is_named(self) -> bool {
        self.0.addr() & NAMED != 0
    }

    pub(super) fn as_ptr(self) -> *mut () {
        self.0.cast_mut()
    }

    /// # Safety
    /// `label` is null, or what [`as_ptr`](Self::as_ptr) returned for another label.
    pub(super) unsafe fn from_ptr(label: *mut ()) -> Option<Label> {
        (!label.is_null()).then_some(Label(label))
    }

    /// Where the task was spawned, and its name.
    ///
    /// # Safety
    /// The options that the label was made of are still there.
    pub(super) unsafe fn read<'a>(self) -> (Site, Option<&'a str>) {
        if self.is_named() {
            let options = self.0.wrapping_byte_sub(NAMED).cast::<Options>();
            // SAFETY: made by `new` of a reference to options, which are there, as the caller says.
            let options = unsafe { &*options };
            let Some(site) = options.spawned_at else {
                unreachable!("set when the task was made");
            };
            (site, options.name.as_deref())
        } else {
            // SAFETY: made by `plain` of a reference that is valid for ever.
            (unsafe { &*self.0.cast() }, None)
        }
    }
}

/// Options with names of tasks that are gone, which the monitor may still be reading.
static FREED: Mutex<Vec<Freed>> = Mutex::new(Vec::new());

struct Freed(NonNull<Options>);

// SAFETY: it owns the options, which are `Send`; other threads have only read them.
unsafe impl Send for Freed {}

impl Drop for Freed {
    fn drop(&mut self) {
        // SAFETY: `free` was given the ownership of what a box has been made into.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Frees the options of a task that is gone: at once, or when the monitor reads no names, if they
/// have a name that it may be reading.
///
/// (No worker runs a task that has a thread of its own, so the monitor never reads that task's
/// name. Its ticks, in which the list is freed, may be far off: such tasks let all workers sleep.)
///
/// # Safety
/// They have been made into a pointer from a box, and nothing else frees them. No label of them is
/// that of a running goroutine any more.
pub(super) unsafe fn free(options: NonNull<Options>) {
    let freed = Freed(options);
    // SAFETY: `freed` owns them and is dropped below at the earliest, and they are never written.
    let Options { name, thread, .. } = unsafe { options.as_ref() };
    if name.is_some() && !thread {
        FREED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(freed);
    }
}

/// Frees the names of tasks that are gone.
///
/// # Safety
/// The caller alone reads labels of other threads' goroutines, and uses none that it has read
/// before.
pub(super) unsafe fn free_names() {
    let freed = mem::take(&mut *FREED.lock().unwrap_or_else(PoisonError::into_inner));
    drop(freed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// While such goroutines run, the monitor may sleep, and would not free their names.
    #[test]
    fn names_of_goroutines_with_a_thread_are_freed_at_once() {
        let name = "names_of_goroutines_with_a_thread";
        let options = Options {
            name: Some(name.to_owned()),
            thread: true,
            ..Options::default()
        };
        // SAFETY: from a box, and no label has been made of it.
        unsafe { free(NonNull::from(Box::leak(Box::new(options)))) };
        let freed = FREED.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = freed.iter().any(|kept| {
            // SAFETY: what is in the list has not been freed.
            unsafe { kept.0.as_ref() }.name.as_deref() == Some(name)
        });
        assert!(!is_kept);
    }
}
