//! The brake: when too much of the cluster would leave its primary at once, a person is asked.

use super::groups::Groups;
use crate::failover::Now;
use crate::resources::ObjectKey;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Losses within this time are taken together.
const WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// Off unless a share is set.
#[derive(Debug)]
pub struct Brake {
    /// In percent of all managed objects.
    share: u32,
    /// Objects that want to leave, or have left, their primary: when, and its endpoints.
    leaving: HashMap<ObjectKey, Leaving>,
    /// How many of them wait.
    held: usize,
    /// The same by what they share; none where one has gone from it and it must be made anew.
    groups: Option<Groups>,
    /// When those that are past were forgotten last.
    forgotten: Option<Timestamp>,
    /// Since when it holds, by the wall clock, which a person's release is compared with.
    engaged: Option<Timestamp>,
}

#[derive(Debug)]
struct Leaving {
    at: Timestamp,
    endpoints: Vec<u64>,
    gone: bool,
}

impl Brake {
    pub fn new(share: u32) -> Self {
        let leaving = HashMap::new();
        Self { share, leaving, held: 0, groups: None, forgotten: None, engaged: None }
    }

    /// Whether an object may leave its primary, of which these were the endpoints, now. `managed`
    /// is how many objects there are, `released` when a person last released the brake.
    pub fn lets_go(
        &mut self,
        key: &ObjectKey,
        endpoints: &[u64],
        managed: usize,
        released: Option<Timestamp>,
        now: Now,
    ) -> bool {
        self.forget(now);
        if let Some(released) = released.filter(|released| *released <= now.wall)
            && self.engaged.is_some_and(|engaged| released.as_second() >= engaged.as_second())
        {
            tracing::warn!("the brake was released by a person");
            (self.leaving, self.held, self.groups) = (HashMap::new(), 0, None);
            self.engaged = None;
            // What waits goes now, however much it is.
            return true;
        }
        // A release counts for all that was held at its time, not only for the first.
        if self.just_released(released, now) {
            return true;
        }
        match self.leaving.get_mut(key) {
            Some(entry) => entry.at = now.steady,
            None => {
                let endpoints = endpoints.to_vec();
                if let Some(groups) = &mut self.groups {
                    groups.add(&endpoints);
                }
                self.held += 1;
                let entry = Leaving { at: now.steady, endpoints, gone: false };
                self.leaving.insert(key.clone(), entry);
            }
        }
        if self.engaged.is_none() && self.is_too_much(managed) {
            self.engaged = Some(now.wall);
            tracing::error!(
                leaving = self.leaving.len(),
                managed,
                share = self.share,
                "BRAKE: more objects would leave their primaries at once than is allowed, and they share no endpoints; nothing leaves a primary until a person says so, or the primaries are back"
            );
        }
        if self.engaged.is_none()
            && let Some(entry) = self.leaving.get_mut(key)
            && !std::mem::replace(&mut entry.gone, true)
        {
            self.held -= 1;
        }
        self.engaged.is_none()
    }

    /// An object does not want to leave its primary any more.
    pub fn stays(&mut self, key: &ObjectKey) {
        if self.leaving.get(key).is_some_and(|leaving| !leaving.gone) {
            self.leaving.remove(key);
            self.held -= 1;
            self.groups = None;
        }
        if self.held == 0 && self.engaged.take().is_some() {
            tracing::warn!("the brake is off again: no object wants to leave its primary");
        }
    }

    pub fn is_engaged(&self) -> bool {
        self.engaged.is_some()
    }

    fn just_released(&self, released: Option<Timestamp>, now: Now) -> bool {
        let recent = |released: Timestamp| {
            let passed = released.duration_until(now.wall);
            !passed.is_negative() && passed < WINDOW
        };
        self.engaged.is_none() && released.is_some_and(recent)
    }

    fn forget(&mut self, now: Now) {
        let second = SignedDuration::from_secs(1);
        if self.forgotten.is_some_and(|at| at.duration_until(now.steady) < second) {
            return;
        }
        self.forgotten = Some(now.steady);
        let before = self.leaving.len();
        let recent = |leaving: &Leaving| leaving.at.duration_until(now.steady) < WINDOW;
        self.leaving.retain(|_, leaving| recent(leaving) || !leaving.gone);
        if self.leaving.len() < before {
            self.groups = None;
        }
    }

    /// More than the share, the largest group of objects whose primaries share endpoints set aside:
    /// that is one loss, however many objects it concerns.
    fn is_too_much(&mut self, managed: usize) -> bool {
        let groups = self.groups.get_or_insert_with(|| {
            let mut groups = Groups::default();
            self.leaving.values().for_each(|leaving| groups.add(&leaving.endpoints));
            groups
        });
        let unexplained = (self.leaving.len() - groups.largest()) as u64;
        let others = managed.saturating_sub(groups.largest()).max(1) as u64;
        unexplained * 100 > others * u64::from(self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Now {
        Now::at(Timestamp::from_second(seconds).unwrap())
    }

    fn object(i: u64) -> ObjectKey {
        ObjectKey::new("ns", format!("split-{i}"))
    }

    #[test]
    fn a_thousand_objects_of_one_primary_are_one_loss() {
        let mut brake = Brake::new(10);
        for i in 0..1_000 {
            assert!(brake.lets_go(&object(i), &[7], 1_000, None, at(1)));
        }
        // As are Services that share a pod.
        let mut brake = Brake::new(10);
        assert!((0..100).all(|i| brake.lets_go(&object(i), &[i, i + 1], 100, None, at(1))));
    }

    #[test]
    fn beyond_the_share_nothing_leaves_until_a_person_says_so() {
        let mut brake = Brake::new(10);
        let left = (0..100).filter(|i| brake.lets_go(&object(*i), &[*i], 100, None, at(1)));
        assert_eq!(left.count(), 10);
        assert!(brake.is_engaged());
        assert!(!brake.lets_go(&object(50), &[50], 100, None, at(3_600)));
        let early = Some(Timestamp::from_second(0).unwrap());
        assert!(!brake.lets_go(&object(50), &[50], 100, early, at(3_600)));
        let released = Some(Timestamp::from_second(3_700).unwrap());
        assert!(!brake.lets_go(&object(50), &[50], 100, released, at(3_650)), "not yet");
        assert!((20..100).all(|i| brake.lets_go(&object(i), &[i], 100, released, at(3_701))));
    }

    #[test]
    fn losses_one_after_the_other_are_not_held() {
        let mut brake = Brake::new(10);
        assert!((0..100).all(|i| brake.lets_go(&object(i), &[i], 100, None, at(20 * i as i64))));
    }

    #[test]
    fn when_the_primaries_are_back_the_brake_is_off() {
        let mut brake = Brake::new(10);
        for i in 0..100 {
            brake.lets_go(&object(i), &[i], 100, None, at(1));
        }
        for i in 0..100 {
            brake.stays(&object(i));
        }
        assert!(!brake.is_engaged());
    }
}
