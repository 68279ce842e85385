//! What `--wait-for` waits for.

use super::line::StatusLine;
use super::tables::next;
use crate::reconciler::traffic_on::TrafficOn;
use crate::snapshot::NextStep;
use std::fmt;

/// Where the traffic of every object is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// On a primary, and no move is due.
    Primary,
    /// On fallbacks, and no move is due.
    Fallback,
    /// Wherever: on something that is ready, or where a person wants it, and nothing is under way.
    Settled,
}

impl Goal {
    /// The lines that are not there yet.
    pub(crate) fn missed<'a>(
        self,
        lines: impl Iterator<Item = StatusLine<'a>>,
    ) -> Vec<StatusLine<'a>> {
        lines.filter(|line| !self.is_met(line)).collect()
    }

    fn is_met(self, line: &StatusLine<'_>) -> bool {
        let is_moving = line.next().iter().any(NextStep::is_under_way);
        let is_due = line.next().iter().any(|step| matches!(step, NextStep::Write { .. }));
        match self {
            Self::Primary => line.on() == TrafficOn::Primary && !is_due,
            Self::Fallback => line.on() == TrafficOn::Fallback && !is_due,
            Self::Settled => {
                let is_decided = line.set.is_some_and(|set| set.decision.is_some());
                is_decided && !is_moving && line.on() != TrafficOn::Held
            }
        }
    }

    /// In a sentence.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Primary => "every object on its primary, with no move due",
            Self::Fallback => "every object on a fallback, with no move due",
            Self::Settled => "no object held, unreadable or about to move",
        }
    }

    /// Where the first line is that is not there, and how many there are beside it.
    pub(crate) fn shortfall(missed: &[StatusLine<'_>]) -> String {
        let more = missed.len().saturating_sub(1);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        missed.first().map(|first| format!("{}{more}", Found(first))).unwrap_or_default()
    }
}

/// Where an object is, in a sentence.
struct Found<'a>(&'a StatusLine<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(line) = self;
        write!(f, "{} in namespace {} on {}", line.name(), line.row.object.namespace(), line.on())?;
        match next(line.next()) {
            none if none.is_empty() => write!(f, " ({})", line.why()),
            steps => write!(f, " ({steps})"),
        }
    }
}
