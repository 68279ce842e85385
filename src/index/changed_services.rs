//! Services that have just changed: their slices follow a moment later.

use crate::engine::SteadyTime;
use crate::kinds::ObjectKey;
use jiff::SignedDuration;
use std::collections::HashMap;

/// How long slices may take to follow.
const FOLLOW: SignedDuration = SignedDuration::from_secs(5);

/// A Service that is edited again and again is waited for once in this time.
const ONCE_IN: SignedDuration = SignedDuration::from_mins(1);

/// Changed Services, by the steady clock.
#[derive(Debug, Default)]
pub(crate) struct ChangedServices(HashMap<ObjectKey, Change>);

#[derive(Debug)]
struct Change {
    at: SteadyTime,
    /// The fingerprint of its slices at that time.
    slices: u64,
    followed: bool,
}

impl ChangedServices {
    /// Records that a Service has changed, with the fingerprint of its slices.
    pub(crate) fn begin(&mut self, service: &ObjectKey, slices: u64, now: SteadyTime) {
        self.0.retain(|_, change| change.at.duration_until(now) < ONCE_IN);
        let change = Change { at: now, slices, followed: false };
        self.0.entry(service.clone()).or_insert(change);
    }

    /// Whether the slices of a Service have not followed its change yet.
    pub(crate) fn awaits(&self, service: &ObjectKey) -> bool {
        self.0.get(service).is_some_and(|change| !change.followed)
    }

    /// Records the present fingerprint of the slices of a Service.
    pub(crate) fn observe(&mut self, service: &ObjectKey, slices: u64) {
        if let Some(change) = self.0.get_mut(service) {
            change.followed |= change.slices != slices;
        }
    }

    /// Until when its slices may still follow.
    pub(crate) fn until(&self, service: &ObjectKey, now: SteadyTime) -> Option<SteadyTime> {
        let change = self.0.get(service).filter(|change| !change.followed)?;
        let until = change.at.saturating_add(FOLLOW);
        (now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> SteadyTime {
        SteadyTime::at(seconds)
    }

    #[test]
    fn slices_may_follow_for_five_seconds_once_a_minute_and_until_they_have() {
        let service = ObjectKey::new("ns", "web");
        let mut changes = ChangedServices::default();
        changes.begin(&service, 7, at(0));
        changes.observe(&service, 7);
        assert_eq!(changes.until(&service, at(4)), Some(at(5)));
        assert_eq!(changes.until(&service, at(5)), None);
        // Changed again too soon.
        changes.begin(&service, 7, at(59));
        assert_eq!(changes.until(&service, at(59)), None);
        changes.begin(&service, 7, at(60));
        assert_eq!(changes.until(&service, at(60)), Some(at(65)));
        changes.observe(&service, 8);
        assert_eq!(changes.until(&service, at(61)), None);
        assert!(!changes.awaits(&service));
    }
}
