//! A line of the table.

use crate::bootstrap::Interval;
use crate::claims::Claim;
use crate::table::{bound, interval};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the interval of a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Of ours, times the other side's.
    Ratio,
    /// Of ours itself, in the row's unit.
    Value,
}

/// A figure, beside what it is compared with and what it should be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// By which it is chosen, and found in the table of another run.
    pub id: String,
    /// What was measured, for people.
    pub title: String,
    /// Of `ours` and `beside`.
    pub unit: String,
    /// What linkerd-failover takes.
    pub ours: f64,
    /// What the other side takes, measured in turn with ours.
    pub beside: Option<f64>,
    /// What the interval is of.
    pub measure: Measure,
    /// The figure that has the aim.
    pub interval: Interval,
    /// What the upper end of the interval should not exceed.
    pub aim: Option<f64>,
    /// How many rounds of both sides.
    pub rounds: usize,
    /// What else is to be known.
    pub note: String,
}

impl Row {
    /// Whether the upper end of the interval keeps the aim; None without an aim.
    pub fn is_met(&self) -> Option<bool> {
        self.aim.map(|aim| self.interval.high <= aim)
    }

    /// Its aim as a claim, and whether it held; none without an aim.
    pub fn claim(&self) -> Option<Claim> {
        let of_ratio = self.measure == Measure::Ratio;
        let unit = if of_ratio { "" } else { &self.unit };
        let measured = format!("{} {unit}", interval(self));
        let claim = Claim::new(&self.title, bound(self)?, measured.trim_end(), self.is_met()?);
        Some(claim.note(&self.note))
    }

    /// With an aim.
    pub fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    /// With a note.
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// Its figure, on one line.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, interval(self))
    }
}

#[cfg(test)]
pub(crate) fn example(id: &str, high: f64) -> Row {
    Row {
        id: id.into(),
        title: "500 splits on one primary".into(),
        unit: "s".into(),
        ours: 1.4,
        beside: Some(1.25),
        measure: Measure::Ratio,
        interval: Interval { low: 1.05, value: 1.12, high },
        aim: None,
        rounds: 12,
        note: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_end_of_the_interval_has_to_keep_the_aim() {
        let row = example("fan-out-500", 1.17).aim(1.15);
        assert!(row.interval.value < 1.15);
        assert_eq!(row.is_met(), Some(false));
        assert_eq!(row.aim(1.17).is_met(), Some(true));
        assert_eq!(example("fan-out-500", 1.17).is_met(), None);
    }

    #[test]
    fn an_aim_is_a_claim() {
        let claim = example("fan-out-500", 1.17).aim(1.15).claim().unwrap();
        let expected =
            Claim::new("500 splits on one primary", "≤ 1.15", "×1.12 [1.05, 1.17]", false);
        assert_eq!(claim, expected);
        assert_eq!(example("fan-out-500", 1.17).claim(), None);
    }
}
