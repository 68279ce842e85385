//! How much of the CPU that they ask for the processes get that a flip needs. On a machine that does much else
//! bounds of seconds mean little by the clock on the wall.

use super::start::World;
use crate::facts::Fact;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use test_cluster::usage::{self, CpuUsage};

const PERIOD: Duration = Duration::from_millis(200);
/// A process that asked for less in a period says nothing of the machine.
const LITTLE: Duration = Duration::from_millis(4);
/// The programs of the east that a flip needs.
const NEEDED: [&str; 2] = ["kube-apiserver", "etcd"];

/// Measures five times a second, and reports each change.
pub(super) async fn measure(world: Arc<World>) {
    let mut before: BTreeMap<u32, CpuUsage> = BTreeMap::new();
    let mut reported = 1.0;
    let mut last = Instant::now();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
    loop {
        tokio::time::sleep(PERIOD).await;
        let replicas = world.replicas.iter().map(|replica| replica.process().pid());
        let programs = world.east.pids().into_iter();
        let programs = programs.filter(|(name, _)| NEEDED.contains(&name.as_str()));
        let now: BTreeMap<u32, CpuUsage> = programs
            .map(|(_, pid)| pid)
            .chain(replicas)
            .filter_map(|pid| Some((pid, usage::cpu(pid).ok()?)))
            .collect();
        let passed = std::mem::replace(&mut last, Instant::now()).elapsed();
        let shares =
            now.iter().filter_map(|(pid, now)| share(before.get(pid)?, now, passed * cpus));
        let least = shares.fold(1.0, f64::min);
        before = now;
        let counted = u64::try_from(passed.mul_f64(least).as_micros()).unwrap_or(u64::MAX);
        world.counted.fetch_add(counted, Ordering::Relaxed);
        if (least - reported).abs() > 0.02 {
            reported = least;
            world.journal.fact(Fact::Pace { share: least, at: world.clock.now() });
        }
    }
}

/// The share of what it asked for that a process got, of at most all that there was; none where it asked for little.
fn share(before: &CpuUsage, now: &CpuUsage, all: Duration) -> Option<f64> {
    let ran = now.ran.saturating_sub(before.ran);
    let waited = now.waited.saturating_sub(before.waited);
    let asked = ran + waited;
    (asked > LITTLE).then(|| (ran.as_secs_f64() / asked.min(all).as_secs_f64()).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_waits_three_times_as_long_as_it_runs_gets_a_quarter() {
        let ms = Duration::from_millis;
        let before = CpuUsage { ran: ms(100), waited: ms(10) };
        let now = CpuUsage { ran: ms(120), waited: ms(70) };
        assert_eq!(share(&before, &now, ms(400)), Some(0.25));
        assert_eq!(share(&before, &before, ms(400)), None);
    }

    #[test]
    fn many_threads_that_wait_do_not_ask_for_more_than_there_is() {
        let ms = Duration::from_millis;
        let now = CpuUsage { ran: ms(200), waited: ms(2_000) };
        assert_eq!(share(&CpuUsage::default(), &now, ms(400)), Some(0.5));
    }
}
