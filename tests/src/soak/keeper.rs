//! Sees to it that those in the lobby are woken, also when everybody else waits there.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use go_runtime::select;

use super::talk;
use super::world::World;

/// How many it wakes in a millisecond: it sets the pace of the run.
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
