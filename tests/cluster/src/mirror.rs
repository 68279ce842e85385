//! A mirrored service, as Linkerd's gateway mode writes it.

use crate::workload::{PORT, Workload};
use k8s_openapi::api::core::v1::Endpoints;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

/// Where the remote cluster's gateway would be, and its port.
const GATEWAY: (&str, u16) = ("198.51.100.7", 4143);

/// A Service without selector whose Endpoints hold a remote gateway.
/// kube-controller-manager mirrors them to an EndpointSlice.
#[derive(Debug)]
pub struct Mirror {
    service: String,
    endpoints: Api<Endpoints>,
}

impl Mirror {
    pub(crate) async fn create(
        workload: &Workload<'_>,
        service: &str,
        cluster: &str,
    ) -> anyhow::Result<Self> {
        let name = format!("{service}-{cluster}");
        let (port_name, port) = PORT;
        let labels = json!({
            "mirror.linkerd.io/mirrored-service": "true",
            "mirror.linkerd.io/cluster-name": cluster,
        });
        let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": name, "labels": labels },
                "spec": { "ports": [{ "name": port_name, "port": port, "protocol": "TCP" }] },
            },
            {
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": { "name": name, "labels": labels },
                "subsets": ready_subsets(),
            },
        ]});
        workload.apply(&objects.to_string()).await?;
        Ok(Self { service: name, endpoints: workload.api() })
    }

    /// The name of the local Service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The gateway answers.
    pub async fn set_ready(&self) -> anyhow::Result<()> {
        self.write(ready_subsets()).await
    }

    /// The gateway's probe fails.
    pub async fn set_not_ready(&self) -> anyhow::Result<()> {
        self.write(subsets("notReadyAddresses")).await
    }

    /// The remote service has no ready endpoints: the slices disappear.
    pub async fn set_empty(&self) -> anyhow::Result<()> {
        self.write(json!([])).await
    }

    async fn write(&self, subsets: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "subsets": subsets }));
        self.endpoints.patch(&self.service, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

fn ready_subsets() -> Value {
    subsets("addresses")
}

fn subsets(kind: &str) -> Value {
    let (address, port) = GATEWAY;
    json!([{ kind: [{ "ip": address }], "ports": [{ "name": PORT.0, "port": port }] }])
}
