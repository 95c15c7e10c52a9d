//! The one place where the runtime makes a random choice, so that a later seeded schedule has one
//! thing to seed.

/// A number below `n`, each with the same chance. `n` must not be 0.
pub(crate) fn below(n: usize) -> usize {
    fastrand::usize(..n)
}

/// For so many items one number of 64 bits holds all the choices of a shuffle: they are 1 in
/// 479,001,600.
const FEW: usize = 12;

/// Puts `items` into a random order, each order with the same chance.
pub(crate) fn shuffle<T>(items: &mut [T]) {
    if items.len() <= FEW {
        let mut random = fastrand::u64(..);
        for i in (1..items.len()).rev() {
            // The whole part of a fraction times `i + 1` is the choice, what is left the next
            // fraction.
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
