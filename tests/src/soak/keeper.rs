//! A goroutine that wakes the waiters in the lobby, even if all other goroutines wait there.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use go_runtime::select;

use super::talk;
use super::world::World;

/// Number of wake-ups in a millisecond, which determines the pace of the run.
const WAKES: usize = 80;

pub(super) fn keep(world: &Arc<World>, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    while !world.is_over() {
        select! {
            recv(world.done) -> _ => return,
            default(Duration::from_millis(1)) => {}
        }
        for _ in 0..WAKES {
            if !talk::wake(world, &mut rng) {
                break;
            }
        }
    }
}
