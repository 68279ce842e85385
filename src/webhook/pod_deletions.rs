//! Deletions of pods: held up, within a bound, until traffic has left what they take away. Never
//! refused.
//!
//! Read by hand and not by [`review`](crate::webhook::review): thousands may wait at once, and of a pod only
//! its name, its uid and its end matter.

use crate::deletion_guard::{Announcement, AnnouncementOutcome, Announcer, DelayBounds};
use crate::telemetry::{DeletionVerdict, Metrics};
use crate::webhook::body;
use crate::webhook::routes::{InFlightGauge, patience};
use crate::webhook::server::ServerLimits;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::FutureExt;
use kube::core::admission::{META_API_VERSION_V1, META_KIND};
use serde::Deserialize;
use serde_json::json;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

/// Deletions that are held up at once. More go on at once: a second's wait for another try, as
/// other reviews are told to have, would be longer than the bound.
const AT_ONCE: usize = 4_096;

/// What of a review of a deletion matters.
#[derive(Debug, Deserialize)]
struct Review {
    request: Asked,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    uid: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(default)]
    options: Option<Options>,
    /// An Eviction.
    #[serde(default)]
    object: Option<Object>,
    /// A pod that is deleted.
    #[serde(default)]
    old_object: Option<Object>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    delete_options: Option<Options>,
}

/// Of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    termination_grace_period_seconds: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

/// Of a DELETE, or within an Eviction.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    #[serde(default)]
    grace_period_seconds: Option<i64>,
    #[serde(default)]
    dry_run: Option<Vec<String>>,
    #[serde(default)]
    preconditions: Option<Preconditions>,
}

#[derive(Debug, Deserialize)]
struct Preconditions {
    #[serde(default)]
    uid: Option<String>,
}

/// Why a deletion goes on without a look at what rests on the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SkipReason {
    /// Nothing is deleted.
    DryRun,
    /// The pod is on its way out already, or goes in no time.
    TooLate,
}

impl Asked {
    /// What it announces.
    fn announces(self) -> Result<Announcement, SkipReason> {
        let evicts = self.operation == "CREATE";
        let within = self.object.as_ref().and_then(|object| object.delete_options.as_ref());
        let mut options = [self.options.as_ref(), within].into_iter().flatten();
        let forced = options.clone().any(|o| o.grace_period_seconds == Some(0));
        // `kubectl drain` says it in the Eviction alone.
        let dry = |o: &Options| o.dry_run.as_ref().is_some_and(|said| !said.is_empty());
        if self.dry_run == Some(true) || options.any(dry) {
            return Err(SkipReason::DryRun);
        }
        let old = self.old_object.as_ref().map(|old| &old.metadata);
        let going = old.is_some_and(|pod| pod.deletion_timestamp.is_some());
        // The API server fills in the pod's own grace: a pod that has none is not forced out by it.
        let spec = self.old_object.as_ref().map(|old| &old.spec);
        let own = spec.and_then(|spec| spec.termination_grace_period_seconds);
        if going || forced && own != Some(0) {
            return Err(SkipReason::TooLate);
        }
        let promised = within.and_then(|o| o.preconditions.as_ref()?.uid.clone());
        let uid = if evicts { promised } else { old.and_then(|pod| pod.uid.clone()) };
        // Of a deleted collection only the objects have names.
        let names = [self.object.as_ref().map(|o| &o.metadata), old].into_iter().flatten();
        let mut names = [self.name].into_iter().chain(names.map(|m| m.name.clone()));
        let name = names.find(|name| !name.is_empty()).unwrap_or_default();
        Ok(Announcement { namespace: self.namespace, name, uid })
    }
}

struct PodDeletionReviewer {
    desk: Announcer,
    patience: DelayBounds,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    places: Semaphore,
    memory: Semaphore,
}

/// The routes for deletions and evictions of pods.
pub(crate) fn router(
    desk: Announcer,
    patience: DelayBounds,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
) -> Router {
    let gate = PodDeletionReviewer {
        desk,
        patience,
        limits,
        metrics,
        places: Semaphore::new(AT_ONCE),
        memory: Semaphore::new(limits.bodies_bytes),
    };
    Router::new()
        .route("/pod-deletion", post(hold))
        .route("/eviction", post(hold))
        .with_state(Arc::new(gate))
}

async fn hold(State(gate): State<Arc<PodDeletionReviewer>>, request: Request) -> Response {
    let began = Instant::now();
    let Ok(_place) = gate.places.try_acquire() else {
        gate.metrics.admission.shed("deletions");
        return (StatusCode::SERVICE_UNAVAILABLE, "too many deletions at once\n").into_response();
    };
    let _in_flight = InFlightGauge::new(&gate.metrics.admission.in_flight);
    let told = patience(request.uri().query(), gate.limits.answer);
    let until = began + told.min(gate.patience.bound);
    let asked = match timeout_at(until, gate.read(request)).await {
        Ok(Ok(asked)) => asked,
        Ok(Err(why)) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        Err(_) => {
            return (StatusCode::REQUEST_TIMEOUT, "the body came too slowly\n").into_response();
        }
    };
    let uid = asked.uid.clone();
    let verdict = match AssertUnwindSafe(gate.judge(asked, until)).catch_unwind().await {
        Ok(verdict) => verdict,
        Err(_) => {
            gate.metrics.admission.panics.inc();
            DeletionVerdict::Panicked
        }
    };
    gate.metrics.guard.answered(verdict, began.elapsed());
    allowed(&uid, verdict)
}

impl PodDeletionReviewer {
    /// Reads a review; its body is not kept.
    async fn read(&self, request: Request) -> Result<Asked, String> {
        let body = body::read(request.into_body(), self.limits.body_bytes, &self.memory).await;
        let body = body.map_err(|unread| format!("the review was not read: {unread:?}"))?;
        let review: Review = serde_json::from_slice(&body.bytes)
            .map_err(|error| format!("the AdmissionReview cannot be read: {error}"))?;
        Ok(review.request)
    }

    /// Waits until the deletion may go on, and says why it may.
    async fn judge(&self, asked: Asked, until: Instant) -> DeletionVerdict {
        let announcement = match asked.announces() {
            Ok(announcement) => announcement,
            Err(SkipReason::DryRun) => return DeletionVerdict::DryRun,
            Err(SkipReason::TooLate) => return DeletionVerdict::TooLate,
        };
        if !self.desk.concerns(&announcement) {
            return DeletionVerdict::Unconcerned;
        }
        let pod = format!("{}/{}", announcement.namespace, announcement.name);
        match timeout_at(until, self.desk.announce(announcement)).await {
            Ok(AnnouncementOutcome::Unconcerned) => DeletionVerdict::Unconcerned,
            Ok(AnnouncementOutcome::NoFlip) => DeletionVerdict::NoFlip,
            Ok(AnnouncementOutcome::NotBelieved) => DeletionVerdict::NotBelieved,
            Ok(AnnouncementOutcome::NoDecision) => {
                tracing::debug!(pod, "deleted without a flip: nobody judged it");
                DeletionVerdict::NoDecision
            }
            Ok(AnnouncementOutcome::Flipped { by_adaptor }) => {
                self.metrics.guard.delayed.inc();
                if by_adaptor {
                    let _ = timeout_at(until, sleep(self.patience.adaptor_grace)).await;
                }
                tracing::info!(pod, "its deletion waited until traffic had moved");
                DeletionVerdict::Flipped
            }
            Err(_) => {
                self.metrics.guard.delayed.inc();
                tracing::warn!(pod, "its deletion goes on at the bound, before traffic has moved");
                DeletionVerdict::Bound
            }
        }
    }
}

/// The answer, which an audit log shows with its reason.
fn allowed(uid: &str, verdict: DeletionVerdict) -> Response {
    let review = json!({
        "apiVersion": META_API_VERSION_V1,
        "kind": META_KIND,
        "response": {"uid": uid, "allowed": true, "auditAnnotations": {"verdict": verdict.as_str()}},
    });
    ([(header::CONTENT_TYPE, "application/json")], review.to_string()).into_response()
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
