//! The life of a goroutine: a random sequence of operations, and then perhaps a successor.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use go_runtime::time::sleep;
use go_runtime::{Builder, JoinHandle, yield_now};

use super::counts::{KINDS, Kind};
use super::expected;
use super::stacks;
use super::talk;
use super::world::World;
use go_runtime::blocking;

/// A child that lives like all goroutines of the crowd, and its expected result.
type Child = (JoinHandle<u64>, u64);

/// Starts a goroutine of the crowd; its seed determines all its choices.
pub(super) fn begin(world: &Arc<World>, seed: u64) -> Option<Child> {
    let handle = world.start(Builder::new(), move |world| live(world, seed))?;
    Some((handle, result_of(seed)))
}

fn result_of(seed: u64) -> u64 {
    seed.rotate_left(32) ^ 0xCAFE
}

fn live(world: &Arc<World>, seed: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let mut children = Vec::new();
    for _ in 0..rng.u32(1..=24) {
        if world.is_over() {
            break;
        }
        let kind = choose(&mut rng, &world.without);
        act(world, kind, &mut rng, &mut children);
        world.counts.note(kind);
    }
    succeed(world, &mut rng);
    for (child, expected) in children {
        // The other children are detached.
        if rng.bool() {
            assert_eq!(child.join().ok(), Some(expected), "a child's result");
        }
    }
    result_of(seed)
}

fn choose(rng: &mut Rng, without: &[Kind]) -> Kind {
    let kinds = || KINDS.iter().filter(|(kind, _)| !without.contains(kind));
    let sum: u32 = kinds().map(|(_, share)| share).sum();
    let mut rest = rng.u32(..sum);
    for &(kind, share) in kinds() {
        match rest.checked_sub(share) {
            Some(less) => rest = less,
            None => return kind,
        }
    }
    unreachable!("it is less than the sum")
}

fn act(world: &Arc<World>, kind: Kind, rng: &mut Rng, children: &mut Vec<Child>) {
    match kind {
        Kind::Spawn => {
            for _ in 0..rng.u32(1..=3) {
                // The limit is slightly above the target, so that goroutines also start children
                // while they live, and not only when they end.
                if world.counts.live() < world.target + world.target / 50 {
                    children.extend(begin(world, rng.u64(..)));
                }
            }
        }
        Kind::Meet => talk::meet(world, rng),
        Kind::Pair => talk::pair(world, rng),
        Kind::Select => talk::select(world, rng),
        Kind::Board => talk::board(world, rng),
        Kind::Sleep => sleep(Duration::from_millis(rng.u64(1..=50))),
        Kind::Panic => panic_in_a_child(world, rng),
        Kind::Deep => stacks::deep(world, rng),
        Kind::OwnStack => stacks::own_stack(world, rng),
        Kind::Pool => block(rng),
    }
}

/// Starts a successor if there are too few goroutines.
fn succeed(world: &Arc<World>, rng: &mut Rng) {
    if world.is_over() {
        return;
    }
    let live = world.counts.live();
    let births = if live > world.target {
        0
    } else if live > world.target - world.target / 50 {
        1
    } else {
        2
    };
    for _ in 0..births {
        begin(world, rng.u64(..));
    }
}

fn panic_in_a_child(world: &Arc<World>, rng: &mut Rng) {
    let (number, waits) = (rng.u64(..), rng.bool());
    let child: Option<JoinHandle<()>> = world.start(Builder::new(), move |_| {
        // A value that unwinding has to drop.
        let _text = format!("{number}");
        if waits {
            yield_now();
        }
        expected::fail(number)
    });
    if let Some(child) = child {
        let payload = child.join().err();
        let failed = payload.as_deref().and_then(expected::number_of);
        assert_eq!(failed, Some(number), "a payload");
    }
}

/// Lends data on this stack to another thread that works on it.
fn block(rng: &mut Rng) {
    let numbers: [u64; 32] = std::array::from_fn(|_| rng.u64(..));
    let pause = Duration::from_micros(rng.u64(..300));
    let total = || numbers.iter().fold(0_u64, |sum, n| sum.wrapping_add(*n));
    let mut sum = 0;
    let count = blocking(|| {
        std::thread::sleep(pause);
        sum = total();
        numbers.len()
    });
    assert_eq!(count, 32);
    assert_eq!(sum, total());
}
