//! Distinguishes the panics that are part of the run from other panics.

use std::any::Any;
use std::panic;
use std::sync::{Arc, Once};

use super::world::World;

/// The payload of an intended panic, with a number that the joiner checks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected(pub(super) u64);

/// Panics on purpose.
pub(super) fn fail(number: u64) -> ! {
    panic::panic_any(Expected(number))
}

/// Returns the number of an intended panic.
pub(super) fn number_of(payload: &(dyn Any + Send)) -> Option<u64> {
    payload.downcast_ref().map(|Expected(number)| *number)
}

/// Silences intended panics from now on, and makes any other panic end the run.
///
/// The hook is installed before the runtime's own hook, which comes with the first goroutine and
/// would print the goroutine's name.
pub(super) fn install_hook(world: &Arc<World>) {
    static INSTALLED: Once = Once::new();
    go_runtime::spawn(|| ()).join().unwrap();
    let world = Arc::clone(world);
    // There may be one run in a process: the hook of the first run would handle the panics of a
    // second one.
    let mut first = false;
    INSTALLED.call_once(|| first = true);
    assert!(
        first,
        "the counters and the hook are the process's: one run only"
    );
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Expected>() {
            previous(info);
            world.fail("a panic that is no part of the run".into());
        }
    }));
}
