//! Whether memory grows: a line by least squares through what was measured.

use bench_table::Claim;
use std::time::Duration;

/// The resident memory of a process at one time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the start of the run.
    pub at: Duration,
    /// MiB.
    pub resident: f64,
}

/// A line through samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// MiB an hour.
    pub per_hour: f64,
    /// Of `per_hour`, by how far the samples are from the line.
    pub standard_error: f64,
}

/// The least time that says something about an hour.
const LEAST: Duration = Duration::from_secs(20 * 60);

impl Slope {
    /// By least squares; none of fewer than three samples, or of samples of one time.
    pub fn of(samples: &[Sample]) -> Option<Self> {
        if samples.len() < 3 {
            return None;
        }
        let n = samples.len() as f64;
        let hours = |sample: &Sample| sample.at.as_secs_f64() / 3_600.0;
        let mean_x = samples.iter().map(hours).sum::<f64>() / n;
        let mean_y = samples.iter().map(|sample| sample.resident).sum::<f64>() / n;
        let squares = samples.iter().map(|s| (hours(s) - mean_x).powi(2)).sum::<f64>();
        if squares <= 0.0 {
            return None;
        }
        let products = samples.iter().map(|s| (hours(s) - mean_x) * (s.resident - mean_y));
        let per_hour = products.sum::<f64>() / squares;
        let line = |sample: &Sample| mean_y + per_hour * (hours(sample) - mean_x);
        let residuals = samples.iter().map(|s| (s.resident - line(s)).powi(2)).sum::<f64>();
        Some(Self { per_hour, standard_error: (residuals / (n - 2.0) / squares).sqrt() })
    }
}

/// The claim that memory grows by less than `most` MiB an hour, by the samples after `warmed_up`.
pub fn judge(samples: &[Sample], warmed_up: Duration, most: f64) -> Claim {
    let name = "resident memory of a replica that runs throughout";
    let minutes = warmed_up.as_secs() / 60;
    let bound = format!("grows by less than {most} MiB an hour after minute {minutes}");
    let late: Vec<Sample> = samples.iter().copied().filter(|s| s.at >= warmed_up).collect();
    let [Some(first), Some(last)] = [late.first(), late.last()] else {
        return Claim::not_measured(name, bound, "no sample is that late");
    };
    let length = last.at.saturating_sub(first.at);
    if length < LEAST {
        let why = format!("{length:.0?} of samples say nothing about an hour");
        return Claim::not_measured(name, bound, why);
    }
    let Some(slope) = Slope::of(&late) else {
        return Claim::not_measured(name, bound, "fewer than three samples");
    };
    let Slope { per_hour, standard_error } = slope;
    let measured = format!("{per_hour:+.2} ± {standard_error:.2} MiB an hour");
    let note = format!(
        "{:.1} MiB at minute {minutes}, {:.1} MiB at the end, {} samples; ± is the standard error",
        first.resident,
        last.resident,
        late.len()
    );
    Claim::new(name, bound, measured, per_hour < most).note(note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_table::Verdict;

    /// A sample every ten seconds of an hour.
    fn hour(resident: impl Fn(f64) -> f64) -> Vec<Sample> {
        let sample = |n: u64| Sample {
            at: Duration::from_secs(n * 10),
            resident: resident(n as f64 / 360.0),
        };
        (0..=360).map(sample).collect()
    }

    const TEN_MINUTES: Duration = Duration::from_secs(600);

    fn verdict(resident: impl Fn(f64) -> f64) -> Verdict {
        judge(&hour(resident), TEN_MINUTES, 1.0).verdict
    }

    #[test]
    fn a_line_is_found_exactly() {
        let slope = Slope::of(&hour(|hours| 40.0 + 3.0 * hours)).unwrap();
        assert!((slope.per_hour - 3.0).abs() < 1e-9, "{slope:?}");
        assert!(slope.standard_error < 1e-6, "{slope:?}");
    }

    #[test]
    fn the_error_grows_with_the_distance_from_the_line() {
        let noise = |hours: f64| (hours * 1_000.0).sin();
        let little = Slope::of(&hour(|hours| 0.1 * noise(hours))).unwrap();
        let much = Slope::of(&hour(noise)).unwrap();
        assert!(much.standard_error > 9.0 * little.standard_error, "{little:?} {much:?}");
    }

    #[test]
    fn a_leak_of_more_than_the_bound_is_missed() {
        assert_eq!(verdict(|hours| 40.0 + 1.1 * hours), Verdict::Missed);
        let noisy = |hours: f64| 40.0 + 2.0 * hours + 0.5 * (hours * 1_000.0).sin();
        assert_eq!(verdict(noisy), Verdict::Missed);
    }

    #[test]
    fn memory_that_stays_or_falls_is_held() {
        assert_eq!(verdict(|_| 40.0), Verdict::Held);
        assert_eq!(verdict(|hours| 40.0 - hours), Verdict::Held);
        assert_eq!(verdict(|hours| 40.0 + 0.9 * hours), Verdict::Held);
    }

    #[test]
    fn what_grows_in_the_first_minutes_alone_is_held() {
        assert_eq!(verdict(|hours| 40.0 + 100.0 * hours.min(1.0 / 6.0)), Verdict::Held);
    }

    #[test]
    fn too_short_a_run_says_nothing() {
        let run = hour(|_| 40.0);
        let short = |seconds| -> Vec<_> {
            run.iter().copied().filter(|s| s.at <= Duration::from_secs(seconds)).collect()
        };
        for seconds in [300, 600, 1_700] {
            let claim = judge(&short(seconds), TEN_MINUTES, 1.0);
            assert_eq!(claim.verdict, Verdict::NotMeasured, "{seconds} s: {}", claim.note);
        }
        assert_eq!(judge(&short(1_800), TEN_MINUTES, 1.0).verdict, Verdict::Held);
        assert_eq!(Slope::of(&run[..2]), None);
        assert_eq!(Slope::of(&[run[0]; 5]), None);
    }
}
