//! Where a goroutine leaves what blocks.

/// Runs `f`, which blocks its thread, where it is in nobody's way.
// SWITCH: `go_runtime::blocking(f)` when there is one.
pub(super) fn in_pool<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    f()
}
