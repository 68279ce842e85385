//! A mirrored service, as Linkerd's gateway mode writes it.

use crate::workload::{PORT, Workload};
use k8s_openapi::api::core::v1::Endpoints;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;

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

    /// From now on it is what the service-mirror would make of `service` in the remote cluster,
    /// until what is returned is dropped.
    pub fn follow(&self, remote: &Workload<'_>, service: &str) -> Followed {
        let slices: Api<EndpointSlice> = remote.api();
        let selector = format!("kubernetes.io/service-name={service}");
        let (endpoints, name) = (self.endpoints.clone(), self.service.clone());
        Followed(tokio::spawn(async move {
            let mut written = None;
            loop {
                // While the remote API server is away the mirror stays as it is.
                if let Ok(slices) = slices.list(&ListParams::default().labels(&selector)).await {
                    let ready = slices.items.iter().flat_map(|slice| &slice.endpoints).any(|e| {
                        e.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false)
                    });
                    let subsets = if ready { ready_subsets() } else { json!([]) };
                    if written != Some(ready) && write(&endpoints, &name, subsets).await.is_ok() {
                        written = Some(ready);
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }))
    }

    async fn write(&self, subsets: Value) -> anyhow::Result<()> {
        write(&self.endpoints, &self.service, subsets).await
    }
}

/// A mirror that follows its remote service; it stays as it is once this is dropped.
#[derive(Debug)]
pub struct Followed(JoinHandle<()>);

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn write(endpoints: &Api<Endpoints>, service: &str, subsets: Value) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({ "subsets": subsets }));
    endpoints.patch(service, &PatchParams::default(), &patch).await?;
    Ok(())
}

fn ready_subsets() -> Value {
    subsets("addresses")
}

fn subsets(kind: &str) -> Value {
    let (address, port) = GATEWAY;
    json!([{ kind: [{ "ip": address }], "ports": [{ "name": PORT.0, "port": port }] }])
}
