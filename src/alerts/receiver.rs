//! Takes notifications of Alertmanager: whose they are, whether that sender may, and what they change.

use crate::alerts::access::may_patch;
use crate::alerts::annotate::{Annotated, annotate};
use crate::alerts::notification::{Alert, AlertStatus, InvalidAlert, Notification};
use crate::alerts::refusals::{Refusals, Refused};
use crate::alerts::settings::AlertSettings;
use crate::client::token_reviews::{TokenRefusal, TokenReviews};
use crate::events::Recorder;
use crate::kinds::{ObjectKey, brief};
use crate::telemetry::{AlertOutcome, Metrics, RefusedAlerts};
use futures::StreamExt;
use http::StatusCode;
use k8s_openapi::api::authentication::v1::UserInfo;
use kube::Client;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The audience of the tokens by which senders of alerts authenticate.
pub(super) const AUDIENCE: &str = "alerts.failover.linkerd.io";
/// How long a review of a token is valid.
const VALID: Duration = Duration::from_secs(60);
/// Services, of all notifications, that the API server is asked about at once: flips need it too.
const AT_ONCE: usize = 16;

/// Takes notifications.
pub(crate) struct AlertReceiver {
    client: Client,
    tokens: TokenReviews,
    settings: AlertSettings,
    /// Where Services are annotated; empty: everywhere.
    namespaces: Vec<String>,
    metrics: Arc<Metrics>,
    refusals: Refusals,
    services: Semaphore,
}

/// What a receiver is made of.
pub(crate) struct ReceiverParts {
    pub client: Client,
    pub settings: AlertSettings,
    /// Where Services are annotated; empty: everywhere.
    pub namespaces: Vec<String>,
    /// Our own, for Events that are about no Service.
    pub deployment: ObjectKey,
    pub metrics: Arc<Metrics>,
    pub recorder: Recorder,
}

/// The answer to Alertmanager, which sends what failed again: after a moment for a status of 5xx, and with the
/// next notification of the group otherwise, without end. So 200 is answered where a repeat cannot help.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub text: String,
}

/// What became of the alerts of one Service.
enum Taken {
    Annotated(Annotated),
    /// The sender may not patch it.
    Forbidden(String),
    NoService(String),
    /// Whether the sender may patch it is not known.
    NotReviewed(String),
    NotWritten(String),
}

impl AlertReceiver {
    pub(crate) fn new(parts: ReceiverParts) -> Self {
        let ReceiverParts { client, settings, namespaces, deployment, metrics, recorder } = parts;
        let tokens = TokenReviews::new(client.clone(), AUDIENCE, VALID);
        let refusals = Refusals::new(recorder, deployment);
        let services = Semaphore::new(AT_ONCE);
        Self { client, tokens, settings, namespaces, metrics, refusals, services }
    }

    /// Whose a token is; the answer to its sender where that is not known.
    pub(super) async fn sender(&self, token: &str) -> Result<Arc<UserInfo>, Answer> {
        let why = match self.tokens.user_of(token, VALID).await {
            Ok(known) => return Ok(known.user),
            Err(why) => why,
        };
        let (refused, counted, status, next) = match why {
            TokenRefusal::Unclaimed(_) | TokenRefusal::Rejected(_) => (
                Refused::Unauthenticated,
                RefusedAlerts::Unauthenticated,
                StatusCode::UNAUTHORIZED,
                "project one of its ServiceAccount into the pod that sends, with this audience, and name that file in http_config.authorization.credentials_file",
            ),
            TokenRefusal::Busy => return Err(self.shed("too many other tokens are under review")),
            TokenRefusal::NotReviewed(_) => (
                Refused::NotReviewed,
                RefusedAlerts::NotReviewed,
                StatusCode::SERVICE_UNAVAILABLE,
                "it is tried again when Alertmanager repeats; may we create tokenreviews.authentication.k8s.io, as the chart's ClusterRole says?",
            ),
        };
        let note = format!(
            "Alerts were refused, and nothing was changed. Authorization: found {}, expected a bearer token for the audience {AUDIENCE}: {why}; {next}",
            if token.is_empty() { "none" } else { "a bearer token" },
        );
        self.metrics.alerts.refuse(counted);
        self.refusals.report(&refused, &note);
        // The caller may be anybody: it is not answered with what the API server has said.
        let text = format!("expected a bearer token for the audience {AUDIENCE}");
        Err(Answer { status, text })
    }

    /// Takes the alerts of a notification.
    pub(super) async fn take(&self, user: &UserInfo, body: &[u8]) -> Answer {
        let notification = match Notification::read(body, &self.settings.labels) {
            Ok(notification) => notification,
            Err(why) => return self.unreadable(why.to_string()),
        };
        self.observe_truncated(notification.truncated);
        let (alerts, invalid) = by_service(notification.alerts);
        // In another order each time: where time is too short for all, a repeat does others first.
        let mut alerts: Vec<_> = alerts.into_iter().collect();
        fastrand::shuffle(&mut alerts);
        let services = futures::stream::iter(alerts).map(async |(service, alerts)| {
            // The semaphore is never closed.
            let _permit = self.services.acquire().await;
            let taken = self.take_of_one(user, &service, &alerts).await;
            let answer = self.record(user, &service, &alerts, taken);
            (service, answer)
        });
        let mut answers: Vec<_> = services.buffer_unordered(AT_ONCE).collect().await;
        answers.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let of_services = answers.into_iter().map(|(_, answer)| answer);
        summary(of_services.chain(invalid.iter().map(|invalid| self.invalid(invalid))).collect())
    }

    fn observe_truncated(&self, truncated: u64) {
        if truncated > 0 {
            self.metrics.alerts.truncated.inc_by(truncated);
            let note = format!(
                "{truncated} alerts have no effect: Alertmanager left them out of a notification; group its route by namespace, service and alertname, or raise max_alerts of its receiver"
            );
            self.refusals.report(&Refused::Truncated, &note);
        }
    }

    /// The answer to a body that is no notification.
    pub(super) fn unreadable(&self, why: String) -> Answer {
        self.metrics.alerts.refuse(RefusedAlerts::Unreadable);
        let note = format!("Alerts were refused, and nothing was changed: {why}");
        self.refusals.report(&Refused::Unreadable, &note);
        Answer { status: StatusCode::BAD_REQUEST, text: why }
    }

    /// The answer to a request that found no place, or took too long.
    pub(super) fn shed(&self, why: &str) -> Answer {
        self.metrics.alerts.refuse(RefusedAlerts::Shed);
        let note = format!("A request with alerts was turned away, to be sent again: {why}");
        self.refusals.report(&Refused::Shed, &note);
        Answer { status: StatusCode::SERVICE_UNAVAILABLE, text: why.to_owned() }
    }

    fn invalid(&self, invalid: &InvalidAlert) -> Answer {
        self.metrics.alerts.count(AlertOutcome::Invalid);
        if invalid.status == AlertStatus::Resolved {
            return nothing_to_end(invalid.to_string());
        }
        let note = format!("An alert changed nothing: {invalid}");
        self.refusals.report(&Refused::Unreadable, &note);
        Answer { status: StatusCode::BAD_REQUEST, text: invalid.to_string() }
    }

    async fn take_of_one(&self, user: &UserInfo, service: &ObjectKey, alerts: &[Alert]) -> Taken {
        // First: who may not patch a Service learns nothing of it, nor of what is managed here.
        match may_patch(&self.client, user, service).await {
            Ok(true) => {}
            Ok(false) => return Taken::Forbidden(forbidden(user, service)),
            Err(error) => return Taken::NotReviewed(brief(&error)),
        }
        if !self.is_managed(service) {
            let expected = self.namespaces.join(", ");
            return Taken::NoService(format!(
                "its namespace is none of those that are managed: {expected}"
            ));
        }
        match annotate(&self.client, service, alerts, self.settings.stay).await {
            Ok(Some(annotated)) => Taken::Annotated(annotated),
            Ok(None) => Taken::NoService("there is no such Service".into()),
            Err(error) => Taken::NotWritten(brief(&error)),
        }
    }

    fn is_managed(&self, service: &ObjectKey) -> bool {
        let mut namespaces = self.namespaces.iter();
        self.namespaces.is_empty() || namespaces.any(|name| **name == *service.namespace)
    }

    /// Counts and reports what became of the alerts of a Service.
    fn record(
        &self,
        user: &UserInfo,
        service: &ObjectKey,
        alerts: &[Alert],
        taken: Taken,
    ) -> Answer {
        let all = |outcome| alerts.iter().for_each(|_| self.metrics.alerts.count(outcome));
        let sender = user.username.clone().unwrap_or_default();
        let nothing =
            |why: &str| format!("An alert about Service {service} changed nothing: {why}");
        let answer =
            |status, text: &str| Answer { status, text: format!("Service {service}: {text}") };
        match taken {
            Taken::Annotated(annotated) => self.annotated(service, alerts, &annotated),
            Taken::Forbidden(why) => {
                all(AlertOutcome::Forbidden);
                let (service, is_managed) = (service.clone(), self.is_managed(service));
                let refused = Refused::Forbidden { sender, service, is_managed };
                self.refusals.report(&refused, &nothing(&why));
                answer(StatusCode::FORBIDDEN, &why)
            }
            Taken::NoService(why) => {
                all(AlertOutcome::NoService);
                if alerts.iter().all(|alert| alert.status == AlertStatus::Resolved) {
                    return nothing_to_end(format!("Service {service}: {why}"));
                }
                let refused = Refused::NoService { sender, service: service.clone() };
                self.refusals.report(&refused, &nothing(&why));
                answer(StatusCode::NOT_FOUND, &why)
            }
            Taken::NotReviewed(why) => {
                all(AlertOutcome::Failed);
                let right = "create subjectaccessreviews.authorization.k8s.io";
                self.report_failed(service, &why, right);
                // The sender may be anybody: it is not answered with what the API server has said.
                answer(StatusCode::SERVICE_UNAVAILABLE, "the right to patch it was not reviewed")
            }
            Taken::NotWritten(why) => {
                all(AlertOutcome::Failed);
                self.report_failed(service, &why, "patch services");
                answer(StatusCode::SERVICE_UNAVAILABLE, &why)
            }
        }
    }

    fn report_failed(&self, service: &ObjectKey, why: &str, right: &str) {
        let note = format!(
            "An alert about Service {service} was not taken, and Alertmanager sends it again: {why}; may we {right}, as the chart's ClusterRole says?"
        );
        self.refusals.report(&Refused::Failed, &note);
    }

    fn annotated(&self, service: &ObjectKey, alerts: &[Alert], annotated: &Annotated) -> Answer {
        let until = annotated.until.map(|until| until.to_string()).unwrap_or_default();
        let mut answer = Answer { status: StatusCode::OK, text: String::new() };
        for (alert, outcome) in alerts.iter().zip(&annotated.outcomes) {
            self.metrics.alerts.count(*outcome);
            let Alert { fingerprint, reason, .. } = alert;
            let outcome_text = outcome.as_str();
            match outcome {
                AlertOutcome::Unchanged | AlertOutcome::Extended => {
                    tracing::debug!(%service, fingerprint, reason, until, "alert: {outcome_text}");
                }
                AlertOutcome::TooMany => {
                    tracing::warn!(%service, fingerprint, reason, until, "alert: {outcome_text}");
                    // Sent again with the next notification of its group.
                    answer.status = StatusCode::TOO_MANY_REQUESTS;
                }
                _ => tracing::info!(%service, fingerprint, reason, until, "alert: {outcome_text}"),
            }
            answer.text += &format!("Service {service}: alert {fingerprint}: {outcome_text}\n");
        }
        answer
    }
}

/// The answer to resolved alerts that nothing was declared by: they are not sent again.
fn nothing_to_end(text: String) -> Answer {
    Answer { status: StatusCode::OK, text }
}

/// Why a sender may not, and the commands that allow it: each makes objects of its own names.
fn forbidden(user: &UserInfo, service: &ObjectKey) -> String {
    let name = user.username.as_deref().unwrap_or_default();
    let ObjectKey { namespace, name: service } = service;
    let mut note = format!(
        "user {name:?} may not patch it; to allow it: kubectl -n {namespace} create role alerts-{service} --verb=patch --resource=services --resource-name={service}"
    );
    if let Some((of, account)) =
        name.strip_prefix("system:serviceaccount:").and_then(|name| name.split_once(':'))
    {
        note += &format!(
            "; kubectl -n {namespace} create rolebinding alerts-{service}-{of}-{account} --role=alerts-{service} --serviceaccount={of}:{account}"
        );
    }
    note
}

type ByService = BTreeMap<ObjectKey, Vec<Alert>>;

/// The alerts of each Service, in their order, and those that cannot be read.
fn by_service(alerts: Vec<Result<Alert, InvalidAlert>>) -> (ByService, Vec<InvalidAlert>) {
    let (mut of, mut invalid) = (ByService::new(), vec![]);
    for alert in alerts {
        match alert {
            Ok(alert) => of.entry(alert.service.clone()).or_default().push(alert),
            Err(why) => invalid.push(why),
        }
    }
    (of, invalid)
}

/// One answer for all: with the status that makes Alertmanager repeat soonest.
fn summary(answers: Vec<Answer>) -> Answer {
    let status = answers.iter().map(|answer| answer.status).max().unwrap_or(StatusCode::OK);
    let texts: Vec<&str> = answers.iter().map(|answer| answer.text.trim_end()).collect();
    Answer { status, text: texts.join("\n") }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
