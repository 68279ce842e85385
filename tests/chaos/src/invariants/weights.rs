//! 1: never all-zero, and never a backend that the author did not name.

use crate::bounds::{ALL_ZERO, NOT_NAMED};
use crate::facts::{At, Broken, Worst};
use crate::invariants::{Gauge, Input, Invariant};
use crate::model::{World, Writer};

/// Keeps weights to what authors named.
pub(super) struct Weights {
    zero: Gauge,
    not_named: Gauge,
}

impl Default for Weights {
    fn default() -> Self {
        Self { zero: Gauge::of(&ALL_ZERO), not_named: Gauge::of(&NOT_NAMED) }
    }
}

impl Invariant for Weights {
    fn see(&mut self, _: &World, at: At, input: Input<'_>) -> Vec<Broken> {
        let Input::Applied(applied) = input else { return vec![] };
        let Some(after) = &applied.after else { return vec![] };
        if applied.writer != Writer::Program {
            return vec![];
        }
        let mut broken = vec![];
        let of = |what: String| vec![format!("revision {}: {what}", applied.revision)];
        self.zero.looked();
        let zero = |set: &&crate::model::Set| set.backends.iter().all(|b| b.weight == Some(0));
        for set in after.sets.iter().filter(|set| !set.backends.is_empty()).filter(zero) {
            if self.zero.count() {
                broken.push(self.zero.broken(
                    &after.key,
                    at,
                    of(format!("the set {:?} has no weight but 0", set.name)),
                ));
            }
        }
        self.not_named.looked();
        if let Some(before) =
            applied.before.as_ref().filter(|before| before.by_author != after.by_author)
            && self.not_named.count()
        {
            let account = of(format!("before {}, after {}", before.by_author, after.by_author));
            broken.push(self.not_named.broken(&after.key, at, account));
        }
        broken
    }

    fn worst(&self) -> Vec<Worst> {
        vec![self.zero.worst(), self.not_named.worst()]
    }
}

#[cfg(test)]
mod tests {
    use crate::invariants::test_world::{NONE, TestWorld};
    use crate::model::Writer;

    #[test]
    fn all_zero_weights_of_the_program_break_it_and_those_of_an_author_do_not() {
        let mut world = TestWorld::default();
        world.write(Writer::Other("author".into()), &[("a", 0), ("b", 0)], &[]);
        assert_eq!(world.broken(), NONE);
        world.write(Writer::Program, &[("a", 1), ("b", 0)], &[]);
        assert_eq!(world.broken(), NONE);
        world.write(Writer::Program, &[("a", 0), ("b", 0)], &[]);
        assert_eq!(world.broken(), [1]);
    }

    #[test]
    fn a_backend_that_the_program_adds_breaks_it() {
        let mut world = TestWorld::default();
        world.write(Writer::Other("author".into()), &[("a", 1), ("b", 0)], &[]);
        world.write(Writer::Program, &[("a", 0), ("b", 1)], &[]);
        assert_eq!(world.broken(), NONE);
        world.write(Writer::Program, &[("a", 0), ("b", 0), ("c", 1)], &[]);
        assert_eq!(world.broken(), [1]);
    }
}
