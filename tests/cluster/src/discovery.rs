//! Services without endpoints of their own, as Linkerd's service-mirror writes them.

use crate::workload::{PORT, Workload};
use serde_json::{Value, json};

const REMOTE_DISCOVERY: &str = "multicluster.linkerd.io/remote-discovery";

impl Workload<'_> {
    /// A pod-to-pod mirror of `service` in the linked cluster `cluster`: the Service
    /// `<service>-<cluster>`.
    pub async fn discovery_mirror(&self, service: &str, cluster: &str) -> anyhow::Result<()> {
        let labels = json!({
            "mirror.linkerd.io/mirrored-service": "true",
            "mirror.linkerd.io/cluster-name": cluster,
            REMOTE_DISCOVERY: cluster,
            "multicluster.linkerd.io/remote-service": service,
        });
        self.service(&format!("{service}-{cluster}"), json!({ "labels": labels })).await
    }

    /// The federated Service `<service>-federated` of `service` here and in linked clusters.
    pub async fn federate(&self, service: &str, clusters: &[&str]) -> anyhow::Result<()> {
        let remote: Vec<String> =
            clusters.iter().map(|cluster| format!("{service}@{cluster}")).collect();
        let metadata = json!({
            "labels": { "mirror.linkerd.io/mirrored-service": "true" },
            "annotations": {
                REMOTE_DISCOVERY: remote.join(","),
                "multicluster.linkerd.io/local-discovery": service,
            },
        });
        self.service(&format!("{service}-federated"), metadata).await
    }

    async fn service(&self, name: &str, mut metadata: Value) -> anyhow::Result<()> {
        metadata["name"] = json!(name);
        let (port_name, port) = PORT;
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": { "ports": [{ "name": port_name, "port": port, "protocol": "TCP" }] },
        });
        self.apply(&service.to_string()).await?;
        Ok(())
    }
}
