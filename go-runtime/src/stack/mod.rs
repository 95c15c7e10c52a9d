//! Stacks for goroutines: their sizes, and where they come from.
//!
//! A stack is reserved, lazily committed memory with a guard page below it. Only this module knows how it is made;
//! `sched` keeps idle ones with their fibers.

use std::fmt;
use std::io;

use corosensei::stack::{DefaultStack, StackPointer};

/// The default size of a goroutine's stack, in bytes. Memory is only taken for the pages that are touched.
pub(crate) const DEFAULT_SIZE: usize = 256 << 10;
/// The least size: below it not even a panic with its backtrace fits.
pub(crate) const MIN_SIZE: usize = 32 << 10;
/// The size for `main`: what the system gives a program's first thread as a rule.
pub(crate) const MAIN_SIZE: usize = 8 << 20;
/// The largest size.
pub(crate) const MAX_SIZE: usize = 1 << 30;

/// A goroutine's stack.
pub(crate) struct Stack {
    memory: DefaultStack,
    size: usize,
}

impl Stack {
    /// Reserves a stack of `size` bytes, which [`check_size`] has accepted.
    pub(crate) fn new(size: usize) -> io::Result<Stack> {
        Ok(Stack {
            memory: DefaultStack::new(size)?,
            size,
        })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

// SAFETY: everything is `DefaultStack`'s, which has a guard page and at least the size asked for.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline]
    fn base(&self) -> StackPointer {
        self.memory.base()
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.memory.limit()
    }

    #[cfg(windows)]
    fn teb_fields(&self) -> corosensei::stack::StackTebFields {
        self.memory.teb_fields()
    }

    #[cfg(windows)]
    fn update_teb_fields(&mut self, stack_limit: usize, guaranteed_stack_bytes: usize) {
        self.memory
            .update_teb_fields(stack_limit, guaranteed_stack_bytes)
    }
}

/// A size for a stack that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadSize(usize);

impl fmt::Display for BadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a stack of {} bytes cannot be made: it takes at least {MIN_SIZE} (32 KiB) and at most {MAX_SIZE} (1 GiB). \
             Only the pages that are touched take memory",
            self.0
        )
    }
}

/// Says whether a stack may have this size, in bytes.
pub(crate) fn check_size(size: usize) -> Result<usize, BadSize> {
    if (MIN_SIZE..=MAX_SIZE).contains(&size) {
        Ok(size)
    } else {
        Err(BadSize(size))
    }
}
