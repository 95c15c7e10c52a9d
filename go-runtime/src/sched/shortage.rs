//! A shortage of memory for stacks: how many goroutines wait for it, and which new goroutines are
//! refused meanwhile.
//!
//! A goroutine for which the system had no stack waits on its worker until others have ended. As
//! long as one of them waits, new goroutines are refused if their stacks would be at least as large
//! as the smallest stack that could not be made. Goroutines with smaller stacks are accepted, so a
//! single stack that is too large for this system does not stop the others.
//!
//! All workers share this state, which consists of atomics; only the report takes a lock.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::report::write_at_once;
use super::tuning::SHORTAGE_QUIET;
use crate::clock;
use crate::primitives::atomic::{AtomicUsize, Ordering};

pub(super) struct Shortage {
    /// Number of goroutines that wait for a stack.
    waiting: AtomicUsize,
    /// Size in bytes of the smallest stack that could not be made in this shortage. It is a hint,
    /// which each attempt corrects.
    size: AtomicUsize,
    /// When a shortage was last reported.
    reported: Mutex<Option<Instant>>,
}

impl Shortage {
    pub(super) fn new() -> Shortage {
        Shortage {
            waiting: AtomicUsize::new(0),
            size: AtomicUsize::new(usize::MAX),
            reported: Mutex::new(None),
        }
    }

    /// Returns whether a new goroutine with a stack of `size` bytes should be refused.
    #[inline]
    pub(super) fn refuses(&self, size: usize) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 && size >= self.size.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Notes that a stack of `size` bytes could not be made. `first` says whether this was the
    /// goroutine's first attempt.
    pub(super) fn begin(&self, size: usize, first: bool, error: &io::Error) {
        if first && self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.size.store(size, Ordering::Relaxed);
            self.report(size, error);
        } else {
            self.size.fetch_min(size, Ordering::Relaxed);
        }
    }

    /// Notes that a stack of `size` bytes was made. `waited` says whether its goroutine had to wait
    /// for it.
    pub(super) fn end(&self, size: usize, waited: bool) {
        self.size.fetch_max(size + 1, Ordering::Relaxed);
        if waited {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[cold]
    fn report(&self, size: usize, error: &io::Error) {
        let now = clock::now();
        let last = self
            .reported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(now);
        if last.is_some_and(|last| now - last < SHORTAGE_QUIET) {
            return;
        }
        // Memory is short, so the text is built on the stack.
        let mut text = io::Cursor::new([0; 1024]);
        let _ = writeln!(
            text,
            "go-runtime: no memory for a stack of {size} bytes ({error}). The goroutine waits \
             until another one ends, and new ones whose stacks are as large are refused meanwhile. \
             Raise the limit on memory (ulimit -v) or on mappings (vm.max_map_count), set a \
             smaller GOSTACK, or run fewer goroutines at once."
        );
        let length = text.position() as usize;
        write_at_once(&text.get_ref()[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_stacks_are_let_in() {
        let (shortage, error) = (Shortage::new(), io::ErrorKind::OutOfMemory.into());
        assert!(!shortage.refuses(1 << 30));
        shortage.begin(1 << 20, true, &error);
        assert!(shortage.refuses(1 << 20) && !shortage.refuses(1 << 18));
        // The goroutine's second attempt fails as well; an attempt with a smaller stack succeeds.
        shortage.begin(1 << 20, false, &error);
        shortage.end(1 << 18, false);
        assert!(shortage.refuses(1 << 20) && !shortage.refuses(1 << 18));
        // Now smaller stacks cannot be made either. The shortage ends when one of them can.
        shortage.begin(1 << 18, true, &error);
        assert!(shortage.refuses(1 << 18));
        shortage.end(1 << 18, true);
        assert!(!shortage.refuses(1 << 18) && shortage.is_on());
        shortage.end(1 << 20, true);
        assert!(!shortage.refuses(1 << 30) && !shortage.is_on());
        // The next shortage starts without the size of this one.
        shortage.begin(1 << 30, true, &error);
        assert!(shortage.refuses(1 << 30) && !shortage.refuses(1 << 20));
    }
}
