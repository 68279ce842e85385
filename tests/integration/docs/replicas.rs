//! What a node would do for the chart that a page installs: its replicas run, as local processes.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use test_cluster::{Cluster, InstallOptions, Installation, eventually, is_of_release};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// What every page installs.
const RELEASE: &str = "linkerd-failover";
const INTERVAL: Duration = Duration::from_millis(250);
const STOP: Duration = Duration::from_secs(30);

/// Follows the release `linkerd-failover`: starts its replicas once helm has made its Deployment, others
/// when its pods change, and ends them with it.
pub(super) struct Replicas {
    following: Arc<Following>,
    task: JoinHandle<()>,
}

struct Following {
    /// Before the cluster: it is emptied for others once nobody has it.
    running: Mutex<Option<Running>>,
    cluster: Arc<Cluster>,
}

struct Running {
    installation: Installation,
    /// What the pods are made from.
    pods: Value,
    count: usize,
    /// Whether they have been ready since.
    settled: bool,
}

impl Replicas {
    pub(super) fn follow(cluster: Arc<Cluster>) -> Self {
        let following = Arc::new(Following { running: Mutex::default(), cluster });
        let theirs = Arc::clone(&following);
        let task = tokio::spawn(async move {
            loop {
                // A moment in which helm writes is over at the next look.
                let _ = theirs.look().await;
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self { following, task }
    }

    /// Waits until what helm has installed runs and is asked.
    pub(super) async fn settle(&self) -> Result<()> {
        self.following.look().await?;
        self.following.settle().await
    }

    /// The end of what each has written.
    pub(super) async fn log_tails(&self) -> String {
        let running = self.following.running.lock().await;
        let replicas = running.iter().flat_map(|running| running.installation.replicas());
        replicas.map(|one| format!("{}:\n{}\n", one.name(), one.process().log_tail())).collect()
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    /// Makes what runs what is installed.
    async fn look(&self) -> Result<()> {
        let mut running = self.running.lock().await;
        let Some(deployment) = self.deployment().await? else {
            if let Some(gone) = running.take() {
                stop(gone).await?;
            }
            return Ok(());
        };
        let spec = deployment.spec.as_ref().context("a Deployment without spec")?;
        let pods = pods(&deployment)?;
        let count = usize::try_from(spec.replicas.unwrap_or(1))?;
        let has_webhook = self.has_webhook().await?;
        let is_followed = |now: &&mut Running| {
            now.pods == pods && (!has_webhook || now.installation.webhook_service().is_some())
        };
        if let Some(now) = running.as_mut().filter(is_followed) {
            if now.count == count {
                return Ok(());
            }
            (now.count, now.settled) = (count, false);
            let live: Vec<_> = now.installation.replicas().to_vec();
            let live = live.iter().filter(|replica| replica.process().is_running());
            let live: Vec<_> = live.collect();
            for replica in live.iter().skip(count) {
                replica.process().terminate(STOP).await?;
            }
            for _ in live.len()..count {
                now.installation.start_replica().await?;
            }
            return Ok(());
        }
        if let Some(old) = running.take() {
            stop(old).await?;
        }
        let namespace = deployment.metadata.namespace.clone().unwrap_or_default();
        let options = InstallOptions { namespace, ..options(count, &[]) };
        let installation = Installation::of_release(&self.cluster, options).await?;
        // For those who look at the Deployment.
        installation.run_pods().await?;
        *running = Some(Running { installation, pods, count, settled: false });
        Ok(())
    }

    async fn deployment(&self) -> Result<Option<Deployment>> {
        let deployments: Api<Deployment> = Api::all(self.cluster.client());
        let all = deployments.list(&ListParams::default()).await?.items;
        Ok(all.into_iter().find(|deployment| is_of_release(&deployment.metadata, RELEASE)))
    }

    /// Whether the API server asks the webhook. Helm makes its configuration last, after the Deployment.
    async fn has_webhook(&self) -> Result<bool> {
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(self.cluster.client());
        let all = configurations.list(&ListParams::default()).await?.items;
        Ok(all.iter().any(|configuration| is_of_release(&configuration.metadata, RELEASE)))
    }

    async fn settle(&self) -> Result<()> {
        let mut running = self.running.lock().await;
        let Some(running) = running.as_mut().filter(|running| !running.settled) else {
            return Ok(());
        };
        if running.count == 0 {
            return Ok(());
        }
        running.installation.wait_ready(PATIENCE).await?;
        if running.installation.webhook_service().is_some() {
            wait_webhook(&self.cluster).await?;
        }
        let namespace = running.installation.namespace();
        eventually("the Deployment is available", PATIENCE, || async {
            let deployment = self.deployment().await?.context("it is gone")?;
            let available = deployment.status.and_then(|status| status.available_replicas);
            let wanted = i32::try_from(running.count)?;
            ensure!(available == Some(wanted), "{namespace}: {available:?} pods are available");
            Ok(())
        })
        .await?;
        running.settled = true;
        Ok(())
    }
}

/// What a change of makes other pods of. Where they run is not helm's.
fn pods(deployment: &Deployment) -> Result<Value> {
    let template = serde_json::to_value(deployment)?["spec"]["template"].take();
    Ok(json!([template["metadata"], template["spec"]["containers"], template["spec"]["volumes"]]))
}

async fn stop(running: Running) -> Result<()> {
    for replica in running.installation.replicas() {
        if replica.process().is_running() {
            replica.process().terminate(STOP).await?;
        }
    }
    Ok(())
}
