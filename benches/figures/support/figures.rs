//! Rows from what was measured.

use anyhow::{Context, Result};
use bench_table::{Measure, Row, of_one, quantile, ratio};

/// How a row is called, and in what it counts: so many of the unit make what was measured.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub unit: &'a str,
    pub scale: f64,
}

impl<'a> Name<'a> {
    /// Of what is measured in seconds.
    pub(crate) fn seconds(id: &'a str, title: &'a str) -> Self {
        Self { id, title, unit: "s", scale: 1.0 }
    }

    pub(crate) fn milliseconds(id: &'a str, title: &'a str) -> Self {
        Self { id, title, unit: "ms", scale: 1e3 }
    }
}

/// A quantile of ours, times the other side's.
pub(crate) fn beside(name: Name<'_>, rounds: &[[Vec<f64>; 2]], share: f64) -> Result<Row> {
    let nothing = || format!("{}: nothing was measured", name.id);
    let of = |side: usize| {
        let mut all: Vec<f64> = rounds.iter().flat_map(|round| &round[side]).copied().collect();
        quantile(&mut all, share).map(|value| value * name.scale)
    };
    Ok(Row {
        id: name.id.into(),
        title: name.title.into(),
        unit: name.unit.into(),
        ours: of(0).with_context(nothing)?,
        beside: of(1),
        measure: Measure::Ratio,
        interval: ratio(rounds, share).with_context(nothing)?,
        aim: None,
        rounds: rounds.len(),
        note: String::new(),
    })
}

/// The median of ours.
pub(crate) fn alone(name: Name<'_>, rounds: &[Vec<f64>]) -> Result<Row> {
    let scaled: Vec<Vec<f64>> =
        rounds.iter().map(|round| round.iter().map(|value| value * name.scale).collect()).collect();
    let interval = of_one(&scaled, 0.5);
    let interval = interval.with_context(|| format!("{}: nothing was measured", name.id))?;
    Ok(Row {
        id: name.id.into(),
        title: name.title.into(),
        unit: name.unit.into(),
        ours: interval.value,
        beside: None,
        measure: Measure::Value,
        interval,
        aim: None,
        rounds: rounds.len(),
        note: String::new(),
    })
}
