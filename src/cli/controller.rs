//! `linkerd-failover controller`: the server.

use crate::admission::view::{MissingBackends, Rules};
use crate::cli::certificates::CertificateArgs;
use crate::cli::guard::{GuardArgs, GuardChannels, Installation};
use crate::cli::kubernetes::KubernetesArgs;
use crate::cli::profiles::ProfileArgs;
use crate::client::{proxied, quick_client};

use crate::certificates;
use crate::deletion_guard;

use crate::engine::{self, Defaults, Identity};
use crate::events::Recorder;
use crate::housekeeping::linked::tell_of_links;
use crate::housekeeping::own_namespace::{NamespaceLabeller, label_own_namespace};
use crate::housekeeping::survey::{Survey, survey_unmanaged};
use crate::index::endpoints::AddressFamilies;
use crate::index::shared_index::{ChangedObjects, SharedIndex};
use crate::informers::remote::links::{LinkSettings, watch_links};
use crate::informers::sources::{WatchSettings, watch_all};
use crate::informers::watch::SILENCE;
use crate::kinds::selector::LabelSelector;
use crate::leader_election::lease::{LeaseCandidacy, always_leading, hold_lease};
use crate::reconciler::context::{Context as ControllerContext, ControllerSettings};
use crate::reconciler::controller::{Controller, ControllerParts};
use crate::reconciler::gates::brake::Ledger;
use crate::reconciler::in_flight::WriteClients;
use crate::reconciler::service_profiles::plan::ProfileSettings;
use crate::runtime::listen::listen;
use crate::runtime::tasks::Tasks;
use crate::telemetry::{self, LogFormat, Metrics, admin};
use crate::webhook::handler::Handler;
use crate::webhook::{self, server};
use anyhow::Context;
use jiff::SignedDuration;
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Label selector of managed objects
    #[arg(long, short = 'l', env = "LINKERD_FAILOVER_SELECTOR", default_value = crate::engine::annotations::CONTROLLED_BY)]
    selector: LabelSelector,
    /// Log filter
    #[arg(long, env = "LINKERD_FAILOVER_LOG_LEVEL", default_value = "linkerd_failover=info,warn")]
    log_level: String,
    #[arg(long, env = "LINKERD_FAILOVER_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// Address of /live, /ready and /metrics; 0.0.0.0 is every address, of IPv6 too where the node
    /// has it
    #[arg(long, env = "LINKERD_FAILOVER_ADMIN_ADDR", default_value = "0.0.0.0:8080")]
    admin_addr: SocketAddr,
    /// Address of the admission webhook; 0.0.0.0 is every address, of IPv6 too
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
    /// How long to go on serving, no longer ready, after being told to stop: until nobody calls
    #[arg(long, env = "LINKERD_FAILOVER_DRAIN", default_value = "5s", value_parser = parse_delay)]
    drain: SignedDuration,
    /// Namespaces to watch and manage, with commas between; absent: all
    #[arg(long, env = "LINKERD_FAILOVER_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    certificates: CertificateArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    profiles: ProfileArgs,
    #[command(flatten)]
    guard: GuardArgs,
    /// Identity of this replica in the Lease and in what it writes
    #[arg(long, env = "POD_NAME", hide = true)]
    replica: Option<String>,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
}

/// How Services whose endpoints are in linked clusters are seen.
#[derive(Debug, clap::Args)]
struct RemoteArgs {
    /// Namespaces with the Secrets by which clusters are linked, with commas between; where two
    /// have one for a cluster, the first is believed. Absent: the health of Services in other
    /// clusters is unknown
    #[arg(long, env = "LINKERD_FAILOVER_CREDENTIALS_NAMESPACES", value_delimiter = ',')]
    credentials_namespaces: Vec<String>,
    /// How long the API server of a linked cluster may be out of reach before that cluster's
    /// Services count as down; until then their health is unknown
    #[arg(long, env = "LINKERD_FAILOVER_REMOTE_UNREACHABLE_AFTER", default_value = "60s", value_parser = parse_delay)]
    remote_unreachable_after: SignedDuration,
}

/// What the webhook goes by.
#[derive(Debug, clap::Args)]
struct RulesArgs {
    /// What becomes of an object that names a Service which does not exist
    #[arg(long, env = "LINKERD_FAILOVER_MISSING_BACKENDS", value_enum, default_value_t)]
    missing_backends: MissingBackends,
    /// Linked clusters: a missing Service whose name ends in one of them is only warned about.
    /// Those that Services mirror are known already
    #[arg(long, env = "LINKERD_FAILOVER_LINKED_CLUSTERS", value_delimiter = ',')]
    linked_clusters: Vec<String>,
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

/// Enough to keep an API server of a few cores busy; `BENCH_CONCURRENCY=8,32 make bench` compares.
const CONCURRENCY: usize = 32;

/// Announcements that wait for the controller: more would be answered too late.
const ANNOUNCED: usize = 4096;

fn parse_delay(text: &str) -> Result<SignedDuration, String> {
    engine::delay(text).ok_or_else(|| format!("expected {}", engine::expected_delay()))
}

/// An empty variable names no namespace, and one that is named twice is watched once.
fn distinct(names: Vec<String>) -> Vec<String> {
    let names: BTreeSet<_> = names.iter().map(|name| name.trim()).collect();
    names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The same, where the order means something.
fn in_order(names: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    names.filter(|name| seen.insert(*name)).map(str::to_owned).collect()
}

impl EngineArgs {
    fn settings(&self, families: AddressFamilies, hold_up: SignedDuration) -> ControllerSettings {
        ControllerSettings {
            defaults: Defaults {
                failover_delay: self.failover_delay,
                failback_delay: self.failback_delay,
                warm_standby: self.warm_standby,
            },
            families,
            concurrency: self.write_concurrency.max(1),
            brake: self.brake,
            hold_up,
        }
    }
}

/// Connections for writes: those of ServiceProfiles hold up no others.
struct Writes {
    /// For what is asked before a move: writes that hang are not before it.
    asks: Client,
    splits: WriteClients,
    profiles: WriteClients,
}

/// What the parts of the server share.
struct Parts {
    args: Parameters,
    client: Client,
    shared: SharedIndex,
    metrics: Arc<Metrics>,
    tasks: Tasks,
}

/// The arguments that are left once the cluster is known.
struct Parameters {
    selector: LabelSelector,
    name: String,
    namespace: String,
    namespaces: Vec<String>,
    me: Identity,
    settings: ControllerSettings,
    profiles: Option<Arc<ProfileSettings>>,
    rules: Arc<Rules>,
    remote: RemoteArgs,
    /// None: no deletion is held up.
    guard: Option<GuardArgs>,
    webhook_addr: SocketAddr,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    telemetry::init_logging(&args.log_level, args.log_format)?;
    let (mut config, namespace) = args.kubernetes.resolve().await?;
    // A connection that died is found by its silence: no cache is older than this.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    let client = proxied::client(config.clone())?;
    let connections = || -> anyhow::Result<WriteClients> {
        let connect = || quick_client::connect(config.clone());
        Ok(WriteClients { fast: connect()?, slow: connect()? })
    };
    let asks = quick_client::connect(config.clone())?;
    let writes = Writes { asks, splits: connections()?, profiles: connections()? };
    // Told apart even where two processes share a host, as in tests.
    let replica =
        args.replica.unwrap_or_else(|| format!("linkerd-failover-{}", std::process::id()));
    let (shared, changes) = SharedIndex::new();
    let profiles = args.profiles.settings(&namespace, &args.name, &args.selector);
    let mut parts = Parts {
        args: Parameters {
            profiles: profiles.map(Arc::new),
            selector: args.selector,
            name: args.name,
            namespace,
            namespaces: distinct(args.namespaces),
            me: Identity {
                replica: replica.into(),
                engine: args.engine.engine_version.as_str().into(),
            },
            settings: args
                .engine
                .settings(AddressFamilies { ipv6: args.ipv6 }, args.guard.hold_up()?),
            rules: Arc::new(Rules {
                missing_backends: args.rules.missing_backends,
                linked_clusters: args.rules.linked_clusters,
            }),
            remote: args.remote,
            guard: Some(args.guard).filter(|guard| guard.is_on() && !args.no_webhook),
            webhook_addr: args.webhook_addr,
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
        namespaces = ?parts.args.namespaces,
        replica = &*parts.args.me.replica,
        "starting"
    );

    parts.watch(!args.no_webhook);
    let lines = parts.control(changes, writes, args.no_lease);
    let certificates = match args.no_webhook {
        true => None,
        false => Some(parts.admit(args.certificates, lines).await?),
    };
    parts.administrate(args.admin_addr, certificates).await?;
    // Nobody calls a replica without a webhook.
    let drain = if args.no_webhook { Duration::ZERO } else { args.drain.unsigned_abs() };
    parts.tasks.until_told_to_stop(drain).await
}

impl Parts {
    fn watch(&mut self, webhook: bool) {
        let watched = WatchSettings {
            selector: self.args.selector.clone(),
            families: self.args.settings.families,
            defaults: self.args.settings.defaults,
            namespace: self.args.namespace.clone(),
            namespaces: self.args.namespaces.clone(),
            warns: webhook,
            writes_profiles: self.args.profiles.is_some(),
        };
        if self.args.guard.is_some() {
            self.shared.update(|index| {
                index.follow_pods();
                vec![]
            });
        }
        let watching = watch_all(self.client.clone(), watched, self.shared.clone());
        self.tasks.background.spawn(watching);
    }

    fn control(
        &mut self,
        changes: ChangedObjects,
        writes: Writes,
        no_lease: bool,
    ) -> GuardChannels {
        let profiles = self.args.profiles.as_ref().map(|_| writes.profiles.fast.clone());
        let warm = [Some(writes.splits.fast.clone()), Some(writes.asks.clone()), profiles];
        for client in warm.into_iter().flatten() {
            self.tasks.background.spawn(quick_client::keep_warm(client));
        }
        let (say_judge, judge) = watch::channel(None);
        let (say_brake, brake_record) = watch::channel(None);
        let leading = if no_lease {
            self.metrics.leader.set(1);
            always_leading()
        } else {
            let (say, leading) = watch::channel(false);
            let guard = self.args.guard.as_ref();
            let striving = LeaseCandidacy {
                api: Api::namespaced(self.client.clone(), &self.args.namespace),
                name: self.args.name.clone(),
                identity: self.args.me.replica.to_string(),
                address: guard.and_then(|guard| guard.address(self.args.webhook_addr)),
                shared: self.shared.clone(),
                metrics: self.metrics.clone(),
                leading: say,
                judge: say_judge,
                brake: say_brake,
            };
            self.tasks.last.tasks.spawn(hold_lease(striving, self.tasks.last.stop.clone()));
            leading
        };
        let (recorder, publisher) = Recorder::new(self.metrics.clone());
        let (busy, quiet) = watch::channel(0);
        let replica = self.args.me.replica.clone();
        self.tasks.working.tasks.spawn(publisher.run(self.client.clone(), replica, quiet));
        self.follow_links(leading.clone(), recorder.clone());
        let labelling = NamespaceLabeller {
            client: self.client.clone(),
            namespace: self.args.namespace.clone(),
            name: self.args.name.clone(),
            leading: leading.clone(),
            recorder: recorder.clone(),
            metrics: self.metrics.clone(),
        };
        let stop = self.tasks.working.stop.clone();
        self.tasks.working.tasks.spawn(label_own_namespace(labelling, stop));
        let survey = Survey {
            client: self.client.clone(),
            shared: self.shared.clone(),
            selector: self.args.selector.clone(),
            namespaces: self.args.namespaces.clone(),
            name: self.args.name.clone(),
            namespace: self.args.namespace.clone(),
            leases: (!no_lease).then(|| Api::namespaced(self.client.clone(), &self.args.namespace)),
            leading: leading.clone(),
            recorder: recorder.clone(),
            metrics: self.metrics.clone(),
        };
        let stop = self.tasks.working.stop.clone();
        self.tasks.working.tasks.spawn(survey_unmanaged(survey, stop));
        let ledger = Ledger::new(
            Api::namespaced(self.client.clone(), &self.args.namespace),
            self.args.name.clone(),
            self.args.me.replica.to_string(),
            no_lease,
        );
        let (announce, announcements) = mpsc::channel(ANNOUNCED);
        let controller = Controller::new(ControllerParts {
            context: ControllerContext {
                me: self.args.me.clone(),
                settings: self.args.settings,
                selector: self.args.selector.clone(),
                shared: self.shared.clone(),
                leading: leading.clone(),
                namespace: self.args.namespace.clone(),
                metrics: self.metrics.clone(),
                recorder,
                busy,
            },
            client: writes.asks,
            writes: writes.splits,
            profile_writes: writes.profiles,
            profiles: self.args.profiles.clone(),
            ledger,
            brake_record,
            changes,
            announcements,
        });
        let stop = self.tasks.working.stop.clone();
        self.tasks.working.tasks.spawn(controller.run(stop));
        GuardChannels { leading, judge, controller: announce, has_peers: !no_lease }
    }

    /// Every replica sees linked clusters for itself: a standby and each webhook go by them too.
    fn follow_links(&mut self, leading: watch::Receiver<bool>, recorder: Recorder) {
        let remote = &mut self.args.remote;
        let namespaces = in_order(std::mem::take(&mut remote.credentials_namespaces));
        if namespaces.is_empty() {
            return;
        }
        let linked = LinkSettings {
            namespaces,
            families: self.args.settings.families,
            limit: remote.remote_unreachable_after,
        };
        let (tell, told) = mpsc::unbounded_channel();
        let following = watch_links(self.client.clone(), linked, self.shared.clone(), tell);
        self.tasks.background.spawn(following);
        let stop = self.tasks.working.stop.clone();
        let metrics = self.metrics.clone();
        self.tasks.working.tasks.spawn(tell_of_links(told, leading, recorder, metrics, stop));
    }

    async fn admit(
        &mut self,
        args: CertificateArgs,
        lines: GuardChannels,
    ) -> anyhow::Result<Arc<certificates::CertificateStatus>> {
        let status = Arc::new(certificates::CertificateStatus::default());
        let (tls, client_ca) = args.tls(&status, self.args.guard.is_some())?;
        if let Some(client_ca) = client_ca {
            self.tasks.background.spawn(client_ca.keep(self.metrics.clone()));
        }
        let listener = listen(self.args.webhook_addr, "--webhook-addr").await?;
        let handler = Handler {
            client: self.client.clone(),
            shared: self.shared.clone(),
            selector: Arc::new(self.args.selector.clone()),
            rules: self.args.rules.clone(),
            defaults: self.args.settings.defaults,
            me: self.args.me.clone(),
        };
        let limits = server::ServerLimits::default();
        let draining = self.tasks.draining.clone();
        let mut router = webhook::routes::router(handler, limits, self.metrics.clone(), draining);
        if args.asks_clients() {
            router = router.layer(axum::middleware::from_fn(server::only_known));
        }
        if let Some(guard) = self.args.guard.clone() {
            router = router.merge(self.guard(guard, &args, lines, &status, limits)?);
        }
        let stop = self.tasks.serving.stop.clone();
        let serving = server::serve(listener, tls, router, limits, self.metrics.clone(), stop);
        let thread = self.tasks.webhook.start().context("cannot start the webhook's thread")?;
        self.tasks.serving.tasks.spawn_on(serving, &thread);
        let names = certificates::ResourceNames::new(&self.args.name, &self.args.namespace);
        self.tasks.background.spawn(certificates::keep(
            self.client.clone(),
            names,
            args.source()?,
            status.clone(),
            self.metrics.clone(),
        ));
        Ok(status)
    }

    /// The routes for deletions, and for the replicas that hear of them.
    fn guard(
        &mut self,
        guard: GuardArgs,
        args: &CertificateArgs,
        lines: GuardChannels,
        status: &certificates::CertificateStatus,
        limits: server::ServerLimits,
    ) -> anyhow::Result<axum::Router> {
        let of = Installation { name: &self.args.name, namespace: &self.args.namespace };
        let (patience, metrics) = (guard.patience()?, self.metrics.clone());
        let leading = lines.leading.clone();
        let desk = guard.desk(lines, &of, status.trust(), self.shared.clone(), metrics.clone());
        if let Some(peers) = desk.peers.clone() {
            self.tasks.background.spawn(peers.keep_warm(leading, metrics.clone()));
        }
        let authenticator = guard.authenticator(self.client.clone(), &of);
        let mut router = webhook::pod_deletions::router(desk.clone(), patience, limits, metrics);
        if args.asks_clients() {
            router = router.layer(axum::middleware::from_fn(server::only_known));
        }
        // Replicas show tokens, and no certificate.
        Ok(router.merge(deletion_guard::router(desk, authenticator, patience)))
    }

    async fn administrate(
        &mut self,
        address: SocketAddr,
        certificates: Option<Arc<certificates::CertificateStatus>>,
    ) -> anyhow::Result<()> {
        let listener = listen(address, "--admin-addr").await?;
        let (shared, stopping) = (self.shared.clone(), self.tasks.draining.clone());
        let readiness: admin::ReadinessProbe = Arc::new(move || {
            let synced = shared.read().synced;
            if stopping.is_cancelled() {
                Err("stopping".into())
            } else if !synced.all() {
                Err(format!("the caches are not whole: {}", synced.lacking().join(", ")))
            } else {
                certificates.as_ref().and_then(|c| c.lacking()).map_or(Ok(()), Err)
            }
        });
        let metrics = self.metrics.clone();
        let stop = self.tasks.last.stop.clone().cancelled_owned();
        self.tasks.last.tasks.spawn(async move {
            if let Err(error) = admin::serve(listener, metrics, readiness, stop).await {
                tracing::error!(%error, "the admin server ended");
            }
        });
        Ok(())
    }
}
