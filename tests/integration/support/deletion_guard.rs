//! A Service whose losses are announced, with all that happens to it on record.

use super::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use kube::core::ApiResource;
use linkerd_failover::kinds::traffic_split;
use std::sync::Arc;
use test_cluster::{
    Cluster, Deployment, History, InstallOptions, Installation, Mirror, Recorder, Replica,
    Workload, eventually,
};

const GUARD: &str = "failover.linkerd.io/guard=enabled";
/// How long a deletion may be delayed: the most that the program accepts, for machines that are
/// busy with more than this.
const BOUND: &str = "guard.bound=800ms";

pub(crate) const AWAY: [f64; 2] = [0.0, 1.0];
pub(crate) const BACK: [f64; 2] = [1.0, 0.0];

pub(crate) fn guard_options(replicas: usize, values: &[&str]) -> InstallOptions {
    let values: Vec<&str> = [BOUND].iter().chain(values).copied().collect();
    options(replicas, &values)
}

/// The chart with the guard, once deletions are announced to it and every replica can have them
/// reviewed by the leader.
pub(crate) async fn install_guard(
    cluster: &Cluster,
    replicas: usize,
    values: &[&str],
) -> Result<Installation> {
    let installation = Installation::install(cluster, guard_options(replicas, values)).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_guard(cluster, &installation).await?;
    Ok(installation)
}

pub(crate) async fn wait_guard(cluster: &Cluster, installation: &Installation) -> Result<()> {
    let probe = guarded_namespace(cluster, "probe").await?;
    wait_reviewed(&probe, installation).await?;
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

/// Waits until the deletions of a namespace's pods are reviewed: the API server takes a moment to see its
/// label.
pub(crate) async fn wait_reviewed(
    workload: &Workload<'_>,
    installation: &Installation,
) -> Result<()> {
    let before = reviewed(installation).await?;
    eventually("deletions are reviewed", PATIENCE, || async {
        workload.deploy_as(&pods("probe")).await?;
        workload.kubectl(["delete", "deployment", "probe"]).ok().await?;
        workload.wait_endpoints("probe-svc", 0).await?;
        ensure!(reviewed(installation).await? > before, "none yet");
        Ok(())
    })
    .await
}

/// How many deletions and evictions the webhook has reviewed.
pub(crate) async fn reviewed(installation: &Installation) -> Result<f64> {
    total(installation, "linkerd_failover_guard_deletions_total").await
}

/// How long deletions were delayed for a flip, on average, in seconds.
pub(crate) async fn delayed_for_a_flip(installation: &Installation) -> Result<f64> {
    let of = |what: &str| format!("linkerd_failover_guard_seconds_{what}{{verdict=\"flipped\"");
    let flips = total(installation, &of("count")).await?;
    ensure!(flips > 0.0, "no flip");
    Ok(total(installation, &of("sum")).await? / flips)
}

/// Has the pods of a namespace guarded.
pub(crate) async fn guard(workload: &Workload<'_>) -> Result<()> {
    let label = ["label", "namespace", workload.namespace(), GUARD];
    workload.cluster().kubectl(label).ok().await.map(drop)
}

/// How many deletions were let go with this verdict.
pub(crate) async fn verdicts(installation: &Installation, verdict: &str) -> Result<f64> {
    total_of(installation.replicas(), &of_verdict(verdict)).await
}

fn of_verdict(verdict: &str) -> String {
    format!("linkerd_failover_guard_deletions_total{{verdict=\"{verdict}\"")
}

/// How often the API server went on without an answer of the guard's.
pub(crate) async fn went_on_without(cluster: &Cluster) -> Result<f64> {
    let metrics = cluster.get_raw("/metrics").await?;
    let guard =
        metrics.lines().filter(|line| line.contains("pods.") || line.contains("evictions."));
    let guard: String = guard.map(|line| format!("{line}\n")).collect();
    Ok(sum_of_metric(&guard, "apiserver_admission_webhook_fail_open_count"))
}

/// Emojivoto's `emoji`, with a split or a route of that name, and all that happens to them on record.
pub(crate) struct Guarded<'cluster> {
    pub workload: Workload<'cluster>,
    pub west: Mirror,
    recorder: Recorder,
    replicas: Vec<Arc<Replica>>,
}

/// In a namespace where every pod is guarded.
pub(crate) async fn guarded_emoji<'a>(
    cluster: &'a Cluster,
    installation: &Installation,
) -> Result<Guarded<'a>> {
    let workload = guarded_namespace(cluster, "emojivoto").await?;
    Guarded::deploy(installation, workload, pods("emoji")).await
}

/// As real pods are: they take their time to terminate.
pub(crate) fn pods(name: &str) -> Deployment {
    Deployment::new(name).grace_seconds(30)
}

pub(crate) async fn guarded_namespace<'a>(
    cluster: &'a Cluster,
    name: &str,
) -> Result<Workload<'a>> {
    let workload = Workload::new(cluster, name).await?;
    guard(&workload).await?;
    Ok(workload)
}

impl<'cluster> Guarded<'cluster> {
    /// A Deployment `emoji`.
    pub(crate) async fn deploy(
        installation: &Installation,
        workload: Workload<'cluster>,
        deployment: Deployment,
    ) -> Result<Self> {
        workload.deploy_as(&deployment).await?;
        let west = workload.mirror("emoji-svc", "west").await?;
        let namespace = format!("namespace: {}\n", workload.namespace());
        workload.apply(&emoji().replace("namespace: emojivoto\n", &namespace)).await?;
        Self::record(installation, workload, west, traffic_split::api_resource()).await
    }

    pub(crate) async fn record(
        installation: &Installation,
        workload: Workload<'cluster>,
        west: Mirror,
        managed: ApiResource,
    ) -> Result<Self> {
        let recorder = Recorder::start(&workload, &[managed]).await?;
        let replicas = installation.replicas().to_vec();
        Ok(Self { workload, west, recorder, replicas })
    }

    /// Waits until traffic is on the primary and so many of its pods are ready; a moment to begin
    /// from.
    pub(crate) async fn steady(&self, replicas: usize) -> Result<u64> {
        self.workload.scale("emoji", replicas).await?;
        self.workload.wait_endpoints("emoji-svc", replicas).await?;
        self.weights(&BACK).await?;
        self.recorder.now().await
    }

    /// Waits until the weights are these.
    pub(crate) async fn weights(&self, wanted: &[f64]) -> Result<()> {
        eventually(&format!("emoji has the weights {wanted:?}"), PATIENCE, || async {
            let history = self.recorder.since(0).await?;
            let now = history.weights("emoji");
            ensure!(now.as_deref() == Some(wanted), "{now:?}");
            Ok(())
        })
        .await
    }

    /// What has happened since a moment.
    pub(crate) async fn since(&self, mark: u64) -> Result<History> {
        self.recorder.since(mark).await
    }

    /// What has happened since a moment, once all endpoints of then have gone.
    pub(crate) async fn loss(&self, mark: u64) -> Result<(u64, History)> {
        eventually("the endpoints of emoji-svc have gone", PATIENCE, || async {
            let history = self.recorder.since(mark).await?;
            let loss = history.loss("emoji-svc").with_context(|| history.to_string())?;
            Ok::<_, anyhow::Error>((loss, history))
        })
        .await
    }

    /// From so many pods, traffic moves before the last of them goes.
    ///
    /// A deletion that a busy machine keeps waiting goes on at the bound, or when the API server's
    /// patience ends: what was late by either's count is done again.
    pub(crate) async fn moves_early_from(
        &self,
        replicas: usize,
        lose: impl AsyncFn() -> Result<()>,
    ) -> Result<History> {
        let mut tries = 0..10;
        loop {
            let late = self.late().await?;
            let mark = self.steady(replicas).await?;
            lose().await?;
            match self.moved_early(mark).await {
                Err(error) if tries.next().is_some() && self.late().await? > late => {
                    println!("late: {error:#}");
                }
                outcome => return outcome,
            }
        }
    }

    /// How many deletions went on without a verdict, by either's count.
    pub(crate) async fn late(&self) -> Result<f64> {
        let mut late = went_on_without(self.workload.cluster()).await?;
        for verdict in ["bound", "no_judge"] {
            late += total_of(&self.replicas, &of_verdict(verdict)).await?;
        }
        Ok(late)
    }

    /// Traffic had moved away when the last endpoint went.
    async fn moved_early(&self, mark: u64) -> Result<History> {
        let (loss, history) = self.loss(mark).await?;
        let moves = history.moves("emoji");
        let before = moves.iter().rfind(|one| one.number < loss);
        let is_early = before.is_some_and(|one| one.to == AWAY);
        ensure!(is_early, "lost at {loss}, {moves:?}; {history}");
        Ok(history)
    }

    /// The endpoints went, and traffic had not moved before.
    pub(crate) async fn not_early(&self, mark: u64) -> Result<()> {
        let (loss, history) = self.loss(mark).await?;
        let moves = history.moves("emoji");
        ensure!(!moves.iter().any(|one| one.number < loss), "lost at {loss}, {moves:?}; {history}");
        Ok(())
    }

    /// No move but off a pod whose successor no slice had yet: a rollout goes by the status of pods, and
    /// slices follow it after a moment, which is long on a busy machine.
    pub(crate) async fn no_needless_move(&self, mark: u64) -> Result<()> {
        let history = self.recorder.since(mark).await?;
        let away = history.moves("emoji").into_iter().filter(|moved| moved.to[0] == 0.0);
        let mut needless = away.filter(|moved| history.ready_at("emoji-svc", moved.number) != 1);
        ensure!(needless.next().is_none(), "{history}");
        Ok(())
    }

    /// Traffic has not moved since.
    pub(crate) async fn no_move(&self, mark: u64) -> Result<()> {
        let history = self.recorder.since(mark).await?;
        let moves = history.moves("emoji");
        ensure!(moves.is_empty(), "{moves:?}; {history}");
        Ok(())
    }

    /// Sets an annotation of `failover.linkerd.io/` on the split; `name-` removes it.
    pub(crate) async fn annotate(&self, annotation: &str) -> Result<()> {
        let annotation = format!("failover.linkerd.io/{annotation}");
        let annotate = ["annotate", "--overwrite", "trafficsplit", "emoji", &annotation];
        self.workload.kubectl(annotate).ok().await.map(drop)
    }

    /// Deletes its pods, one request for each.
    pub(crate) async fn delete_each_pod(&self) -> Result<()> {
        let pods: Api<Pod> = self.workload.api();
        let of_emoji = ListParams::default().labels("app=emoji-svc");
        for pod in pods.list(&of_emoji).await?.items {
            pods.delete(&pod.name_any(), &DeleteParams::default()).await?;
        }
        Ok(())
    }

    /// Deletes its pods with kubectl.
    pub(crate) async fn delete_pods(&self, more: &[&str]) -> Result<()> {
        let delete = ["delete", "pod", "--wait=false", "--selector=app=emoji-svc"];
        self.workload.kubectl(delete).args(more.iter().copied()).ok().await.map(drop)
    }
}
