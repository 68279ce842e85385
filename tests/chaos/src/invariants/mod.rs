//! What has to hold, whatever happens: one invariant a file. Each is a state machine that is fed with changes,
//! facts and time, and that does nothing else.

mod admission;
mod deletion;
mod end_state;
mod fights;
mod on_down;
mod process;
mod stopwatch;
#[cfg(test)]
pub(crate) mod test_world;
mod weights;

use crate::bounds::{Bound, title};
use crate::facts::{At, Broken, Fact, Worst};
use crate::model::{Applied, World};
use crate::truth::StoredKey;
use std::collections::BTreeSet;

/// What an invariant is fed with. The world has taken it in before.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// What these failover objects rest on has changed: a Service, a slice, or the object itself.
    Concerned(&'a BTreeSet<StoredKey>),
    /// What all of them rest on has: a freeze, the brake.
    ConcernsAll,
    /// A failover object has changed; after that it is concerned.
    Applied(&'a Applied),
    /// The other half says something.
    Fact(&'a Fact),
    /// What a process takes at the moment.
    Sample(&'a Sample),
    /// A replica has written a line with a panic into its log.
    Panic {
        /// Its pod's name.
        replica: &'a str,
        /// The line.
        line: &'a str,
    },
    /// Time passes.
    Tick,
}

/// What a process takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its pod's name.
    pub replica: String,
    /// Of its process.
    pub pid: u32,
    /// Resident, in bytes.
    pub resident: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

/// Something that has to hold.
pub trait Invariant: Send {
    /// Takes an input in. Returns what has been broken by it.
    fn see(&mut self, world: &World, at: At, input: Input<'_>) -> Vec<Broken>;

    /// The worst values until now.
    fn worst(&self) -> Vec<Worst>;
}

/// All of them, as at the start of a run.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::<weights::Weights>::default(),
        Box::<on_down::OnDown>::default(),
        Box::<end_state::EndState>::default(),
        Box::<fights::Fights>::default(),
        Box::<admission::Admission>::default(),
        Box::<deletion::Deletion>::default(),
        Box::<process::Processes>::default(),
    ]
}

/// The worst value of one bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauge {
    bound: &'static Bound,
    worst: Option<f64>,
}

impl Gauge {
    pub(crate) fn of(bound: &'static Bound) -> Self {
        Self { bound, worst: None }
    }

    /// Notes a value. Returns whether it is beyond the bound.
    pub(crate) fn note(&mut self, value: f64) -> bool {
        self.worst = Some(self.worst.map_or(value, |worst| worst.max(value)));
        value > self.bound.most
    }

    /// Notes one more of what is counted.
    pub(crate) fn count(&mut self) -> bool {
        self.note(self.worst.unwrap_or_default() + 1.0)
    }

    /// Something was looked at, and was right.
    pub(crate) fn looked(&mut self) {
        self.note(self.worst.unwrap_or_default());
    }

    pub(crate) fn worst(&self) -> Worst {
        let Self { bound, worst } = self;
        Worst {
            invariant: bound.invariant,
            name: bound.name,
            bound: bound.show(bound.most),
            worst: worst.map_or_else(|| "not measured".into(), |worst| bound.show(worst)),
            value: worst.unwrap_or_default(),
            held: worst.map(|worst| worst <= bound.most),
        }
    }

    /// The bound is broken by this object.
    pub(crate) fn broken(&self, object: impl ToString, at: At, account: Vec<String>) -> Broken {
        Broken {
            invariant: self.bound.invariant,
            name: title(self.bound.invariant),
            object: object.to_string(),
            at,
            account: std::iter::once(format!("{}: {}", self.bound.name, self.worst().worst))
                .chain(account)
                .collect(),
        }
    }
}
