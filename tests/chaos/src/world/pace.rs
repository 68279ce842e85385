//! How much of the CPU that they ask for the processes get that a flip needs. On a machine that does much else
//! bounds of seconds mean little by the clock on the wall.

use super::start::World;
use crate::facts::Fact;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(200);
/// A process that asked for less in a period says nothing of the machine.
const LITTLE: Duration = Duration::from_millis(4);
/// The programs of the east that a flip needs.
const NEEDED: [&str; 2] = ["kube-apiserver", "etcd"];

/// Of all threads of a process since they began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Scheduled {
    ran: Duration,
    waited: Duration,
}

/// Measures five times a second, and tells each change.
pub(super) async fn measure(world: Arc<World>) {
    let mut before: BTreeMap<u32, Scheduled> = BTreeMap::new();
    let mut told = 1.0;
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(PERIOD).await;
        let replicas = world.replicas.iter().map(|replica| replica.process().pid());
        let programs = world.east.pids().into_iter();
        let programs = programs.filter(|(name, _)| NEEDED.contains(&name.as_str()));
        let now: BTreeMap<u32, Scheduled> = programs
            .map(|(_, pid)| pid)
            .chain(replicas)
            .filter_map(|pid| Some((pid, scheduled(pid)?)))
            .collect();
        let shares = now.iter().filter_map(|(pid, now)| share(before.get(pid)?, now));
        let least = shares.fold(1.0, f64::min);
        before = now;
        let passed = std::mem::replace(&mut last, Instant::now()).elapsed();
        let counted = u64::try_from(passed.mul_f64(least).as_micros()).unwrap_or(u64::MAX);
        world.counted.fetch_add(counted, Ordering::Relaxed);
        if (least - told).abs() > 0.02 {
            told = least;
            world.journal.fact(Fact::Pace { share: least, at: world.clock.now() });
        }
    }
}

/// The share of what it asked for that a process got; none where it asked for little.
fn share(before: &Scheduled, now: &Scheduled) -> Option<f64> {
    let ran = now.ran.saturating_sub(before.ran);
    let waited = now.waited.saturating_sub(before.waited);
    let asked = ran + waited;
    (asked > LITTLE).then(|| ran.as_secs_f64() / asked.as_secs_f64())
}

fn scheduled(pid: u32) -> Option<Scheduled> {
    let mut sum = Scheduled::default();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // A thread may have ended meanwhile.
        let Ok(text) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
        let one = parse(&text)?;
        sum.ran += one.ran;
        sum.waited += one.waited;
    }
    Some(sum)
}

/// Nanoseconds on a CPU, nanoseconds in its queue, and a number of turns.
fn parse(text: &str) -> Option<Scheduled> {
    let mut numbers =
        text.split_whitespace().map(|number| number.parse().map(Duration::from_nanos));
    let mut next = || numbers.next()?.ok();
    Some(Scheduled { ran: next()?, waited: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_waits_three_times_as_long_as_it_runs_gets_a_quarter() {
        let ms = Duration::from_millis;
        let before = Scheduled { ran: ms(100), waited: ms(10) };
        let now = Scheduled { ran: ms(120), waited: ms(70) };
        assert_eq!(share(&before, &now), Some(0.25));
        assert_eq!(share(&before, &before), None);
        assert_eq!(parse("100000000 10000000 7\n"), Some(before));
        assert!(scheduled(std::process::id()).is_some_and(|own| own.ran > Duration::ZERO));
    }
}
