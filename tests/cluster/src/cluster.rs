//! Starting, stopping and using a control plane.

use crate::baseline::Baseline;
use crate::command::Invocation;
use crate::components::{self, Ports};
use crate::etcd::Etcd;
use crate::folder::RunFolder;
use crate::kept::Kept;
use crate::kubeconfig::{certificate_user, kubeconfig, write_secret};
use crate::node::{self, NODE};
use crate::pki::Pki;
use crate::pool::{self, Contents, Place};
use crate::process::Process;
use crate::site::Site;
use crate::slot::Slot;
use crate::wait::eventually;
use anyhow::Context;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use test_tools::Tools;
use tokio::sync::Mutex;

const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(60);
/// How etcd and the API server say that they cannot listen.
const PORT_TAKEN: &str = "address already in use";

/// What a cluster is started with.
#[derive(Clone, Debug, Default)]
pub struct ClusterBuilder {
    api_server_args: Vec<String>,
}

impl ClusterBuilder {
    /// Adds an argument to kube-apiserver's.
    pub fn api_server_arg(mut self, arg: impl Into<String>) -> Self {
        self.api_server_args.push(arg.into());
        self
    }

    /// Starts the cluster and waits until it can be used.
    pub async fn start(self) -> anyhow::Result<Cluster> {
        let tools = tokio::task::spawn_blocking(Tools::ensure).await??;
        let mut tries = 0..3;
        loop {
            match self.clone().start_with(tools.clone()).await {
                // Between the choice of a port and its use somebody else may take it.
                Err(error)
                    if format!("{error:#}").contains(PORT_TAKEN) && tries.next().is_some() =>
                {
                    eprintln!(
                        "a port was taken meanwhile, the cluster is started again: {error:#}"
                    );
                }
                outcome => return outcome,
            }
        }
    }

    async fn start_with(self, tools: Tools) -> anyhow::Result<Cluster> {
        let folder = RunFolder::create()?;
        let slot = Slot::claim()?;
        let port = || Ok::<_, anyhow::Error>(SocketAddr::from((slot.address(), slot.free_port()?)));
        let ports = Ports { etcd: port()?, etcd_peer: port()?, api_server: port()? };
        let pki = Pki::generate(&slot)?;
        let server = format!("https://{}", ports.api_server);
        let site = Site::new(folder, slot, tools, server, pki.ca.clone());
        write_pki(&site, &pki)?;
        let kubeconfig = site.path("kubeconfig");
        let cluster = Cluster {
            client: client(&kubeconfig).await?,
            kubeconfig,
            ports,
            api_server_args: self.api_server_args,
            processes: Mutex::default(),
            shared: None,
            site: Arc::new(site),
        };
        cluster.bring_up().await?;
        Ok(cluster)
    }
}

/// A running control plane. Dropping it ends everything and removes its folder.
pub struct Cluster {
    client: kube::Client,
    kubeconfig: PathBuf,
    ports: Ports,
    api_server_args: Vec<String>,
    processes: Mutex<Processes>,
    /// Of the pool, which takes it back.
    shared: Option<Shared>,
    // Last: the folder goes after the processes that write in it.
    site: Arc<Site>,
}

/// What the pool knows of one of its clusters.
struct Shared {
    contents: Contents,
    baseline: Baseline,
    /// Whether the way back does not lead there any more.
    lost: AtomicBool,
    _place: Place,
}

/// A cluster that no test uses.
pub(crate) struct Idle {
    kubeconfig: PathBuf,
    ports: Ports,
    processes: Processes,
    shared: Shared,
    site: Arc<Site>,
}

impl Idle {
    pub(crate) fn contents(&self) -> Contents {
        self.shared.contents
    }

    /// Back to what it was before the test that used it last.
    pub(crate) async fn reset(&mut self) -> anyhow::Result<()> {
        self.shared.baseline.restore(Etcd::new(self.ports.etcd)).await?;
        // kubectl keeps for minutes which kinds there are.
        let home = self.site.path("home");
        std::fs::remove_dir_all(&home)?;
        std::fs::create_dir(&home)?;
        Ok(())
    }

    /// For the test that asks: a client belongs to the runtime that it is made in.
    pub(crate) async fn into_cluster(self) -> anyhow::Result<Cluster> {
        let Self { kubeconfig, ports, processes, shared, site } = self;
        Ok(Cluster {
            client: client(&kubeconfig).await?,
            kubeconfig,
            ports,
            api_server_args: Vec::new(),
            processes: Mutex::new(processes),
            shared: Some(shared),
            site,
        })
    }
}

#[derive(Default)]
struct Processes {
    kwok: Option<Process>,
    controller_manager: Option<Process>,
    api_server: Option<Process>,
    etcd: Option<Process>,
}

impl Processes {
    /// In the order in which they are to be stopped.
    fn all(&self) -> impl Iterator<Item = &Process> {
        [&self.kwok, &self.controller_manager, &self.api_server, &self.etcd].into_iter().flatten()
    }

    fn all_run(&self) -> bool {
        self.all().filter(|process| process.is_running()).count() == 4
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in self.all() {
            // All at once; each one's own drop then waits for its end.
            process.kill_unless_kept();
        }
    }
}

impl Cluster {
    /// Starts a cluster as most tests want it.
    pub async fn start() -> anyhow::Result<Self> {
        Self::builder().start().await
    }

    /// A cluster of this process's pool that holds nothing but these definitions. Dropping it gives
    /// it back, to be emptied and used again; what its API server counts goes on from there.
    pub async fn shared(contents: Contents) -> anyhow::Result<Self> {
        pool::take(contents).await
    }

    /// Makes a new cluster one of the pool's.
    pub(crate) async fn prepare(
        mut self,
        contents: Contents,
        place: Place,
    ) -> anyhow::Result<Self> {
        if contents == Contents::TrafficSplits {
            self.install_traffic_split_crd().await?;
        }
        let baseline = Baseline::take(self.etcd()).await?;
        self.shared =
            Some(Shared { contents, baseline, lost: AtomicBool::new(false), _place: place });
        Ok(self)
    }

    /// Starts a cluster with options.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// A client that may do everything.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// The kubeconfig of that client.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder with the cluster's data, logs and configuration.
    pub fn folder(&self) -> &Path {
        self.site.folder.path()
    }

    /// The names and ids of the processes that run now.
    pub fn pids(&self) -> Vec<(String, u32)> {
        // Locked elsewhere only while the API server is stopped or started.
        self.processes
            .try_lock()
            .map(|processes| {
                processes
                    .all()
                    .filter(|process| process.is_running())
                    .map(|process| (process.name().to_string(), process.pid()))
                    .collect()
            })
            .unwrap_or_default()
    }

    /// A kubectl command for this cluster.
    pub fn kubectl(&self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Invocation {
        self.site.command("kubectl").args(args)
    }

    /// A helm command for this cluster.
    pub fn helm(&self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Invocation {
        self.site.command("helm").args(args)
    }

    /// A POSIX shell that finds kubectl, and with it this cluster.
    pub fn sh(&self, script: &str) -> Invocation {
        let mut path = self.site.tools.folder().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        Invocation::new("/bin/sh".into(), &self.site.path("kubeconfig"), &self.site.path("home"))
            .args(["-eu", "-c", script])
            .env("PATH", path)
    }

    /// `kubectl apply`s manifests, as a user would; returns kubectl's output.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        self.kubectl(["apply", "-f", "-"]).stdin(yaml).ok().await
    }

    /// GETs a path of the API, such as `/readyz`.
    pub async fn get_raw(&self, path: &str) -> anyhow::Result<String> {
        let request = http_request(path)?;
        Ok(self.client.request_text(request).await?)
    }

    /// Stops the API server: at once (SIGKILL), or as an upgrade would.
    pub async fn stop_api_server(&self, kill: bool) -> anyhow::Result<()> {
        let process = self.processes.lock().await.api_server.take();
        let process = process.context("the API server does not run")?;
        if kill {
            process.kill()?;
            process.wait_exit(STOP).await?;
        } else {
            process.terminate(STOP).await?;
        }
        Ok(())
    }

    /// Starts the API server again, where it was and with what it had stored.
    pub async fn start_api_server(&self) -> anyhow::Result<()> {
        let mut processes = self.processes.lock().await;
        anyhow::ensure!(processes.api_server.is_none(), "the API server runs already");
        let launch = components::api_server(&self.site, &self.ports, &self.api_server_args);
        let process = processes.api_server.insert(self.site.launch(launch)?);
        ready(process, "kube-apiserver", || async { self.get_raw("/readyz").await.map(drop) }).await
    }

    /// Everything that etcd holds now, for [`Self::restore_etcd`]. The API server and etcd are stopped
    /// for it and started again.
    pub async fn save_etcd(&self) -> anyhow::Result<PathBuf> {
        let saved = self.site.path("data/etcd-saved");
        self.stop_api_server(true).await?;
        self.stop_etcd(false).await?;
        let _ = std::fs::remove_dir_all(&saved);
        copy_folder(&self.site.path("data/etcd"), &saved)?;
        self.start_etcd().await?;
        self.start_api_server().await?;
        Ok(saved)
    }

    /// Goes back to what etcd held then, resourceVersions and all, as a restored snapshot does. All of
    /// the control plane is restarted for it, as Kubernetes asks.
    pub async fn restore_etcd(&self, saved: &Path) -> anyhow::Result<()> {
        // The revisions of the baseline are others now.
        if let Some(shared) = &self.shared {
            shared.lost.store(true, Ordering::Relaxed);
        }
        {
            let mut processes = self.processes.lock().await;
            let Processes { kwok, controller_manager, .. } = &mut *processes;
            for process in [kwok.take(), controller_manager.take()].into_iter().flatten() {
                process.kill()?;
                process.wait_exit(STOP).await?;
            }
        }
        self.stop_api_server(true).await?;
        self.stop_etcd(false).await?;
        let data = self.site.path("data/etcd");
        std::fs::remove_dir_all(&data)?;
        copy_folder(saved, &data)?;
        self.start_etcd().await?;
        self.start_api_server().await?;
        let mut processes = self.processes.lock().await;
        let manager = self.site.launch(components::controller_manager(&self.site))?;
        processes.controller_manager = Some(manager);
        processes.kwok = Some(self.site.launch(components::kwok(&self.site))?);
        Ok(())
    }

    /// Stops etcd: at once (SIGKILL), or in good order. What it has stored stays.
    pub async fn stop_etcd(&self, kill: bool) -> anyhow::Result<()> {
        let etcd = self.processes.lock().await.etcd.take().context("etcd does not run")?;
        if kill {
            etcd.kill()?;
            etcd.wait_exit(STOP).await?;
        } else {
            etcd.terminate(STOP).await?;
        }
        Ok(())
    }

    /// Lets the API server hang (SIGSTOP) until [`Self::resume_api_server`].
    pub async fn pause_api_server(&self) -> anyhow::Result<()> {
        let processes = self.processes.lock().await;
        processes.api_server.as_ref().context("the API server does not run")?.pause()
    }

    /// Lets the API server go on.
    pub async fn resume_api_server(&self) -> anyhow::Result<()> {
        let processes = self.processes.lock().await;
        processes.api_server.as_ref().context("the API server does not run")?.resume()
    }

    /// Lets etcd hang (SIGSTOP) until [`Self::resume_etcd`].
    pub async fn pause_etcd(&self) -> anyhow::Result<()> {
        let processes = self.processes.lock().await;
        processes.etcd.as_ref().context("etcd does not run")?.pause()
    }

    /// Lets etcd go on.
    pub async fn resume_etcd(&self) -> anyhow::Result<()> {
        let processes = self.processes.lock().await;
        processes.etcd.as_ref().context("etcd does not run")?.resume()
    }

    /// Where etcd serves clients, without TLS.
    pub fn etcd_addr(&self) -> SocketAddr {
        self.ports.etcd
    }

    /// Drops from etcd all that is older than now: a watch that asks for it gets 410.
    pub async fn compact_etcd(&self) -> anyhow::Result<()> {
        self.etcd().compact().await
    }

    /// Starts etcd again, where it was and with what it had stored.
    pub async fn start_etcd(&self) -> anyhow::Result<()> {
        let mut processes = self.processes.lock().await;
        let launch = components::etcd(&self.site, &self.ports);
        let etcd = processes.etcd.insert(self.site.launch(launch)?);
        let client = self.etcd();
        ready(etcd, "etcd", || client.check()).await
    }

    /// Ends everything in good order.
    pub async fn stop(self) -> anyhow::Result<()> {
        let processes = self.processes.lock().await;
        // Without etcd the API server would never finish.
        for process in processes.all() {
            if process.terminate(STOP).await.is_err() {
                process.kill()?;
            }
        }
        Ok(())
    }

    /// Leaves the cluster running when this process ends, until
    /// [`stop_kept`](crate::stop_kept) ends it. Print what this returns.
    pub async fn keep(&self) -> anyhow::Result<Kept> {
        let processes = self.processes.lock().await;
        self.keep_processes(&processes)
    }

    fn keep_processes(&self, processes: &Processes) -> anyhow::Result<Kept> {
        self.site.folder.keep()?;
        for process in processes.all() {
            process.keep()?;
        }
        Ok(Kept {
            folder: self.folder().to_path_buf(),
            processes: processes
                .all()
                .map(|process| (process.name().to_string(), process.pid()))
                .collect(),
        })
    }

    pub(crate) fn etcd(&self) -> Etcd {
        Etcd::new(self.ports.etcd)
    }

    pub(crate) fn site(&self) -> &Arc<Site> {
        &self.site
    }

    async fn bring_up(&self) -> anyhow::Result<()> {
        self.start_etcd().await?;
        self.start_api_server().await?;
        let mut processes = self.processes.lock().await;
        let manager = processes
            .controller_manager
            .insert(self.site.launch(components::controller_manager(&self.site))?);
        node::create(self.client(), NODE).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), "default");
        ready(manager, "the default ServiceAccount", || async {
            Ok(accounts.get("default").await.map(drop)?)
        })
        .await?;
        let kwok = processes.kwok.insert(self.site.launch(components::kwok(&self.site))?);
        ready(kwok, "the node", || node::ready(self.client(), NODE)).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::env::var_os("KEEP_CLUSTER").is_some_and(|keep| keep == "1") {
            let processes = std::mem::take(self.processes.get_mut());
            match self.keep_processes(&processes) {
                Ok(kept) => eprintln!("{kept}"),
                Err(error) => eprintln!("cannot keep the cluster: {error:#}"),
            }
            return;
        }
        let processes = std::mem::take(self.processes.get_mut());
        let usable =
            processes.all_run() && !std::thread::panicking() && !self.site.folder.is_kept();
        let shared = self.shared.take().filter(|shared| !shared.lost.load(Ordering::Relaxed));
        if let Some(shared) = shared.filter(|_| usable) {
            pool::give_back(Idle {
                kubeconfig: std::mem::take(&mut self.kubeconfig),
                ports: self.ports,
                processes,
                shared,
                site: Arc::clone(&self.site),
            });
        }
    }
}

/// Waits until `check` succeeds; gives up early if `process` ends.
async fn ready<F>(process: &Process, what: &str, mut check: impl FnMut() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let waiting = eventually(what, START, &mut check);
    tokio::select! {
        outcome = waiting => outcome.with_context(|| format!("{what} is not ready")),
        exit = process.wait_exit(START) => {
            let how = exit.map_or_else(|error| error.to_string(), |exit| exit.to_string());
            Err(anyhow::anyhow!("{} ended: {how}", process.name()))
        }
    }
    .with_context(|| format!("{}:\n{}", process.log().display(), process.log_tail()))
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

fn http_request(path: &str) -> anyhow::Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}

fn write_pki(site: &Site, pki: &Pki) -> anyhow::Result<()> {
    let manager = certificate_user(&pki.controller_manager);
    let admin = certificate_user(&pki.admin);
    let files = [
        ("pki/ca.crt", pki.ca.clone()),
        ("pki/server.crt", pki.server.certificate.clone()),
        ("pki/server.key", pki.server.key.clone()),
        ("pki/api-proxy.crt", pki.api_proxy.certificate.clone()),
        ("pki/api-proxy.key", pki.api_proxy.key.clone()),
        ("pki/sa.key", pki.service_account_key.clone()),
        ("pki/sa.pub", pki.service_account_public_key.clone()),
        (
            "pki/controller-manager.kubeconfig",
            kubeconfig(&site.server, &site.ca, manager, "default"),
        ),
        ("kubeconfig", kubeconfig(&site.server, &site.ca, admin, "default")),
    ];
    for (name, text) in files {
        write_secret(&site.path(name), &text)?;
    }
    Ok(())
}

async fn client(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    let options = KubeConfigOptions::default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    // The environment's proxy cannot reach loopback.
    config.proxy_url = None;
    Ok(kube::Client::try_from(config)?)
}
