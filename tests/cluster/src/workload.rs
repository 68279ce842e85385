//! Services that fail over: emojivoto's, in a namespace of their own.

use crate::cluster::Cluster;
use crate::command::Invocation;
use crate::deployment::Deployment;
use crate::mirror::Mirror;
use crate::wait::eventually;
use anyhow::Context;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// The port of every service here, and its name.
pub(crate) const PORT: (&str, u16) = ("grpc", 8080);

/// A namespace with services in it.
pub struct Workload<'cluster> {
    cluster: &'cluster Cluster,
    namespace: String,
}

impl<'cluster> Workload<'cluster> {
    /// Creates the namespace.
    pub async fn new(cluster: &'cluster Cluster, namespace: &str) -> anyhow::Result<Self> {
        let workload = Self { cluster, namespace: namespace.into() };
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace },
        });
        cluster.apply(&namespace.to_string()).await?;
        Ok(workload)
    }

    /// The cluster it is in.
    pub fn cluster(&self) -> &'cluster Cluster {
        self.cluster
    }

    /// The name of the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A kubectl command in this namespace.
    pub fn kubectl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Invocation {
        self.cluster.kubectl(["--namespace", &self.namespace]).args(args)
    }

    /// Applies manifests in this namespace.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        self.kubectl(["apply", "-f", "-"]).stdin(yaml).ok().await
    }

    /// A typed client for this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// Applies the Deployment `name` and its Service `<name>-svc`, and waits
    /// until all its pods are ready in the Service's slices.
    pub async fn deploy(&self, name: &str, replicas: usize) -> anyhow::Result<()> {
        self.deploy_as(&Deployment::new(name).replicas(replicas)).await
    }

    /// The same, for a Deployment that is more than a name and a number.
    pub async fn deploy_as(&self, deployment: &Deployment) -> anyhow::Result<()> {
        self.apply_deployment(deployment).await?;
        self.wait_endpoints(&deployment.service(), deployment.count()).await
    }

    /// The same without waiting for its pods.
    pub async fn apply_deployment(&self, deployment: &Deployment) -> anyhow::Result<()> {
        self.apply(&deployment.manifests().to_string()).await?;
        Ok(())
    }

    /// Emojivoto's `emoji` with `emoji-svc`.
    pub async fn deploy_emoji(&self, replicas: usize) -> anyhow::Result<()> {
        self.deploy("emoji", replicas).await
    }

    /// Scales a Deployment with kubectl. Returns without waiting.
    pub async fn scale(&self, name: &str, replicas: usize) -> anyhow::Result<()> {
        let deployment = format!("deployment/{name}");
        self.kubectl(["scale", &deployment, &format!("--replicas={replicas}")]).ok().await?;
        Ok(())
    }

    /// A mirror of `service` in the linked cluster `cluster`, in Linkerd's
    /// gateway mode: the Service `<service>-<cluster>`, ready.
    pub async fn mirror(&self, service: &str, cluster: &str) -> anyhow::Result<Mirror> {
        let mirror = Mirror::create(self, service, cluster).await?;
        self.wait_endpoints(mirror.service(), 1).await?;
        Ok(mirror)
    }

    /// How many endpoints of a Service are ready, by its slices.
    pub async fn ready_endpoints(&self, service: &str) -> anyhow::Result<usize> {
        let selector = format!("kubernetes.io/service-name={service}");
        let slices: Api<EndpointSlice> = self.api();
        let slices = slices
            .list(&ListParams::default().labels(&selector))
            .await
            .with_context(|| format!("the slices of {service}"))?;
        let endpoints = slices.items.iter().flat_map(|slice| &slice.endpoints);
        Ok(endpoints
            .filter(|endpoint| {
                let conditions = endpoint.conditions.as_ref();
                conditions.and_then(|conditions| conditions.ready) != Some(false)
            })
            .count())
    }

    /// Waits until so many endpoints of a Service are ready.
    pub async fn wait_endpoints(&self, service: &str, count: usize) -> anyhow::Result<()> {
        let what = format!("{count} endpoints of {service} are ready");
        eventually(&what, PATIENCE, || async {
            let ready = self.ready_endpoints(service).await?;
            anyhow::ensure!(ready == count, "{ready} are");
            Ok(())
        })
        .await
    }
}
