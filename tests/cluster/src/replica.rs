//! One pod of the chart's Deployment, as a local process.

use crate::kubeconfig::{kubeconfig, token_user, write_secret};
use crate::plain_http;
use crate::pod::{Command, Pod};
use crate::process::{Launch, Process};
use crate::site::Site;
use crate::token::{Purpose, token};
use crate::volumes::Mounts;
use crate::wait::eventually;
use anyhow::Context;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// For the API server, and long enough for a demo: nothing renews it as a kubelet would.
const TOKEN: Purpose<'_> = Purpose { audience: None, seconds: 24 * 3600 };

/// Where the program looks for the token that it shows to other replicas, by default.
const PEER_TOKEN: &str = "/var/run/linkerd-failover/peer/token";

/// A local process that runs what the container in the chart would.
#[derive(Debug)]
pub struct Replica {
    name: String,
    binary: PathBuf,
    command: Command,
    admin: SocketAddr,
    webhook: SocketAddr,
    probe: Probe,
    process: Mutex<Arc<Process>>,
    site: Arc<Site>,
}

/// Where readiness is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub address: SocketAddr,
    pub path: String,
}

impl Probe {
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let (status, body) = plain_http::get(self.address, &self.path).await?;
        anyhow::ensure!(status == 200, "{} answers {status}: {body}", self.path);
        Ok(())
    }
}

impl Replica {
    /// Starts the container of `pod`, under its ServiceAccount's rights, with
    /// `server` as the API server's URL.
    pub(crate) async fn start(
        site: &Arc<Site>,
        server: &str,
        client: &kube::Client,
        pod: Pod,
        container: &Container,
        binary: PathBuf,
    ) -> anyhow::Result<Self> {
        let container = &crate::secret_env::with_values(client, &pod, container).await?;
        let mut command = pod.command(container)?;
        let admin = command.listener("admin", 8080, &pod)?;
        let webhook = command.listener("webhook", 8443, &pod)?;
        command.path("peer-token-file", PEER_TOKEN);
        let probe =
            probe(container, &pod).unwrap_or(Probe { address: admin, path: "/ready".into() });
        let home = site.path("home").join(&pod.name);
        std::fs::create_dir_all(&home)
            .with_context(|| format!("cannot create {}", home.display()))?;
        command.relocate(&Mounts::write(client, &pod, container, &home).await?);
        let token_file = home.join("token");
        write_secret(&token_file, &token(client, &pod, TOKEN).await?)?;
        let config = home.join("kubeconfig");
        let user = token_user(&token_file);
        write_secret(&config, &kubeconfig(server, &site.ca, user, &pod.namespace))?;
        command.env.push(("KUBECONFIG".into(), config.display().to_string()));
        command.env.push(("HOME".into(), home.display().to_string()));
        let process = site.launch(launch(&pod.name, &binary, &command))?;
        Ok(Self {
            name: pod.name,
            binary,
            command,
            admin,
            webhook,
            probe,
            process: Mutex::new(Arc::new(process)),
            site: Arc::clone(site),
        })
    }

    /// The name of the pod that it stands for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where `/live`, `/ready` and `/metrics` are.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The address of the admin server.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The address of the webhook's server.
    pub fn webhook_addr(&self) -> SocketAddr {
        self.webhook
    }

    /// The process that runs now, or ran last: end it, pause it, read its log.
    pub fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts the container again under the same name, as a kubelet does after
    /// it has ended. One that still runs is killed.
    pub async fn restart(&self) -> anyhow::Result<()> {
        let old = self.process();
        old.kill()?;
        old.wait_exit(Duration::from_secs(60)).await?;
        let new = self.site.launch(launch(&self.name, &self.binary, &self.command))?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    /// GETs a page of the admin server, such as `/metrics`; an error unless 200.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let (status, body) = plain_http::get(self.admin, path).await?;
        anyhow::ensure!(status == 200, "{path} answers {status}: {body}");
        Ok(body)
    }

    /// Waits until it is ready to serve.
    pub async fn wait_ready(&self, timeout: Duration) -> anyhow::Result<()> {
        let process = self.process();
        let what = format!("{} is ready", self.name);
        let outcome = tokio::select! {
            outcome = eventually(&what, timeout, || self.probe.check()) => outcome,
            exit = process.wait_exit(timeout) => match exit {
                Ok(exit) => Err(anyhow::anyhow!("{} ended: {exit}", self.name)),
                Err(error) => Err(error),
            },
        };
        outcome.with_context(|| format!("{}:\n{}", process.log().display(), process.log_tail()))
    }

    pub(crate) fn probe(&self) -> Probe {
        self.probe.clone()
    }
}

fn launch(name: &str, binary: &std::path::Path, command: &Command) -> Launch {
    Launch {
        name: name.to_string(),
        program: binary.to_path_buf(),
        args: command.args.iter().map(Into::into).collect(),
        env: command.env.clone(),
    }
}

/// The probe that the chart gives the container, so that a wrong one is noticed.
fn probe(container: &Container, pod: &Pod) -> Option<Probe> {
    let get = container.readiness_probe.as_ref()?.http_get.as_ref()?;
    let port = port(container, &get.port)?;
    Some(Probe {
        address: SocketAddr::from((pod.address, port)),
        path: get.path.clone().unwrap_or_else(|| "/".into()),
    })
}

/// The number of a container's port that may be given by name.
pub(crate) fn port(container: &Container, port: &IntOrString) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_ref() == Some(name))
            .map(|port| port.container_port)?,
    };
    number.try_into().ok()
}
