//! The brake: when too much of the cluster would leave its primary at once, a person is asked.

use super::groups::Groups;
use crate::failover::Now;
use crate::resources::ObjectRef;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Losses within this time are taken together.
const WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// A person's clock and ours differ by this much at most.
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);
/// A release that is not due yet, or that a wall clock has yet to catch up with, is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// Off unless a share is set.
#[derive(Debug)]
pub struct Brake {
    /// In percent of all managed objects.
    share: u32,
    /// Objects that want to leave, or have left, their primary.
    leaving: HashMap<ObjectRef, Leaving>,
    /// How many of them wait.
    held: usize,
    /// The same by what they share; none where one has gone from it and it must be made anew.
    groups: Option<Groups>,
    /// When those that are past were forgotten last.
    forgotten: Option<Timestamp>,
    engaged: Option<Engaged>,
    /// When a person's release was taken, by the steady clock: what they saw coming may go too.
    released: Option<Timestamp>,
}

#[derive(Debug)]
struct Leaving {
    at: Timestamp,
    endpoints: Vec<u64>,
    free: bool,
}

#[derive(Debug)]
struct Engaged {
    /// By the wall clock, as a person's release is.
    at: Timestamp,
    /// The release that stood there then: it was meant for an earlier time.
    standing: Option<Timestamp>,
}

/// Whether an object may leave its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    Go,
    /// A person is asked. Look again after this.
    Hold(SignedDuration),
}

impl Brake {
    pub fn new(share: u32) -> Self {
        let leaving = HashMap::new();
        let (groups, forgotten, engaged, released) = (None, None, None, None);
        Self { share, leaving, held: 0, groups, forgotten, engaged, released }
    }

    /// An object wants to leave its primary, of which these were the endpoints. `managed` is how
    /// many objects there are, `released` when a person says to have released the brake.
    ///
    /// A replica that leaves the move to another tells too, so that it knows how much moves.
    pub fn wants(
        &mut self,
        key: &ObjectRef,
        endpoints: &[u64],
        managed: usize,
        released: Option<Timestamp>,
        now: Now,
    ) -> Leave {
        self.forget(now);
        match self.leaving.get_mut(key) {
            Some(entry) => entry.at = now.steady,
            None => {
                let endpoints = endpoints.to_vec();
                if let Some(groups) = &mut self.groups {
                    groups.add(&endpoints);
                }
                self.held += 1;
                let entry = Leaving { at: now.steady, endpoints, free: false };
                self.leaving.insert(key.clone(), entry);
            }
        }
        self.hear(released, now);
        let just_released = self.released.is_some_and(|at| at.duration_until(now.steady) < WINDOW);
        if just_released {
            self.free(key);
        } else if self.engaged.is_none() && self.is_too_much(managed) {
            self.engaged = Some(Engaged { at: now.wall, standing: released });
            tracing::error!(
                leaving = self.leaving.len(),
                managed,
                share = self.share,
                "BRAKE: more objects would leave their primaries at once than is allowed, and they share no endpoints; nothing leaves a primary until a person says so, or the primaries are back"
            );
        }
        let free = self.leaving.get(key).is_some_and(|leaving| leaving.free);
        if free || self.engaged.is_none() { Leave::Go } else { Leave::Hold(LOOK_AGAIN) }
    }

    /// Its write is under way: it may be tried again, whatever comes.
    pub fn goes(&mut self, key: &ObjectRef) {
        self.free(key);
    }

    /// An object does not want to leave its primary any more.
    pub fn stays(&mut self, key: &ObjectRef) {
        if self.leaving.get(key).is_some_and(|leaving| !leaving.free) {
            self.leaving.remove(key);
            self.held -= 1;
            self.groups = None;
        }
        if self.held == 0 && self.engaged.take().is_some() {
            tracing::warn!("the brake is off again: no object wants to leave its primary");
        }
    }

    /// When it began to hold, by the wall clock.
    pub fn engaged(&self) -> Option<Timestamp> {
        self.engaged.as_ref().map(|engaged| engaged.at)
    }

    /// A person's word: about now, and not what stood there when the brake began to hold.
    fn hear(&mut self, released: Option<Timestamp>, now: Now) {
        let (Some(engaged), Some(released)) = (&self.engaged, released) else { return };
        let early = engaged.at.duration_until(released) < -CLOCKS;
        let late = now.wall.duration_until(released).is_positive();
        if engaged.standing == Some(released) || early || late {
            return;
        }
        tracing::warn!("the brake was released by a person");
        for leaving in self.leaving.values_mut() {
            leaving.free = true;
        }
        (self.held, self.engaged, self.released) = (0, None, Some(now.steady));
    }

    fn free(&mut self, key: &ObjectRef) {
        if let Some(entry) = self.leaving.get_mut(key)
            && !std::mem::replace(&mut entry.free, true)
        {
            self.held -= 1;
        }
    }

    fn forget(&mut self, now: Now) {
        let second = SignedDuration::from_secs(1);
        if self.forgotten.is_some_and(|at| at.duration_until(now.steady) < second) {
            return;
        }
        self.forgotten = Some(now.steady);
        let before = self.leaving.len();
        let recent = |leaving: &Leaving| leaving.at.duration_until(now.steady) < WINDOW;
        self.leaving.retain(|_, leaving| recent(leaving) || !leaving.free);
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
    use crate::resources::{Kind, ObjectKey};

    fn at(seconds: i64) -> Now {
        Now::at(Timestamp::from_second(seconds).unwrap())
    }

    fn second(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(seconds).unwrap())
    }

    fn object(i: u64) -> ObjectRef {
        ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", format!("split-{i}")))
    }

    impl Brake {
        /// Wants to go, and goes where it may.
        fn lets_go(&mut self, i: u64, released: Option<Timestamp>, now: Now) -> bool {
            let goes = self.wants(&object(i), &[i], 100, released, now) == Leave::Go;
            if goes {
                self.goes(&object(i));
            }
            goes
        }
    }

    /// A brake of 10% that holds 90 of 100 objects since the second 1,000.
    fn holding() -> Brake {
        let mut brake = Brake::new(10);
        let left = (0..100).filter(|i| brake.lets_go(*i, second(900), at(1_000))).count();
        assert_eq!((left, brake.engaged()), (10, second(1_000)));
        brake
    }

    #[test]
    fn a_thousand_objects_of_one_primary_are_one_loss() {
        let mut brake = Brake::new(10);
        for i in 0..1_000 {
            assert_eq!(brake.wants(&object(i), &[7], 1_000, None, at(1)), Leave::Go);
        }
        // As are Services that share a pod.
        let mut brake = Brake::new(10);
        let shared = |i| [i, i + 1];
        assert!(
            (0..100).all(|i| brake.wants(&object(i), &shared(i), 100, None, at(1)) == Leave::Go)
        );
    }

    #[test]
    fn beyond_the_share_nothing_leaves_until_a_person_says_so() {
        let mut brake = holding();
        assert!(!brake.lets_go(50, None, at(4_600)));
        assert!(!brake.lets_go(50, second(900), at(4_600)), "what stood there before");
        assert!(!brake.lets_go(50, second(300), at(4_600)), "meant for an earlier time");
        assert!(!brake.lets_go(50, second(4_700), at(4_600)), "not yet");
        assert!((20..100).all(|i| brake.lets_go(i, second(4_700), at(4_701))));
    }

    #[test]
    fn a_release_by_a_slow_or_rounded_clock_frees_everything_that_waits_however_long_it_takes() {
        let mut brake = holding();
        assert!(brake.lets_go(50, second(960), at(1_040)));
        assert!((20..100).all(|i| brake.lets_go(i, second(960), at(1_040 + i as i64))));
    }

    #[test]
    fn a_wall_clock_that_jumps_back_does_not_make_a_release_wait() {
        let mut brake = holding();
        let now = Now { wall: second(700).unwrap(), steady: second(1_010).unwrap() };
        assert!(brake.lets_go(50, second(700), now));
    }

    #[test]
    fn a_release_frees_what_comes_within_moments_and_nothing_later() {
        let mut brake = Brake::new(10);
        let mut come = |range: std::ops::Range<u64>, released, now| {
            range.filter(|i| brake.lets_go(*i, released, now)).count()
        };
        assert_eq!(come(0..30, None, at(100)), 10);
        assert_eq!(come(30..60, second(101), at(102)), 30);
        assert_eq!(come(60..100, second(101), at(1_000)), 10);
    }

    #[test]
    fn what_has_gone_is_tried_again_while_the_brake_holds_the_others() {
        let mut brake = holding();
        assert!(brake.lets_go(3, None, at(1_001)), "its write failed");
    }

    #[test]
    fn losses_one_after_the_other_are_not_held() {
        let mut brake = Brake::new(10);
        assert!((0..100).all(|i| brake.lets_go(i, None, at(20 * i as i64))));
    }

    #[test]
    fn when_the_primaries_are_back_the_brake_is_off() {
        let mut brake = holding();
        for i in 0..100 {
            brake.stays(&object(i));
        }
        assert_eq!(brake.engaged(), None);
    }
}
