//! The detector under test.

use std::fmt;

use go_runtime::debug::Goroutine;

/// Whether the runtime has a detector.
pub const EXISTS: bool = false;

/// A goroutine that the detector has found.
pub enum Leak {}

impl Leak {
    /// Returns the goroutine.
    #[must_use]
    pub fn goroutine(&self) -> &Goroutine {
        match *self {}
    }

    /// Returns whether the goroutine certainly waits for ever.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match *self {}
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// Returns the goroutines that wait for ever.
#[must_use]
pub fn leaks() -> Vec<Leak> {
    Vec::new()
}
