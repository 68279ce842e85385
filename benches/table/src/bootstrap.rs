//! Intervals by the bootstrap: the rounds are drawn again and again, with replacement, and the figure
//! is taken from each draw.
//!
//! What is drawn is the round as a whole, with all samples of both sides: what disturbs the machine for
//! a while meets both, and samples of one round are not independent of each other.

use crate::quantile::quantile;
use serde::{Deserialize, Serialize};

/// More make the ends of the interval no steadier than the rounds are.
const DRAWS: usize = 2_000;
/// Any; always the same, so that the same rounds have the same interval.
const SEED: u64 = 14;

/// A figure with the ends of its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The figure itself.
    pub value: f64,
    /// The upper end.
    pub high: f64,
}

/// The ratio of a quantile of ours to the same quantile of the other side, in rounds that each have the
/// samples of both; None without samples of both.
pub fn ratio(rounds: &[[Vec<f64>; 2]], share: f64) -> Option<Interval> {
    interval(rounds.len(), |drawn| {
        let [ours, theirs] =
            [0, 1].map(|side| pooled(drawn.iter().map(|round| &rounds[*round][side]), share));
        Some(ours? / theirs?)
    })
}

/// A quantile of what each round has.
pub fn of_one(rounds: &[Vec<f64>], share: f64) -> Option<Interval> {
    interval(rounds.len(), |drawn| pooled(drawn.iter().map(|round| &rounds[*round]), share))
}

fn pooled<'a>(rounds: impl Iterator<Item = &'a Vec<f64>>, share: f64) -> Option<f64> {
    quantile(&mut rounds.flatten().copied().collect::<Vec<f64>>(), share)
}

/// The figure of all rounds, and between which values 95% of the draws have it.
fn interval(rounds: usize, figure: impl Fn(&[usize]) -> Option<f64>) -> Option<Interval> {
    let all: Vec<usize> = (0..rounds).collect();
    let value = figure(&all)?;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut draw = || figure(&all.iter().map(|_| random.usize(..rounds)).collect::<Vec<_>>());
    let mut draws: Vec<f64> = (0..DRAWS).filter_map(|_| draw()).collect();
    let [low, high] = [0.025, 0.975].map(|end| quantile(&mut draws, end));
    Some(Interval { low: low?, value, high: high? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample around `median`, as times of a busy machine are: never negative, with a long tail.
    fn sample(random: &mut fastrand::Rng, median: f64) -> f64 {
        let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        median * (0.15 * normal).exp()
    }

    fn rounds(seed: u64, count: usize, ratio: f64) -> Vec<[Vec<f64>; 2]> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut round = || [sample(&mut random, ratio), sample(&mut random, 1.0)].map(|s| vec![s]);
        (0..count).map(|_| round()).collect()
    }

    #[test]
    fn rounds_that_agree_leave_no_doubt() {
        let rounds = vec![[vec![3.0], vec![2.0]]; 5];
        assert_eq!(ratio(&rounds, 0.5), Some(Interval { low: 1.5, value: 1.5, high: 1.5 }));
    }

    #[test]
    fn what_slows_both_sides_of_a_round_down_does_not_matter() {
        let slow = |times: f64| [vec![1.25 * times], vec![times]];
        let rounds: Vec<_> = (1..=20).map(|times| slow(f64::from(times))).collect();
        let interval = ratio(&rounds, 0.5).unwrap();
        assert!(interval.high - interval.low < 1e-9, "{interval:?}");
    }

    #[test]
    fn the_interval_has_the_true_ratio_about_19_times_in_20() {
        let has = |seed: &u64| {
            let interval = ratio(&rounds(*seed, 20, 1.1), 0.5).unwrap();
            interval.low <= 1.1 && 1.1 <= interval.high
        };
        let hits = (0..100).filter(has).count();
        assert!((88..=100).contains(&hits), "{hits} of 100");
    }

    #[test]
    fn more_rounds_make_it_narrower() {
        let width = |count| {
            let interval = ratio(&rounds(7, count, 1.0), 0.5).unwrap();
            interval.high - interval.low
        };
        assert!(width(200) < width(10) / 2.0);
    }

    #[test]
    fn the_same_rounds_have_the_same_interval() {
        let rounds = rounds(3, 12, 1.3);
        assert_eq!(ratio(&rounds, 0.99), ratio(&rounds, 0.99));
    }

    #[test]
    fn samples_of_one_round_are_drawn_together() {
        // Two kinds of rounds, of many samples each: drawn one by one they would all look alike.
        let rounds = [vec![1.0; 100], vec![2.0; 100], vec![1.0; 100], vec![2.0; 100]];
        let interval = of_one(&rounds, 0.5).unwrap();
        assert_eq!((interval.low, interval.high), (1.0, 2.0));
    }

    #[test]
    fn a_quantile_is_taken_of_all_rounds_together() {
        let rounds: Vec<Vec<f64>> = (0..10).map(|ten| vec![f64::from(ten); 10]).collect();
        assert_eq!(of_one(&rounds, 0.99).unwrap().value, 9.0);
        assert_eq!(of_one(&rounds, 0.0).unwrap().value, 0.0);
    }

    #[test]
    fn nothing_measured_has_no_interval() {
        assert_eq!(ratio(&[], 0.5), None);
        assert_eq!(ratio(&[[vec![1.0], vec![]]], 0.5), None);
        assert_eq!(of_one(&[], 0.5), None);
    }
}
