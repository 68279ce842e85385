//! Starts the admission webhook: its certificates, its routes and its thread.

use crate::alerts::{self, AlertReceiver, AlertSettings, CaPublisher, ReceiverParts};
use crate::certificates::{self, CertificateStatus, ClientCa, ResourceNames, TlsSettings};
use crate::deletion_guard::{
    self, Announcer, Authenticator, LabelCheck, Peers, PendingAnnouncement,
};
use crate::events::Recorder;
use crate::runtime::leadership::Leadership;
use crate::runtime::listen::listen;
use crate::runtime::options::{GuardOptions, WebhookOptions};
use crate::runtime::process::Process;
use crate::runtime::tasks::Tasks;
use crate::webhook::handler::Handler;
use crate::webhook::server::{self, ServerLimits};
use crate::webhook::{pod_deletions, routes};
use anyhow::Context;
use axum::Router;
use axum::middleware::from_fn;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What the webhook takes from the start of the reconciler.
pub(crate) struct ReconcilerHandles {
    pub announcements: mpsc::Sender<PendingAnnouncement>,
    pub recorder: Recorder,
}

/// Starts the webhook, unless it is disabled. Returns the status of its certificates.
pub(crate) async fn start(
    process: &Process,
    leadership: &Leadership,
    reconciler: ReconcilerHandles,
    tasks: &mut Tasks,
) -> anyhow::Result<Option<Arc<CertificateStatus>>> {
    let Some(options) = &process.options.webhook else { return Ok(None) };
    let status = Arc::new(CertificateStatus::default());
    let tls = tls(process, options, &status, tasks)?;
    let listener = listen(options.address, "--webhook-addr").await?;
    let limits = ServerLimits::default();
    let mut router = reviews(process, options, limits, tasks);
    if let Some(guard) = &options.guard {
        let (announcements, trust) = (reconciler.announcements, status.trust_bundle());
        let announcer = announcer(process, guard, leadership, announcements, trust, tasks);
        router = router.merge(deletions(process, options, announcer, limits));
    }
    if let Some(settings) = &options.alerts {
        let recorder = reconciler.recorder;
        publish_ca(process, settings, status.trust_bundle(), recorder.clone(), tasks);
        let receiver = receiver(process, settings.clone(), recorder);
        router = router.merge(alerts::router(receiver));
    }
    let (metrics, stop) = (process.metrics.clone(), tasks.serving.stop.clone());
    let serving = server::serve(listener, tls, router, limits, metrics, stop);
    let thread = tasks.webhook.start().context("cannot start the webhook's thread")?;
    tasks.serving.tasks.spawn_on(serving, &thread);
    tasks.background.spawn(certificates::run(
        process.client.clone(),
        resource_names(process),
        options.certificates.clone(),
        status.clone(),
        process.metrics.clone(),
    ));
    Ok(Some(status))
}

fn resource_names(process: &Process) -> ResourceNames {
    let installation = &process.options.installation;
    ResourceNames::new(&installation.name, &installation.namespace)
}

/// The TLS configuration for the next connection. With the deletion guard, or the receiver of alerts, a
/// connection without a client certificate is accepted too: these callers authenticate by token.
fn tls(
    process: &Process,
    options: &WebhookOptions,
    status: &CertificateStatus,
    tasks: &mut Tasks,
) -> anyhow::Result<watch::Receiver<Arc<rustls::ServerConfig>>> {
    let settings = TlsSettings {
        resolver: status.resolver.clone(),
        versions: options.tls_versions,
        certificate_optional: options.guard.is_some() || options.alerts.is_some(),
    };
    let Some(path) = &options.client_ca else {
        return Ok(watch::channel(settings.config(None)?).1);
    };
    let opened = ClientCa::open(path, settings);
    let (client_ca, tls) = opened.with_context(|| format!("--client-ca {}", path.display()))?;
    tasks.background.spawn(client_ca.reload_on_change(process.metrics.clone()));
    Ok(tls)
}

/// The routes for reviews of failover objects and of Services.
fn reviews(
    process: &Process,
    options: &WebhookOptions,
    limits: ServerLimits,
    tasks: &Tasks,
) -> Router {
    let handler = Handler {
        client: process.client.clone(),
        shared: process.index.clone(),
        selector: Arc::new(process.options.selector.clone()),
        rules: options.rules.clone(),
        defaults: process.options.defaults,
        me: process.options.identity.clone(),
    };
    let draining = tasks.draining.clone();
    let router = routes::router(handler, limits, process.metrics.clone(), draining);
    for_known_clients(router, options)
}

/// The routes for reviews of pod deletions, and for the announcements of other replicas.
fn deletions(
    process: &Process,
    options: &WebhookOptions,
    announcer: Announcer,
    limits: ServerLimits,
) -> Router {
    let (installation, delay) = (&process.options.installation, process.options.deletion_delay);
    let authenticator =
        Authenticator::new(process.client.clone(), &installation.namespace, &installation.name);
    let metrics = process.metrics.clone();
    let may_be_anybody = options.client_ca.is_none();
    let labels =
        may_be_anybody.then(|| LabelCheck::new(process.client.clone(), process.index.clone()));
    let reviews = pod_deletions::router(announcer.clone(), labels, delay, limits, metrics);
    // Replicas authenticate by token, not by certificate.
    let peers = deletion_guard::router(announcer, authenticator, delay);
    for_known_clients(reviews, options).merge(peers)
}

/// What takes alerts of Alertmanager, which authenticates by token.
fn receiver(process: &Process, settings: AlertSettings, recorder: Recorder) -> AlertReceiver {
    let installation = &process.options.installation;
    AlertReceiver::new(ReceiverParts {
        client: process.client.clone(),
        settings,
        namespaces: process.options.namespaces.clone(),
        deployment: installation.deployment(),
        metrics: process.metrics.clone(),
        recorder,
    })
}

/// Publishes the CA of the webhook for Alertmanager.
fn publish_ca(
    process: &Process,
    settings: &AlertSettings,
    bundle: watch::Receiver<Arc<[u8]>>,
    recorder: Recorder,
    tasks: &mut Tasks,
) {
    let installation = &process.options.installation;
    let publisher = CaPublisher {
        client: process.client.clone(),
        name: format!("{}-webhook-ca", installation.name),
        namespaces: settings.ca_namespaces.clone(),
        bundle,
        deployment: installation.deployment(),
        metrics: process.metrics.clone(),
        recorder,
    };
    if !publisher.namespaces.is_empty() {
        tasks.background.spawn(publisher.run());
    }
}

fn for_known_clients(router: Router, options: &WebhookOptions) -> Router {
    match options.client_ca {
        Some(_) => router.layer(from_fn(server::require_client_certificate)),
        None => router,
    }
}

/// What announces pods for the webhook, to this replica's reconciler or to the leader.
fn announcer(
    process: &Process,
    options: &GuardOptions,
    leadership: &Leadership,
    reconciler: mpsc::Sender<PendingAnnouncement>,
    trust: watch::Receiver<Arc<[u8]>>,
    tasks: &mut Tasks,
) -> Announcer {
    let has_peers = process.options.uses_lease;
    if has_peers && options.pod_ip.is_none() {
        tracing::warn!(
            "POD_IP is not set: other replicas cannot announce deletions to this one while it leads, and those go on without a flip"
        );
    }
    let peers = has_peers.then(|| {
        let leader = leadership.leader_address.clone();
        let token_file = options.token_file.clone();
        let server_name = resource_names(process).service().to_owned();
        Arc::new(Peers::new(leader, trust, server_name, token_file))
    });
    let (leading, metrics) = (leadership.leading.clone(), process.metrics.clone());
    if let Some(peers) = peers.clone() {
        tasks.background.spawn(peers.keep_warm(leading.clone(), metrics.clone()));
    }
    Announcer { shared: process.index.clone(), leading, reconciler, peers, metrics }
}
