//! Medians, and the formatting of numbers.

/// Returns the middle number, or the mean of the two in the middle, or NaN if there are none.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let Some(upper) = numbers.get(numbers.len() / 2) else {
        return f64::NAN;
    };
    let lower = numbers[(numbers.len() - 1) / 2];
    lower + (upper - lower) / 2.0
}

/// Formats a number with as many digits as are significant, or as a dash if it is none.
pub fn short(number: f64) -> String {
    if number.is_nan() {
        return "-".into();
    }
    if number < 99.95 {
        return format!("{number:.1}");
    }
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
        assert!(median(vec![]).is_nan());
        assert_eq!(median(vec![9.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(vec![9.0, 1.0, 3.0, 4.0]), 3.5);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(9.96), "10.0");
        assert_eq!(short(99.96), "100");
        assert_eq!(short(1234567.8), "1,234,568");
        assert_eq!(short(f64::NAN), "-");
    }
}
