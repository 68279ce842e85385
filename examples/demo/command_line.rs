//! The commands of people, run as an operator runs them.

use crate::NAMESPACE;
use anyhow::{Result, ensure};
use test_cluster::{Cluster, Installation, Output};

/// The program's commands, with the kubeconfig of one cluster.
#[derive(Clone, Copy)]
pub(crate) struct CommandLine<'a> {
    cluster: &'a Cluster,
}

impl<'a> CommandLine<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        Self { cluster }
    }

    /// Runs a command in emojivoto, shows its output, and fails unless that has every one of `wanted`.
    pub(crate) async fn show(self, line: &str, wanted: &[&str]) -> Result<()> {
        let output = self.run(&format!("{line} -n {NAMESPACE}")).await?;
        ensure!(output.status.success(), "{line} failed");
        ensure_contains(line, &output, wanted)
    }

    /// Runs `check`, which fails exactly where there are `faults`, and shows those and `wanted`.
    pub(crate) async fn check(self, faults: &[&str], wanted: &[&str]) -> Result<()> {
        let output = self.run("check --wait 10s").await?;
        ensure!(output.status.success() == faults.is_empty(), "check: {}", output.status);
        ensure_contains("check", &output, faults)?;
        ensure_contains("check", &output, wanted)
    }

    async fn run(self, line: &str) -> Result<Output> {
        println!("$ linkerd-failover {line}");
        let program = Installation::built_binary();
        let output = self.cluster.sh(&format!("{} {line}", program.display())).output().await?;
        print!("{}{}", output.stdout, output.stderr);
        Ok(output)
    }
}

fn ensure_contains(line: &str, output: &Output, wanted: &[&str]) -> Result<()> {
    for wanted in wanted {
        let found = output.stdout.contains(wanted) || output.stderr.contains(wanted);
        ensure!(found, "{line}: expected {wanted:?} in its output");
    }
    Ok(())
}
