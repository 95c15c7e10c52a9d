//! The random choices of the runtime. They are in one place, so that a future seeded scheduler has
//! one generator to seed.

/// Returns a number below `n`, each with the same probability. `n` must not be 0.
pub(crate) fn below(n: usize) -> usize {
    fastrand::usize(..n)
}

/// Maximum number of items for which one 64-bit number holds all choices of a shuffle: 12! is
/// 479,001,600.
const FEW: usize = 12;

/// Shuffles `items`; each order has the same probability.
pub(crate) fn shuffle<T>(items: &mut [T]) {
    if items.len() <= FEW {
        let mut random = fastrand::u64(..);
        for i in (1..items.len()).rev() {
            // Multiply a fraction by `i + 1`: its integer part is the choice, and its fractional
            // part is the fraction for the next choice.
            let product = u128::from(random) * (i as u128 + 1);
            items.swap(i, (product >> 64) as usize);
            random = product as u64;
        }
        return;
    }
    for i in (1..items.len()).rev() {
        items.swap(i, below(i + 1));
    }
}
