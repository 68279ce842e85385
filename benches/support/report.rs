//! Figures, and how they are printed.

use std::time::Duration;

/// In milliseconds.
pub(crate) struct Percentiles {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Percentiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| ms(times[(times.len() * share / 100).min(times.len() - 1)]);
        Self { p50: at(50), p99: at(99), max: at(100) }
    }

    pub(crate) fn print(&self, name: &str) {
        let Self { p50, p99, max } = self;
        println!("  {name:<17} p50 {p50:6.1} ms  p99 {p99:6.1} ms  max {max:6.1} ms");
    }
}

/// Prints each series beside the first.
pub(crate) fn print_beside_first(names: &[&str], series: Vec<Vec<Duration>>) {
    let all: Vec<_> = series.into_iter().map(Percentiles::of).collect();
    for (name, figures) in names.iter().zip(&all) {
        println!(
            "  {name:<16} p50 {:5.2} ms  p99 {:5.2} ms  max {:6.2} ms   times the first: p50 {:.2}  p99 {:.2}",
            figures.p50,
            figures.p99,
            figures.max,
            figures.p50 / all[0].p50,
            figures.p99 / all[0].p99,
        );
    }
}

/// Prints the median of a few rounds, and every round. Returns the median in seconds.
pub(crate) fn print_rounds(name: &str, rounds: impl Iterator<Item = Duration>) -> f64 {
    let mut seconds: Vec<f64> = rounds.map(|took| took.as_secs_f64()).collect();
    let listed: Vec<_> = seconds.iter().map(|took| format!("{took:.2}")).collect();
    seconds.sort_by(f64::total_cmp);
    let at = |i: usize| seconds.get(i).copied().unwrap_or(f64::NAN);
    let median = (at(seconds.len().saturating_sub(1) / 2) + at(seconds.len() / 2)) / 2.0;
    println!("  {name:<17} median {median:.2} s of {}", listed.join(" "));
    median
}

pub(crate) fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
