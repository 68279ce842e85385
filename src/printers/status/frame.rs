//! `status -w` on a terminal: as many lines as fit, the most urgent first; the rest is counted.

use super::line::{StatusLine, lines};
use super::tables::{Columns, table};
use crate::checks::report::Colour;
use crate::engine::to_the_second;
use crate::kinds::one_line::one_line;
use crate::printers::age::age;
use crate::printers::style::{Style, truncated};
use crate::reconciler::traffic_on::TrafficOn;
use crate::snapshot::row::ObjectRow;
use jiff::{SignedDuration, Timestamp};

/// The age of a look from which on it is shown.
const OLD: SignedDuration = SignedDuration::from_secs(4);

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub columns: usize,
    pub lines: usize,
}

/// Why what is shown is old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stale {
    pub since: Timestamp,
    pub why: String,
}

/// All that a frame shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub rows: &'a [ObjectRow],
    /// What holds traffic in the whole cluster, and what is not known.
    pub notices: &'a [String],
    pub stale: Option<&'a Stale>,
    /// When it was looked.
    pub taken: Timestamp,
    pub columns: Columns,
    pub now: Timestamp,
}

/// The lines of a frame, at most as many as the terminal has.
pub(crate) fn frame(shown: &Shown<'_>, size: Size, colour: Colour) -> Vec<String> {
    let mut all: Vec<StatusLine<'_>> = lines(shown.rows).collect();
    all.sort_by_key(StatusLine::urgency);
    let mut frame = head(shown, &all, size, colour);
    // The headings take a line, and what does not fit takes one.
    let room = size.lines.saturating_sub(frame.len() + 1);
    let fitting = if all.len() <= room { all.len() } else { room.saturating_sub(1) };
    let (fit, rest) = all.split_at(fitting.min(all.len()));
    frame.extend(table(fit, shown.columns, shown.now).to_lines(colour, Some(size.columns)));
    if !rest.is_empty() {
        frame.push(truncated(&format!("and {} more: {}", rest.len(), counted(rest)), size.columns));
    }
    frame.truncate(size.lines);
    frame
}

/// What all lines are on, and what is wrong with what is shown.
fn head(shown: &Shown<'_>, all: &[StatusLine<'_>], size: Size, colour: Colour) -> Vec<String> {
    let time = to_the_second(shown.now);
    let counted = if all.is_empty() { "none".to_owned() } else { counted(all) };
    let mut head = vec![truncated(&format!("{time}{}   {counted}", seen(shown)), size.columns)];
    let mut warn = |text: String| {
        let text = truncated(&one_line(&text), size.columns);
        head.push(match colour {
            Colour::Terminal => Style::Bad.paint(&text),
            Colour::None => text,
        });
    };
    if let Some(Stale { since, why }) = shown.stale {
        warn(format!("this is {} old: {why}", age(*since, shown.now)));
    }
    match shown.notices {
        [] => {}
        [only] => warn(only.clone()),
        [first, more @ ..] => warn(format!("{first} (and {} more)", more.len())),
    }
    head
}

/// ` (seen 11s ago)`: where looks are rare since each takes long.
fn seen(shown: &Shown<'_>) -> String {
    let is_old = shown.taken.duration_until(shown.now) >= OLD && shown.stale.is_none();
    let text = || format!(" (seen {} ago)", age(shown.taken, shown.now));
    is_old.then(text).unwrap_or_default()
}

/// `3 held, 12 fallback, 485 primary`: of each that there is, the most urgent first.
fn counted(lines: &[StatusLine<'_>]) -> String {
    let of = |on: TrafficOn| (lines.iter().filter(|line| line.on() == on).count(), on);
    let order = [
        TrafficOn::Held,
        TrafficOn::Unreadable,
        TrafficOn::Fallback,
        TrafficOn::Pinned,
        TrafficOn::Paused,
        TrafficOn::Primary,
    ];
    let some = order.map(of).into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, on)| format!("{count} {on}")).collect::<Vec<_>>().join(", ")
}
