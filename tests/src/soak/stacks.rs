//! Deep recursion, which checks that every frame keeps its contents.

use std::hint::black_box;
use std::sync::Arc;

use fastrand::Rng;
use go_runtime::{Builder, yield_now};

use super::world::World;

/// Depth in bytes, of the default stack size of 256 KiB.
const DEEP: usize = 150 << 10;

/// Recurses on the caller's own stack, or on a stack that another goroutine has usually just used.
pub(super) fn deep(world: &Arc<World>, rng: &mut Rng) {
    let seed = rng.u64(..);
    if rng.bool() {
        dive(DEEP, seed);
    } else if let Some(child) = world.start(Builder::new(), move |_| dive(DEEP, seed)) {
        assert!(child.join().is_ok(), "a deep recursion failed");
    }
}

/// Recurses in a child with a stack of any size from 64 KiB to 4 MiB, small sizes as often as large
/// ones.
pub(super) fn own_stack(world: &Arc<World>, rng: &mut Rng) {
    let least = (64 << 10) << rng.u32(..6);
    let size = rng.usize(least..=2 * least);
    let (depth, seed) = (rng.usize(..=size / 2), rng.u64(..));
    let builder = Builder::new().stack_size(size);
    if let Some(child) = world.start(builder, move |_| dive(depth, seed)) {
        assert!(child.join().is_ok(), "a deep recursion failed");
    }
}

/// Uses `bytes` of the stack, and returns.
fn dive(bytes: usize, seed: u64) {
    let here = 0_u8;
    let top = (&raw const here).addr();
    let (levels, sum) = descend(top, bytes, seed, 0);
    let expected = (0..levels).fold(0_u64, |sum, level| sum.wrapping_add(mark(seed, level)));
    assert_eq!(sum, expected, "the checksum of {levels} levels");
}

fn mark(seed: u64, level: u64) -> u64 {
    (seed ^ level).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Returns the number of levels from this one on, and the sum of their marks.
#[inline(never)]
fn descend(top: usize, bytes: usize, seed: u64, level: u64) -> (u64, u64) {
    let mut frame = [mark(seed, level); 64];
    // The compiler must not know the contents when the frame is read again.
    let frame = black_box(&mut frame);
    let (levels, sum) = if top - frame.as_ptr().addr() < bytes {
        descend(top, bytes, seed, level + 1)
    } else {
        // Other goroutines use their stacks while this one is deep.
        yield_now();
        (level + 1, 0)
    };
    assert!(
        frame.iter().all(|word| *word == mark(seed, level)),
        "frame {level} is damaged"
    );
    (levels, sum.wrapping_add(frame[0]))
}
