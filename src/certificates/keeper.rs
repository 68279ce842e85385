//! Certificates of our own: the CA in its Secret, a leaf in memory, `caBundle` in both
//! configurations.

use crate::certificates::configurations::{
    Found, WebhookConfiguration, WebhookConfigurations, ticks,
};
use crate::certificates::log_once::LogOnce;
use crate::certificates::secret::CaSecret;
use crate::certificates::status::{CertificateStatus, TrustCheck};
use crate::certificates::{LOOK_AGAIN, ResourceNames};
use crate::clock::Clock;
use crate::telemetry::{CertificateLoad, Metrics, RotationPhase};
use futures::StreamExt;
use jiff::Timestamp;
use kube::Client;
use std::sync::Arc;
use std::time::Duration;
use webhook_certs::{Change, InUse, Lifetimes, Observed, Phase, Propagation, Step, next_step};

/// Tries again after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// Looks again at what is due after so long at least.
const SOONEST: Duration = Duration::from_millis(200);
/// So many steps and conflicts in a row before something must be wrong.
const ATTEMPTS: usize = 10;

pub(super) async fn keep(
    client: Client,
    names: ResourceNames,
    lifetimes: Lifetimes,
    status: Arc<CertificateStatus>,
    metrics: Arc<Metrics>,
) {
    let mut keeper = Keeper::new(client, names, lifetimes, status, metrics);
    let secret = ticks(keeper.store.api.clone(), &keeper.names.secret);
    // A round answers whatever has changed before it.
    let mut touched =
        futures::stream::select(secret, keeper.configurations.touched()).ready_chunks(64);
    loop {
        let wait = keeper.round().await;
        // One of the three objects changed, or something is due.
        tokio::select! {
            Some(_) = touched.next() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

struct Keeper {
    names: ResourceNames,
    lifetimes: Lifetimes,
    store: CaSecret,
    configurations: WebhookConfigurations,
    judge: TrustCheck,
    metrics: Arc<Metrics>,
    said: LogOnce,
    clock: Clock,
    propagation: Propagation,
    /// What the Secret held when it was last in order.
    in_use: Option<InUse>,
    /// The CA that our leaf came from, and when the leaf is to be renewed.
    serving: Option<(String, Timestamp, Timestamp)>,
}

/// How a round ended.
enum Outcome {
    /// Every object is as it should be.
    InOrder,
    /// The Secret does not exist.
    Gone,
    /// A configuration could not be read.
    Unread(String),
}

impl Keeper {
    fn new(
        client: Client,
        names: ResourceNames,
        lifetimes: Lifetimes,
        status: Arc<CertificateStatus>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let service = names.service.clone();
        Self {
            store: CaSecret::new(client.clone(), &names),
            configurations: WebhookConfigurations::new(client, &names.configurations),
            names,
            lifetimes,
            judge: TrustCheck { status, service, said: LogOnce::default() },
            metrics,
            said: LogOnce::default(),
            clock: Clock::start(),
            propagation: Propagation::default(),
            in_use: None,
            serving: None,
        }
    }

    /// Brings everything in order as far as that is possible now. How long to wait for the next.
    async fn round(&mut self) -> Duration {
        let problem = match self.reconcile().await {
            Ok(Outcome::InOrder) => {
                if self.said.is_over("problem") {
                    tracing::info!("the webhook's certificates are in order again");
                }
                return self.until_due();
            }
            Ok(Outcome::Gone) => self.gone(),
            Ok(Outcome::Unread(why)) => why,
            Err(error) => format!("{error:#}"),
        };
        // The leaf must not end because the Secret cannot be read.
        if let Err(error) = self.serve() {
            tracing::error!(%error, "cannot issue a certificate");
        }
        if self.said.is_news("problem", &problem) {
            tracing::error!("the webhook's certificates are not in order: {problem}");
        }
        self.judge.status.nothing_to_serve(&problem);
        RETRY
    }

    fn gone(&self) -> String {
        let ResourceNames { secret, namespace, .. } = &self.names;
        let served = match self.judge.status.resolver.current_not_after() {
            Some(end) => format!("the CA in memory serves on, its certificate until {end}"),
            None => "there is nothing to serve".to_owned(),
        };
        format!(
            "Secret {namespace}/{secret} does not exist, and it is the chart that makes it: run \
             `helm upgrade`, or apply the chart's manifests again; {served}"
        )
    }

    async fn reconcile(&mut self) -> anyhow::Result<Outcome> {
        for _ in 0..ATTEMPTS {
            // Before the Secret: so no bundle is written over one from a newer Secret.
            let mut configurations = self.configurations.read().await;
            let Some(read) = self.store.read().await? else {
                self.judge(&configurations, None);
                return Ok(Outcome::Gone);
            };
            let now = self.clock.now();
            let bundles = configurations.each_ref().map(WebhookConfiguration::bundles);
            let trusted_for = self.propagation.observe(
                &read.data,
                &bundles,
                now.steady.as_timestamp().as_duration(),
            );
            let observed = Observed { data: &read.data, trusted_for };
            match next_step(
                observed,
                std::slice::from_ref(&self.names.service),
                &self.lifetimes,
                now.wall,
            )? {
                Step::Write { data, change } => {
                    if self.store.write(read, data).await? {
                        self.tell(&change);
                    }
                }
                Step::Use(in_use) => {
                    let bundle = in_use.bundle.clone();
                    self.take(in_use);
                    self.serve()?;
                    if self.spread(&mut configurations, &bundle).await? {
                        self.judge(&configurations, Some(&bundle));
                        return Ok(unread(&configurations));
                    }
                }
            }
        }
        anyhow::bail!(
            "Secret {} or the webhook configurations change all the time: is something else \
             writing them?",
            self.names.secret
        )
    }

    /// Writes the bundle to both configurations; false where one was written by somebody else
    /// meanwhile. One that fails does not keep it from the other.
    async fn spread(
        &self,
        configurations: &mut [WebhookConfiguration; 2],
        bundle: &str,
    ) -> anyhow::Result<bool> {
        let [mutating, validating] = configurations;
        let first = self.configurations.write(mutating, bundle).await;
        let second = self.configurations.write(validating, bundle).await;
        Ok(first? && second?)
    }

    fn take(&mut self, in_use: InUse) {
        let metrics = &self.metrics.certificates;
        metrics.ca_expires.set(in_use.authority.not_after().as_second());
        metrics.phase(label(in_use.phase));
        self.in_use = Some(in_use);
    }

    /// Serves a leaf of the CA in use: a new one, where there is none of it or it is time.
    fn serve(&mut self) -> anyhow::Result<()> {
        let Some(in_use) = &self.in_use else { return Ok(()) };
        let (ca, now) = (in_use.authority.cert_pem(), self.clock.now().wall);
        let kind = match &self.serving {
            None => CertificateLoad::First,
            Some((from, ..)) if *from != ca => CertificateLoad::AnotherCa,
            Some((_, begin, renew)) if now < *begin || *renew <= now => CertificateLoad::Renewed,
            Some(_) => return Ok(()),
        };
        let names = std::slice::from_ref(&self.names.service);
        let leaf = in_use.authority.issue(names, &self.lifetimes, now)?;
        tracing::info!(not_after = %leaf.not_after, why = kind.as_str(), "serving a new certificate");
        let metrics = &self.metrics.certificates;
        metrics.leaf_expires.set(leaf.not_after.as_second());
        metrics.loaded(kind);
        self.serving = Some((ca, leaf.not_before, leaf.renew_at(fastrand::f64())));
        self.judge.status.resolver.set(leaf);
        Ok(())
    }

    fn judge(&mut self, configurations: &[WebhookConfiguration], wanted: Option<&str>) {
        let now = self.clock.now().wall;
        self.judge.judge(configurations, wanted, &self.metrics.certificates, now);
    }

    fn tell(&self, change: &Change) {
        let secret = &self.names.secret;
        match change {
            Change::Created => tracing::info!(%secret, "made the webhook's CA"),
            Change::Repaired(reason) => {
                self.metrics.certificates.repairs.inc();
                tracing::warn!(%secret, %reason, "repaired the webhook's CA: there is another one");
            }
            Change::NextCreated => tracing::info!(%secret, "made the webhook's next CA"),
            Change::NextReplaced(reason) => {
                self.metrics.certificates.repairs.inc();
                tracing::warn!(%secret, %reason, "made the webhook's next CA anew");
            }
            Change::Promoted => tracing::info!(%secret, "the webhook's next CA is in use now"),
            Change::FormerDated => {
                tracing::warn!(%secret, "set anew how long the webhook's former CA is trusted");
            }
            Change::FormerDropped => tracing::info!(%secret, "the webhook's former CA is gone"),
        }
    }

    fn until_due(&self) -> Duration {
        let now = self.clock.now().wall;
        let renew = self.serving.as_ref().map(|(_, _, renew)| *renew);
        let look = self.in_use.as_ref().and_then(|in_use| in_use.recheck_at);
        let due = renew.into_iter().chain(look).min().unwrap_or(now);
        let wait = Duration::try_from(now.duration_until(due)).unwrap_or_default();
        wait.clamp(SOONEST, LOOK_AGAIN)
    }
}

fn unread(configurations: &[WebhookConfiguration]) -> Outcome {
    let failed = configurations.iter().find_map(|one| match &one.found {
        Found::Failed(why) => Some(format!("{}: {why}", one.what)),
        _ => None,
    });
    failed.map_or(Outcome::InOrder, Outcome::Unread)
}

fn label(phase: Phase) -> RotationPhase {
    match phase {
        Phase::Steady => RotationPhase::Steady,
        Phase::Distributing => RotationPhase::Distributing,
        Phase::Propagating => RotationPhase::Propagating,
        Phase::Retiring => RotationPhase::Retiring,
    }
}
