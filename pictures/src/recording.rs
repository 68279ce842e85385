//! A flip on the test cluster, recorded: the chart by Helm, emojivoto's Service and its mirror, an HTTPRoute; the
//! primary's only pod goes and comes back.

use crate::audit::{self, Found, Story};
use crate::record::{About, Flip, Record, Stages};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_cluster::{Cluster, InstallOptions, Installation, Workload, eventually};

const PATIENCE: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "emojivoto";
const PRIMARY: &str = "emoji-svc";
const MANIFEST: &str = "manifests/examples/http/emojivoto-route.yaml";
const REPLICAS: usize = 2;

/// Runs it.
pub async fn record() -> anyhow::Result<Record> {
    let folder = tempfile::tempdir()?;
    let (policy, log) = (folder.path().join("policy.yaml"), folder.path().join("audit.log"));
    std::fs::write(&policy, audit::POLICY)?;
    let cluster = Cluster::builder()
        .api_server_arg(format!("--audit-policy-file={}", policy.display()))
        .api_server_arg(format!("--audit-log-path={}", log.display()))
        .api_server_arg("--audit-log-mode=blocking")
        .start()
        .await?;
    cluster.install_gateway_api_crds().await?;
    let options = InstallOptions { replicas: REPLICAS, ..InstallOptions::default() };
    let build = build(&options.binary);
    let installation = Installation::install(&cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;

    let workload = Workload::new(&cluster, NAMESPACE).await?;
    workload.deploy_emoji(1).await?;
    let mirror = workload.mirror(PRIMARY, "west").await?;
    let manifest = test_cluster::workspace_root().join(MANIFEST).display().to_string();
    eventually("the route is admitted", PATIENCE, || async {
        workload.kubectl(["apply", "-f", &manifest]).ok().await.map(drop)
    })
    .await?;
    let run = Run {
        installation: &installation,
        workload: &workload,
        log: &log,
        fallback: mirror.service(),
    };
    // The first makes the connections that later ones find: of what runs for long, it is not typical.
    run.flip(0, [0, 1]).await?;
    run.flip(1, [1, 0]).await?;
    let record = Record {
        about: About {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            build,
            kubernetes: version(&cluster).await?,
            recorded: jiff::Zoned::now().date().to_string(),
            cpus: std::thread::available_parallelism()?.get(),
            replicas: REPLICAS,
            kind: "HTTPRoute".into(),
            name: PRIMARY.into(),
            primary: PRIMARY.into(),
            fallback: mirror.service().into(),
        },
        loss: run.flip(0, [0, 1]).await?,
        restored: run.flip(1, [1, 0]).await?,
    };
    drop(installation);
    cluster.stop().await?;
    Ok(record)
}

struct Run<'a> {
    installation: &'a Installation,
    workload: &'a Workload<'a>,
    log: &'a Path,
    fallback: &'a str,
}

impl Run<'_> {
    /// Scales the primary and waits until all that follows is in the audit log.
    async fn flip(&self, pods: usize, after: [u64; 2]) -> anyhow::Result<Flip> {
        let written = std::fs::read_to_string(self.log)?.lines().count();
        let before = self.stages().await?;
        self.workload.scale("emoji", pods).await?;
        let found =
            eventually("the flip is recorded", PATIENCE, || async { self.found(written, after) })
                .await?;
        let now = self.stages().await?;
        let stage = |name: &str| -> anyhow::Result<f64> {
            let (old, new) = (before.get(name).copied().unwrap_or_default(), now.get(name));
            let new = new.with_context(|| format!("no stage {name}"))?;
            ensure!(new.1 - old.1 == 1.0, "{} flips instead of one", new.1 - old.1);
            Ok(micros((new.0 - old.0) * 1e3))
        };
        let fallback_ready = self.workload.ready_endpoints(self.fallback).await?;
        let Found { endpoints, write, state_ms, why, event_ms } = found;
        Ok(Flip {
            endpoints,
            fallback_ready: fallback_ready.try_into()?,
            stages_ms: Stages {
                indexed: stage("indexed")?,
                dequeued: stage("dequeued")?,
                decided: stage("decided")?,
                patched: stage("patched")?,
                sent: stage("sent")?,
                acknowledged: stage("acknowledged")?,
            },
            write,
            state_ms,
            why,
            event_ms,
        })
    }

    /// Of what has been logged since so many lines: the flip. What was there before counts as what it was before.
    fn found(&self, written: usize, after: [u64; 2]) -> anyhow::Result<Found> {
        let log = std::fs::read_to_string(self.log)?;
        // The last line may be half written.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let entries = audit::entries(whole)?;
        let since = entries.get(written.saturating_sub(1)).context("nothing logged")?.answered;
        let namespace = self.installation.namespace();
        let writer = format!("system:serviceaccount:{namespace}:linkerd-failover");
        let story = Story { entries: &entries, primary: PRIMARY, writer: &writer };
        let found = story.flip(after).context("not yet")?;
        let flip = entries.iter().filter(|entry| entry.answered > since);
        let version = found.write.version_after.to_string();
        let mut versions = flip.map(|entry| &entry.object["metadata"]["resourceVersion"]);
        ensure!(versions.any(|found| *found == version), "only the one before");
        Ok(found)
    }

    /// Of each stage of flips, the seconds in all and how many there were, over all replicas.
    async fn stages(&self) -> anyhow::Result<BTreeMap<String, (f64, f64)>> {
        const NAME: &str = "linkerd_failover_flip_stage_seconds_";
        let mut stages = BTreeMap::<_, (f64, f64)>::new();
        for replica in self.installation.replicas() {
            for line in replica.get("/metrics").await?.lines() {
                let Some(rest) = line.strip_prefix(NAME) else { continue };
                let Some((which, rest)) = rest.split_once("{stage=\"") else { continue };
                let Some((stage, rest)) = rest.split_once('"') else { continue };
                let value: f64 = rest.rsplit(' ').next().unwrap_or_default().parse()?;
                let entry = stages.entry(stage.to_owned()).or_default();
                match which {
                    "sum" => entry.0 += value,
                    "count" => entry.1 += value,
                    _ => {}
                }
            }
        }
        Ok(stages)
    }
}

fn build(binary: &Path) -> String {
    let folder: Option<PathBuf> = binary.parent().map(Path::to_path_buf);
    let name = folder.as_deref().and_then(Path::file_name).unwrap_or_default();
    name.to_string_lossy().into_owned()
}

async fn version(cluster: &Cluster) -> anyhow::Result<String> {
    let version: serde_json::Value = serde_json::from_str(&cluster.get_raw("/version").await?)?;
    Ok(version["gitVersion"].as_str().context("no gitVersion")?.to_owned())
}

/// What is finer than a microsecond is noise.
fn micros(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}
