//! Takes notifications of Alertmanager: whose they are, whether that sender may, and what they change.

use crate::alerts::access::may_patch;
use crate::alerts::annotate::{Annotated, annotate};
use crate::alerts::notification::{Alert, InvalidAlert, Notification};
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

/// The audience of the tokens by which senders of alerts authenticate.
const AUDIENCE: &str = "alerts.failover.linkerd.io";
/// How long a review of a token is valid.
const VALID: Duration = Duration::from_secs(60);
/// Services of one notification that are looked at at once.
const AT_ONCE: usize = 8;

/// Takes notifications.
pub(crate) struct AlertReceiver {
    client: Client,
    tokens: TokenReviews,
    settings: AlertSettings,
    /// Where Services are annotated; empty: everywhere.
    namespaces: Vec<String>,
    metrics: Arc<Metrics>,
    refusals: Refusals,
}

/// What a receiver is made of.
pub(crate) struct ReceiverParts {
    pub client: Client,
    pub settings: AlertSettings,
    /// Where Services are annotated; empty: everywhere.
    pub namespaces: Vec<String>,
    /// Our own, for Events that are about no Service: `namespace` and `name`.
    pub deployment: (String, String),
    pub metrics: Arc<Metrics>,
    pub recorder: Recorder,
}

/// The answer to Alertmanager, which sends what failed again: after a moment for a status of 5xx, and with the
/// next notification of the group otherwise.
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
    Failed(String),
}

impl AlertReceiver {
    pub(crate) fn new(parts: ReceiverParts) -> Self {
        let ReceiverParts { client, settings, namespaces, deployment, metrics, recorder } = parts;
        let tokens = TokenReviews::new(client.clone(), AUDIENCE, VALID);
        let refusals = Refusals::new(recorder, ObjectKey::new(deployment.0, deployment.1));
        Self { client, tokens, settings, namespaces, metrics, refusals }
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
            TokenRefusal::Busy | TokenRefusal::NotReviewed(_) => (
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
        if notification.truncated > 0 {
            self.metrics.alerts.truncated.inc_by(notification.truncated);
            let cut = notification.truncated;
            tracing::warn!(cut, "Alertmanager left alerts out: raise max_alerts of its receiver");
        }
        let (alerts, invalid) = by_service(notification.alerts);
        let services = futures::stream::iter(alerts).map(async |(service, alerts)| {
            let taken = self.take_of_one(user, &service, &alerts).await;
            self.record(&service, &alerts, taken)
        });
        let mut answers: Vec<_> = services.buffer_unordered(AT_ONCE).collect().await;
        answers.extend(invalid.iter().map(|invalid| self.invalid(invalid)));
        summary(answers)
    }

    /// The answer to a body that is no notification.
    pub(super) fn unreadable(&self, why: String) -> Answer {
        self.metrics.alerts.refuse(RefusedAlerts::Unreadable);
        let note = format!("Alerts were refused, and nothing was changed: {why}");
        self.refusals.report(&Refused::Unreadable, &note);
        Answer { status: StatusCode::BAD_REQUEST, text: why }
    }

    /// The answer to a request that found no place, or took too long.
    pub(super) fn shed(&self) -> Answer {
        self.metrics.alerts.refuse(RefusedAlerts::Shed);
        Answer { status: StatusCode::SERVICE_UNAVAILABLE, text: "too much to do".into() }
    }

    fn invalid(&self, invalid: &InvalidAlert) -> Answer {
        self.metrics.alerts.count(AlertOutcome::Invalid);
        let note = format!("An alert changed nothing: {invalid}");
        self.refusals.report(&Refused::Unreadable, &note);
        Answer { status: StatusCode::BAD_REQUEST, text: invalid.to_string() }
    }

    async fn take_of_one(&self, user: &UserInfo, service: &ObjectKey, alerts: &[Alert]) -> Taken {
        let is_managed = |name: &str| name == &*service.namespace;
        if !self.namespaces.is_empty() && !self.namespaces.iter().any(|name| is_managed(name)) {
            let expected = self.namespaces.join(", ");
            return Taken::NoService(format!(
                "its namespace is none of those that are managed: {expected}"
            ));
        }
        match may_patch(&self.client, user, service).await {
            Ok(true) => {}
            Ok(false) => return Taken::Forbidden(forbidden(user, service)),
            Err(error) => return Taken::Failed(brief(&error)),
        }
        match annotate(&self.client, service, alerts, self.settings.stay).await {
            Ok(Some(annotated)) => Taken::Annotated(annotated),
            Ok(None) => Taken::NoService("there is no such Service".into()),
            Err(error) => Taken::Failed(brief(&error)),
        }
    }

    /// Counts and logs what became of the alerts of a Service.
    fn record(&self, service: &ObjectKey, alerts: &[Alert], taken: Taken) -> Answer {
        let all = |outcome| alerts.iter().for_each(|_| self.metrics.alerts.count(outcome));
        let (status, text) = match taken {
            Taken::Annotated(annotated) => return self.annotated(service, alerts, &annotated),
            Taken::Forbidden(why) => {
                all(AlertOutcome::Forbidden);
                let note = format!("An alert about Service {service} changed nothing: {why}");
                self.refusals.report(&Refused::Forbidden(service.clone()), &note);
                (StatusCode::FORBIDDEN, why)
            }
            Taken::NoService(why) => {
                all(AlertOutcome::NoService);
                let note = format!("An alert about Service {service} changed nothing: {why}");
                self.refusals.report(&Refused::NoService(service.clone()), &note);
                (StatusCode::NOT_FOUND, why)
            }
            Taken::Failed(why) => {
                all(AlertOutcome::Failed);
                tracing::warn!(%service, why, "an alert was not taken: Alertmanager repeats it");
                (StatusCode::SERVICE_UNAVAILABLE, why)
            }
        };
        Answer { status, text: format!("Service {service}: {text}") }
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

fn forbidden(user: &UserInfo, service: &ObjectKey) -> String {
    let name = user.username.as_deref().unwrap_or_default();
    let ObjectKey { namespace, name: service } = service;
    let mut note = format!(
        "user {name:?} may not patch it; to allow it: kubectl -n {namespace} create role alerts --verb=patch --resource=services --resource-name={service}"
    );
    if let Some((of, account)) =
        name.strip_prefix("system:serviceaccount:").and_then(|name| name.split_once(':'))
    {
        note += &format!(
            "; kubectl -n {namespace} create rolebinding alerts --role=alerts --serviceaccount={of}:{account}"
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
