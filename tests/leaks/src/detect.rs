//! The detector under test.

pub use go_runtime::debug::Leak;

/// Returns the goroutines that wait for ever.
///
/// # Panics
/// If the detector does not work here.
#[must_use]
pub fn leaks() -> Vec<Leak> {
    go_runtime::debug::leaks().unwrap()
}
