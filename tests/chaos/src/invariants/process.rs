//! 7: memory is bounded, nothing panics, nothing exits by itself, and descriptors and threads are as at the start.

use crate::bounds::{DESCRIPTORS, EXITS, MEMORY, PANICS, THREADS};
use crate::facts::{At, Broken, Fact, Worst};
use crate::invariants::{Gauge, Input, Invariant, Sample};
use crate::model::World;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For how long a process starts: what it takes then is what it is compared with.
const STARTS: Duration = Duration::from_secs(10);
/// After the last fault, what it takes is as at its start.
const CALMS_DOWN: Duration = Duration::from_secs(10);

/// Looks at processes.
pub(super) struct Processes {
    started: BTreeMap<u32, At>,
    /// The most that a process took while it started: descriptors and threads.
    first: BTreeMap<u32, (usize, usize)>,
    reported: BTreeSet<(u32, &'static str)>,
    memory: Gauge,
    descriptors: Gauge,
    threads: Gauge,
    panics: Gauge,
    exits: Gauge,
}

impl Default for Processes {
    fn default() -> Self {
        Self {
            started: BTreeMap::new(),
            first: BTreeMap::new(),
            reported: BTreeSet::new(),
            memory: Gauge::of(&MEMORY),
            descriptors: Gauge::of(&DESCRIPTORS),
            threads: Gauge::of(&THREADS),
            panics: Gauge::of(&PANICS),
            exits: Gauge::of(&EXITS),
        }
    }
}

impl Invariant for Processes {
    fn see(&mut self, world: &World, at: At, input: Input<'_>) -> Vec<Broken> {
        match input {
            Input::Fact(Fact::ReplicaStarted { pid, .. }) => {
                self.started.insert(*pid, at);
                self.exits.looked();
                self.panics.looked();
                vec![]
            }
            Input::Fact(Fact::ReplicaExited { replica, pid, status, caused, .. }) => {
                self.started.remove(pid);
                let account = vec![format!("process {pid} ended with {status:?}")];
                let beyond = !caused && self.exits.count();
                beyond.then(|| self.exits.broken(replica, at, account)).into_iter().collect()
            }
            Input::Panic { replica, line } => {
                let beyond = self.panics.count();
                beyond
                    .then(|| self.panics.broken(replica, at, vec![line.into()]))
                    .into_iter()
                    .collect()
            }
            Input::Sample(sample) => self.sample(world, at, sample),
            _ => vec![],
        }
    }

    fn worst(&self) -> Vec<Worst> {
        [&self.memory, &self.descriptors, &self.threads, &self.panics, &self.exits]
            .map(Gauge::worst)
            .into()
    }
}

impl Processes {
    fn sample(&mut self, world: &World, at: At, sample: &Sample) -> Vec<Broken> {
        let Some(started) = self.started.get(&sample.pid) else { return vec![] };
        let Sample { replica, pid, resident, descriptors, threads } = sample;
        let first = self.first.entry(*pid).or_default();
        if at.0 < started.0 + STARTS {
            *first = (first.0.max(*descriptors), first.1.max(*threads));
        }
        let more = |now: usize, first: usize| now.saturating_sub(first) as f64;
        let is_calm = world.quiet_since.is_some_and(|quiet| at.0 >= quiet.0 + CALMS_DOWN);
        let mut values = vec![
            (&mut self.memory, *resident as f64 / f64::from(1 << 20)),
            (&mut self.threads, more(*threads, first.1)),
        ];
        if is_calm {
            values.push((&mut self.descriptors, more(*descriptors, first.0)));
        }
        let mut broken = vec![];
        for (gauge, value) in values {
            if gauge.note(value) && self.reported.insert((*pid, gauge.bound.name)) {
                broken.push(gauge.broken(
                    replica,
                    at,
                    vec![format!("{sample:?}, at its start {first:?}")],
                ));
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::test_world::{NONE, TestWorld};

    fn sample(mebibytes: u64, descriptors: usize, threads: usize) -> Sample {
        Sample { replica: "one".into(), pid: 7, resident: mebibytes << 20, descriptors, threads }
    }

    fn started() -> TestWorld {
        let mut world = TestWorld::default();
        world.fact(Fact::ReplicaStarted {
            replica: "one".into(),
            pid: 7,
            admin: String::new(),
            log: String::new(),
            at: At(Duration::ZERO),
        });
        world.sample(&sample(40, 30, 8));
        world.pass(11.0);
        world
    }

    #[test]
    fn memory_and_threads_break_it_at_once_and_descriptors_at_the_end() {
        let mut world = started();
        world.sample(&sample(255, 200, 16));
        assert_eq!(world.broken(), NONE);
        world.sample(&sample(257, 200, 17));
        assert_eq!(world.broken(), [7, 7]);
        world.quiet();
        world.pass(11.0);
        world.sample(&sample(40, 94, 8));
        assert_eq!(world.broken(), NONE);
        world.sample(&sample(40, 95, 8));
        assert_eq!(world.broken(), [7]);
    }

    #[test]
    fn an_exit_that_no_fault_caused_and_a_panic_break_it() {
        for (caused, broken) in [(true, &[][..]), (false, &[7])] {
            let mut world = started();
            world.fact(Fact::ReplicaExited {
                replica: "one".into(),
                pid: 7,
                status: Some(101),
                caused,
                at: At(Duration::ZERO),
            });
            assert_eq!(world.broken(), broken);
        }
        let mut world = started();
        world.panic("one", "thread 'main' panicked at src/main.rs");
        assert_eq!(world.broken(), [7]);
    }
}
