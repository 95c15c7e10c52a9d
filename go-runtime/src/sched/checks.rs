//! The check that the monitor makes about once a second, while a worker is awake, for `debug`.

use std::sync::OnceLock;
use std::time::Duration;

/// Makes a check. Returns after which time the next one is due.
pub(crate) type Check = fn() -> Duration;

static CHECK: OnceLock<Check> = OnceLock::new();

/// The time until the monitor asks again whether there is a check.
const LATER: Duration = Duration::from_secs(1);

/// From now on the monitor's thread makes this check. Only the first call has an effect.
pub(crate) fn make(check: Check) {
    let _ = CHECK.set(check);
}

/// Makes the check, if there is one. Returns after which time to call this again.
pub(super) fn run() -> Duration {
    CHECK.get().map_or(LATER, |check| check())
}
