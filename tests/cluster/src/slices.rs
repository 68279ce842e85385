//! Services with slices written by hand: many of them, fast, for benchmarks.

use crate::workload::{PORT, Workload};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

impl Workload<'_> {
    /// Creates a Service without selector and one EndpointSlice for it, which
    /// bears the Service's name, with `ready` ready endpoints.
    pub async fn service_with_slice(&self, name: &str, ready: usize) -> anyhow::Result<()> {
        let (port_name, port) = PORT;
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": { "ports": [{ "name": port_name, "port": port }] },
        }))?;
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/service-name": name } },
            "addressType": "IPv4",
            "ports": [{ "name": port_name, "port": port, "protocol": "TCP" }],
            "endpoints": endpoints(name, ready, 0),
        }))?;
        let params = PostParams::default();
        self.api().create(&params, &service).await?;
        self.api().create(&params, &slice).await?;
        Ok(())
    }

    /// Lets the slice of [`Self::service_with_slice`] have so many endpoints,
    /// all ready.
    pub async fn set_ready(&self, service: &str, ready: usize) -> anyhow::Result<()> {
        self.set_endpoints(service, ready, 0).await
    }

    /// Lets that slice have so many ready endpoints, followed by so many that are not.
    pub async fn set_endpoints(
        &self,
        service: &str,
        ready: usize,
        not_ready: usize,
    ) -> anyhow::Result<()> {
        let slices: Api<EndpointSlice> = self.api();
        let patch = Patch::Merge(json!({ "endpoints": endpoints(service, ready, not_ready) }));
        slices.patch(service, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

/// Endpoints of a Service's own: another's have other addresses.
fn endpoints(service: &str, ready: usize, not_ready: usize) -> Value {
    let net = service.bytes().fold(0_u8, |net, byte| net.wrapping_mul(31).wrapping_add(byte));
    (0..ready + not_ready)
        .map(|nth| {
            json!({
                "addresses": [format!("10.{net}.{}.{}", nth / 250, nth % 250 + 1)],
                "conditions": { "ready": nth < ready },
            })
        })
        .collect()
}
