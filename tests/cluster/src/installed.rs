//! The chart, installed by helm, and its pods, run as local processes.

use crate::api_proxy::ApiProxy;
use crate::cluster::Cluster;
use crate::node::NODE;
use crate::pod::Pod;
use crate::replica::{self, Replica};
use crate::service_proxy::{Backend, ServiceProxy};
use crate::site::Site;
use anyhow::Context;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use test_tools::{target_dir, workspace_root};

const CHART: &str = "charts/linkerd-failover";
const HTTPS: u16 = 443;
const STOP: Duration = Duration::from_secs(30);

/// How the chart is installed.
#[derive(Clone, Debug)]
pub struct InstallOptions {
    /// Chart values, each `key=value` as `helm --set` takes it.
    pub values: Vec<String>,
    /// How many local processes stand in for the Deployment's pods.
    pub replicas: usize,
    /// The namespace; it is created.
    pub namespace: String,
    /// The name of helm's release.
    pub release: String,
    /// The program that the container's image would hold.
    pub binary: PathBuf,
    /// The chart's folder.
    pub chart: PathBuf,
}

impl Default for InstallOptions {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            replicas: 1,
            namespace: "linkerd-failover".into(),
            release: "linkerd-failover".into(),
            binary: Installation::built_binary(),
            chart: workspace_root().join(CHART),
        }
    }
}

/// The installed chart. Dropping it ends its processes; the objects stay.
pub struct Installation {
    options: InstallOptions,
    client: kube::Client,
    /// Of the Deployment.
    name: String,
    pod: PodSpec,
    replicas: Vec<Arc<Replica>>,
    webhook: Option<Webhook>,
    site: Arc<Site>,
}

struct Webhook {
    proxy: ServiceProxy,
    pod_port: u16,
}

impl Installation {
    /// The program as cargo builds it, or `$LINKERD_FAILOVER_BIN`.
    pub fn built_binary() -> PathBuf {
        std::env::var_os("LINKERD_FAILOVER_BIN")
            .map_or_else(|| target_dir().join("debug/linkerd-failover"), PathBuf::from)
    }

    /// Installs the chart, starts its replicas, and lets the API server reach
    /// its webhook. Returns before they are ready.
    pub async fn install(cluster: &Cluster, options: InstallOptions) -> anyhow::Result<Self> {
        anyhow::ensure!(
            options.binary.is_file(),
            "there is no {}: run `cargo build`, or set LINKERD_FAILOVER_BIN",
            options.binary.display()
        );
        Self::helm_install(cluster, &options).await?;
        Self::of_release(cluster, options).await
    }

    /// The same for a release that helm has installed already. Its values are helm's, not those
    /// of the options.
    pub async fn of_release(cluster: &Cluster, options: InstallOptions) -> anyhow::Result<Self> {
        let site = Arc::clone(cluster.site());
        let client = cluster.client();
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &options.namespace);
        let deployment = deployments
            .list(&ListParams::default())
            .await?
            .items
            .into_iter()
            .find(|deployment| is_of_release(&deployment.metadata, &options.release))
            .context("the chart made no Deployment that could be run")?;
        let name = deployment.metadata.name.unwrap_or_default();
        let pod = deployment
            .spec
            .and_then(|spec| spec.template.spec)
            .context("the Deployment has no pod template")?;
        let webhook = webhook(&client, &options, container(&pod)?).await?;
        let replicas = options.replicas;
        let mut installation =
            Self { options, client, name, pod, replicas: Vec::new(), webhook, site };
        for _ in 0..replicas {
            installation.start_replica().await?;
        }
        Ok(installation)
    }

    /// Installs the chart with helm, and starts no replica.
    pub async fn helm_install(cluster: &Cluster, options: &InstallOptions) -> anyhow::Result<()> {
        let mut values = Self::needed_values(cluster)?;
        values.extend(options.values.clone());
        let mut helm = cluster
            .helm(["upgrade", "--install", &options.release])
            .args([&options.chart])
            .args(["--namespace", &options.namespace, "--create-namespace"]);
        for value in values {
            helm = helm.args(["--set", &value]);
        }
        helm.ok().await?;
        Ok(())
    }

    /// Values of the chart, each `key=value`, without which the webhook cannot be served here.
    pub fn needed_values(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
        let slot = &cluster.site().slot;
        if TcpListener::bind((slot.address(), HTTPS)).is_ok() {
            return Ok(Vec::new());
        }
        // Not root, or somebody listens on that port of every address.
        Ok(vec![format!("webhook.servicePort={}", slot.free_port()?)])
    }

    /// The replicas, in the order in which they were started.
    pub fn replicas(&self) -> &[Arc<Replica>] {
        &self.replicas
    }

    /// The namespace of the installation.
    pub fn namespace(&self) -> &str {
        &self.options.namespace
    }

    /// The ClusterIP and port of the webhook's Service, if there is a webhook.
    pub fn webhook_service(&self) -> Option<SocketAddr> {
        let webhook = self.webhook.as_ref()?;
        Some(webhook.proxy.address())
    }

    /// Starts one more replica.
    pub async fn start_replica(&mut self) -> anyhow::Result<Arc<Replica>> {
        let site = Arc::clone(&self.site);
        self.start_replica_at(&site.server, &[]).await
    }

    /// Starts one more replica, which reaches the API server only through
    /// `proxy`, also after a restart.
    pub async fn start_replica_through(
        &mut self,
        proxy: &ApiProxy,
    ) -> anyhow::Result<Arc<Replica>> {
        self.start_replica_through_with(proxy, &[]).await
    }

    /// Both: through `proxy`, with further environment variables.
    pub async fn start_replica_through_with(
        &mut self,
        proxy: &ApiProxy,
        env: &[(&str, &str)],
    ) -> anyhow::Result<Arc<Replica>> {
        self.start_replica_at(&proxy.url(), env).await
    }

    /// Starts one more replica with further environment variables, as an
    /// upgraded Deployment would.
    pub async fn start_replica_with(
        &mut self,
        env: &[(&str, &str)],
    ) -> anyhow::Result<Arc<Replica>> {
        let site = Arc::clone(&self.site);
        self.start_replica_at(&site.server, env).await
    }

    async fn start_replica_at(
        &mut self,
        server: &str,
        env: &[(&str, &str)],
    ) -> anyhow::Result<Arc<Replica>> {
        let nth = self.site.next_pod();
        let service_account = self.pod.service_account_name.as_deref();
        let pod = Pod {
            namespace: self.options.namespace.clone(),
            name: format!("{}-{nth}", self.name),
            service_account: service_account.unwrap_or("default").into(),
            address: self.site.slot.pod_address(nth)?,
            volumes: self.pod.volumes.clone().unwrap_or_default(),
        };
        let binary = self.options.binary.clone();
        let mut container = container(&self.pod)?.clone();
        container.env.get_or_insert_default().extend(env.iter().map(|(name, value)| EnvVar {
            name: (*name).into(),
            value: Some((*value).into()),
            value_from: None,
        }));
        let replica = Replica::start(&self.site, server, &self.client, pod, &container, binary);
        let replica = Arc::new(replica.await?);
        self.replicas.push(Arc::clone(&replica));
        self.route();
        Ok(replica)
    }

    /// Gives the Deployment pods too, on the kwok node, beside the processes that stand for them:
    /// for those who read the Deployment's status.
    pub async fn run_pods(&self) -> anyhow::Result<()> {
        let on_the_node = serde_json::json!({"spec": {"template": {"spec": {
            "nodeName": NODE, "affinity": null, "topologySpreadConstraints": null,
            "tolerations": [{"operator": "Exists"}],
        }}}});
        let namespace = &self.options.namespace;
        let patch = ["-n", namespace, "patch", "deployment", &self.name, "-p"];
        self.site.command("kubectl").args(patch).args([on_the_node.to_string()]).ok().await?;
        Ok(())
    }

    /// Waits until every replica whose process runs is ready, and the
    /// webhook's Service, if there is one, can be connected to.
    pub async fn wait_ready(&self, timeout: Duration) -> anyhow::Result<()> {
        for replica in &self.replicas {
            if replica.process().is_running() {
                replica.wait_ready(timeout).await?;
            }
        }
        if let Some(address) = self.webhook_service() {
            crate::eventually("the webhook's Service is served", timeout, || {
                tokio::net::TcpStream::connect(address)
            })
            .await?;
        }
        Ok(())
    }

    /// Cuts the API server off from the webhook, as if no pod were ready.
    pub fn webhook_down(&self) -> anyhow::Result<()> {
        self.proxy().map(ServiceProxy::down)
    }

    /// Lets the webhook's Service accept connections and never answer, as behind a firewall that
    /// drops packets.
    pub fn webhook_silent(&self) -> anyhow::Result<()> {
        self.proxy().map(ServiceProxy::silence)
    }

    /// Lets the API server reach the webhook again.
    pub fn webhook_up(&self) -> anyhow::Result<()> {
        self.proxy().map(ServiceProxy::up)
    }

    /// Lets the replicas outlive this process, with a cluster that is kept. The
    /// webhook's Service is not served then: that is done in this process.
    pub fn keep(&self) -> anyhow::Result<()> {
        self.replicas.iter().try_for_each(|replica| replica.process().keep())
    }

    /// Uninstalls the chart, then ends the replicas, as Kubernetes would.
    pub async fn uninstall(self) -> anyhow::Result<()> {
        let InstallOptions { release, namespace, .. } = &self.options;
        self.site
            .command("helm")
            .args(["uninstall", release, "--namespace", namespace])
            .ok()
            .await?;
        for replica in &self.replicas {
            replica.process().terminate(STOP).await?;
        }
        Ok(())
    }

    fn proxy(&self) -> anyhow::Result<&ServiceProxy> {
        let webhook = self.webhook.as_ref();
        Ok(&webhook.context("the chart was installed without a webhook")?.proxy)
    }

    fn route(&self) {
        if let Some(webhook) = &self.webhook {
            let backends = self.replicas.iter().map(|replica| Backend {
                address: SocketAddr::new(replica.webhook_addr().ip(), webhook.pod_port),
                probe: replica.probe(),
            });
            webhook.proxy.set_backends(backends.collect());
        }
    }
}

/// Whether helm made it for a release.
pub fn is_of_release(metadata: &ObjectMeta, release: &str) -> bool {
    let annotations = metadata.annotations.iter().flatten();
    let mut named = annotations.filter(|(name, _)| *name == "meta.helm.sh/release-name");
    named.any(|(_, name)| name == release)
}

fn container(pod: &PodSpec) -> anyhow::Result<&Container> {
    pod.containers.first().context("the Deployment's pod has no container")
}

/// Serves the Service that the release's validating webhook names, if any.
async fn webhook(
    client: &kube::Client,
    options: &InstallOptions,
    container: &Container,
) -> anyhow::Result<Option<Webhook>> {
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let reference = configurations
        .list(&ListParams::default())
        .await?
        .items
        .into_iter()
        .filter(|configuration| is_of_release(&configuration.metadata, &options.release))
        .flat_map(|configuration| configuration.webhooks.unwrap_or_default())
        .find_map(|webhook| webhook.client_config.service);
    let Some(reference) = reference else {
        return Ok(None);
    };
    let services: Api<Service> = Api::namespaced(client.clone(), &reference.namespace);
    let service = services.get(&reference.name).await.context("the webhook's Service")?;
    let spec = service.spec.unwrap_or_default();
    let number = reference.port.unwrap_or(HTTPS.into());
    let ip: IpAddr = spec
        .cluster_ip
        .as_deref()
        .and_then(|ip| ip.parse().ok())
        .context("the webhook's Service has no ClusterIP")?;
    let ports = spec.ports.unwrap_or_default();
    let port = ports
        .iter()
        .find(|port| port.port == number)
        .with_context(|| format!("the webhook's Service has no port {number}"))?;
    let target = port.target_port.clone();
    let target = target.unwrap_or(IntOrString::Int(number));
    let pod_port = replica::port(container, &target)
        .with_context(|| format!("the container has no port {target:?}"))?;
    let address = SocketAddr::new(ip, u16::try_from(number)?);
    Ok(Some(Webhook { proxy: ServiceProxy::start(address)?, pod_port }))
}
