//! Attackers in a process of their own: they hold more descriptors than the one that measures, and their
//! CPU is counted apart.

use crate::attack::{Attack, Target, run};
use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;
use test_cluster::{client_config, usage};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// The first argument of the program that attacks.
pub const ARGUMENT: &str = "attack";
/// An address that the API server does not have.
const FROM: &str = "127.0.0.66";
/// What an attacker of 10,000 connections needs.
const DESCRIPTORS: u64 = 12_000;

/// The program that attacks, and what it needs.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program `hardening`.
    pub path: PathBuf,
    /// The webhook that it attacks.
    pub server: SocketAddr,
    /// A file with the CA of the webhook.
    pub ca: PathBuf,
}

/// A process that attacks until this is dropped.
pub struct Attackers {
    child: Child,
    pid: u32,
    began: Instant,
}

impl Program {
    /// Begins with these attacks.
    pub fn start(&self, attacks: &[Attack]) -> Result<Attackers> {
        let mut command = Command::new(&self.path);
        command.arg(ARGUMENT).arg(self.server.to_string()).arg(&self.ca);
        command.args(attacks.iter().map(|attack| attack.name()));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot run {}", self.path.display()))?;
        let pid = child.id().context("the attackers have ended")?;
        Ok(Attackers { child, pid, began: Instant::now() })
    }
}

impl Attackers {
    /// Ends them: the CPUs that they used on average; an error where they have ended by themselves.
    pub async fn end(mut self) -> Result<f64> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "the attackers ended by themselves: {ended:?}");
        let used = usage::cpu_time(self.pid)?.as_secs_f64() / self.began.elapsed().as_secs_f64();
        self.child.kill().await?;
        Ok(used)
    }
}

/// What the process of the attackers does, by its arguments after [`ARGUMENT`].
pub async fn attack(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let server = arguments.next().context("expected the address of a webhook")?.parse()?;
    let ca = arguments.next().context("expected the file of a CA")?;
    let ca = std::fs::read(Path::new(&ca)).with_context(|| format!("cannot read {ca}"))?;
    let target = Target { server, from: FROM.parse()?, tls: client_config(&ca)? };
    let mut attacks = JoinSet::new();
    for name in arguments {
        let (attack, target) = (Attack::parse(&name)?, target.clone());
        if attack == Attack::Idle {
            raise_descriptors()?;
        }
        attacks.spawn(async move { run(attack, &target).await });
    }
    while let Some(ended) = attacks.join_next().await {
        ended??;
    }
    Ok(())
}

fn raise_descriptors() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if let Some(most) = limit.maximum {
        ensure!(
            most >= DESCRIPTORS,
            "10,000 connections need {DESCRIPTORS} descriptors, and the hard limit is {most}: raise it (ulimit -Hn)"
        );
    }
    limit.current = Some(limit.current.unwrap_or(0).max(DESCRIPTORS));
    Ok(setrlimit(Resource::Nofile, limit)?)
}
