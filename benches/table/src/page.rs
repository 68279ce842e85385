//! The page of the documentation with the figures, made from their JSON.

use crate::claims::Claims;
use crate::layout::markdown;
use crate::row::Row;
use crate::table::Table;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// What the page is made from: `docs/figures.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Of `make bench`: what was to be kept, and whether it was.
    pub claims: Claims,
    /// Of the same run: everything that was measured.
    pub table: Table,
    /// Of `make bench-micro`.
    pub micro: Option<Claims>,
}

const HEAD: &str = "# Figures

<!-- Made from docs/figures.json, by `make figures`; a unit test of the crate bench-table compares both -->

What was measured, by `make bench` and `make bench-micro`, on one machine. Run them on yours: the figures are other ones
there, and ratios are much the same. [Benchmarks](../CONTRIBUTING.md#benchmarks) says what each of them is of, and
[Sizing](sizing.md) what follows from them. In square brackets is the interval of 95%.
";

const SIZES: [&str; 4] = ["0", "1000", "10000", "50000"];
const AT_REST: [(&str, &str); 4] = [
    ("resident", "resident memory after start"),
    ("anonymous", "of that anonymous"),
    ("ready", "from the start until ready"),
    ("cpu", "CPU a minute at rest"),
];

impl Figures {
    /// The page.
    pub fn page(&self) -> String {
        let mut page = HEAD.to_owned();
        let _ = writeln!(page, "\n## On what\n\n{}", conditions(&self.claims));
        let _ = writeln!(page, "## Aims\n\n{}", self.claims.table());
        if let Some(at_rest) = self.at_rest() {
            let _ = writeln!(
                page,
                "## At rest\n\nOne replica beside so many failover objects, as many Services and as many slices of three endpoints.\n\n{at_rest}"
            );
        }
        let _ = writeln!(page, "## Everything\n\n{}", self.everything());
        if let Some(micro) = &self.micro {
            let _ = writeln!(
                page,
                "## Steps\n\nOf 2 backends and of 100, in one replica without an API server; a slice has as many endpoints.\n\n{}\n{}",
                conditions(micro),
                micro.table()
            );
        }
        page.truncate(page.trim_end().len());
        page + "\n"
    }

    fn row(&self, id: &str) -> Option<&Row> {
        self.table.rows.iter().find(|row| row.id == id)
    }

    /// What grows with the objects, a column for each number of them.
    fn at_rest(&self) -> Option<String> {
        let head = std::iter::once("objects").chain(SIZES).map(str::to_owned).collect();
        let mut lines: Vec<Vec<String>> = vec![head];
        for (id, title) in AT_REST {
            let mut line = vec![title.to_owned()];
            for size in SIZES {
                let row = self.row(&at_rest_id(id, size))?;
                line.push(row.figure());
            }
            lines.push(line);
        }
        Some(markdown(&lines))
    }

    fn everything(&self) -> String {
        let ids = AT_REST.iter().flat_map(|(id, _)| SIZES.map(|size| at_rest_id(id, size)));
        let ids: Vec<String> = ids.collect();
        let head = ["", "ours", "beside", "interval", "note"].map(str::to_owned).to_vec();
        let lines = self.table.rows.iter().filter(|row| !ids.contains(&row.id)).map(Row::line);
        markdown(&std::iter::once(head).chain(lines).collect::<Vec<_>>())
    }
}

/// What `make bench` calls a row of the table of what grows.
fn at_rest_id(what: &str, size: &str) -> String {
    format!("growing-{what}-{size}")
}

fn conditions(claims: &Claims) -> String {
    let Claims { commit, machine, conditions, .. } = claims;
    let lines = [format!("commit {commit}"), machine.clone()];
    lines.iter().chain(conditions).map(|line| format!("- {line}\n")).collect()
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
