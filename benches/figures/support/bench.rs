//! A run: which scenarios, and what came of them.

use super::options::Options;
use anyhow::{Context, Result};
use bench_table::{Claims, Row, Table};
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, Installation, target_dir};

/// Longer than any scenario takes by default; one that hangs is given up.
const LIMIT: Duration = Duration::from_secs(600);
/// The same for those that take minutes by default.
const LONG_LIMIT: Duration = Duration::from_secs(1_800);
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Where a scenario is measured.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub options: &'a Options,
    pub cluster: &'a Cluster,
    pub installation: &'a Installation,
}

pub(crate) struct Bench {
    options: Arc<Options>,
    table: Table,
    claims: Claims,
    began: Instant,
}

impl Bench {
    pub(crate) fn new(options: Options) -> Self {
        let mut claims = Claims::new("bench");
        claims.conditions.push(format!("load average at the start: {}", load_average()));
        let (table, began) = (Table::default(), Instant::now());
        Self { options: Arc::new(options), table, claims, began }
    }

    pub(crate) fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options)
    }

    /// Measures a scenario, if it is wanted. One that fails does not keep the others from theirs.
    pub(crate) async fn scenario(
        &mut self,
        name: &str,
        measured: impl Future<Output = Result<Vec<Row>>>,
    ) {
        if self.options.wants(name, true) {
            self.measure(name, LIMIT, measured).await;
        }
    }

    /// The same for one that takes minutes.
    pub(crate) async fn long_scenario(
        &mut self,
        name: &str,
        measured: impl Future<Output = Result<Vec<Row>>>,
    ) {
        if self.options.wants(name, true) {
            self.measure(name, LONG_LIMIT, measured).await;
        }
    }

    /// The same for one that is measured only where it is named.
    pub(crate) async fn named_scenario(
        &mut self,
        name: &str,
        measured: impl Future<Output = Result<Vec<Row>>>,
    ) {
        if self.options.wants(name, false) {
            self.measure(name, LIMIT, measured).await;
        }
    }

    async fn measure(
        &mut self,
        name: &str,
        limit: Duration,
        measured: impl Future<Output = Result<Vec<Row>>>,
    ) {
        println!("[{:4.0} s] {name}", self.began.elapsed().as_secs_f64());
        let limit = self.options.scaled(limit).max(limit);
        let outcome = tokio::time::timeout(limit, measured).await;
        let outcome = outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("not within {limit:?}")));
        match outcome {
            Ok(rows) => {
                rows.iter().for_each(|row| println!("  {row}"));
                self.table.rows.extend(rows);
            }
            Err(error) => self.failed(name, &error),
        }
    }

    pub(crate) fn failed(&mut self, name: &str, error: &anyhow::Error) {
        println!("FAILED {name}: {error:#}");
        self.table.failures.push(format!("{name}: {error:#}"));
    }

    pub(crate) fn wants_any(&self, scenarios: &[&str], by_default: bool) -> bool {
        scenarios.iter().any(|name| self.options.wants(name, by_default))
    }

    /// Prints the table, and writes it as text, Markdown and JSON.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.table.about = about(&self.options)?;
        self.table.seconds = self.began.elapsed().as_secs_f64();
        let before = self.options.before.as_ref().map(|path| {
            let json = std::fs::read_to_string(path);
            let json = json.with_context(|| format!("BENCH_BEFORE={}", path.display()))?;
            Table::from_json(&json).with_context(|| format!("BENCH_BEFORE={}", path.display()))
        });
        let before = before.transpose()?;
        let text = self.table.to_text(before.as_ref());
        println!("\n{text}");
        let folder = target_dir().join("bench");
        std::fs::create_dir_all(&folder)?;
        for (extension, text) in [
            ("txt", text),
            ("md", self.table.to_markdown(before.as_ref())),
            ("json", self.table.to_json()?),
        ] {
            let path = folder.join(format!("{}.{extension}", self.options.name));
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
            println!("{}", path.display());
        }
        self.prove()?;
        anyhow::ensure!(self.table.failures.is_empty(), "not everything could be measured");
        Ok(())
    }
}

impl Bench {
    /// Writes every aim with its verdict as the table of `make bench`.
    fn prove(&mut self) -> Result<()> {
        let Self { options, table, claims, began } = self;
        let conditions = [
            format!("load average at the end: {}", load_average()),
            format!("program: {}", table.about),
            format!("{:.0} s in all, times {}", began.elapsed().as_secs_f64(), options.time),
        ];
        claims.conditions.extend(conditions);
        if !options.only.is_empty() {
            claims.conditions.push(format!("only: {}", options.only.join(", ")));
        }
        claims.claims = table.claims();
        claims.write(&target_dir().join("proof"))?;
        println!("{}", target_dir().join("proof/bench.md").display());
        Ok(())
    }
}

/// Of one minute, five and fifteen.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Which program was measured, where and when.
fn about(options: &Options) -> Result<String> {
    let version = std::process::Command::new(options.program()).arg("--version").output()?;
    let version = String::from_utf8_lossy(&version.stdout);
    let cores = std::thread::available_parallelism()?;
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown", |(_, model)| model);
    let (name, now) = (&options.name, jiff::Timestamp::now());
    Ok(format!("{name}: {}, {cores} cores of {model}, {now:.0}", version.trim()))
}
