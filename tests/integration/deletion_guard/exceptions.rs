//! Announced losses before which traffic stays where it is: its author, a person, or the lack of
//! anywhere to go decides that.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::Result;
use kube::Api;
use kube::core::DynamicObject;
use test_cluster::Workload;

/// Another split of the same namespace. What was written before its changes has been seen by the
/// replica that leads once it has followed them.
struct Witness<'a, 'cluster> {
    workload: &'a Workload<'cluster>,
    splits: Api<DynamicObject>,
}

impl<'a, 'cluster> Witness<'a, 'cluster> {
    async fn new(workload: &'a Workload<'cluster>) -> Result<Self> {
        workload.service_with_slice("witness", 1).await?;
        workload.service_with_slice("backup", 1).await?;
        workload.apply(&manifest("witness", "witness", &["backup"])).await?;
        let splits = splits(workload.cluster(), workload.namespace());
        wait_weights(&splits, "witness", &BACK).await?;
        Ok(Self { workload, splits })
    }

    /// One watch brings slices, another brings splits: both have been read up to here afterwards.
    async fn follows(&self) -> Result<()> {
        self.workload.set_ready("witness", 0).await?;
        wait_weights(&self.splits, "witness", &AWAY).await?;
        self.annotate("pin=witness").await?;
        wait_weights(&self.splits, "witness", &BACK).await?;
        self.annotate("pin-").await?;
        self.workload.set_ready("witness", 1).await?;
        wait_weights(&self.splits, "witness", &BACK).await.map(drop)
    }

    async fn annotate(&self, annotation: &str) -> Result<()> {
        let annotation = format!("failover.linkerd.io/{annotation}");
        let annotate = ["annotate", "--overwrite", "trafficsplit/witness", &annotation];
        self.workload.kubectl(annotate).ok().await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_stays_until_the_loss_where_its_author_or_a_person_says_so() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let emoji = guarded_emoji(&cluster, &installation).await?;
    let witness = Witness::new(&emoji.workload).await?;
    for annotation in ["failover-delay=1s", "pin=emoji-svc", "paused=true"] {
        let mark = emoji.steady(1).await?;
        emoji.annotate(annotation).await?;
        witness.follows().await?;
        emoji.workload.scale("emoji", 0).await?;
        emoji.not_early(mark).await.map_err(|error| error.context(annotation))?;
        let (name, _) = annotation.split_once('=').unwrap_or_default();
        emoji.annotate(&format!("{name}-")).await?;
        emoji.weights(&AWAY).await?;
    }

    let frozen = ["annotate", "namespace", "linkerd-failover"];
    let mark = emoji.steady(1).await?;
    cluster.kubectl(frozen).args(["failover.linkerd.io/frozen=true"]).ok().await?;
    wait_metric_of_all(&installation, "linkerd_failover_frozen", 1.0).await?;
    emoji.workload.scale("emoji", 0).await?;
    emoji.not_early(mark).await?;
    emoji.no_move(mark).await?;
    cluster.kubectl(frozen).args(["failover.linkerd.io/frozen-"]).ok().await?;
    emoji.weights(&AWAY).await
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_stays_until_the_loss_without_a_ready_fallback_and_for_who_forces() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let emoji = guarded_emoji(&cluster, &installation).await?;
    let witness = Witness::new(&emoji.workload).await?;

    let mark = emoji.steady(1).await?;
    emoji.west.set_empty().await?;
    emoji.workload.wait_endpoints("emoji-svc-west", 0).await?;
    witness.follows().await?;
    emoji.workload.scale("emoji", 0).await?;
    emoji.not_early(mark).await?;
    emoji.no_move(mark).await?;
    emoji.west.set_ready().await?;
    emoji.weights(&AWAY).await?;

    // Who forces does not wait.
    let mark = emoji.steady(1).await?;
    emoji.delete_pods(&["--grace-period=0", "--force"]).await?;
    emoji.not_early(mark).await?;
    // A grace of 0 that is the pod's own forces nothing.
    emoji.workload.deploy_as(&pods("emoji").grace_seconds(0)).await?;
    emoji.workload.kubectl(["rollout", "status", "deployment/emoji"]).ok().await?;
    emoji.moves_early_from(1, async || emoji.workload.scale("emoji", 0).await).await?;
    Ok(())
}
