//! 3: after the last fault everything is as a fresh start would have it, and no record is forgotten on the way.

use crate::bounds::{FORGOTTEN, SETTLES};
use crate::facts::{At, Broken, Worst};
use crate::invariants::stopwatch::Stopwatch;
use crate::invariants::{Gauge, Input, Invariant};
use crate::model::{Applied, Expected, FailoverObject, World, Writer, expected};
use crate::truth::StoredKey;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Compares what is stored with what the model has, once the world is quiet.
pub(super) struct EndState {
    watch: Stopwatch,
    quiet: Option<Duration>,
    /// How long after that something was not yet as it should be.
    unsettled_for: Duration,
    reported: BTreeSet<StoredKey>,
    settles: Gauge,
    forgotten: Gauge,
}

impl Default for EndState {
    fn default() -> Self {
        Self {
            watch: Stopwatch::default(),
            quiet: None,
            unsettled_for: Duration::ZERO,
            reported: BTreeSet::new(),
            settles: Gauge::of(&SETTLES),
            forgotten: Gauge::of(&FORGOTTEN),
        }
    }
}

impl Invariant for EndState {
    fn see(&mut self, world: &World, at: At, input: Input<'_>) -> Vec<Broken> {
        match input {
            Input::Applied(applied) => self.record(world, applied, at),
            Input::Tick => {
                self.watch.tick(world, at);
                self.end(world, at)
            }
            _ => vec![],
        }
    }

    fn worst(&self) -> Vec<Worst> {
        vec![self.settles.worst(), self.forgotten.worst()]
    }
}

impl EndState {
    fn end(&mut self, world: &World, at: At) -> Vec<Broken> {
        if world.quiet_since.is_none() || world.labels_off.is_some() {
            return vec![];
        }
        let quiet = *self.quiet.get_or_insert(self.watch.now());
        let lasted = self.watch.now().saturating_sub(quiet);
        let unsettled: BTreeMap<&StoredKey, String> = world
            .objects
            .values()
            .filter_map(|object| Some((&object.key, unsettled(world, object, at)?)))
            .collect();
        if unsettled.is_empty() {
            self.settles.note(self.unsettled_for.as_secs_f64());
            return vec![];
        }
        self.unsettled_for = lasted;
        // A run that ends before has shown nothing.
        if lasted <= SETTLES.span() {
            return vec![];
        }
        self.settles.note(lasted.as_secs_f64());
        let mut broken = vec![];
        for (key, why) in unsettled {
            if self.reported.insert(key.clone()) {
                broken.push(self.settles.broken(key, at, vec![why]));
            }
        }
        broken
    }

    /// The program has written a record: of the same decision it says the same start.
    fn record(&mut self, world: &World, applied: &Applied, at: At) -> Vec<Broken> {
        let (Some(before), Some(after)) = (&applied.before, &applied.after) else { return vec![] };
        let is_ours = applied.writer == Writer::Program && before.is_managed && after.is_managed;
        if !is_ours || world.meddled.contains(&after.key) {
            return vec![];
        }
        self.forgotten.looked();
        let sets = |object: &FailoverObject| -> BTreeMap<String, Value> {
            let sets = object.state.as_ref().and_then(|state| state["sets"].as_object());
            sets.into_iter().flatten().map(|(name, set)| (name.clone(), set.clone())).collect()
        };
        let (old, new) = (sets(before), sets(after));
        let mut broken = vec![];
        for (name, new) in new {
            let Some(old) = old.get(&name) else { continue };
            let same = ["active", "pinned"].iter().all(|field| old[*field] == new[*field]);
            if same && old["since"] != new["since"] && self.forgotten.count() {
                let account = format!(
                    "revision {}: the set {name:?} has been on {} since {}, and the record now says since {}",
                    applied.revision, old["active"], old["since"], new["since"]
                );
                broken.push(self.forgotten.broken(&after.key, at, vec![account]));
            }
        }
        broken
    }
}

/// What is not yet as it should be.
fn unsettled(world: &World, object: &FailoverObject, at: At) -> Option<String> {
    for set in &object.sets {
        let Expected::On(wanted) = expected(world, object, set, at) else { continue };
        let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        let active: BTreeSet<&str> = set.active().into_iter().collect();
        if active != wanted {
            return Some(format!(
                "the traffic of the set {:?} is on {active:?} and belongs on {wanted:?}",
                set.name
            ));
        }
        let recorded = object.recorded_active(&set.name);
        let recorded: Option<BTreeSet<&str>> = recorded.map(|all| all.into_iter().collect());
        match &recorded {
            Some(recorded) if *recorded != wanted => {
                return Some(format!(
                    "`state` has the set {:?} on {recorded:?}, and it is on {wanted:?}",
                    set.name
                ));
            }
            None if !is_authored(object, &set.name, &wanted) => {
                return Some(format!(
                    "the set {:?} is on {wanted:?}, and `state` does not have it",
                    set.name
                ));
            }
            _ => {}
        }
        if object.claims_spec {
            return Some("the program still claims `spec` in managedFields".into());
        }
    }
    None
}

/// Whether traffic is where its author's weights have it, as far as that is recorded: then there need be no state.
fn is_authored(object: &FailoverObject, set: &str, wanted: &BTreeSet<&str>) -> bool {
    let Some(authored) = &object.authored else { return true };
    let Some(weights) = authored["sets"][set].as_object() else { return true };
    let positive = weights.iter().filter(|(_, weight)| weight.as_u64() != Some(0));
    positive.map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>() == *wanted
}

#[cfg(test)]
mod tests {
    use crate::invariants::test_world::{NONE, TestWorld};
    use crate::model::Writer;

    fn state(active: &str, since: u8) -> String {
        format!(
            r#"{{"v":1,"sets":{{"":{{"active":["{active}"],"since":"2026-01-01T00:00:0{since}Z"}}}}}}"#
        )
    }

    fn quiet_on(weights: &[(&str, u64)], state: &str) -> TestWorld {
        let mut world = TestWorld::default();
        world.replica("one", true);
        world.endpoints("a", 0);
        world.endpoints("b", 1);
        world.write(Writer::Other("author".into()), weights, &[("state", state)]);
        world.quiet();
        world
    }

    #[test]
    fn traffic_and_record_where_the_model_has_them_keep_it() {
        let mut world = quiet_on(&[("a", 0), ("b", 1)], &state("b", 1));
        world.pass(60.0);
        assert_eq!(world.broken(), NONE);
    }

    #[test]
    fn a_record_of_something_else_breaks_it_once_its_time_is_over() {
        let mut world = quiet_on(&[("a", 0), ("b", 1)], &state("a", 1));
        world.pass(14.0);
        assert_eq!(world.broken(), NONE);
        world.pass(2.0);
        assert_eq!(world.broken(), [3]);
    }

    #[test]
    fn traffic_on_the_wrong_backend_breaks_it() {
        let mut world = quiet_on(&[("a", 1), ("b", 0)], &state("a", 1));
        world.pass(16.0);
        assert!(world.broken().contains(&3));
    }

    #[test]
    fn a_record_that_forgets_since_when_breaks_it_and_one_of_another_decision_does_not() {
        let mut world = quiet_on(&[("a", 0), ("b", 1)], &state("b", 1));
        world.write(Writer::Program, &[("a", 1), ("b", 0)], &[("state", &state("a", 2))]);
        assert_eq!(world.broken(), NONE);
        world.write(Writer::Program, &[("a", 1), ("b", 0)], &[("state", &state("a", 3))]);
        assert_eq!(world.broken(), [3]);
    }
}
