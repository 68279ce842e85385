//! 6: no deletion is held beyond its bound, and authors' weights come back with the label off.

use crate::bounds::{DELETION, WEIGHTS_LOST};
use crate::facts::{At, Broken, Fact, Worst};
use crate::invariants::stopwatch::PacedClock;
use crate::invariants::{Gauge, Input, Invariant};
use crate::model::World;
use std::collections::BTreeMap;
use std::time::Duration;

/// Faults under which an API server answers late, whoever asks.
const OF_CONTROL_PLANES: [&str; 3] = ["api-server", "etcd", "compaction"];

/// Looks at deletions, and at the end at all weights.
pub(super) struct Deletion {
    clock: PacedClock,
    /// When each deletion was asked for, by both clocks.
    asked: BTreeMap<String, (At, Duration)>,
    /// When a fault of a control plane was made last.
    disturbed: Option<At>,
    held: Gauge,
    lost: Gauge,
}

impl Default for Deletion {
    fn default() -> Self {
        Self {
            clock: PacedClock::default(),
            asked: BTreeMap::new(),
            disturbed: None,
            held: Gauge::of(&DELETION),
            lost: Gauge::of(&WEIGHTS_LOST),
        }
    }
}

impl Invariant for Deletion {
    fn see(&mut self, world: &World, at: At, input: Input<'_>) -> Vec<Broken> {
        match input {
            Input::Fact(Fact::FaultBegan { family, .. }) if is_of_control_plane(family) => {
                self.disturbed = Some(at);
                vec![]
            }
            Input::Tick => {
                self.clock.tick(world, at);
                if world.faults.values().any(|(family, _)| is_of_control_plane(family)) {
                    self.disturbed = Some(at);
                }
                vec![]
            }
            Input::Fact(Fact::DeletionAsked { pod, .. }) => {
                self.asked.insert(pod.clone(), (at, self.clock.now()));
                vec![]
            }
            Input::Fact(Fact::DeletionAnswered { pod, status, took, .. }) => {
                self.answered(pod, *status, *took, at).into_iter().collect()
            }
            Input::Fact(Fact::LabelsOff { .. }) => self.labels_off(world, at),
            _ => vec![],
        }
    }

    fn worst(&self) -> Vec<Worst> {
        vec![self.held.worst(), self.lost.worst()]
    }
}

fn is_of_control_plane(family: &str) -> bool {
    OF_CONTROL_PLANES.iter().any(|part| family.contains(part))
}

impl Deletion {
    fn answered(&mut self, pod: &str, status: u16, took: Duration, at: At) -> Option<Broken> {
        let (asked, paced) = self.asked.remove(pod)?;
        if self.disturbed.is_some_and(|disturbed| disturbed >= asked) {
            return None;
        }
        let counted = took.min(self.clock.now() - paced);
        let account =
            || vec![format!("answered with {status} after {took:?}, of which {counted:?} count")];
        self.held.note(counted.as_secs_f64()).then(|| self.held.broken(pod, at, account()))
    }

    fn labels_off(&mut self, world: &World, at: At) -> Vec<Broken> {
        let mut broken = vec![];
        for (key, object) in &world.objects {
            let Some(authored) = world.authored.get(key) else { continue };
            if object.is_managed || object.is_deleting || world.meddled.contains(key) {
                continue;
            }
            self.lost.looked();
            let there: Vec<Vec<(String, u64)>> = object
                .sets
                .iter()
                .map(|set| {
                    set.backends.iter().filter_map(|b| Some((b.name.clone(), b.weight?))).collect()
                })
                .collect();
            if there != *authored && self.lost.count() {
                let account = format!(
                    "its author wrote {authored:?}, and without the label it has {there:?}"
                );
                broken.push(self.lost.broken(key, at, vec![account]));
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::test_world::{NONE, TestWorld};
    use crate::model::Writer;

    fn at() -> At {
        At(Duration::from_secs(60))
    }

    #[test]
    fn a_deletion_that_is_held_for_too_long_breaks_it() {
        let answer = |world: &mut TestWorld, seconds| {
            world.fact(Fact::DeletionAsked { pod: "ns/pod".into(), at: at() });
            world.pass(seconds);
            let took = Duration::from_secs_f64(seconds);
            world.fact(Fact::DeletionAnswered {
                pod: "ns/pod".into(),
                status: 200,
                took,
                at: at(),
            });
        };
        let mut world = TestWorld::default();
        answer(&mut world, 2.9);
        assert_eq!(world.broken(), NONE);
        answer(&mut world, 3.1);
        assert_eq!(world.broken(), [6]);
        let (id, family, target) = (0, "sigstop-api-server", String::new());
        world.fact(Fact::FaultBegan { id, family, target, at: at() });
        answer(&mut world, 30.0);
        assert_eq!(world.broken(), NONE, "the API server answers nobody");
    }

    #[test]
    fn a_weight_that_does_not_come_back_breaks_it() {
        for (left, broken) in [([("a", 3), ("b", 1)], &[][..]), ([("a", 0), ("b", 1)], &[6])] {
            let mut world = TestWorld::default();
            world.authored(&[("a", 3), ("b", 1)]);
            world.write(Writer::Other("author".into()), &[("a", 3), ("b", 1)], &[]);
            world.write(Writer::Program, &[("a", 0), ("b", 1)], &[]);
            world.unlabelled(Writer::Other("author".into()), &left);
            world.fact(Fact::LabelsOff { at: at() });
            assert_eq!(world.broken(), broken, "{left:?}");
        }
    }
}
