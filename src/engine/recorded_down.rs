//! What the state records of a backend that is declared down: how long it stays away at the least.
//!
//! A signal such as an error rate goes away because traffic went away, and comes back with the traffic. So a
//! backend that is declared down again soon after its return stays away twice as long each time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Declared down again within this time of its return, a backend stays away longer.
pub(crate) const AGAIN_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// A shorter stay counts as one of this length.
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
/// No stay grows beyond this.
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// The backends that traffic has left because they were declared down, by name.
pub type RecordedDowns = BTreeMap<String, RecordedDown>;

/// Traffic has left a backend because it was declared down. Times are to the second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedDown {
    /// When traffic left it.
    pub since: Timestamp,
    /// How long it stays away at the least, in seconds, whatever becomes of the declaration.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub least: u32,
    /// When traffic could return to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Timestamp>,
    /// A person declared it down, and not an alert.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub person: bool,
}

impl RecordedDown {
    /// Traffic leaves it now; `before` is what was recorded of it.
    pub(super) fn leaves(before: Option<&Self>, person: bool, now: Timestamp) -> Self {
        let least = before.map_or(0, |before| before.next_least(now));
        Self { since: now, least, returned: None, person }
    }

    /// How long it stays away at the least if traffic leaves it again now, in seconds.
    fn next_least(&self, now: Timestamp) -> u32 {
        let Some(returned) = self.returned.filter(|_| !self.is_past(now)) else { return 0 };
        let stayed = self.since.duration_until(returned).clamp(SHORTEST, LONGEST);
        let twice = stayed.max(self.least()).saturating_mul(2).min(LONGEST);
        u32::try_from(twice.as_secs()).unwrap_or_default()
    }

    /// Whether it counts as down still, by this record.
    pub(super) fn is_away(&self) -> bool {
        self.returned.is_none()
    }

    /// Whether its return is so long ago that the next time is a first one.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        self.returned.is_some_and(|returned| returned.duration_until(now) >= AGAIN_WITHIN)
    }

    /// Until when it stays away at the least. A start in the future comes from a clock that has jumped
    /// since: it holds nothing.
    pub(super) fn earliest_return(&self, now: Timestamp) -> Option<Timestamp> {
        let started = self.is_away() && self.since <= now;
        let until = self.since.checked_add(self.least()).ok()?;
        started.then_some(until).filter(|until| now < *until)
    }

    /// The same, were traffic to leave it now.
    pub(super) fn next_earliest_return(&self, now: Timestamp) -> Option<Timestamp> {
        let least = SignedDuration::from_secs(self.next_least(now).into());
        now.checked_add(least).ok().filter(|_| !least.is_zero())
    }

    /// Others may have written what stands in an object.
    fn least(&self) -> SignedDuration {
        SignedDuration::from_secs(self.least.into()).min(LONGEST)
    }
}

// serde demands the reference.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    /// The seconds that each stay lasts at the least, when each is over as soon as it may be and the next
    /// begins after `pause` seconds.
    fn stays(first: i64, pause: i64, times: usize) -> Vec<u32> {
        let (mut now, mut recorded) = (0, None);
        let mut stays = vec![];
        for _ in 0..times {
            let down = RecordedDown::leaves(recorded.as_ref(), false, at(now));
            stays.push(down.least);
            now += i64::from(down.least).max(first);
            recorded = Some(RecordedDown { returned: Some(at(now)), ..down });
            now += pause;
        }
        stays
    }

    #[test]
    fn each_stay_soon_after_the_last_is_twice_as_long_up_to_an_hour() {
        assert_eq!(stays(300, 60, 6), [0, 600, 1200, 2400, 3600, 3600]);
        assert_eq!(stays(1, 599, 4), [0, 120, 240, 480], "a short stay counts as a minute");
        assert_eq!(stays(4 * 3600, 60, 2), [0, 3600], "a long one as an hour");
    }

    #[test]
    fn ten_minutes_after_the_return_the_wait_is_the_shortest_again() {
        assert_eq!(stays(300, 600, 3), [0, 0, 0]);
    }

    #[test]
    fn a_clock_that_has_jumped_holds_nothing_and_no_number_is_a_panic() {
        let away = |since| RecordedDown { since, least: u32::MAX, returned: None, person: false };
        assert_eq!(away(at(10)).earliest_return(at(0)), None);
        assert_eq!(away(at(0)).earliest_return(at(1)), Some(at(3600)));
        for extreme in [Timestamp::MIN, Timestamp::MAX] {
            let down = RecordedDown { returned: Some(extreme), ..away(extreme) };
            assert!(down.next_least(at(0)) <= 3600);
            assert!(down.next_earliest_return(Timestamp::MAX).is_none());
            assert_eq!(away(extreme).earliest_return(extreme).is_some(), extreme == Timestamp::MIN);
        }
    }
    #[test]
    fn a_first_stay_takes_no_more_room_than_its_beginning() {
        let down = RecordedDown::leaves(None, false, at(0));
        let text = serde_json::to_string(&down).unwrap();
        assert_eq!(text, r#"{"since":"1970-01-12T13:46:40Z"}"#);
        assert_eq!(serde_json::from_str::<RecordedDown>(&text).unwrap(), down);
        let longer = serde_json::to_string(&RecordedDown { least: 60, ..down }).unwrap();
        assert!(longer.contains(r#""least":60"#), "{longer}");
    }
}
