//! Whether the API server trusts the certificate that is served: by the `caBundle` of each webhook.

use crate::certificates::configurations::{ReadResult, WebhookConfiguration};
use crate::certificates::problem::{CertificateProblem, UntrustedLeaf};
use crate::certificates::status::CertificateStatus;
use crate::telemetry::report_once::ReportOnce;
use crate::telemetry::{CertificateMetrics, WebhookKind};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use webhook_certs::{Leaf, verifies};

/// Whether a configuration trusts the certificate.
#[derive(Debug, PartialEq)]
enum Trust {
    /// No such configuration: no API server calls by it.
    Absent,
    /// The configuration may not be read.
    Forbidden,
    Read {
        /// Each `caBundle` is as it should be, and verifies the certificate.
        in_sync: bool,
        problem: Option<UntrustedLeaf>,
    },
}

/// Checks one leaf against configurations.
struct LeafCheck<'a> {
    leaf: &'a Leaf,
    /// The DNS name by which the API server calls the webhook.
    service: &'a str,
    /// The bundle that every webhook should have, where this program writes it.
    wanted: Option<&'a str>,
    now: Timestamp,
}

impl LeafCheck<'_> {
    /// None where the configuration could not be read this time: nothing new is known of it.
    fn trust(&self, configuration: &WebhookConfiguration) -> Option<Trust> {
        match &configuration.result {
            ReadResult::Missing => Some(Trust::Absent),
            ReadResult::Forbidden => Some(Trust::Forbidden),
            ReadResult::Failed(_) => None,
            ReadResult::Found { bundles, .. } => {
                let problem = bundles.iter().find_map(|(webhook, bundle)| {
                    self.problem(&configuration.name, webhook, bundle)
                });
                let is_wanted = |bundle: &[u8]| self.wanted.is_none_or(|w| bundle == w.as_bytes());
                let in_sync = problem.is_none() && bundles.iter().all(|(_, b)| is_wanted(b));
                Some(Trust::Read { in_sync, problem })
            }
        }
    }

    fn problem(&self, configuration: &str, webhook: &str, bundle: &[u8]) -> Option<UntrustedLeaf> {
        let error = verifies(bundle, self.leaf, self.service, self.now).err()?;
        Some(UntrustedLeaf {
            configuration: configuration.to_owned(),
            webhook: webhook.to_owned(),
            not_before: self.leaf.not_before,
            not_after: self.leaf.not_after,
            error,
        })
    }
}

/// Checks what is served whenever configurations are read, and reports what changes.
pub(super) struct TrustCheck {
    pub status: Arc<CertificateStatus>,
    service: String,
    /// Why a configuration is not checked.
    unchecked: HashMap<WebhookKind, ReportOnce<Trust>>,
    untrusted: ReportOnce<Vec<UntrustedLeaf>>,
}

impl TrustCheck {
    pub(super) fn new(status: Arc<CertificateStatus>, service: &str) -> Self {
        Self {
            status,
            service: service.to_owned(),
            unchecked: HashMap::new(),
            untrusted: ReportOnce::default(),
        }
    }

    /// Checks the leaf that is served. `wanted` is the bundle that every webhook should have, where
    /// this program writes it.
    pub(super) fn check(
        &mut self,
        configurations: &[WebhookConfiguration],
        wanted: Option<&str>,
        metrics: &CertificateMetrics,
        now: Timestamp,
    ) {
        let Some(leaf) = self.status.resolver.current() else { return };
        let service = self.service.clone();
        let check = LeafCheck { leaf: &leaf, service: &service, wanted, now };
        let mut untrusted = vec![];
        for configuration in configurations {
            let Some(trust) = check.trust(configuration) else { return };
            if let Some(bundle) = configuration.peer_bundle() {
                self.status.set_trust_bundle(bundle);
            }
            untrusted.extend(self.report(configuration, trust, metrics));
        }
        self.report_untrusted(&untrusted);
        let problem = (!untrusted.is_empty()).then_some(CertificateProblem::Untrusted(untrusted));
        self.status.record(problem, Instant::now());
    }

    /// Reports on one configuration; what is wrong with it.
    fn report(
        &mut self,
        configuration: &WebhookConfiguration,
        trust: Trust,
        metrics: &CertificateMetrics,
    ) -> Option<UntrustedLeaf> {
        let WebhookConfiguration { kind, name, .. } = configuration;
        let unchecked = self.unchecked.entry(*kind).or_default();
        let message = match trust {
            Trust::Read { in_sync, problem } => {
                unchecked.ends();
                metrics.present(*kind, Some(true));
                metrics.in_sync(*kind, Some(in_sync));
                return problem;
            }
            Trust::Absent => format!("{name} does not exist"),
            Trust::Forbidden => {
                format!("{name} may not be read: whether it trusts us is not known")
            }
        };
        metrics.present(*kind, (trust == Trust::Absent).then_some(false));
        if unchecked.begins(trust) {
            tracing::info!("{message}");
        }
        metrics.in_sync(*kind, None);
        None
    }

    fn report_untrusted(&mut self, untrusted: &[UntrustedLeaf]) {
        if untrusted.is_empty() {
            if self.untrusted.ends() {
                tracing::info!("the API server would believe the webhook");
            }
        } else if self.untrusted.begins(untrusted.to_vec()) {
            let problem = CertificateProblem::Untrusted(untrusted.to_vec());
            tracing::warn!("the API server would not believe the webhook: {problem}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::status::PATIENCE;
    use webhook_certs::{Authority, Lifetimes};

    const NAME: &str = "x-webhook.y.svc";

    fn trust_check() -> (TrustCheck, Authority) {
        let now = Timestamp::now();
        let names = [NAME.to_owned()];
        let ca = Authority::generate(&names, &Lifetimes::default(), now).unwrap();
        let status = Arc::new(CertificateStatus::default());
        let check = TrustCheck::new(status.clone(), NAME);
        let problem = status.problem().map(|problem| problem.to_string());
        assert_eq!(problem.as_deref(), Some("no certificate for the webhook yet"));
        status.resolver.set(ca.issue(&names, &Lifetimes::default(), now).unwrap());
        (check, ca)
    }

    fn configuration(kind: WebhookKind, result: ReadResult) -> WebhookConfiguration {
        WebhookConfiguration { kind, name: format!("{kind:?}"), result }
    }

    fn with_bundle(kind: WebhookKind, bundle: &str) -> WebhookConfiguration {
        let bundles = vec![("a".to_owned(), bundle.as_bytes().to_vec())];
        configuration(kind, ReadResult::Found { version: String::new(), bundles })
    }

    fn problem(
        check: &mut TrustCheck,
        configurations: &[WebhookConfiguration],
    ) -> Option<CertificateProblem> {
        let metrics = CertificateMetrics::default();
        check.check(configurations, None, &metrics, Timestamp::now());
        check.status.problem()
    }

    #[test]
    fn ready_once_both_bundles_verify_the_certificate_and_what_is_lacking_is_named() {
        let (mut check, ca) = trust_check();
        let good = || with_bundle(WebhookKind::Mutating, &ca.cert_pem());
        let empty = with_bundle(WebhookKind::Validating, "");
        let message = problem(&mut check, &[good(), empty]).unwrap().to_string();
        assert!(message.contains("Validating: caBundle of a: it does not verify our certificate"));
        assert!(message.contains("no certificate in the bundle"), "{message}");
        assert_eq!(problem(&mut check, &[good(), good()]), None);
    }

    #[test]
    fn a_configuration_that_does_not_exist_or_may_not_be_read_keeps_nobody_from_being_ready() {
        let (mut check, _) = trust_check();
        let both = [
            configuration(WebhookKind::Mutating, ReadResult::Missing),
            configuration(WebhookKind::Validating, ReadResult::Forbidden),
        ];
        assert_eq!(problem(&mut check, &both), None);
    }

    #[test]
    fn where_nothing_can_be_read_it_stays_as_it_was() {
        let (mut check, ca) = trust_check();
        let failed =
            || configuration(WebhookKind::Mutating, ReadResult::Failed("timed out".into()));
        let good = with_bundle(WebhookKind::Mutating, &ca.cert_pem());
        assert!(problem(&mut check, &[failed()]).is_some());
        assert_eq!(problem(&mut check, &[good]), None);
        assert_eq!(problem(&mut check, &[failed()]), None);
    }

    #[test]
    fn a_problem_that_passes_costs_nothing_one_that_lasts_costs_the_readiness() {
        let (mut check, ca) = trust_check();
        let mutating = |bundle: &str| with_bundle(WebhookKind::Mutating, bundle);
        assert_eq!(problem(&mut check, &[mutating(&ca.cert_pem())]), None);
        assert_eq!(problem(&mut check, &[mutating("")]), None);
        let later = Instant::now() + PATIENCE;
        assert!(check.status.problem_at(Timestamp::now(), later).is_some());
        let expired = Timestamp::now() + jiff::SignedDuration::from_hours(24 * 8);
        let problem = check.status.problem_at(expired, Instant::now()).unwrap().to_string();
        assert!(problem.starts_with("the webhook's certificate expired at"), "{problem}");
    }
}
