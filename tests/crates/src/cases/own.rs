//! Crates that compute.

use super::Task;
use crate::world::World;

pub(super) fn rayon(_: &'static World) -> Task {
    Box::new(|wait| {
        let (sum, ()) = rayon::join(|| (1..=10).sum::<u32>(), || wait.block());
        assert_eq!(sum, 55);
    })
}
