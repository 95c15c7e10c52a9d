//! A shortage of memory for stacks: who waits for it, and what is refused meanwhile.
//!
//! Goroutines for which there was no stack wait on their workers until others have ended. As long
//! as one of them waits, no new ones are let in whose stacks would be as large as what could not be
//! had; smaller ones are: a single stack that is too large for this system does not stop the
//! others.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::tuning::SHORTAGE_QUIET;
use crate::clock;
use crate::primitives::atomic::{AtomicUsize, Ordering};

pub(super) struct Shortage {
    /// Goroutines that wait for a stack.
    waiting: AtomicUsize,
    /// Stacks of so many bytes, and more, could not be had in this shortage. It is a hint, which
    /// each attempt corrects.
    size: AtomicUsize,
    /// When it was said last that there is one.
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

    /// Whether a goroutine with a stack of `size` bytes should not be let in.
    #[inline]
    pub(super) fn refuses(&self, size: usize) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 && size >= self.size.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// A stack of `size` bytes could not be had; `first`: for a goroutine that has not waited
    /// before.
    pub(super) fn begin(&self, size: usize, first: bool, error: &io::Error) {
        if first && self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.size.store(size, Ordering::Relaxed);
            self.report(size, error);
        } else {
            self.size.fetch_min(size, Ordering::Relaxed);
        }
    }

    /// A stack of `size` bytes was had; `waited`: for a goroutine that has waited for it.
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
        // Memory is short, so the text is made in place; and one write keeps it in one piece.
        let mut text = io::Cursor::new([0; 1024]);
        let _ = writeln!(
            text,
            "go-runtime: no memory for a stack of {size} bytes ({error}). The goroutine waits \
             until another one ends, and new ones whose stacks are as large are refused meanwhile. \
             Raise the limit on memory (ulimit -v) or on mappings (vm.max_map_count), set a \
             smaller GOSTACK, or run fewer goroutines at once."
        );
        let length = text.position() as usize;
        let _ = io::stderr().write_all(&text.get_ref()[..length]);
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
        // Its second attempt fails as well; a smaller one succeeds.
        shortage.begin(1 << 20, false, &error);
        shortage.end(1 << 18, false);
        assert!(shortage.refuses(1 << 20) && !shortage.refuses(1 << 18));
        // Now smaller ones cannot be had either, until one of them can.
        shortage.begin(1 << 18, true, &error);
        assert!(shortage.refuses(1 << 18));
        shortage.end(1 << 18, true);
        assert!(!shortage.refuses(1 << 18) && shortage.is_on());
        shortage.end(1 << 20, true);
        assert!(!shortage.refuses(1 << 30) && !shortage.is_on());
        // The next shortage knows nothing of this one.
        shortage.begin(1 << 30, true, &error);
        assert!(shortage.refuses(1 << 30) && !shortage.refuses(1 << 20));
    }
}
