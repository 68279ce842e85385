//! All rows of a run, beside those of another.

use crate::claims::Claim;
use crate::layout::{columns, markdown};
use crate::row::{Measure, Row};
use serde::{Deserialize, Serialize};

/// What was measured in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Which program, on which machine, when.
    pub about: String,
    /// The rows, in the order in which they were measured.
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
    /// How long the run took.
    pub seconds: f64,
}

const HEAD: [&str; 8] = ["", "ours", "beside", "interval", "aim", "met", "rounds", "note"];

impl Table {
    /// As text, with a column for the run before if there is one.
    pub fn to_text(&self, before: Option<&Self>) -> String {
        self.around(columns(&self.lines(before)), before)
    }

    /// As Markdown, likewise.
    pub fn to_markdown(&self, before: Option<&Self>) -> String {
        self.around(markdown(&self.lines(before)), before)
    }

    /// As JSON, from which [`Self::from_json`] reads it.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Reads what [`Self::to_json`] has written.
    pub fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// What has an aim, and whether it was kept; then what could not be measured.
    pub fn claims(&self) -> Vec<Claim> {
        let failed = |failure: &String| Claim::not_measured(failure, "", "it failed");
        let rows = self.rows.iter().filter_map(Row::claim);
        rows.chain(self.failures.iter().map(failed)).collect()
    }

    fn around(&self, table: String, before: Option<&Self>) -> String {
        let before = before.map(|before| format!("Before: {}\n", before.about));
        let failures = self.failures.iter().map(|failure| format!("FAILED {failure}\n"));
        let failures: String = failures.collect();
        let about = format!("{}\n{}", self.about, before.unwrap_or_default());
        format!("{about}\n{table}\n{failures}{:.0} s in all\n", self.seconds)
    }

    fn lines(&self, before: Option<&Self>) -> Vec<Vec<String>> {
        let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
        lines.extend(self.rows.iter().map(|row| cells(row).to_vec()));
        if let Some(before) = before {
            lines[0].insert(3, "interval before".into());
            for (row, line) in self.rows.iter().zip(&mut lines[1..]) {
                let same = before.rows.iter().find(|earlier| earlier.id == row.id);
                line.insert(3, same.map(interval).unwrap_or_default());
            }
        }
        lines
    }
}

fn cells(row: &Row) -> [String; 8] {
    let met = row.is_met().map(|met| if met { "yes" } else { "NO" });
    [
        row.title.clone(),
        row.figure(),
        row.beside.map(|value| with_unit(value, row)).unwrap_or_default(),
        interval(row),
        bound(row).unwrap_or_default(),
        met.unwrap_or_default().to_owned(),
        row.rounds.to_string(),
        row.note.clone(),
    ]
}

/// What a row should not exceed.
pub(crate) fn bound(row: &Row) -> Option<String> {
    let aim = row.aim?;
    Some(match row.measure {
        Measure::Ratio => format!("≤ {aim}"),
        Measure::Value => format!("≤ {aim} {}", row.unit).trim_end().to_owned(),
    })
}

impl Row {
    /// What ours takes, with its unit.
    pub(crate) fn figure(&self) -> String {
        with_unit(self.ours, self)
    }

    /// Its cells but for the aim: what it is of, ours, the other side's, the interval, the note.
    pub(crate) fn line(&self) -> Vec<String> {
        let [title, ours, beside, interval, .., note] = cells(self);
        vec![title, ours, beside, interval, note]
    }
}

fn with_unit(value: f64, row: &Row) -> String {
    format!("{} {}", digits(value), row.unit).trim_end().to_owned()
}

/// The figure of a row, and the ends of its interval.
pub(crate) fn interval(row: &Row) -> String {
    let all = row.interval;
    match row.measure {
        Measure::Ratio => format!("×{:.2} [{:.2}, {:.2}]", all.value, all.low, all.high),
        Measure::Value => {
            format!("{} [{}, {}]", digits(all.value), digits(all.low), digits(all.high))
        }
    }
}

/// Three digits that count.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
