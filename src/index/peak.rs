//! The most endpoints that were ready lately.

use crate::engine::SteadyTime;
use jiff::SignedDuration;
use std::collections::VecDeque;

/// How far back the peak looks.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// The most endpoints that were ready in the last ten minutes.
#[derive(Debug, Default)]
pub(crate) struct Peak {
    current: u32,
    /// Earlier counts with the time at which each ended, the oldest first: only a count that is larger than
    /// all after it matters.
    past: VecDeque<(SteadyTime, u32)>,
}

impl Peak {
    /// Records that so many are ready from `now` on.
    pub(crate) fn observe(&mut self, ready: u32, now: SteadyTime) {
        while self.past.front().is_some_and(|(ended, _)| !counts(*ended, now)) {
            self.past.pop_front();
        }
        if ready < self.current {
            while self.past.back().is_some_and(|(_, count)| *count <= self.current) {
                self.past.pop_back();
            }
            self.past.push_back((now, self.current));
        }
        self.current = ready;
    }

    /// How many were ready when it was last recorded.
    pub(crate) fn last(&self) -> u32 {
        self.current
    }

    /// The most that were ready in the ten minutes before `now`.
    pub(crate) fn most(&self, now: SteadyTime) -> u32 {
        let past = self.past.iter().filter(|(ended, _)| counts(*ended, now));
        past.map(|(_, count)| *count).chain([self.current]).max().unwrap_or_default()
    }
}

fn counts(ended: SteadyTime, now: SteadyTime) -> bool {
    ended.duration_until(now) < WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> SteadyTime {
        SteadyTime::at(seconds)
    }

    #[test]
    fn the_past_counts_for_ten_minutes_after_it_ended() {
        let mut peak = Peak::default();
        peak.observe(10, at(0));
        peak.observe(4, at(1_000));
        assert_eq!(peak.most(at(1_599)), 10);
        assert_eq!(peak.most(at(1_600)), 4);
    }

    proptest! {
        #[test]
        fn it_is_the_maximum_over_the_window(
            history in proptest::collection::vec((1_i64..400, 0_u32..20), 1..40),
            later in 0_i64..1_000,
        ) {
            let mut peak = Peak::default();
            let (mut time, mut values) = (0, vec![]);
            for (pause, ready) in history {
                time += pause;
                peak.observe(ready, at(time));
                values.push((time, ready));
            }
            let now = time + later;
            // A value holds from its time until the next one's.
            let ends = values.iter().skip(1).map(|(began, _)| *began).chain([now + 1]);
            let expected = values.iter().zip(ends).filter(|(_, end)| now - end < 600);
            prop_assert_eq!(peak.most(at(now)), expected.map(|((_, v), _)| *v).max().unwrap());
            prop_assert!(peak.past.len() <= 40);
        }
    }
}
