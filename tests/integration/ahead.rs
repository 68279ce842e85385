//! Flip before the loss: what is to be lost is announced, and by the resource versions of one etcd
//! the weights move first.

use crate::stage::*;
use anyhow::{Context, Result, ensure};
use kube::core::ApiResource;
use linkerd_failover::resources::traffic_split;
use std::time::Duration;
use test_cluster::{
    Cluster, Deployment, History, InstallOptions, Installation, Mirror, Recorder, Workload,
    eventually,
};

const GUARD: &str = "failover.linkerd.io/guard=enabled";
/// What a deletion may wait: the most that the program lets itself be told, for machines that are
/// busy with more than this.
const BOUND: &str = "guard.bound=800ms";

pub const AWAY: [f64; 2] = [0.0, 1.0];
pub const BACK: [f64; 2] = [1.0, 0.0];

pub fn guard_options(replicas: usize, values: &[&str]) -> InstallOptions {
    let guard = ["guard.enabled=true", BOUND];
    let values: Vec<&str> = guard.iter().chain(values).copied().collect();
    options(replicas, &values)
}

/// The chart with the guard, once deletions are announced to it and every replica can have them
/// judged.
pub async fn install_guard(
    cluster: &Cluster,
    replicas: usize,
    values: &[&str],
) -> Result<Installation> {
    let installation = Installation::install(cluster, guard_options(replicas, values)).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_guard(cluster, &installation).await?;
    Ok(installation)
}

pub async fn wait_guard(cluster: &Cluster, installation: &Installation) -> Result<()> {
    let probe = Workload::new(cluster, "probe").await?;
    cluster.kubectl(["label", "namespace", "probe", GUARD]).ok().await?;
    let before = total(installation, "linkerd_failover_guard_deletions_total").await?;
    eventually("deletions are announced", PATIENCE, || async {
        probe.deploy_as(&Deployment::new("probe").grace_seconds(30)).await?;
        probe.kubectl(["delete", "deployment", "probe"]).ok().await?;
        probe.wait_endpoints("probe-svc", 0).await?;
        let announced = total(installation, "linkerd_failover_guard_deletions_total").await?;
        ensure!(announced > before, "none yet");
        Ok(())
    })
    .await?;
    eventually("every replica reaches the one that leads", PATIENCE, || async {
        for replica in installation.replicas() {
            let cut_off = "linkerd_failover_guard_cut_off";
            let value = metric(&replica.get("/metrics").await?, cut_off);
            ensure!(value == Some(0.0), "{}: {value:?}", replica.name());
        }
        Ok(())
    })
    .await
}

/// The sum of a metric's samples over all replicas that run.
pub async fn total(installation: &Installation, name: &str) -> Result<f64> {
    let mut sum = 0.0;
    for replica in installation.replicas().iter().filter(|r| r.process().is_running()) {
        sum += sum_of_metric(&replica.get("/metrics").await?, name);
    }
    Ok(sum)
}

/// How many deletions were let go with this verdict.
pub async fn verdicts(installation: &Installation, verdict: &str) -> Result<f64> {
    let name = format!("linkerd_failover_guard_deletions_total{{verdict=\"{verdict}\"");
    total(installation, &name).await
}

/// A Service with its fallback, the split that manages them, and all that happens there on record.
pub struct Guarded<'cluster> {
    pub workload: Workload<'cluster>,
    pub west: Mirror,
    /// The Deployment; its Service is the apex, and the split has its name too.
    pub name: String,
    recorder: Recorder,
}

/// Emojivoto's `emoji`, in a namespace that is guarded as a whole.
pub async fn guarded_emoji(cluster: &Cluster) -> Result<Guarded<'_>> {
    let workload = guarded_namespace(cluster, "emojivoto").await?;
    Guarded::deploy(workload, "emoji", pods("emoji")).await
}

/// As real pods are: they take their time to terminate.
pub fn pods(name: &str) -> Deployment {
    Deployment::new(name).grace_seconds(30)
}

pub async fn guarded_namespace<'a>(cluster: &'a Cluster, name: &str) -> Result<Workload<'a>> {
    let workload = Workload::new(cluster, name).await?;
    cluster.kubectl(["label", "namespace", name, GUARD]).ok().await?;
    Ok(workload)
}

impl<'cluster> Guarded<'cluster> {
    pub async fn deploy(
        workload: Workload<'cluster>,
        name: &str,
        deployment: Deployment,
    ) -> Result<Self> {
        workload.deploy_as(&deployment).await?;
        let service = deployment.service();
        let west = workload.mirror(&service, "west").await?;
        let split = manifest(name, &service, &[west.service()]);
        let namespace = format!("namespace: {}\n", workload.namespace());
        workload.apply(&split.replace("namespace: emojivoto\n", &namespace)).await?;
        Self::record(workload, name, west, traffic_split::api_resource()).await
    }

    pub async fn record(
        workload: Workload<'cluster>,
        name: &str,
        west: Mirror,
        managed: ApiResource,
    ) -> Result<Self> {
        let recorder = Recorder::start(&workload, &[managed]).await?;
        Ok(Self { workload, west, name: name.into(), recorder })
    }

    pub fn service(&self) -> String {
        format!("{}-svc", self.name)
    }

    /// Waits until traffic is on the primary and so many of its pods are ready; a moment to begin
    /// from.
    pub async fn steady(&self, replicas: usize) -> Result<u64> {
        self.workload.scale(&self.name, replicas).await?;
        self.workload.wait_endpoints(&self.service(), replicas).await?;
        self.weights(&BACK).await?;
        self.recorder.now().await
    }

    /// Waits until the weights are these.
    pub async fn weights(&self, wanted: &[f64]) -> Result<()> {
        eventually(&format!("{} has the weights {wanted:?}", self.name), PATIENCE, || async {
            let history = self.recorder.since(0).await?;
            let now = history.weights(&self.name);
            ensure!(now.as_deref() == Some(wanted), "{now:?}");
            Ok(())
        })
        .await
    }

    /// What has happened since a moment.
    pub async fn since(&self, mark: u64) -> Result<History> {
        self.recorder.since(mark).await
    }

    /// What has happened since a moment, once all endpoints of then have gone.
    pub async fn loss(&self, mark: u64) -> Result<(u64, History)> {
        eventually(&format!("the endpoints of {} have gone", self.service()), PATIENCE, || async {
            let history = self.recorder.since(mark).await?;
            let loss = history.loss(&self.service()).with_context(|| history.to_string())?;
            Ok::<_, anyhow::Error>((loss, history))
        })
        .await
    }

    /// The weights moved away, and only then the last endpoint went.
    pub async fn moved_ahead(&self, mark: u64) -> Result<History> {
        let (loss, history) = self.loss(mark).await?;
        let moves = history.moves(&self.name);
        let ahead = moves.first().is_some_and(|first| first.number < loss && first.to == AWAY);
        ensure!(ahead, "lost at {loss}, {moves:?}; {history}");
        Ok(history)
    }

    /// The endpoints went, and traffic had not moved before.
    pub async fn not_ahead(&self, mark: u64) -> Result<()> {
        let (loss, history) = self.loss(mark).await?;
        let moves = history.moves(&self.name);
        ensure!(!moves.iter().any(|m| m.number < loss), "lost at {loss}, {moves:?}; {history}");
        Ok(())
    }

    /// Traffic has not moved since.
    pub async fn no_move(&self, mark: u64) -> Result<()> {
        let history = self.recorder.since(mark).await?;
        let moves = history.moves(&self.name);
        ensure!(moves.is_empty(), "{moves:?}; {history}");
        Ok(())
    }

    /// The split is annotated with a word of `failover.linkerd.io/`; `name-` removes.
    pub async fn annotate(&self, annotation: &str) -> Result<()> {
        let annotation = format!("failover.linkerd.io/{annotation}");
        let annotate = ["annotate", "--overwrite", "trafficsplit", &self.name, &annotation];
        self.workload.kubectl(annotate).ok().await.map(drop)
    }

    /// Deletes its pods with kubectl, and says how long that took.
    pub async fn delete_pods(&self, more: &[&str]) -> Result<Duration> {
        let began = std::time::Instant::now();
        let selector = format!("--selector=app={}", self.service());
        let delete = ["delete", "pod", "--wait=false", &selector];
        self.workload.kubectl(delete).args(more.iter().copied()).ok().await?;
        Ok(began.elapsed())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scaled_to_zero_the_weights_move_before_the_last_endpoint_goes_fifty_times_of_fifty()
-> Result<()> {
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let emoji = guarded_emoji(&cluster).await?;
    let mut ahead = 0;
    let mut missed = vec![];
    for round in 0..50 {
        let replicas = [1, 3, 10][round % 3];
        let mark = emoji.steady(replicas).await?;
        emoji.workload.scale("emoji", 0).await?;
        match emoji.moved_ahead(mark).await {
            Ok(history) => {
                // Nobody takes it back.
                emoji.workload.wait_endpoints("emoji-svc", 0).await?;
                let moves = history.moves("emoji");
                ensure!(moves.len() == 1, "{moves:?}; {history}");
                ahead += 1;
            }
            Err(error) => missed.push(format!("from {replicas}: {error:#}")),
        }
        emoji.weights(&AWAY).await?;
    }
    for verdict in ["flipped", "no_flip", "unconcerned", "too_late", "bound", "no_judge"] {
        println!("{verdict}: {}", verdicts(&installation, verdict).await?);
    }
    ensure!(missed.is_empty(), "{ahead} of 50; {missed:#?}");

    let mut forwarded = 0.0;
    for replica in installation.replicas() {
        let metrics = replica.get("/metrics").await?;
        let asked = sum_of_metric(&metrics, "linkerd_failover_guard_deletions_total");
        ensure!(asked > 0.0, "{} has heard of no deletion", replica.name());
        println!("{} has heard of {asked}", replica.name());
        forwarded += sum_of_metric(&metrics, "linkerd_failover_guard_forwarded_total");
    }
    ensure!(forwarded > 0.0, "nothing was forwarded to the one that leads");
    ensure!(total(&installation, "linkerd_failover_guard_delayed_total").await? >= 50.0);
    ensure!(total(&installation, "linkerd_failover_guard_taken_back_total").await? == 0.0);
    let note = wait_event(&emoji.workload, "emoji", "Failover", "Warning").await?;
    ensure!(note.contains("moved from emoji-svc to emoji-svc-west, ahead of the deletion of pod"));
    Ok(())
}
