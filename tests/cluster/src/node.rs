//! Nodes that exist for Kubernetes only: kwok reports that they, and their pods, are ready.

use crate::cluster::Cluster;
use crate::wait::eventually;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, PostParams};
use serde_json::json;
use std::time::Duration;

/// The name of the first node; pods that name it run at once, as far as
/// Kubernetes can see.
pub(crate) const NODE: &str = "kwok";

const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// Adds a node, such as one to drain, and waits until it is ready.
    pub async fn add_node(&self, name: &str) -> anyhow::Result<()> {
        create(self.client(), name).await?;
        eventually(&format!("node {name} is ready"), PATIENCE, || ready(self.client(), name)).await
    }
}

pub(crate) async fn create(client: kube::Client, name: &str) -> anyhow::Result<()> {
    let node = serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } },
    }))?;
    Api::<Node>::all(client).create(&PostParams::default(), &node).await?;
    Ok(())
}

/// An error unless it is.
pub(crate) async fn ready(client: kube::Client, name: &str) -> anyhow::Result<()> {
    let status = Api::<Node>::all(client).get(name).await?.status.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let ready =
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    anyhow::ensure!(ready, "node {name} is not ready");
    Ok(())
}
