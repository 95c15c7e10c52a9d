//! The scheduler's protocols.

#[path = "../../../go-runtime/src/sched/idle.rs"]
pub(crate) mod idle;
#[path = "../../../go-runtime/src/sched/inbox.rs"]
pub(crate) mod inbox;
#[path = "../../../go-runtime/src/sched/monitor_sleep.rs"]
pub(crate) mod monitor_sleep;
#[path = "../../../go-runtime/src/sched/sleep_state.rs"]
pub(crate) mod sleep_state;

#[path = "../../../go-runtime/src/sched/recording/ring.rs"]
pub(crate) mod ring;

/// As in the scheduler's `fiber`.
pub(crate) const TIMED: u64 = 1 << 54;
