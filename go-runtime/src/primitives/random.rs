//! The one place where the runtime makes a random choice, so that a later seeded schedule has one thing to seed.

/// A number below `n`, each with the same chance. `n` must not be 0.
pub(crate) fn below(n: usize) -> usize {
    fastrand::usize(..n)
}

/// Puts `items` into a random order, each order with the same chance.
pub(crate) fn shuffle<T>(items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(i + 1));
    }
}
