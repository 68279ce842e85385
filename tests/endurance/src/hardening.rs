//! A webhook under attack: each attack alone, then all at once, with honest reviews meanwhile.

use crate::attack::Attack;
use crate::attackers::Program;
use crate::honest::{self, ApiServer, PER_SECOND, Reviews};
use crate::verdicts::{Phase, alive, latency, lost, memory};
use anyhow::{Context, Result};
use bench_table::Claims;
use std::path::Path;
use std::time::Duration;
use test_cluster::{
    Cluster, Contents, InstallOptions, Installation, Workload, client_config, eventually, usage,
    webhook_ca,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// How long each part takes.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// At rest, before and after.
    pub rest: Duration,
    /// Each attack alone.
    pub alone: Duration,
    /// All at once.
    pub together: Duration,
}

/// A webhook that is attacked.
pub struct Attacked<'a> {
    /// Those who attack it.
    pub program: Program,
    /// Who sends honest reviews to it.
    pub api_server: &'a ApiServer,
    /// Its process.
    pub pid: u32,
}

impl Attacked<'_> {
    /// The honest reviews at rest, and what is resident then.
    pub async fn rest(&self, length: Duration) -> Result<(Reviews, f64)> {
        let reviews = self.api_server.send(length).await?;
        Ok((reviews, usage::memory(self.pid)?.resident))
    }

    /// These attacks for so long, with honest reviews meanwhile.
    pub async fn phase(&self, name: &str, attacks: &[Attack], length: Duration) -> Result<Phase> {
        usage::reset_peak_memory(self.pid)?;
        let attackers = self.program.start(attacks)?;
        // All of them are at it before it counts.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let reviews = self.api_server.send(length).await?;
        let attackers = attackers.end().await?;
        let peak = usage::peak_memory(self.pid)?;
        let phase = Phase { name: name.into(), reviews, peak, attackers };
        println!(
            "{name}: {} reviews, {} lost, {peak:.1} MiB",
            phase.reviews.sent(),
            phase.reviews.lost.len()
        );
        Ok(phase)
    }
}

/// Installs the chart with one replica, attacks it by `program`, and says what held.
pub async fn run(program: &Path, lengths: Lengths) -> Result<Claims> {
    let cluster = Cluster::shared(Contents::TrafficSplits).await?;
    let options = InstallOptions::default();
    let binary = options.binary.clone();
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;
    let workload = Workload::new(&cluster, "hardening").await?;
    for service in ["steady-svc", "steady-svc-west"] {
        workload.service_with_slice(service, 1).await?;
    }
    let replica = installation.replicas().first().context("there is a replica")?.clone();
    let ca = webhook_ca(&cluster).await?;
    let file = cluster.folder().join("webhook-ca.pem");
    std::fs::write(&file, &ca)?;
    let server = replica.webhook_addr();
    let api_server = ApiServer::new(server, client_config(&ca)?, honest::PATIENCE)?;
    eventually("a review is answered", PATIENCE, || api_server.ask()).await?;
    let attacked = Attacked {
        program: Program { path: program.into(), server, ca: file },
        api_server: &api_server,
        pid: replica.process().pid(),
    };

    attacked.rest(lengths.rest / 4).await?;
    let (rest, at_rest) = attacked.rest(lengths.rest).await?;
    let mut phases = vec![];
    for attack in Attack::ALL {
        phases.push(attacked.phase(attack.name(), &[attack], lengths.alone).await?);
    }
    phases.push(attacked.phase("all at once", &Attack::ALL, lengths.together).await?);
    let (reviews, after) = attacked.rest(lengths.rest).await?;
    let afterwards = Phase { name: "at rest again".into(), reviews, peak: after, attackers: 0.0 };
    phases.push(afterwards);

    let mut claims = Claims::new("hardening");
    claims.conditions = vec![
        format!("the program is {}", crate::profile(&binary)),
        format!(
            "one replica; {PER_SECOND} honest reviews a second over one HTTP/2 connection, one in 20 over a new one; attackers have an address of their own"
        ),
        format!(
            "each attack alone for {:?}, all at once for {:?}; {at_rest:.1} MiB at rest, {after:.1} MiB at rest again",
            lengths.alone, lengths.together
        ),
    ];
    let rates = Attack::ALL.map(|attack| format!("{}: {}", attack.name(), attack.describe()));
    claims.conditions.extend(rates);
    claims.claims = phases.iter().map(|phase| latency(phase, &rest)).collect();
    claims.claims.push(memory(&phases, at_rest));
    claims.claims.push(lost(&phases));
    let metrics = replica.get("/metrics").await?;
    let log = std::fs::read_to_string(replica.process().log())?;
    claims.claims.push(alive(replica.process().is_running(), panics(&metrics), &log));
    for why in phases.iter().flat_map(|phase| &phase.reviews.lost).take(20) {
        println!("lost: {why}");
    }
    installation.uninstall().await?;
    Ok(claims)
}

fn panics(metrics: &str) -> f64 {
    let line =
        metrics.lines().find_map(|l| l.strip_prefix("linkerd_failover_admission_panics_total "));
    line.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}
