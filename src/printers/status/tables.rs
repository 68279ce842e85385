//! The tables of `status`, narrow and wide.

use super::line::{StatusLine, lines};
use crate::checks::report::Colour;
use crate::kinds::adapter::InUse;
use crate::kinds::changed_by::ChangedBy;
use crate::printers::age::age;
use crate::printers::style::{Style, truncated};
use crate::printers::table::{Cell, Table};
use crate::reconciler::traffic_on::TrafficOn;
use crate::snapshot::NextStep;
use crate::snapshot::row::{ObjectRow, SetRow};
use jiff::Timestamp;

/// The most columns that the name of a person takes.
const LONGEST_PERSON: usize = 40;

/// Which columns there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    /// The objects are of several namespaces.
    pub namespace: bool,
    pub wide: bool,
}

/// The table of all rows, whole.
pub(crate) fn to_table(
    rows: &[ObjectRow],
    columns: Columns,
    colour: Colour,
    now: Timestamp,
) -> String {
    let lines: Vec<StatusLine<'_>> = lines(rows).collect();
    table(&lines, columns, now).to_lines(colour, None).join("\n") + "\n"
}

/// The table of these lines.
pub(super) fn table(lines: &[StatusLine<'_>], columns: Columns, now: Timestamp) -> Table {
    Table {
        headings: headings(columns),
        lines: lines.iter().map(|line| cells(line, columns, now)).collect(),
    }
}

fn headings(columns: Columns) -> Vec<&'static str> {
    let mut headings = if columns.namespace { vec!["NAMESPACE"] } else { vec![] };
    headings.extend(["NAME", "ON", "ACTIVE", "READY", "SINCE", "NEXT"]);
    if columns.wide {
        headings.extend(["WEIGHTS", "IN USE", "DECIDED BY", "CHANGED BY", "FAULTS"]);
    }
    headings.push("WHY");
    headings
}

fn cells(line: &StatusLine<'_>, columns: Columns, now: Timestamp) -> Vec<Cell> {
    let row = line.row;
    let mut cells =
        if columns.namespace { vec![Cell::new(row.object.namespace())] } else { vec![] };
    let since = line.set.and_then(SetRow::since);
    cells.extend([
        Cell::new(line.name()),
        Cell::new(line.on().as_str()).styled(style(line.on())),
        Cell::new(line.active()),
        Cell::new(line.ready()),
        Cell::new(since.map(|since| age(since, now)).unwrap_or_default()),
        Cell::new(next(line.next())),
    ]);
    if columns.wide {
        cells.extend(wide(line, now));
    }
    cells.push(Cell::new(line.why()));
    cells
}

/// The columns of `-o wide` alone.
fn wide(line: &StatusLine<'_>, now: Timestamp) -> [Cell; 5] {
    let weights = line.backends().iter().map(|b| format!("{}={}", b.name, b.live));
    let decider = line.row.decider.as_ref();
    let decider = decider.map(|by| format!("{} ({})", by.replica, by.engine));
    let problems = line.row.sets.as_ref().err().map_or(0, Vec::len);
    [
        Cell::new(weights.collect::<Vec<_>>().join(",")),
        Cell::new(in_use(&line.row.in_use)),
        Cell::new(decider.unwrap_or_default()),
        Cell::new(changed_by(line, now)),
        Cell::new((problems + line.row.faults.len()).to_string()),
    ]
}

/// `alice (pinned, 3m5s ago)`: who changed an object last by a command, whether that still holds traffic or not.
fn changed_by(line: &StatusLine<'_>, now: Timestamp) -> String {
    let text = |by: &ChangedBy| {
        let what = by.action.done();
        format!("{} ({what}, {} ago)", truncated(&by.person, LONGEST_PERSON), age(by.at, now))
    };
    line.row.changed_by.as_ref().map(text).unwrap_or_default()
}

/// Whether Linkerd routes by an object, for people.
pub(in crate::printers) fn in_use(in_use: &InUse) -> String {
    match in_use {
        InUse::Yes => "yes".to_owned(),
        InUse::No(why) => format!("no: {why}"),
        InUse::NotSaid => "unknown".to_owned(),
    }
}

/// What a set waits for, in one line.
pub(super) fn next(steps: &[NextStep]) -> String {
    steps.iter().map(NextStep::to_string).collect::<Vec<_>>().join("; ")
}

pub(super) fn style(on: TrafficOn) -> Style {
    match on {
        TrafficOn::Primary => Style::Good,
        TrafficOn::Fallback => Style::Attention,
        TrafficOn::Held | TrafficOn::Unreadable => Style::Bad,
        TrafficOn::Pinned | TrafficOn::Paused => Style::ByPerson,
    }
}
