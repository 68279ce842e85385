//! Certificates that the webhook issues itself: the CA in its Secret, a leaf in memory, `caBundle` in
//! both configurations. [`Rotation`] decides; this file reads and writes.

use crate::certificates::configurations::{
    ReadResult, WebhookConfiguration, WebhookConfigurations, changes_of,
};
use crate::certificates::problem::CertificateProblem;
use crate::certificates::rotation::{self, Rotation};
use crate::certificates::secret::CaSecret;
use crate::certificates::status::CertificateStatus;
use crate::certificates::trust_check::TrustCheck;
use crate::certificates::{RESYNC, ResourceNames};
use crate::clock::Clock;
use crate::telemetry::Metrics;
use crate::telemetry::report_once::ReportOnce;
use futures::StreamExt;
use kube::Client;
use std::sync::Arc;
use std::time::Duration;
use webhook_certs::{Change, InUse, Lifetimes, Step};

/// Tries again after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// The shortest wait for what is due.
const SHORTEST: Duration = Duration::from_millis(200);
/// More steps and conflicts in a row than this are an error.
const ATTEMPTS: usize = 10;

pub(super) async fn run(
    client: Client,
    names: ResourceNames,
    lifetimes: Lifetimes,
    status: Arc<CertificateStatus>,
    metrics: Arc<Metrics>,
) {
    let mut issuer = Issuer::new(client, names, lifetimes, status, metrics);
    let secret = changes_of(issuer.secret.api.clone(), &issuer.names.secret);
    // One reconciliation answers all changes before it.
    let changes = futures::stream::select(secret, issuer.configurations.changes());
    let mut changes = changes.ready_chunks(64);
    loop {
        let wait = issuer.reconcile().await;
        tokio::select! {
            Some(_) = changes.next() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

struct Issuer {
    names: ResourceNames,
    secret: CaSecret,
    configurations: WebhookConfigurations,
    rotation: Rotation,
    trust: TrustCheck,
    metrics: Arc<Metrics>,
    clock: Clock,
    problem: ReportOnce<CertificateProblem>,
}

/// How an attempt to reconcile ended.
enum AttemptResult {
    /// Every object is as it should be.
    InSync,
    Failed(CertificateProblem),
    /// The Secret was written, or an object has changed since it was read.
    ReadAgain,
}

impl Issuer {
    fn new(
        client: Client,
        names: ResourceNames,
        lifetimes: Lifetimes,
        status: Arc<CertificateStatus>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            secret: CaSecret::new(client.clone(), &names),
            configurations: WebhookConfigurations::new(client, &names.configurations),
            rotation: Rotation::new(&names.service, lifetimes),
            trust: TrustCheck::new(status, &names.service),
            names,
            metrics,
            clock: Clock::start(),
            problem: ReportOnce::default(),
        }
    }

    /// Writes what is missing in the three objects, and serves a leaf. Returns how long to wait for the
    /// next reconciliation.
    async fn reconcile(&mut self) -> Duration {
        let problem = match self.attempts().await {
            Ok(None) => {
                if self.problem.ends() {
                    tracing::info!("the webhook's certificates are in order again");
                }
                return self.rotation.until_due(self.clock.now().wall).clamp(SHORTEST, RESYNC);
            }
            Ok(Some(problem)) => problem,
            Err(error) => CertificateProblem::Failed(format!("{error:#}")),
        };
        // The leaf must not expire because the Secret cannot be read.
        if let Err(error) = self.serve() {
            tracing::error!(%error, "cannot issue a certificate");
        }
        if self.problem.begins(problem.clone()) {
            tracing::error!("the webhook's certificates are not in order: {problem}");
        }
        self.trust.status.record_failure(problem);
        RETRY
    }

    async fn attempts(&mut self) -> anyhow::Result<Option<CertificateProblem>> {
        for _ in 0..ATTEMPTS {
            match self.attempt().await? {
                AttemptResult::InSync => return Ok(None),
                AttemptResult::Failed(problem) => return Ok(Some(problem)),
                AttemptResult::ReadAgain => {}
            }
        }
        anyhow::bail!(
            "Secret {} or the webhook configurations change all the time: is something else \
             writing them?",
            self.names.secret
        )
    }

    async fn attempt(&mut self) -> anyhow::Result<AttemptResult> {
        // Read before the Secret, so that no bundle replaces one of a newer Secret.
        let configurations = self.configurations.read().await;
        let Some(read) = self.secret.read().await? else {
            self.check_trust(&configurations, None);
            return Ok(AttemptResult::Failed(self.secret_missing()));
        };
        let bundles = configurations.each_ref().map(WebhookConfiguration::bundles);
        match self.rotation.next_step(&read.data, &bundles, self.clock.now())? {
            Step::Write { data, change } => {
                if self.secret.write(read, data).await? {
                    self.report(&change);
                }
                Ok(AttemptResult::ReadAgain)
            }
            Step::Use(in_use) => self.use_ca(in_use, configurations).await,
        }
    }

    /// Serves a leaf of this CA, and distributes its bundle.
    async fn use_ca(
        &mut self,
        in_use: InUse,
        mut configurations: [WebhookConfiguration; 2],
    ) -> anyhow::Result<AttemptResult> {
        let bundle = in_use.bundle.clone();
        let in_use = self.rotation.use_ca(in_use);
        let metrics = &self.metrics.certificates;
        metrics.ca_expires.set(in_use.authority.not_after().as_second());
        metrics.phase(rotation::label(in_use.phase));
        self.serve()?;
        if !self.distribute(&mut configurations, &bundle).await? {
            return Ok(AttemptResult::ReadAgain);
        }
        self.check_trust(&configurations, Some(&bundle));
        Ok(configurations
            .iter()
            .find_map(unread)
            .map_or(AttemptResult::InSync, AttemptResult::Failed))
    }

    /// Writes the bundle to both configurations, to the second also where the first fails. False:
    /// another writer was faster.
    async fn distribute(
        &self,
        configurations: &mut [WebhookConfiguration; 2],
        bundle: &str,
    ) -> anyhow::Result<bool> {
        let [mutating, validating] = configurations;
        let first = self.configurations.write(mutating, bundle).await;
        let second = self.configurations.write(validating, bundle).await;
        Ok(first? && second?)
    }

    /// Serves another leaf where one is due.
    fn serve(&mut self) -> Result<(), webhook_certs::Error> {
        let now = self.clock.now().wall;
        let Some((reason, leaf)) = self.rotation.issue(now, fastrand::f64())? else {
            return Ok(());
        };
        tracing::info!(not_after = %leaf.not_after, why = reason.as_str(), "serving a new certificate");
        let metrics = &self.metrics.certificates;
        metrics.leaf_expires.set(leaf.not_after.as_second());
        metrics.loaded(reason);
        self.trust.status.resolver.set(leaf);
        Ok(())
    }

    fn check_trust(&mut self, configurations: &[WebhookConfiguration], wanted: Option<&str>) {
        let now = self.clock.now().wall;
        self.trust.check(configurations, wanted, &self.metrics.certificates, now);
    }

    fn secret_missing(&self) -> CertificateProblem {
        let ResourceNames { secret, namespace, .. } = &self.names;
        CertificateProblem::SecretMissing {
            secret: format!("{namespace}/{secret}"),
            served_until: self.trust.status.resolver.current_not_after(),
        }
    }

    fn report(&self, change: &Change) {
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
}

fn unread(configuration: &WebhookConfiguration) -> Option<CertificateProblem> {
    let ReadResult::Failed(error) = &configuration.result else { return None };
    let (configuration, error) = (configuration.name.clone(), error.clone());
    Some(CertificateProblem::ConfigurationUnread { configuration, error })
}
