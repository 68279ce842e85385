//! Whether the API server would believe what is served.

use crate::certificates::configurations::{Found, WebhookConfiguration};
use crate::certificates::log_once::LogOnce;
use crate::telemetry::{CertificateMetrics, WebhookKind};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use webhook_certs::{Leaf, ReloadingResolver, verifies};

/// A replica that was believed once stays ready for so long while a bundle is put right: to end the
/// webhook's last endpoint over that would be the larger harm.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is served, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct CertificateStatus {
    pub resolver: Arc<ReloadingResolver>,
    /// The bundle of the validating webhooks, by which the API server believes us; empty while not
    /// known.
    trust: watch::Sender<Arc<[u8]>>,
    belief: Mutex<Belief>,
}

#[derive(Debug)]
struct Belief {
    /// Why the API server would not believe us, and since when.
    doubt: Option<(String, Instant)>,
    believed_once: bool,
}

impl Default for CertificateStatus {
    fn default() -> Self {
        let doubt = Some(("no certificate for the webhook yet".to_owned(), Instant::now()));
        Self {
            resolver: Arc::default(),
            trust: watch::Sender::new([].into()),
            belief: Mutex::new(Belief { doubt, believed_once: false }),
        }
    }
}

impl CertificateStatus {
    /// What the webhook lacks to be called.
    pub(crate) fn lacking(&self) -> Option<String> {
        self.lacking_at(Timestamp::now(), Instant::now())
    }

    fn lacking_at(&self, now: Timestamp, instant: Instant) -> Option<String> {
        let belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        let doubt = belief.doubt.as_ref().filter(|(_, since)| {
            !belief.believed_once || instant.saturating_duration_since(*since) >= PATIENCE
        });
        if let Some((doubt, _)) = doubt {
            return Some(doubt.clone());
        }
        let ended = self.resolver.current_not_after().filter(|end| *end < now)?;
        Some(format!("the webhook's certificate expired at {ended}"))
    }

    /// By what others believe our replicas.
    pub(crate) fn trust(&self) -> watch::Receiver<Arc<[u8]>> {
        self.trust.subscribe()
    }

    /// Why there is nothing to serve.
    pub(crate) fn nothing_to_serve(&self, why: &str) {
        if self.resolver.current().is_none() {
            self.conclude(Some(why.to_owned()), Instant::now());
        }
    }

    fn conclude(&self, doubt: Option<String>, instant: Instant) {
        let mut belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        belief.believed_once |= doubt.is_none();
        let since = belief.doubt.take().map_or(instant, |(_, since)| since);
        belief.doubt = doubt.map(|doubt| (doubt, since));
    }
}

/// Judges what is served by what the configurations hold.
pub(super) struct TrustCheck {
    pub status: Arc<CertificateStatus>,
    /// The Service's name, by which the API server calls us.
    pub service: String,
    pub said: LogOnce,
}

impl TrustCheck {
    /// `wanted` is the bundle that the configurations should have, where that is ours to say.
    pub(super) fn judge(
        &mut self,
        configurations: &[WebhookConfiguration],
        wanted: Option<&str>,
        metrics: &CertificateMetrics,
        now: Timestamp,
    ) {
        let Some(leaf) = self.status.resolver.current() else { return };
        let mut doubts = vec![];
        for configuration in configurations {
            let WebhookConfiguration { kind, what, found } = configuration;
            match found {
                Found::Missing => self.say(kind.as_str(), &format!("{what} does not exist")),
                Found::Forbidden => self.say(
                    kind.as_str(),
                    &format!("{what} may not be read: whether it trusts us is not known"),
                ),
                // As it was: what cannot be read now has not changed for that.
                Found::Failed(_) => return,
                Found::There { bundles, .. } => {
                    if let (WebhookKind::Validating, Some((_, bundle))) = (kind, bundles.first()) {
                        self.status.trust.send_if_modified(|last| {
                            let news = **last != **bundle;
                            *last = bundle.as_slice().into();
                            news
                        });
                    }
                    self.said.is_over(kind.as_str());
                    let doubt = bundles.iter().find_map(|(webhook, bundle)| {
                        let error = verifies(bundle, &leaf, &self.service, now).err()?;
                        Some(format!("{what}: caBundle of {webhook}: {}", explained(&error, &leaf)))
                    });
                    let as_wanted = bundles
                        .iter()
                        .all(|(_, bundle)| wanted.is_none_or(|wanted| bundle == wanted.as_bytes()));
                    metrics.in_sync(*kind, Some(doubt.is_none() && as_wanted));
                    doubts.extend(doubt);
                    continue;
                }
            }
            metrics.in_sync(*kind, None);
        }
        let doubt = (!doubts.is_empty()).then(|| doubts.join("; "));
        match &doubt {
            Some(doubt) if self.said.is_news("doubt", doubt) => {
                tracing::warn!("the API server would not believe the webhook: {doubt}");
            }
            Some(_) => {}
            None if self.said.is_over("doubt") => {
                tracing::info!("the API server would believe the webhook");
            }
            None => {}
        }
        self.status.conclude(doubt, Instant::now());
    }

    fn say(&mut self, subject: &'static str, word: &str) {
        if self.said.is_news(subject, word) {
            tracing::info!("{word}");
        }
    }
}

fn explained(error: &webhook_certs::Error, leaf: &Leaf) -> String {
    let Leaf { not_before, not_after, .. } = leaf;
    format!("it does not verify our certificate (valid {not_before} to {not_after}): {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use webhook_certs::{Authority, Lifetimes};

    const NAME: &str = "x-webhook.y.svc";

    fn judge() -> (TrustCheck, Authority) {
        let now = Timestamp::now();
        let names = [NAME.to_owned()];
        let ca = Authority::generate(&names, &Lifetimes::default(), now).unwrap();
        let status = Arc::new(CertificateStatus::default());
        let judge =
            TrustCheck { status: status.clone(), service: NAME.into(), said: LogOnce::default() };
        assert_eq!(status.lacking().as_deref(), Some("no certificate for the webhook yet"));
        status.resolver.set(ca.issue(&names, &Lifetimes::default(), now).unwrap());
        (judge, ca)
    }

    fn found(kind: WebhookKind, found: Found) -> WebhookConfiguration {
        WebhookConfiguration { kind, what: format!("{kind:?}"), found }
    }

    fn there(kind: WebhookKind, bundle: &str) -> WebhookConfiguration {
        let bundles = vec![("a".to_owned(), bundle.as_bytes().to_vec())];
        found(kind, Found::There { version: String::new(), bundles })
    }

    fn lacking(judge: &mut TrustCheck, configurations: &[WebhookConfiguration]) -> Option<String> {
        let metrics = CertificateMetrics::default();
        judge.judge(configurations, None, &metrics, Timestamp::now());
        judge.status.lacking()
    }

    #[test]
    fn ready_once_both_bundles_verify_the_certificate_and_what_is_lacking_is_named() {
        let (mut judge, ca) = judge();
        let good = || there(WebhookKind::Mutating, &ca.cert_pem());
        let said = lacking(&mut judge, &[good(), there(WebhookKind::Validating, "")]).unwrap();
        assert!(said.contains("Validating: caBundle of a: it does not verify our certificate"));
        assert!(said.contains("no certificate in the bundle"), "{said}");
        assert_eq!(lacking(&mut judge, &[good(), good()]), None);
    }

    #[test]
    fn a_configuration_that_is_not_there_or_may_not_be_read_holds_nobody_up() {
        let (mut judge, _) = judge();
        let both = [
            found(WebhookKind::Mutating, Found::Missing),
            found(WebhookKind::Validating, Found::Forbidden),
        ];
        assert_eq!(lacking(&mut judge, &both), None);
    }

    #[test]
    fn where_nothing_can_be_read_it_stays_as_it_was() {
        let (mut judge, ca) = judge();
        let failed = || found(WebhookKind::Mutating, Found::Failed("timed out".into()));
        assert!(lacking(&mut judge, &[failed()]).is_some());
        assert_eq!(lacking(&mut judge, &[there(WebhookKind::Mutating, &ca.cert_pem())]), None);
        assert_eq!(lacking(&mut judge, &[failed()]), None);
    }

    #[test]
    fn a_doubt_that_passes_costs_nothing_one_that_lasts_costs_the_readiness() {
        let (mut judge, ca) = judge();
        assert_eq!(lacking(&mut judge, &[there(WebhookKind::Mutating, &ca.cert_pem())]), None);
        assert_eq!(lacking(&mut judge, &[there(WebhookKind::Mutating, "")]), None);
        let later = Instant::now() + PATIENCE;
        assert!(judge.status.lacking_at(Timestamp::now(), later).is_some());
        let expired = Timestamp::now() + jiff::SignedDuration::from_hours(24 * 8);
        let said = judge.status.lacking_at(expired, Instant::now()).unwrap();
        assert!(said.starts_with("the webhook's certificate expired at"), "{said}");
    }
}
