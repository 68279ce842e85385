//! 4: no two writers fight, and nobody writes what nothing asks for.

use crate::bounds::{ONTO_DOWN, OVERWRITES, RECORDS, REVERSALS, WEIGHT_WRITES};
use crate::facts::{At, Broken, Fact, Worst};
use crate::invariants::{Gauge, Input, Invariant};
use crate::model::{Applied, FailoverObject, World, Writer};
use crate::truth::StoredKey;
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};

/// How close to the end of a pause or a pin nothing is certain.
const MARGIN: SignedDuration = SignedDuration::from_secs(120);

/// Keeps an account of each object: what it was written for, and what was written.
pub(super) struct Fights {
    accounts: BTreeMap<StoredKey, Account>,
    /// What may concern every object: faults that begin and end, a freeze, the brake.
    general: u32,
    reversals: Gauge,
    onto_down: Gauge,
    weight_writes: Gauge,
    records: Gauge,
    overwrites: Gauge,
}

/// The account of one object.
#[derive(Clone, Debug)]
struct Account {
    /// Changes that may have changed its decision.
    causes: u32,
    weight_writes: u32,
    records: u32,
    /// `general` when the account began.
    general_before: u32,
    last_move: Option<Move>,
    /// How often it was reversed since so many faults had begun.
    reversed: (usize, u32),
    reported: BTreeSet<&'static str>,
    /// The change that concerns it next is the program's own.
    is_own: bool,
}

impl Account {
    /// It may be decided otherwise now: not by what the program wrote itself.
    fn concern(&mut self) {
        self.causes += u32::from(!std::mem::take(&mut self.is_own));
    }
}

/// Traffic moved.
#[derive(Clone, Debug)]
struct Move {
    from: Vec<Vec<String>>,
    to: Vec<Vec<String>>,
    by: String,
    /// What had concerned the object then.
    causes: u32,
}

impl Default for Fights {
    fn default() -> Self {
        Self {
            accounts: BTreeMap::new(),
            general: 0,
            reversals: Gauge::of(&REVERSALS),
            onto_down: Gauge::of(&ONTO_DOWN),
            weight_writes: Gauge::of(&WEIGHT_WRITES),
            records: Gauge::of(&RECORDS),
            overwrites: Gauge::of(&OVERWRITES),
        }
    }
}

impl Invariant for Fights {
    fn see(&mut self, world: &World, at: At, input: Input<'_>) -> Vec<Broken> {
        match input {
            Input::Fact(
                Fact::FaultBegan { .. } | Fact::FaultEnded { .. } | Fact::LabelsOff { .. },
            ) => {
                self.general += 1;
            }
            // Other objects may be decided by it too: all that was held goes on.
            Input::ConcernsAll => self.general += 1,
            Input::Concerned(keys) => keys.iter().for_each(|key| self.account(key).concern()),
            Input::Applied(applied) => return self.applied(world, applied, at),
            _ => {}
        }
        vec![]
    }

    fn worst(&self) -> Vec<Worst> {
        [&self.reversals, &self.onto_down, &self.weight_writes, &self.records, &self.overwrites]
            .map(Gauge::worst)
            .into()
    }
}

impl Fights {
    fn account(&mut self, key: &StoredKey) -> &mut Account {
        let general_before = self.general;
        self.accounts.entry(key.clone()).or_insert_with(|| Account {
            causes: 0,
            weight_writes: 0,
            records: 0,
            general_before,
            last_move: None,
            reversed: (0, 0),
            reported: BTreeSet::new(),
            is_own: false,
        })
    }

    fn applied(&mut self, world: &World, applied: &Applied, at: At) -> Vec<Broken> {
        let Some(after) = &applied.after else { return vec![] };
        let key = &after.key;
        let account = self.account(key);
        let Some(before) = applied.before.as_ref().filter(|_| applied.writer == Writer::Program)
        else {
            // A time in what others write may end by itself: one decision more.
            account.causes += 2;
            return vec![];
        };
        account.is_own = true;
        let mut broken = vec![];
        if before.weights() == after.weights() {
            account.records += 1;
        } else {
            account.weight_writes += 1;
            broken.extend(self.onto(world, before, after, applied.revision, at));
            broken.extend(self.moved(world, before, after, applied.revision, at));
        }
        broken.extend(self.judge(key, at));
        broken
    }

    /// A weight write onto a version that says that there is none.
    fn onto(
        &mut self,
        world: &World,
        before: &FailoverObject,
        after: &FailoverObject,
        revision: u64,
        at: At,
    ) -> Option<Broken> {
        let (policy, now) = (&before.policy, world.wall());
        let of_pin = |name: &&str| policy.pin.iter().any(|pinned| pinned == name);
        let leaves_pin = || {
            after.sets.iter().any(|set| {
                let names = || set.backends.iter().map(|b| b.name.as_str());
                names().any(|name| of_pin(&name)) && !set.active().iter().all(&of_pin)
            })
        };
        let forbids = if !before.is_managed {
            "has no label"
        } else if policy.is_paused_for(now, MARGIN) {
            "is paused"
        } else if policy.is_pinned_for(now, MARGIN) && leaves_pin() {
            "is pinned to other backends"
        } else {
            self.overwrites.looked();
            return None;
        };
        self.overwrites.count();
        let account = format!(
            "revision {revision} has weights of the program, and the version before it {forbids}"
        );
        Some(self.overwrites.broken(&after.key, at, vec![account]))
    }

    /// Whether a move takes back one of another replica, with no cause between the two.
    fn moved(
        &mut self,
        world: &World,
        before_object: &FailoverObject,
        after: &FailoverObject,
        revision: u64,
        at: At,
    ) -> Option<Broken> {
        let active = |object: &FailoverObject| -> Vec<Vec<String>> {
            object
                .sets
                .iter()
                .map(|set| set.active().into_iter().map(str::to_owned).collect())
                .collect()
        };
        let (from, to) = (active(before_object), active(after));
        if from == to {
            return None;
        }
        let by = after.decided_by().unwrap_or_default().to_owned();
        let account = self.account(&after.key);
        let now = Move { from, to, by, causes: account.causes };
        let last = account.last_move.replace(now.clone())?;
        let reverses = last.to == now.from
            && last.from == now.to
            && last.by != now.by
            && last.causes == now.causes;
        if !reverses {
            return None;
        }
        let before = if account.reversed.0 == world.faults_begun { account.reversed.1 } else { 0 };
        account.reversed = (world.faults_begun, before + 1);
        let times = f64::from(before + 1);
        let lines = format!(
            "revision {revision}: {} moves {:?} to {:?}, as {} has just undone",
            now.by, now.from, now.to, last.by
        );
        let beyond = self.reversals.note(times);
        let gauge = if is_onto_down(world, before_object, after, at) {
            self.onto_down.count();
            &self.onto_down
        } else if beyond {
            &self.reversals
        } else {
            return None;
        };
        Some(gauge.broken(&after.key, at, vec![lines]))
    }

    /// Whether more was written than anything asked for.
    fn judge(&mut self, key: &StoredKey, at: At) -> Vec<Broken> {
        let general = self.general;
        let Some(account) = self.accounts.get_mut(key) else { return vec![] };
        let general = f64::from(general - account.general_before);
        let (causes, weight_writes) = (f64::from(account.causes), f64::from(account.weight_writes));
        let beyond = [
            (&mut self.weight_writes, (weight_writes - causes - general).max(0.0)),
            (
                &mut self.records,
                (f64::from(account.records) - 2.0 * (weight_writes + causes) - general).max(0.0),
            ),
        ];
        self.reversals.looked();
        self.onto_down.looked();
        let mut broken = vec![];
        for (gauge, beyond) in beyond {
            if gauge.note(beyond) && account.reported.insert(gauge.bound.name) {
                let lines = format!(
                    "{weight_writes} weight writes and {} records, for {causes} changes of its own and {general} of all",
                    account.records
                );
                broken.push(gauge.broken(key, at, vec![lines]));
            }
        }
        broken
    }
}

/// Whether traffic moves, in one set, from what is known to be ready onto what is known to be down.
fn is_onto_down(world: &World, before: &FailoverObject, after: &FailoverObject, at: At) -> bool {
    let mut sets = before.sets.iter().zip(&after.sets);
    sets.any(|(from, to)| {
        let mut onto = to.with_traffic().filter(|b| !from.active().contains(&b.name.as_str()));
        onto.any(|b| world.health(&b.service, at).is_down())
            && from.with_traffic().any(|b| world.health(&b.service, at).is_ready())
    })
}

#[cfg(test)]
mod tests {
    use crate::invariants::test_world::{NONE, TestWorld};
    use crate::model::Writer;

    fn author() -> Writer {
        Writer::Other("author".into())
    }

    fn by(replica: &str, active: &str) -> String {
        format!(
            r#"{{"v":1,"by":"{replica}","sets":{{"":{{"active":["{active}"],"since":"{replica}{active}"}}}}}}"#
        )
    }

    fn start() -> TestWorld {
        let mut world = TestWorld::default();
        world.endpoints("a", 1);
        world.endpoints("b", 1);
        world.pass(10.0);
        world.write(author(), &[("a", 1), ("b", 0)], &[]);
        world
    }

    fn move_to(world: &mut TestWorld, backend: &str, replica: &str) {
        let weights = [("a", u64::from(backend == "a")), ("b", u64::from(backend == "b"))];
        world.write(Writer::Program, &weights, &[("state", &by(replica, backend))]);
    }

    #[test]
    fn two_replicas_that_undo_each_other_break_it() {
        let mut world = start();
        move_to(&mut world, "b", "one");
        move_to(&mut world, "a", "two");
        assert_eq!(world.broken(), NONE, "one reversal is within the bound");
        move_to(&mut world, "b", "one");
        assert_eq!(world.broken(), [4]);
    }

    #[test]
    fn one_reversal_onto_what_is_down_breaks_it_where_nothing_changed_in_between() {
        for (comes_back, at_once, broken) in
            [(false, false, &[4][..]), (false, true, &[4]), (true, false, &[]), (true, true, &[])]
        {
            let mut world = start();
            world.endpoints("a", 0);
            if at_once {
                world.stop_seconds();
            }
            move_to(&mut world, "b", "one");
            if comes_back {
                world.endpoints("a", 1);
                world.endpoints("a", 0);
            }
            move_to(&mut world, "a", "two");
            assert_eq!(world.broken(), broken, "{comes_back} {at_once}");
        }
    }

    #[test]
    fn moves_that_follow_the_endpoints_keep_it() {
        let mut world = start();
        for round in 0..20 {
            let backend = if round % 2 == 0 { "b" } else { "a" };
            world.endpoints("a", usize::from(backend == "a"));
            move_to(&mut world, backend, ["one", "two"][round % 2]);
        }
        assert_eq!(world.broken(), NONE);
    }

    #[test]
    fn a_write_that_nothing_asks_for_breaks_it_in_the_long_run() {
        let mut world = start();
        for _ in 0..8 {
            move_to(&mut world, "b", "one");
            move_to(&mut world, "a", "one");
        }
        assert_eq!(world.broken(), [4]);
    }

    #[test]
    fn a_record_again_and_again_breaks_it() {
        let mut world = start();
        for round in 0..40 {
            world.write(
                Writer::Program,
                &[("a", 1), ("b", 0)],
                &[("state", &by("one", &round.to_string()))],
            );
        }
        assert_eq!(world.broken(), [4]);
    }

    #[test]
    fn a_weight_write_over_a_pause_or_past_a_pin_breaks_it() {
        for (annotation, broken) in
            [(("paused", "true"), &[4][..]), (("pin", "a"), &[4]), (("pin", "b"), &[])]
        {
            let mut world = start();
            world.write(author(), &[("a", 1), ("b", 0)], &[annotation]);
            world.write(Writer::Program, &[("a", 0), ("b", 1)], &[annotation]);
            assert_eq!(world.broken(), broken, "{annotation:?}");
        }
    }

    #[test]
    fn a_weight_write_without_the_label_breaks_it() {
        let mut world = start();
        world.unlabelled(author(), &[("a", 1), ("b", 0)]);
        world.unlabelled(Writer::Program, &[("a", 0), ("b", 1)]);
        assert!(world.broken().contains(&4));
    }
}
