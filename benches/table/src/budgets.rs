//! The budgets that `make bench` holds the program to beside the aims of single rows, each with its judge.

use crate::row::Row;

/// What a figure may be at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Of the row that it is about.
    pub id: &'static str,
    /// In the row's unit; for a ratio, times the other side.
    pub most: f64,
}

/// Resident memory beside 50,000 objects, Services and slices, in MiB.
pub const MEMORY: Budget = Budget { id: "growing-resident-50000", most: 160.0 };
/// Calls to the API while slices change that no object depends on, but for the Lease and watches.
pub const CALLS: Budget = Budget { id: "growing-calls", most: 0.0 };
/// CPU for an event beside 50,000 objects, times that beside 1,000.
pub const EVENT: Budget = Budget { id: "growing-event", most: 1.2 };
/// Flips without an Event that was published or counted as dropped, or Events without a flip.
pub const EVENTS: Budget = Budget { id: "events-missing", most: 0.0 };
/// Milliseconds that a create takes longer with the webhooks than with a policy, p50.
pub const CREATE: Budget = Budget { id: "create-over-policy", most: 2.0 };

/// All of them.
pub const ALL: [Budget; 5] = [MEMORY, CALLS, EVENT, EVENTS, CREATE];

impl Budget {
    /// The row, which has this budget as its aim.
    pub fn judge(&self, row: Row) -> Row {
        row.aim(self.most)
    }
}

/// How far published and dropped Events are from the flips: none where they add up.
pub fn missing_events(published: u64, dropped: u64, flips: u64) -> u64 {
    flips.abs_diff(published + dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Verdict;
    use crate::row::example;

    fn verdict(budget: &Budget, high: f64) -> Option<Verdict> {
        Some(budget.judge(example(budget.id, high)).claim()?.verdict)
    }

    #[test]
    fn each_budget_is_missed_by_a_planted_measure_just_above_it() {
        for budget in &ALL {
            assert_eq!(verdict(budget, budget.most), Some(Verdict::Held), "{budget:?}");
            let above = budget.most + 0.01;
            assert_eq!(verdict(budget, above), Some(Verdict::Missed), "{budget:?}");
        }
    }

    #[test]
    fn a_measure_that_is_no_number_keeps_no_budget() {
        for budget in &ALL {
            assert_eq!(verdict(budget, f64::NAN), Some(Verdict::Missed), "{budget:?}");
        }
    }

    #[test]
    fn an_event_more_or_less_than_the_flips_is_seen() {
        assert_eq!(missing_events(2_000, 0, 2_000), 0);
        assert_eq!(missing_events(1_990, 10, 2_000), 0);
        assert_eq!(missing_events(1_999, 0, 2_000), 1);
        assert_eq!(missing_events(1_999, 2, 2_000), 1);
    }
}
