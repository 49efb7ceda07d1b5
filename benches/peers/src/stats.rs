//! Order statistics: the only arithmetic between a sample and a table.
//!
//! Medians and quartiles, and no means: a single round in which the machine did something else must not
//! move the figure.

use std::time::Duration;

/// Sorts in place by value; samples are never NaN, so the order is total.
fn sort(values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
}

/// The `q` quantile (0 to 1) of sorted values, interpolated between adjacent ones.
///
/// Panics if the slice is empty.
pub fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    assert!(!sorted.is_empty(), "quantile of nothing");
    let at = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// The `q` quantile of values in any order.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sort(&mut sorted);
    quantile_of_sorted(&sorted, q)
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Half the distance between the quartiles: what a table prints after `±`.
pub fn half_spread(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sort(&mut sorted);
    (quantile_of_sorted(&sorted, 0.75) - quantile_of_sorted(&sorted, 0.25)) / 2.0
}

/// A duration as a sample: whole nanoseconds, at most `u32::MAX` (4.29 s).
pub fn nanos(took: Duration) -> u32 {
    u32::try_from(took.as_nanos()).unwrap_or(u32::MAX)
}

/// At most `limit` of the values, evenly spaced in sorted order, so that the quantiles stay the same.
pub fn thin(mut values: Vec<u32>, limit: usize) -> Vec<u32> {
    values.sort_unstable();
    if values.len() <= limit || limit < 2 {
        return values;
    }
    let last = values.len() - 1;
    (0..limit).map(|i| values[i * last / (limit - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_too_long_for_a_sample_is_the_largest_one() {
        assert_eq!(nanos(Duration::from_micros(3)), 3_000);
        assert_eq!(nanos(Duration::from_secs(5)), u32::MAX);
    }

    #[test]
    fn median_of_an_odd_count_is_the_middle_value() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
    }

    #[test]
    fn median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), 3.0);
    }

    #[test]
    fn quantiles_interpolate_and_reach_both_ends() {
        let values = [10.0, 20.0, 30.0, 40.0, 50.0];
        assert_eq!(quantile(&values, 0.0), 10.0);
        assert_eq!(quantile(&values, 1.0), 50.0);
        assert_eq!(quantile(&values, 0.25), 20.0);
        assert_eq!(quantile(&values, 0.875), 45.0);
    }

    #[test]
    fn spread_ignores_one_outlier() {
        assert_eq!(half_spread(&[1.0, 1.0, 1.0, 1.0, 1000.0]), 0.0);
        assert_eq!(half_spread(&[1.0, 2.0, 3.0, 4.0, 5.0]), 1.0);
    }

    #[test]
    fn thinning_keeps_the_ends_and_the_median() {
        let kept = thin((0..10_001).rev().collect(), 101);
        assert_eq!(kept.len(), 101);
        assert_eq!((kept[0], kept[50], kept[100]), (0, 5_000, 10_000));
    }

    #[test]
    fn thinning_leaves_a_short_list_alone() {
        assert_eq!(thin(vec![3, 1, 2], 10), [1, 2, 3]);
    }
}
