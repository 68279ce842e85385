//! The certificate that is served, and whether the API server can call the webhook by it.

use crate::certificates::problem::CertificateProblem;
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use webhook_certs::ReloadingResolver;

/// A replica that has been ready stays ready for this long while a bundle is corrected: to remove the
/// webhook's last endpoint for that would do more harm.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What is served, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct CertificateStatus {
    pub resolver: Arc<ReloadingResolver>,
    /// The bundle of the validating webhooks, by which replicas trust each other; empty while it is
    /// not known.
    trust_bundle: watch::Sender<Arc<[u8]>>,
    readiness: Mutex<CallReadiness>,
}

#[derive(Debug)]
struct CallReadiness {
    /// What is wrong, and since when.
    problem: Option<(CertificateProblem, Instant)>,
    was_ready: bool,
}

impl CallReadiness {
    fn record(&mut self, problem: Option<CertificateProblem>, now: Instant) {
        self.was_ready |= problem.is_none();
        let since = self.problem.take().map_or(now, |(_, since)| since);
        self.problem = problem.map(|problem| (problem, since));
    }

    /// The problem that costs the readiness at this time.
    fn problem_at(&self, now: Instant) -> Option<&CertificateProblem> {
        let (problem, since) = self.problem.as_ref()?;
        let lasts = now.saturating_duration_since(*since) >= PATIENCE;
        (lasts || !self.was_ready).then_some(problem)
    }
}

impl Default for CertificateStatus {
    fn default() -> Self {
        let problem = Some((CertificateProblem::NoCertificate, Instant::now()));
        Self {
            resolver: Arc::default(),
            trust_bundle: watch::Sender::new([].into()),
            readiness: Mutex::new(CallReadiness { problem, was_ready: false }),
        }
    }
}

impl CertificateStatus {
    /// Why the API server cannot call the webhook.
    pub(crate) fn problem(&self) -> Option<CertificateProblem> {
        self.problem_at(Timestamp::now(), Instant::now())
    }

    pub(super) fn problem_at(
        &self,
        now: Timestamp,
        instant: Instant,
    ) -> Option<CertificateProblem> {
        let readiness = self.readiness.lock().unwrap_or_else(PoisonError::into_inner);
        let expired = || self.resolver.current_not_after().filter(|end| *end < now);
        let problem = readiness.problem_at(instant).cloned();
        problem.or_else(|| expired().map(CertificateProblem::Expired))
    }

    /// The bundle by which replicas trust each other.
    pub(crate) fn trust_bundle(&self) -> watch::Receiver<Arc<[u8]>> {
        self.trust_bundle.subscribe()
    }

    pub(super) fn set_trust_bundle(&self, bundle: &[u8]) {
        self.trust_bundle.send_if_modified(|present| {
            let differs = **present != *bundle;
            *present = bundle.into();
            differs
        });
    }

    /// Records why no certificate could be issued or read. It matters only while none is served.
    pub(super) fn record_failure(&self, problem: CertificateProblem) {
        if self.resolver.current().is_none() {
            self.record(Some(problem), Instant::now());
        }
    }

    pub(super) fn record(&self, problem: Option<CertificateProblem>, now: Instant) {
        self.readiness.lock().unwrap_or_else(PoisonError::into_inner).record(problem, now);
    }
}
