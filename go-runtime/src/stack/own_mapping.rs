//! Stack memory on systems other than Linux: corosensei makes a mapping with a guard page for each
//! stack.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};

use corosensei::stack::{DefaultStack, Stack};

pub(super) struct Slot {
    memory: DefaultStack,
    size: usize,
}

impl Slot {
    pub(super) fn start(&self) -> NonNull<u8> {
        // The system chose the mapping's address, so its provenance is exposed.
        let start = self.memory.base().get() - self.size;
        match NonNull::new(ptr::with_exposed_provenance_mut(start)) {
            Some(start) => start,
            None => unreachable!("a mapping does not start at null"),
        }
    }

    /// Returns the lowest address, guard included.
    pub(super) fn limit(&self) -> NonZeroUsize {
        self.memory.limit()
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    #[cfg(windows)]
    pub(super) fn teb_fields(&self) -> corosensei::stack::StackTebFields {
        self.memory.teb_fields()
    }

    #[cfg(windows)]
    pub(super) fn update_teb_fields(&mut self, stack_limit: usize, guaranteed_stack_bytes: usize) {
        self.memory
            .update_teb_fields(stack_limit, guaranteed_stack_bytes)
    }
}

/// Makes one stack, with a guard page below its `size` bytes.
pub(super) fn take(size: usize, _most: usize) -> io::Result<Vec<Slot>> {
    let memory = DefaultStack::new(size)?;
    Ok(vec![Slot { memory, size }])
}
