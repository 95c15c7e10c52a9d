//! The panics that are a part of the run, and those that are not.

use std::any::Any;
use std::panic;
use std::sync::{Arc, Once};

use super::world::World;

/// The payload of a panic that is meant, with a number that the joiner checks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected(pub(super) u64);

/// Panics on purpose.
pub(super) fn fail(number: u64) -> ! {
    panic::panic_any(Expected(number))
}

/// The number with which a goroutine has panicked on purpose.
pub(super) fn number_of(payload: &(dyn Any + Send)) -> Option<u64> {
    payload.downcast_ref().map(|Expected(number)| *number)
}

/// From now on expected panics are silent, and any other one ends the run.
///
/// In front of the runtime's own hook, which comes with the first goroutine and would name the
/// goroutine.
pub(super) fn install_hook(world: &Arc<World>) {
    static INSTALLED: Once = Once::new();
    go_runtime::spawn(|| ()).join().unwrap();
    let world = Arc::clone(world);
    // One run in a process: a second one would be told of by the first one's hook.
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
