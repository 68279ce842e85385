//! The observer without its eyes: a world, the invariants, and what to say of an object when one is broken. It is
//! fed, and does no I/O.

use crate::facts::{At, Broken, Fact, Side, Worst};
use crate::invariants::{self, Input, Invariant, Sample};
use crate::model::{Applied, Consequence, World, Writer};
use crate::truth::{Change, StoredKey};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// So many of the last changes of an object are in an account.
const TOLD: usize = 12;

/// Keeps the invariants.
pub struct Keeper {
    world: World,
    invariants: Vec<Box<dyn Invariant>>,
    history: BTreeMap<StoredKey, VecDeque<String>>,
}

impl Keeper {
    /// Of an installation whose selector has this value, in this namespace.
    pub fn new(selector: &str, own_namespace: &str) -> Self {
        Self {
            world: World::new(selector, own_namespace),
            invariants: invariants::all(),
            history: BTreeMap::new(),
        }
    }

    /// What is known.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What an author declares: set by set, in the order of the backends.
    pub fn author(&mut self, object: StoredKey, weights: Vec<Vec<(String, u64)>>) {
        self.world.authored.insert(object, weights);
    }

    /// Something that is stored has changed.
    pub fn change(&mut self, side: Side, change: &Change, at: At) -> Vec<Broken> {
        let consequence = self.world.change(side, change, at);
        self.follow(change, consequence, at)
    }

    /// The same where changes before it were not seen: who wrote does not show.
    pub fn change_unseen(&mut self, side: Side, change: &Change, at: At) -> Vec<Broken> {
        let mut consequence = self.world.change(side, change, at);
        if let Some(applied) = &mut consequence.applied {
            applied.writer = Writer::Unknown;
        }
        self.follow(change, consequence, at)
    }

    fn follow(&mut self, change: &Change, consequence: Consequence, at: At) -> Vec<Broken> {
        let mut broken = vec![];
        if let Some(applied) = &consequence.applied {
            self.tell(&change.key, applied, at);
            broken.extend(self.see(at, Input::Applied(applied)));
        }
        if consequence.concerns_all {
            broken.extend(self.see(at, Input::ConcernsAll));
        }
        if !consequence.concerned.is_empty() {
            broken.extend(self.see(at, Input::Concerned(&consequence.concerned)));
        }
        broken
    }

    /// The other half says something.
    pub fn fact(&mut self, fact: &Fact, at: At) -> Vec<Broken> {
        self.world.fact(fact);
        self.see(at, Input::Fact(fact))
    }

    /// What a process takes.
    pub fn sample(&mut self, sample: &Sample, at: At) -> Vec<Broken> {
        self.see(at, Input::Sample(sample))
    }

    /// A replica has panicked.
    pub fn panic(&mut self, replica: &str, line: &str, at: At) -> Vec<Broken> {
        self.see(at, Input::Panic { replica, line })
    }

    /// Time passes.
    pub fn tick(&mut self, at: At, wall: Timestamp) -> Vec<Broken> {
        self.world.advance(wall);
        self.see(at, Input::Tick)
    }

    /// The worst value of each bound until now, in the order of the table.
    pub fn worst(&self) -> Vec<Worst> {
        self.invariants.iter().flat_map(|invariant| invariant.worst()).collect()
    }

    fn see(&mut self, at: At, input: Input<'_>) -> Vec<Broken> {
        let seen = self.invariants.iter_mut().flat_map(|each| each.see(&self.world, at, input));
        let broken: Vec<Broken> = seen.collect();
        broken.into_iter().map(|broken| self.with_account(broken)).collect()
    }

    /// Remembers a change of an object, as a line.
    fn tell(&mut self, key: &StoredKey, applied: &Applied, at: At) {
        let lines = self.history.entry(key.clone()).or_default();
        if lines.len() == TOLD {
            lines.pop_front();
        }
        let weights = applied.after.as_ref().map(|after| {
            let sets = after.sets.iter().map(|set| {
                let each =
                    set.backends.iter().map(|b| format!("{} {}", b.name, b.weight.unwrap_or(0)));
                format!("{:?}: {}", set.name, each.collect::<Vec<_>>().join(", "))
            });
            let by = after.decided_by().unwrap_or("nobody");
            format!("{} (decided by {by})", sets.collect::<Vec<_>>().join("; "))
        });
        let weights = weights.unwrap_or_else(|| "gone".into());
        lines.push_back(format!(
            "{at}: revision {} by {:?}: {weights}",
            applied.revision, applied.writer
        ));
    }

    /// With what led to it: the last changes of the object, and the faults that are made at the moment.
    fn with_account(&self, mut broken: Broken) -> Broken {
        let of = self.history.iter().find(|(key, _)| key.to_string() == broken.object);
        broken.account.extend(of.into_iter().flat_map(|(_, lines)| lines.iter().cloned()));
        if !self.world.leader.is_empty() {
            broken.account.push(format!("the Lease is held by {}", self.world.leader));
        }
        for (id, (family, target)) in &self.world.faults {
            broken.account.push(format!("fault {id} is made: {family} of {target}"));
        }
        broken
    }
}
