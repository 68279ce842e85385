//! 2: no weight on a backend that is known to be down while another one is known to be ready.

use crate::bounds::{ON_DOWN, ON_DOWN_BESIDE};
use crate::facts::{At, Broken, Worst};
use crate::invariants::stopwatch::Stopwatch;
use crate::invariants::{Gauge, Input, Invariant};
use crate::model::{FailoverObject, Set, World};
use crate::truth::StoredKey;
use std::collections::BTreeMap;
use std::time::Duration;

/// Follows each weight that stands on something that is down.
pub(super) struct OnDown {
    watch: Stopwatch,
    wrong: BTreeMap<StoredKey, BTreeMap<(String, String), Wrong>>,
    plain: Gauge,
    beside: Gauge,
}

/// Weight on what is down.
#[derive(Clone, Debug)]
struct Wrong {
    began: At,
    counted: Duration,
    /// What is ready; while it is.
    ready: String,
    /// The leader was cut off meanwhile.
    beside: bool,
    is_reported: bool,
}

impl Default for OnDown {
    fn default() -> Self {
        Self {
            watch: Stopwatch::default(),
            wrong: BTreeMap::new(),
            plain: Gauge::of(&ON_DOWN),
            beside: Gauge::of(&ON_DOWN_BESIDE),
        }
    }
}

impl Invariant for OnDown {
    fn see(&mut self, world: &World, at: At, input: Input<'_>) -> Vec<Broken> {
        match input {
            Input::Concerned(keys) => keys.iter().for_each(|key| self.look(world, key, at)),
            Input::ConcernsAll => world.objects.keys().for_each(|key| self.look(world, key, at)),
            Input::Tick => {
                self.watch.tick(world, at);
                world.objects.keys().for_each(|key| self.look(world, key, at));
                return self.judge(world, at);
            }
            _ => {}
        }
        vec![]
    }

    fn worst(&self) -> Vec<Worst> {
        vec![self.plain.worst(), self.beside.worst()]
    }
}

impl OnDown {
    /// Looks at one object: what is wrong goes on, begins, or ends.
    fn look(&mut self, world: &World, key: &StoredKey, at: At) {
        let mut before = self.wrong.remove(key).unwrap_or_default();
        let Some(object) = world.objects.get(key) else { return };
        let mut wrong = BTreeMap::new();
        for (set, backend, ready) in wrong_in(world, object, at) {
            let place = (set.to_owned(), backend.to_owned());
            let goes_on =
                before.remove(&place).filter(|before| ready.contains(&before.ready.as_str()));
            let first = ready.first().copied().unwrap_or_default().to_owned();
            let begins = || Wrong {
                began: at,
                counted: self.watch.now(),
                ready: first,
                beside: false,
                is_reported: false,
            };
            wrong.insert(place, goes_on.unwrap_or_else(begins));
        }
        if !wrong.is_empty() {
            self.wrong.insert(key.clone(), wrong);
        }
    }

    fn judge(&mut self, world: &World, at: At) -> Vec<Broken> {
        let mut broken = vec![];
        self.plain.looked();
        let cut_off = Stopwatch::leader_is_cut_off(world);
        for (key, all) in &mut self.wrong {
            for ((set, backend), wrong) in all.iter_mut() {
                wrong.beside |= cut_off;
                let gauge = if wrong.beside { &mut self.beside } else { &mut self.plain };
                let lasted = self.watch.since(wrong.counted);
                if gauge.note(lasted.as_secs_f64())
                    && !std::mem::replace(&mut wrong.is_reported, true)
                {
                    let account = format!(
                        "the set {set:?} has weight on {backend}, which is down, since {}, while {} is ready",
                        wrong.began, wrong.ready
                    );
                    broken.push(gauge.broken(key, at, vec![account]));
                }
            }
        }
        broken
    }
}

/// The backends with weight that are down, each with those that are ready.
fn wrong_in<'a>(
    world: &'a World,
    object: &'a FailoverObject,
    at: At,
) -> Vec<(&'a str, &'a str, Vec<&'a str>)> {
    let delays = object.policy.failover_delay.is_none_or(|delay| !delay.is_zero());
    let is_theirs = world.meddled.contains(&object.key);
    if !object.is_managed || object.is_deleting || delays || is_theirs || world.is_held(object) {
        return vec![];
    }
    let mut all = vec![];
    for set in object.sets.iter().filter(|set| is_judged(object, set)) {
        let health = |b: &crate::model::Backend| world.health(&b.service, at);
        let ready: Vec<&str> =
            set.backends.iter().filter(|b| health(b).is_ready()).map(|b| b.name.as_str()).collect();
        if ready.is_empty() {
            continue;
        }
        let down = set.with_traffic().filter(|b| health(b).is_down());
        all.extend(down.map(|b| (set.name.as_str(), b.name.as_str(), ready.clone())));
    }
    all
}

/// A set of several backends, whose weights can be read, with a primary that is named.
fn is_judged(object: &FailoverObject, set: &Set) -> bool {
    let named = &object.policy.primaries;
    let has_primary = named.is_empty() || set.backends.iter().any(|b| named.contains(&b.name));
    set.backends.len() > 1 && set.is_readable() && has_primary
}

#[cfg(test)]
mod tests {
    use crate::invariants::test_world::{NONE, TestWorld};
    use crate::model::Writer;

    fn with_traffic_on_a() -> TestWorld {
        let mut world = TestWorld::default();
        world.replica("one", true);
        world.endpoints("a", 1);
        world.endpoints("b", 1);
        world.write(Writer::Other("author".into()), &[("a", 1), ("b", 0)], &[]);
        world.pass(10.0);
        assert_eq!(world.broken(), NONE);
        world
    }

    #[test]
    fn weight_that_stays_on_what_is_down_breaks_it_after_its_bound() {
        let mut world = with_traffic_on_a();
        world.endpoints("a", 0);
        world.pass(1.8);
        assert_eq!(world.broken(), NONE);
        world.pass(0.6);
        assert_eq!(world.broken(), [2]);
        world.pass(10.0);
        assert_eq!(world.broken(), NONE, "it is reported once");
    }

    #[test]
    fn a_flip_in_time_keeps_it() {
        let mut world = with_traffic_on_a();
        world.endpoints("a", 0);
        world.pass(1.8);
        world.write(Writer::Program, &[("a", 0), ("b", 1)], &[]);
        world.pass(10.0);
        assert_eq!(world.broken(), NONE);
    }

    #[test]
    fn the_smallest_share_of_a_warm_standby_is_no_traffic() {
        let mut world = with_traffic_on_a();
        world.write(
            Writer::Other("author".into()),
            &[("a", 429_495), ("b", 1)],
            &[("warm-standby", "true")],
        );
        world.endpoints("b", 0);
        world.pass(60.0);
        assert_eq!(world.broken(), NONE);
    }

    #[test]
    fn nothing_counts_while_no_replica_is_answered_or_nothing_is_ready() {
        let mut world = with_traffic_on_a();
        world.replica("one", false);
        world.endpoints("a", 0);
        world.pass(60.0);
        world.replica("one", true);
        world.pass(1.5);
        world.replica("one", false);
        world.pass(1.0);
        world.replica("one", true);
        world.pass(1.5);
        world.endpoints("b", 0);
        world.pass(60.0);
        assert_eq!(world.broken(), NONE);
    }

    #[test]
    fn a_pause_a_pin_and_a_delay_say_otherwise() {
        for annotation in [("paused", "true"), ("pin", "a"), ("failover-delay", "10s")] {
            let mut world = with_traffic_on_a();
            world.write(Writer::Other("author".into()), &[("a", 1), ("b", 0)], &[annotation]);
            world.endpoints("a", 0);
            world.pass(60.0);
            assert_eq!(world.broken(), NONE, "{annotation:?}");
        }
    }

    #[test]
    fn a_standby_leaves_a_leader_that_is_cut_off_its_time_and_no_longer() {
        let mut world = with_traffic_on_a();
        world.lead("two");
        world.replica("two", false);
        world.endpoints("a", 0);
        world.pass(11.0);
        assert_eq!(world.broken(), NONE);
        world.pass(2.0);
        assert_eq!(world.broken(), [2]);
    }
}
