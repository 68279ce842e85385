//! Quantiles of samples.

/// The quantile `share` (0 to 1) of samples in any order, between the two nearest by their distance;
/// None without samples. The samples are reordered.
pub fn quantile(samples: &mut [f64], share: f64) -> Option<f64> {
    let last = samples.len().checked_sub(1)?;
    let position = share.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let (_, at, above) = samples.select_nth_unstable_by(below, f64::total_cmp);
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(*at);
    Some(*at + (next - *at) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_the_two_nearest_samples() {
        let samples = [4.0, 1.0, 3.0, 2.0];
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.25, 1.75), (2.0, 4.0)] {
            assert_eq!(quantile(&mut samples.clone(), share), Some(expected), "{share}");
        }
    }

    #[test]
    fn one_sample_is_every_quantile() {
        assert_eq!(quantile(&mut [7.0], 0.99), Some(7.0));
    }

    #[test]
    fn there_is_no_quantile_of_nothing() {
        assert_eq!(quantile(&mut [], 0.5), None);
    }

    #[test]
    fn the_99th_of_a_hundred_is_near_the_largest() {
        let mut samples: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut samples, 0.99), Some(100.0));
    }
}
