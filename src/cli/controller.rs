//! `linkerd-failover controller`: the server.

use crate::cli::admission::{DefaultsArgs, RulesArgs};
use crate::cli::alerts::AlertArgs;
use crate::cli::certificates::CertificateArgs;
use crate::cli::guard::GuardArgs;
use crate::cli::kubernetes::KubernetesArgs;
use crate::cli::notifications::NotificationArgs;
use crate::cli::profiles::ProfileArgs;
use crate::cli::values::{LogFormatValue, distinct, in_order, parse_delay};
use crate::engine::{Identity, annotations};
use crate::index::endpoints::AddressFamilies;
use crate::informers::sources::WatchSettings;
use crate::kinds::selector::LabelSelector;
use crate::runtime::controller;
use crate::runtime::options::{Installation, LinkOptions, LinkerdOptions, Options, WebhookOptions};
use crate::snapshot::{Parts, Settings};
use crate::telemetry;
use jiff::SignedDuration;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Label selector of managed objects
    #[arg(long, short = 'l', env = "LINKERD_FAILOVER_SELECTOR", default_value = annotations::CONTROLLED_BY)]
    selector: LabelSelector,
    /// Log filter
    #[arg(long, env = "LINKERD_FAILOVER_LOG_LEVEL", default_value = "linkerd_failover=info,warn")]
    log_level: String,
    #[arg(long, env = "LINKERD_FAILOVER_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormatValue,
    /// Address of /live, /ready and /metrics; 0.0.0.0 is every address, of IPv6 too where the node
    /// has it
    #[arg(long, env = "LINKERD_FAILOVER_ADMIN_ADDR", default_value = "0.0.0.0:8080")]
    admin_addr: SocketAddr,
    /// Serve sums of the managed objects in the metrics, and no series for each of them. Of more than 10,000
    /// objects there are sums alone in any case
    #[arg(long, env = "LINKERD_FAILOVER_NO_PER_OBJECT_METRICS")]
    no_per_object_metrics: bool,
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
    /// How long to go on serving, no longer ready, after SIGTERM: until nobody calls
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
    #[command(flatten)]
    linkerd: LinkerdArgs,
    #[command(flatten)]
    alerts: AlertArgs,
    #[command(flatten)]
    notifications: NotificationArgs,
    /// Identity of this replica in the Lease and in what it writes
    #[arg(long, env = "POD_NAME", hide = true)]
    replica: Option<String>,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
}

/// Health of Services whose endpoints are in linked clusters.
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

/// Linkerd's values, for warnings at apply.
#[derive(Debug, clap::Args)]
struct LinkerdArgs {
    /// Linkerd's namespace, with the ConfigMap linkerd-config
    #[arg(long, env = "LINKERD_FAILOVER_LINKERD_NAMESPACE", default_value = "linkerd")]
    linkerd_namespace: String,
    /// How long after an answer Linkerd's values are read again
    #[arg(long, env = "LINKERD_FAILOVER_LINKERD_CONFIG_EVERY", default_value = "60s", value_parser = parse_delay, hide = true)]
    linkerd_config_every: SignedDuration,
}

/// Defaults and limits of every object.
#[derive(Debug, clap::Args)]
struct EngineArgs {
    #[command(flatten)]
    defaults: DefaultsArgs,
    /// Wait for a person when more than this share of all objects (in percent) would leave their
    /// primaries within ten seconds, and they do not share endpoints. Absent: never wait
    #[arg(long, env = "LINKERD_FAILOVER_BRAKE", value_parser = clap::value_parser!(u32).range(0..=99))]
    brake: Option<u32>,
    /// Writes of weights at once
    #[arg(long, env = "LINKERD_FAILOVER_WRITE_CONCURRENCY", default_value_t = CONCURRENCY, hide = true)]
    write_concurrency: usize,
    /// Version of the engine, which replicas of different versions compare
    #[arg(long, env = "LINKERD_FAILOVER_ENGINE_VERSION", default_value = env!("CARGO_PKG_VERSION"), hide = true)]
    engine_version: String,
}

/// Enough to keep an API server of a few cores busy; CONTRIBUTING.md has how to compare others.
const CONCURRENCY: usize = 32;

/// Runs the server until SIGTERM or SIGINT.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    telemetry::init_logging(&args.log_level, args.log_format.into())?;
    controller::run(args.options().await?).await
}

impl Args {
    async fn options(self) -> anyhow::Result<Options> {
        let (cluster, namespace) = self.kubernetes.resolve().await?;
        // Distinct even where two processes share a host, as in tests.
        let replica =
            self.replica.unwrap_or_else(|| format!("linkerd-failover-{}", std::process::id()));
        let deletion_delay = self.guard.delay()?;
        let alerts = self.alerts.settings()?;
        let notifications = self.notifications.settings(&namespace, &self.name)?;
        let webhook = match self.no_webhook {
            true => None,
            false => Some(WebhookOptions {
                address: self.webhook_addr,
                rules: Arc::new(self.rules.options()),
                certificates: self.certificates.source()?,
                tls_versions: self.certificates.tls_versions(),
                client_ca: self.certificates.client_ca(),
                guard: self.guard.options(),
                alerts,
            }),
        };
        Ok(Options {
            cluster,
            installation: Installation { name: self.name, namespace },
            identity: Identity {
                replica: replica.into(),
                engine: self.engine.engine_version.as_str().into(),
            },
            selector: self.selector,
            namespaces: distinct(self.namespaces),
            families: AddressFamilies { ipv6: self.ipv6 },
            defaults: self.engine.defaults.defaults(),
            brake: self.engine.brake,
            write_concurrency: self.engine.write_concurrency.max(1),
            uses_lease: !self.no_lease,
            links: self.remote.options(),
            profiles_of: self.profiles.cluster_domain(),
            linkerd: self.linkerd.options(),
            admin_address: self.admin_addr,
            per_object_metrics: !self.no_per_object_metrics,
            // Nobody calls a replica without a webhook.
            drain: webhook.as_ref().map_or(Duration::ZERO, |_| self.drain.unsigned_abs()),
            webhook,
            notifications,
            deletion_delay,
        })
    }
}

impl Args {
    /// What commands of people have to know of a controller with these arguments.
    pub(super) fn settings(self) -> Settings {
        let parts = Parts {
            brake: self.engine.brake.is_some(),
            guard: self.guard.is_on(),
            guard_reads_pods: self.guard.is_on() && self.certificates.client_ca().is_none(),
            alerts: self.alerts.ca_namespaces(),
        };
        let namespace = self.kubernetes.own_namespace();
        Settings {
            parts,
            watch: WatchSettings {
                selector: self.selector,
                families: AddressFamilies { ipv6: self.ipv6 },
                defaults: self.engine.defaults.defaults(),
                namespace: namespace.clone(),
                namespaces: distinct(self.namespaces),
                warns: !self.no_webhook,
                writes_profiles: self.profiles.is_managed(),
            },
            installation: Installation { name: self.name, namespace },
            links: self.remote.options(),
            rules: (!self.no_webhook).then(|| self.rules.options()),
            own_certificates: self.certificates.is_own(),
            profiles_of: self.profiles.cluster_domain(),
            linkerd_namespace: self.linkerd.linkerd_namespace,
            uses_lease: !self.no_lease,
        }
    }
}

impl RemoteArgs {
    fn options(self) -> Option<LinkOptions> {
        let namespaces = in_order(self.credentials_namespaces);
        let unreachable_after = self.remote_unreachable_after;
        (!namespaces.is_empty()).then_some(LinkOptions { namespaces, unreachable_after })
    }
}

impl LinkerdArgs {
    fn options(self) -> LinkerdOptions {
        // Never in a row without a break.
        let read_every = self.linkerd_config_every.unsigned_abs().max(Duration::from_millis(100));
        LinkerdOptions { namespace: self.linkerd_namespace, read_every }
    }
}
