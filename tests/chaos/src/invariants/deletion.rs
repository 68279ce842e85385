//! 6: no deletion is held beyond its bound, and authors' weights come back with the label off.

use crate::bounds::{DELETION, WEIGHTS_LOST};
use crate::facts::{At, Broken, Fact, Worst};
use crate::invariants::{Gauge, Input, Invariant};
use crate::model::World;

/// Looks at deletions, and at the end at all weights.
pub(super) struct Deletion {
    held: Gauge,
    lost: Gauge,
}

impl Default for Deletion {
    fn default() -> Self {
        Self { held: Gauge::of(&DELETION), lost: Gauge::of(&WEIGHTS_LOST) }
    }
}

impl Invariant for Deletion {
    fn see(&mut self, world: &World, at: At, input: Input<'_>) -> Vec<Broken> {
        match input {
            Input::Fact(Fact::DeletionAnswered { pod, status, took, .. }) => {
                let beyond = self.held.note(took.as_secs_f64());
                let account = || vec![format!("answered with {status} after {took:?}")];
                beyond.then(|| self.held.broken(pod, at, account())).into_iter().collect()
            }
            Input::Fact(Fact::LabelsOff { .. }) => self.labels_off(world, at),
            _ => vec![],
        }
    }

    fn worst(&self) -> Vec<Worst> {
        vec![self.held.worst(), self.lost.worst()]
    }
}

impl Deletion {
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
    use std::time::Duration;

    fn at() -> At {
        At(Duration::from_secs(60))
    }

    #[test]
    fn a_deletion_that_is_held_for_too_long_breaks_it() {
        let mut world = TestWorld::default();
        let answered = |seconds| Fact::DeletionAnswered {
            pod: "ns/pod".into(),
            status: 200,
            took: Duration::from_secs(seconds),
            at: at(),
        };
        world.fact(answered(30));
        assert_eq!(world.broken(), NONE);
        world.fact(answered(32));
        assert_eq!(world.broken(), [6]);
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
