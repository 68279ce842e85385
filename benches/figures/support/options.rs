//! What to measure, from the environment.

use super::bench::PATIENCE;
use super::budget::Budget;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::Duration;
use test_cluster::{Cluster, InstallOptions, Installation};

/// The variables that `make bench` passes on.
#[derive(Debug)]
pub(crate) struct Options {
    /// The beginnings of the names of scenarios; empty: those that are measured by default.
    pub only: Vec<String>,
    /// How much longer than by default to measure.
    pub time: f64,
    /// The table's file name in `target/bench`.
    pub name: String,
    /// The table of an earlier run, to print beside this one.
    pub before: Option<PathBuf>,
    /// Values of the chart.
    pub values: Vec<String>,
    /// Environment variables of the program.
    pub env: Vec<(String, String)>,
    /// The program, where it is not the one that cargo has built beside this one.
    pub program: Option<PathBuf>,
    /// The chart of that program.
    pub chart: Option<PathBuf>,
}

impl Options {
    pub(crate) fn from_env() -> Result<Self> {
        let list = |name: &str| -> Vec<String> {
            let text = std::env::var(name).unwrap_or_default();
            text.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect()
        };
        let path = |name: &str| Some(PathBuf::from(std::env::var_os(name)?));
        let path = |name: &str| path(name).filter(|path| !path.as_os_str().is_empty());
        let time = list("BENCH_TIME").pop().unwrap_or_else(|| "1".into());
        let env = list("BENCH_ENV").into_iter().map(|pair| {
            let pair = pair.split_once('=').map(|(name, value)| (name.into(), value.into()));
            pair.context("BENCH_ENV: expected NAME=value,NAME=value")
        });
        Ok(Self {
            only: list("BENCH_ONLY"),
            time: time
                .parse()
                .with_context(|| format!("BENCH_TIME: found {time:?}, expected a number"))?,
            name: list("BENCH_NAME").pop().unwrap_or_else(|| "latest".into()),
            before: path("BENCH_BEFORE"),
            values: list("BENCH_SET"),
            env: env.collect::<Result<_>>()?,
            program: path("LINKERD_FAILOVER_BIN"),
            chart: path("LINKERD_FAILOVER_CHART"),
        })
    }

    /// Whether a scenario is to be measured: named, or one of the default.
    pub(crate) fn wants(&self, scenario: &str, by_default: bool) -> bool {
        match self.only.is_empty() {
            true => by_default,
            false => self.only.iter().any(|only| scenario.starts_with(only.as_str())),
        }
    }

    pub(crate) fn scaled(&self, time: Duration) -> Duration {
        time.mul_f64(self.time)
    }

    pub(crate) fn budget(&self, seconds: u64, at_least: usize) -> Budget {
        Budget::new(self.scaled(Duration::from_secs(seconds)), at_least)
    }

    /// Installs the chart with the program that is measured, and starts replicas, until they are ready.
    pub(crate) async fn install(
        &self,
        cluster: &Cluster,
        values: &[&str],
        replicas: usize,
    ) -> Result<Installation> {
        self.start(cluster, self.of_chart(values), replicas, &[]).await
    }

    /// The same in a namespace of its own, which the release is called after, with further variables.
    pub(crate) async fn install_in(
        &self,
        cluster: &Cluster,
        namespace: &str,
        values: &[&str],
        env: &[(&str, &str)],
    ) -> Result<Installation> {
        let mut chart = self.of_chart(values);
        chart.values.push(format!("fullnameOverride={namespace}"));
        (chart.release, chart.namespace) = (namespace.to_owned(), namespace.to_owned());
        self.start(cluster, chart, 1, env).await
    }

    async fn start(
        &self,
        cluster: &Cluster,
        chart: InstallOptions,
        replicas: usize,
        env: &[(&str, &str)],
    ) -> Result<Installation> {
        let mut installation = Installation::install(cluster, chart).await?;
        let own = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let env: Vec<_> = own.chain(env.iter().copied()).collect();
        for _ in 0..replicas {
            installation.start_replica_with(&env).await?;
        }
        installation.wait_ready(PATIENCE).await?;
        Ok(installation)
    }

    fn of_chart(&self, values: &[&str]) -> InstallOptions {
        let values = values.iter().map(|value| (*value).to_owned());
        let usual = InstallOptions::default();
        InstallOptions {
            binary: self.program(),
            chart: self.chart.clone().unwrap_or(usual.chart),
            values: values.chain(self.values.iter().cloned()).collect(),
            replicas: 0,
            ..InstallOptions::default()
        }
    }

    /// By default as cargo has built it for this benchmark: optimised.
    pub(crate) fn program(&self) -> PathBuf {
        let built = || env!("CARGO_BIN_EXE_linkerd-failover").into();
        self.program.clone().unwrap_or_else(built)
    }
}
