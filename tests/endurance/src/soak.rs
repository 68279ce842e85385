//! The soak: two replicas whose certificates live for a minute, applies, flips and restarts.

use crate::applies::{Applies, Outcome, apply, split, splits};
use crate::flips::Flips;
use crate::profile;
use crate::slope::{Sample, judge};
use anyhow::{Context, Result, ensure};
use bench_table::{Claim, Claims};
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_cluster::{
    Cluster, Contents, InstallOptions, Installation, Replica, Workload, eventually, usage,
};

/// A leaf lives for a minute, and a CA as short as it may for that.
const LIVES: [(&str, &str); 4] = [
    ("LINKERD_FAILOVER_WEBHOOK_CA_LIFE", "150s"),
    ("LINKERD_FAILOVER_WEBHOOK_LEAF_LIFE", "60s"),
    ("LINKERD_FAILOVER_WEBHOOK_CA_SETTLE", "5s"),
    ("LINKERD_FAILOVER_DRAIN", "4s"),
];
/// A call that fails is an apply that fails.
const VALUES: [&str; 2] = ["webhook.failurePolicy.mutating=Fail", "webhook.timeoutSeconds=30"];
const APPLIES_PER_SECOND: u32 = 20;
const FLIP_EVERY: Duration = Duration::from_secs(1);
const RESTART_EVERY: Duration = Duration::from_secs(300);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
const WARMED_UP: Duration = Duration::from_secs(600);
/// MiB an hour.
const GROWTH: f64 = 1.0;
const PATIENCE: Duration = Duration::from_secs(120);
/// Splits that are applied again and again, beside the one that flips.
const SPLITS: usize = 40;

/// Runs for so long, and says what held.
pub async fn run(length: Duration) -> Result<Claims> {
    let cluster = Cluster::shared(Contents::TrafficSplits).await?;
    let values = VALUES.map(str::to_owned).to_vec();
    let options = InstallOptions { values, replicas: 0, ..InstallOptions::default() };
    let mut installation = Installation::install(&cluster, options).await?;
    for _ in 0..2 {
        installation.start_replica_with(&LIVES).await?;
    }
    installation.wait_ready(PATIENCE).await?;
    let workload = Workload::new(&cluster, "soak").await?;
    for service in ["steady-svc", "steady-svc-west", "flipping-svc", "flipping-svc-west"] {
        workload.service_with_slice(service, 1).await?;
    }
    let splits = splits(cluster.client(), "soak");
    let flipping = split("flipping", "flipping-svc", "flipping-svc-west", 0);
    eventually("an apply passes", PATIENCE, || apply(&splits, &flipping)).await?;

    let applies = Applies::start(splits.clone(), APPLIES_PER_SECOND, |n| match n % (SPLITS + 1) {
        0 => split("flipping", "flipping-svc", "flipping-svc-west", n),
        nth => split(&format!("steady-{nth}"), "steady-svc", "steady-svc-west", n),
    });
    let began = Instant::now();
    let run = Run { began, end: began + length };
    let (replicas, mut flips) = (installation.replicas(), Flips::default());
    let flipping = async {
        let mut is_ready = true;
        while run.goes_on() {
            let due = tokio::time::Instant::now() + FLIP_EVERY;
            is_ready = !is_ready;
            flips.flip(&workload, &splits, "flipping", "flipping-svc", is_ready).await?;
            tokio::time::sleep_until(due).await;
        }
        anyhow::Ok(())
    };
    let reports = async {
        while run.goes_on() {
            tokio::time::sleep(Duration::from_secs(60).min(run.left())).await;
            let Outcome { applied, failures } = applies.outcome();
            let memory = |r: &Arc<Replica>| Ok(usage::memory(r.process().pid())?.resident);
            let memory: Vec<Result<f64>> = replicas.iter().map(memory).collect();
            let minute = began.elapsed().as_secs() / 60;
            println!(
                "minute {minute}: {applied} applies, {} failed, {memory:.1?} MiB",
                failures.len()
            );
        }
        anyhow::Ok(())
    };
    let (flipped, samples, restarts, reported) =
        tokio::join!(flipping, sample(run, &replicas[0]), restart(run, replicas), reports);
    flipped?;
    reported?;
    let (samples, restarts) = (samples?, restarts?);
    let (took, outcome) = (began.elapsed(), applies.end().await?);
    let mut figures = Vec::new();
    for replica in replicas {
        figures.push(replica.get("/metrics").await?);
    }

    let mut claims = Claims::new("soak");
    claims.conditions = vec![
        format!(
            "{:.1} minutes; the program is {}",
            took.as_secs_f64() / 60.0,
            profile(&Installation::built_binary())
        ),
        format!(
            "leaves live 60 s, CAs 150 s; {APPLIES_PER_SECOND} applies a second wanted, {:.1} made, by server-side apply through both webhooks (failurePolicy Fail)",
            outcome.applied as f64 / took.as_secs_f64()
        ),
        format!(
            "replica 1 is restarted once, after five minutes, and replica 2 at each five minutes after that, by SIGTERM: {restarts} restarts"
        ),
    ];
    claims.claims = vec![
        applies_claim(&outcome),
        flips_claim(&flips),
        judge(&samples, WARMED_UP, GROWTH),
        restarts_claim(restarts, length),
        rotation_claim(&figures, length),
        panics_claim(&figures),
    ];
    if let Ok(peak) = usage::peak_memory(replicas[0].process().pid()) {
        claims.conditions.push(format!("replica 1 had at most {peak:.1} MiB resident"));
    }
    for failure in outcome.failures.iter().chain(&flips.missed).take(20) {
        println!("{failure}");
    }
    installation.uninstall().await?;
    Ok(claims)
}

#[derive(Clone, Copy)]
struct Run {
    began: Instant,
    end: Instant,
}

impl Run {
    fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

/// The memory of a replica, from its last start on.
async fn sample(run: Run, replica: &Replica) -> Result<Vec<Sample>> {
    let (mut samples, mut of) = (vec![], 0);
    while run.goes_on() {
        let pid = replica.process().pid();
        if pid != of {
            (samples, of) = (vec![], pid);
        }
        // Between two lives there is no process.
        if let Ok(memory) = usage::memory(pid) {
            samples.push(Sample { at: run.began.elapsed(), resident: memory.resident });
        }
        tokio::time::sleep(SAMPLE_EVERY.min(run.left())).await;
    }
    Ok(samples)
}

/// Restarts the first replica once, so that the Lease changes hands, and then the second one again and
/// again: the first one runs long enough to show whether it grows.
async fn restart(run: Run, replicas: &[Arc<Replica>]) -> Result<usize> {
    let mut restarts = 0;
    loop {
        tokio::time::sleep(RESTART_EVERY.min(run.left())).await;
        if run.left() < RESTART_EVERY / 10 {
            return Ok(restarts);
        }
        let nth = usize::from(restarts > 0);
        let replica = replicas.get(nth).context("there are two replicas")?;
        let exit = replica.process().terminate(PATIENCE).await?;
        ensure!(exit.status == Some(0), "{} ended: {exit}", replica.name());
        replica.restart().await?;
        replica.wait_ready(PATIENCE).await?;
        restarts += 1;
    }
}

fn applies_claim(outcome: &Outcome) -> Claim {
    let Outcome { applied, failures } = outcome;
    let (all, failed) = (applied + failures.len(), failures.len());
    let measured = format!("{failed} of {all}");
    let kept = failed == 0 && *applied > 0;
    let claim = Claim::new("applies that failed", "0", measured, kept);
    claim.note(failures.first().cloned().unwrap_or_default())
}

fn flips_claim(flips: &Flips) -> Claim {
    let Flips { landed, missed, longest } = flips;
    let measured = format!("{} of {}", missed.len(), landed + missed.len());
    let kept = missed.is_empty() && *landed > 0;
    let claim = Claim::new("flips not seen within 10 s", "0", measured, kept);
    claim.note(format!("the longest took {:.0} ms", longest.as_secs_f64() * 1e3))
}

fn restarts_claim(restarts: usize, length: Duration) -> Claim {
    let least = (length.as_secs() / RESTART_EVERY.as_secs()).saturating_sub(1) as usize;
    let bound = format!("at least {least}, each with status 0");
    Claim::new("restarts of a replica", bound, restarts.to_string(), restarts >= least)
}

/// By what the replicas count since their last start.
fn rotation_claim(metrics: &[String], length: Duration) -> Claim {
    let name = r#"linkerd_failover_webhook_certificate_loads_total{kind="#;
    let loads = metrics.iter().map(|metrics| sum(metrics, name)).sum::<f64>();
    // The first replica has run for all but five minutes.
    let least = (length.as_secs_f64() / 60.0 - 6.0).max(1.0);
    let bound = format!("at least {least:.0}");
    let claim =
        Claim::new("certificates taken into use", bound, format!("{loads}"), loads >= least);
    claim.note("by the two processes that ran at the end")
}

fn panics_claim(metrics: &[String]) -> Claim {
    let panics = metrics.iter().map(|text| sum(text, "linkerd_failover_admission_panics_total"));
    let panics = panics.sum::<f64>();
    Claim::new("reviews that panicked", "0", format!("{panics}"), panics <= 0.0)
}

/// The sum of the series whose names begin so.
fn sum(metrics: &str, name: &str) -> f64 {
    let series = metrics.lines().filter(|line| line.starts_with(name));
    series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_table::Verdict;

    #[test]
    fn one_failed_apply_is_too_many_and_none_at_all_prove_nothing() {
        let outcome =
            |applied, failed: usize| Outcome { applied, failures: vec!["503".into(); failed] };
        assert_eq!(applies_claim(&outcome(72_000, 0)).verdict, Verdict::Held);
        assert_eq!(applies_claim(&outcome(71_999, 1)).verdict, Verdict::Missed);
        assert_eq!(applies_claim(&outcome(0, 0)).verdict, Verdict::Missed);
    }

    #[test]
    fn one_missed_flip_is_too_many_and_none_at_all_prove_nothing() {
        let flips = |landed, missed: usize| Flips {
            landed,
            missed: vec!["not within 10s".into(); missed],
            longest: Duration::from_millis(20),
        };
        assert_eq!(flips_claim(&flips(3_600, 0)).verdict, Verdict::Held);
        assert_eq!(flips_claim(&flips(3_599, 1)).verdict, Verdict::Missed);
        assert_eq!(flips_claim(&flips(0, 0)).verdict, Verdict::Missed);
    }

    #[test]
    fn an_hour_has_at_least_eleven_restarts_and_fifty_four_certificates() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(restarts_claim(11, hour).verdict, Verdict::Held);
        assert_eq!(restarts_claim(10, hour).verdict, Verdict::Missed);
        let name = "linkerd_failover_webhook_certificate_loads_total";
        let metrics = |renewed: u32| {
            [format!("{name}{{kind=\"renewed\"}} {renewed}\n{name}{{kind=\"first\"}} 1\n")]
        };
        assert_eq!(rotation_claim(&metrics(53), hour).verdict, Verdict::Held);
        assert_eq!(rotation_claim(&metrics(52), hour).verdict, Verdict::Missed);
    }

    #[test]
    fn one_panic_is_too_many() {
        let metrics = |n: u32| [format!("linkerd_failover_admission_panics_total {n}\n")];
        assert_eq!(panics_claim(&metrics(0)).verdict, Verdict::Held);
        assert_eq!(panics_claim(&metrics(1)).verdict, Verdict::Missed);
    }
}
