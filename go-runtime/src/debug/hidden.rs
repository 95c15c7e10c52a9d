//! Addresses that are no pointers.

use std::fmt;

/// An address as its complement, so that a search for pointers (see `leaks`) does not take it for
/// one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hidden(usize);

impl Hidden {
    pub(super) fn new(address: usize) -> Hidden {
        Hidden(!address)
    }

    pub(super) fn get(self) -> usize {
        !self.0
    }
}

impl fmt::LowerHex for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.get(), f)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.get())
    }
}
