//! Medians and quantiles, and the formatting of numbers.

/// Returns the middle number, or the mean of the two in the middle.
pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let upper = *numbers.get(numbers.len() / 2)?;
    let lower = numbers[(numbers.len() - 1) / 2];
    Some(lower + (upper - lower) / 2.0)
}

/// Returns the `q`-quantile of numbers that are sorted: the number that the fraction `q` of them
/// does not exceed.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// Formats a number with as many digits as are significant.
pub fn short(number: f64) -> String {
    if number < 99.95 {
        format!("{number:.1}")
    } else {
        count(number)
    }
}

/// Formats a number with commas between the thousands.
pub fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 3.0, 4.0]), Some(3.5));
    }

    #[test]
    fn quantiles_are_numbers_that_there_are() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let of = |q| quantile(&hundred, q);
        assert_eq!(
            [of(0.0), of(0.5), of(0.99), of(1.0)],
            [1.0, 50.0, 99.0, 100.0].map(Some)
        );
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(9.96), "10.0");
        assert_eq!(short(99.96), "100");
        assert_eq!(short(1234567.8), "1,234,568");
        assert_eq!(count(100.0), "100");
    }
}
