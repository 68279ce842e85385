//! `linkerd-failover controller`: the server.

use super::certificates::CertificateArgs;
use super::kubernetes::KubernetesArgs;
use super::writing_client;
use crate::admission::{Handler, certificates, server};
use crate::cluster::{self, Changes, Shared, Watched, endpoints::Families};
use crate::controller::{Controller, Settings, always_leading, hold_lease, publisher};
use crate::failover::{self, Defaults, Identity};
use crate::resources::selector::LabelSelector;
use crate::telemetry::{self, LogFormat, Metrics, admin};
use anyhow::Context;
use jiff::SignedDuration;
use kube::{Api, Client};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Label selector of managed objects
    #[arg(long, short = 'l', env = "LINKERD_FAILOVER_SELECTOR", default_value = crate::failover::annotations::CONTROLLED_BY)]
    selector: LabelSelector,
    /// Log filter
    #[arg(long, env = "LINKERD_FAILOVER_LOG_LEVEL", default_value = "linkerd_failover=info,warn")]
    log_level: String,
    #[arg(long, env = "LINKERD_FAILOVER_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// Address of /live, /ready and /metrics
    #[arg(long, env = "LINKERD_FAILOVER_ADMIN_ADDR", default_value = "0.0.0.0:8080")]
    admin_addr: SocketAddr,
    /// Address of the admission webhook
    #[arg(long, env = "LINKERD_FAILOVER_WEBHOOK_ADDR", default_value = "0.0.0.0:8443")]
    webhook_addr: SocketAddr,
    /// Run the controller only
    #[arg(long, env = "LINKERD_FAILOVER_NO_WEBHOOK")]
    no_webhook: bool,
    /// Act as the only replica
    #[arg(long, env = "LINKERD_FAILOVER_NO_LEASE")]
    no_lease: bool,
    /// Base name of what belongs to this installation: Lease, Secret, Service, webhook configurations
    #[arg(long, env = "LINKERD_FAILOVER_NAME", default_value = "linkerd-failover")]
    name: String,
    /// Linkerd runs with IPv6 (`disableIPv6: false`): endpoints of that family count
    #[arg(long, env = "LINKERD_FAILOVER_IPV6")]
    ipv6: bool,
    #[command(flatten)]
    certificates: CertificateArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// Identity of this replica in the Lease and in what it writes
    #[arg(long, env = "POD_NAME", hide = true)]
    replica: Option<String>,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
}

/// What holds for every object.
#[derive(Debug, clap::Args)]
struct EngineArgs {
    /// How long a loss must last before traffic moves, where an object does not say
    #[arg(long, env = "LINKERD_FAILOVER_FAILOVER_DELAY", default_value = "0s", value_parser = parse_delay)]
    failover_delay: SignedDuration,
    /// How long a recovery must last before traffic moves, where an object does not say
    #[arg(long, env = "LINKERD_FAILOVER_FAILBACK_DELAY", default_value = "0s", value_parser = parse_delay)]
    failback_delay: SignedDuration,
    /// Ready fallbacks keep the smallest share, where an object does not say
    #[arg(long, env = "LINKERD_FAILOVER_WARM_STANDBY")]
    warm_standby: bool,
    /// Wait for a person when more than this share of all objects (in percent) would leave their
    /// primaries within ten seconds, and they do not share endpoints. Absent: never wait
    #[arg(long, env = "LINKERD_FAILOVER_BRAKE", value_parser = clap::value_parser!(u32).range(0..=99))]
    brake: Option<u32>,
    /// Writes of weights at once
    #[arg(long, env = "LINKERD_FAILOVER_WRITE_CONCURRENCY", default_value_t = CONCURRENCY, hide = true)]
    write_concurrency: usize,
    /// Version of the engine, as replicas of different versions tell each other
    #[arg(long, env = "LINKERD_FAILOVER_ENGINE_VERSION", default_value = env!("CARGO_PKG_VERSION"), hide = true)]
    engine_version: String,
}

/// Measured: with fewer the API server idles, with more its watchers fall behind.
const CONCURRENCY: usize = 32;

fn parse_delay(text: &str) -> Result<SignedDuration, String> {
    failover::delay(text).ok_or_else(|| format!("expected {}", failover::expected_delay()))
}

impl EngineArgs {
    fn settings(&self, families: Families) -> Settings {
        Settings {
            defaults: Defaults {
                failover_delay: self.failover_delay,
                failback_delay: self.failback_delay,
                warm_standby: self.warm_standby,
            },
            families,
            concurrency: self.write_concurrency.max(1),
            brake: self.brake,
        }
    }
}

/// What the parts of the server share.
struct Parts {
    args: Parameters,
    client: Client,
    shared: Shared,
    metrics: Arc<Metrics>,
    tasks: Tasks,
}

/// The arguments that are left once the cluster is known.
struct Parameters {
    selector: LabelSelector,
    name: String,
    namespace: String,
    me: Identity,
    settings: Settings,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    telemetry::init_logging(&args.log_level, args.log_format)?;
    let (mut config, namespace) = args.kubernetes.resolve().await?;
    // A connection that died is found by its silence: no cache is older than this.
    config.read_timeout = Some(cluster::SILENCE);
    config.reset_reader_on_write = true;
    let client = Client::try_from(config.clone())?;
    let writing = writing_client::connect(config)?;
    // Told apart even where two processes share a host, as in tests.
    let replica =
        args.replica.unwrap_or_else(|| format!("linkerd-failover-{}", std::process::id()));
    let (shared, changes) = Shared::new();
    let mut parts = Parts {
        args: Parameters {
            selector: args.selector,
            name: args.name,
            namespace,
            me: Identity {
                replica: replica.into(),
                engine: args.engine.engine_version.as_str().into(),
            },
            settings: args.engine.settings(Families { ipv6: args.ipv6 }),
        },
        client,
        shared,
        metrics: Arc::new(Metrics::default()),
        tasks: Tasks::default(),
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        selector = parts.args.selector.as_str(),
        namespace = parts.args.namespace,
        replica = &*parts.args.me.replica,
        "starting"
    );

    parts.watch();
    parts.control(changes, writing, args.no_lease);
    let certificates = match args.no_webhook {
        true => None,
        false => Some(parts.admit(args.webhook_addr, args.certificates).await?),
    };
    parts.administrate(args.admin_addr, certificates).await?;
    parts.tasks.until_told_to_stop().await
}

impl Parts {
    fn watch(&mut self) {
        let watched = Watched {
            selector: self.args.selector.clone(),
            families: self.args.settings.families,
            defaults: self.args.settings.defaults,
            namespace: self.args.namespace.clone(),
        };
        let watching = cluster::watch_all(self.client.clone(), watched, self.shared.clone());
        self.tasks.background.spawn(watching);
    }

    fn control(&mut self, changes: Changes, writing: Client, no_lease: bool) {
        self.tasks.background.spawn(writing_client::keep_warm(writing.clone()));
        let leading = if no_lease {
            self.metrics.leader.set(1);
            always_leading()
        } else {
            let (say, leading) = watch::channel(false);
            self.tasks.last.spawn(hold_lease(
                Api::namespaced(self.client.clone(), &self.args.namespace),
                self.args.name.clone(),
                self.args.me.replica.to_string(),
                self.shared.clone(),
                say,
                self.metrics.clone(),
                self.tasks.end.clone(),
            ));
            leading
        };
        let (say, said) = mpsc::channel(4096);
        let (busy, quiet) = watch::channel(0);
        self.tasks.first.spawn(publisher(
            self.client.clone(),
            self.args.me.replica.clone(),
            said,
            quiet,
        ));
        let controller = Controller {
            client: writing,
            shared: self.shared.clone(),
            leading,
            me: self.args.me.clone(),
            settings: self.args.settings,
            namespace: self.args.namespace.clone(),
            metrics: self.metrics.clone(),
            say,
            busy,
        };
        self.tasks.first.spawn(controller.run(changes, self.tasks.stop.clone()));
    }

    async fn admit(
        &mut self,
        address: SocketAddr,
        args: CertificateArgs,
    ) -> anyhow::Result<Arc<certificates::Status>> {
        let status = Arc::new(certificates::Status::default());
        let tls = args.server_config(&status)?;
        let listener = bind(address, "--webhook-addr").await?;
        let handler = Handler {
            client: self.client.clone(),
            shared: self.shared.clone(),
            selector: Arc::new(self.args.selector.clone()),
            defaults: self.args.settings.defaults,
            me: self.args.me.clone(),
            metrics: self.metrics.clone(),
        };
        let limits = server::Limits::default();
        let stop = self.tasks.stop.clone().cancelled_owned();
        self.tasks.first.spawn(server::serve(
            listener,
            Arc::new(tls),
            server::router(handler, limits),
            limits,
            stop,
        ));
        let names = certificates::Names::new(&self.args.name, &self.args.namespace);
        self.tasks.background.spawn(certificates::keep(
            self.client.clone(),
            names,
            args.source()?,
            status.clone(),
            self.metrics.clone(),
        ));
        Ok(status)
    }

    async fn administrate(
        &mut self,
        address: SocketAddr,
        certificates: Option<Arc<certificates::Status>>,
    ) -> anyhow::Result<()> {
        let listener = bind(address, "--admin-addr").await?;
        let (shared, stopping) = (self.shared.clone(), self.tasks.stop.clone());
        let readiness: admin::Readiness = Arc::new(move || {
            let synced = shared.read().synced;
            if stopping.is_cancelled() {
                Err("stopping".into())
            } else if !synced.all() {
                Err(format!("the caches are not whole: {synced:?}"))
            } else {
                certificates.as_ref().and_then(|c| c.lacking()).map_or(Ok(()), Err)
            }
        });
        let metrics = self.metrics.clone();
        let stop = self.tasks.end.clone().cancelled_owned();
        self.tasks.last.spawn(async move {
            if let Err(error) = admin::serve(listener, metrics, readiness, stop).await {
                tracing::error!(%error, "the admin server ended");
            }
        });
        Ok(())
    }
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {flag} {address}"))
}

/// The tasks of the process: every one is joined, and one that ends before it was told to ends
/// the process, since a replica that only looks alive is worse than one that is restarted.
#[derive(Default)]
struct Tasks {
    /// End with the process: watches, certificates.
    background: JoinSet<()>,
    /// Told to stop first: webhook, controller, Events.
    first: JoinSet<()>,
    stop: CancellationToken,
    /// Told once those have ended: the Lease is given back by who writes no more.
    last: JoinSet<()>,
    end: CancellationToken,
}

impl Tasks {
    async fn until_told_to_stop(mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let ended = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            Some(ended) = self.background.join_next() => Some(ended),
            Some(ended) = self.first.join_next() => Some(ended),
            Some(ended) = self.last.join_next() => Some(ended),
        };
        tracing::info!("stopping");
        self.stop.cancel();
        join_within(GRACE, &mut self.first).await;
        self.end.cancel();
        join_within(GRACE, &mut self.last).await;
        match ended {
            None => Ok(()),
            Some(ended) => anyhow::bail!("a task ended that should not have: {ended:?}"),
        }
    }
}

/// Twice this is less than a pod's default 30 s between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(12);

async fn join_within(limit: Duration, tasks: &mut JoinSet<()>) {
    let joined = tokio::time::timeout(limit, async { while tasks.join_next().await.is_some() {} });
    if joined.await.is_err() {
        tracing::warn!("{} tasks did not end in time", tasks.len());
    }
}
