//! Deletions of pods: delayed, within a bound, until traffic has moved. Never denied.

use crate::deletion_guard::{
    Announcement, AnnouncementOutcome, Announcer, DelayBounds, LabelCheck,
};
use crate::telemetry::{DeletionVerdict, Metrics, ShedReason};
use crate::webhook::body::{self, BodyError, Bounds};
use crate::webhook::pod_deletion_request::{DeletionRequest, DeletionReview, SkipReason};
use crate::webhook::routes::{InFlightGauge, patience};
use crate::webhook::server::ServerLimits;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::FutureExt;
use kube::core::admission::{META_API_VERSION_V1, META_KIND};
use serde_json::json;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Deletions that are delayed at once. Beyond them a deletion goes on: a retry after a second, as for
/// other reviews, would come after the bound.
const AT_ONCE: usize = 4_096;

struct PodDeletionReviewer {
    announcer: Announcer,
    /// None where callers are authenticated: the API server itself looks for the label.
    labels: Option<LabelCheck>,
    delay: DelayBounds,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    permits: Semaphore,
    memory: Semaphore,
}

/// The routes for deletions and evictions of pods.
pub(crate) fn router(
    announcer: Announcer,
    labels: Option<LabelCheck>,
    delay: DelayBounds,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
) -> Router {
    let reviewer = PodDeletionReviewer {
        announcer,
        labels,
        delay,
        limits,
        metrics,
        permits: Semaphore::new(AT_ONCE),
        memory: Semaphore::new(limits.bodies_bytes),
    };
    Router::new()
        .route("/pod-deletion", post(delay_deletion))
        .route("/eviction", post(delay_deletion))
        .with_state(Arc::new(reviewer))
}

async fn delay_deletion(
    State(reviewer): State<Arc<PodDeletionReviewer>>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let Ok(_permit) = reviewer.permits.try_acquire() else {
        reviewer.metrics.admission.shed(ShedReason::Deletions);
        return (StatusCode::SERVICE_UNAVAILABLE, "too many deletions at once\n").into_response();
    };
    let _in_flight = InFlightGauge::new(&reviewer.metrics.admission.in_flight);
    let patience = patience(request.uri().query(), reviewer.limits.answer);
    let until = began + patience.min(reviewer.delay.bound);
    let request = match timeout_at(until, reviewer.read(request)).await {
        Ok(Ok(request)) => request,
        Ok(Err(why)) => return (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        Err(_) => {
            return (StatusCode::REQUEST_TIMEOUT, "the body came too slowly\n").into_response();
        }
    };
    let uid = request.uid.clone();
    let verdict = match AssertUnwindSafe(reviewer.review(request, until)).catch_unwind().await {
        Ok(verdict) => verdict,
        Err(_) => {
            reviewer.metrics.admission.panics.inc();
            DeletionVerdict::Panicked
        }
    };
    reviewer.metrics.guard.answered(verdict, began.elapsed());
    allowed(&uid, verdict)
}

/// Why a review was not read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the review was not read: {0}")]
    Body(#[from] BodyError),
    #[error("the AdmissionReview cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

impl PodDeletionReviewer {
    /// Reads a review, and drops its body.
    async fn read(&self, request: Request) -> Result<DeletionRequest, Unreadable> {
        let body =
            body::read(request.into_body(), Bounds::of(self.limits.body_bytes), &self.memory)
                .await?;
        let review: DeletionReview = serde_json::from_slice(&body.bytes)?;
        Ok(review.request)
    }

    async fn is_labelled(&self, pod: &Announcement) -> bool {
        match &self.labels {
            Some(labels) => labels.is_labelled(pod).await,
            None => true,
        }
    }

    /// Waits until the deletion may go on.
    async fn review(&self, request: DeletionRequest, until: Instant) -> DeletionVerdict {
        let announcement = match request.announcement() {
            Ok(announcement) => announcement,
            Err(SkipReason::DryRun) => return DeletionVerdict::DryRun,
            Err(SkipReason::TooLate) => return DeletionVerdict::TooLate,
        };
        if !self.announcer.concerns(&announcement) {
            return DeletionVerdict::Unconcerned;
        }
        if !timeout_at(until, self.is_labelled(&announcement)).await.unwrap_or(false) {
            return DeletionVerdict::NotLabelled;
        }
        let pod = format!("{}/{}", announcement.namespace, announcement.name);
        match timeout_at(until, self.announcer.announce(announcement)).await {
            Ok(AnnouncementOutcome::Unconcerned) => DeletionVerdict::Unconcerned,
            Ok(AnnouncementOutcome::NoFlip) => DeletionVerdict::NoFlip,
            Ok(AnnouncementOutcome::NotBelieved) => DeletionVerdict::NotBelieved,
            Ok(AnnouncementOutcome::NoDecision) => {
                tracing::debug!(pod, "deleted without a flip: no leader decided on it");
                DeletionVerdict::NoDecision
            }
            Ok(outcome @ AnnouncementOutcome::Flipped { .. }) => {
                self.metrics.guard.delayed.inc();
                let (now, bound) = (Instant::now().into_std(), until.into_std());
                let goes_on = self.delay.goes_on_at(outcome, now, bound);
                sleep_until(Instant::from_std(goes_on)).await;
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

/// The response. The audit log shows the verdict.
fn allowed(uid: &str, verdict: DeletionVerdict) -> Response {
    let review = json!({
        "apiVersion": META_API_VERSION_V1,
        "kind": META_KIND,
        "response": {"uid": uid, "allowed": true, "auditAnnotations": {"verdict": verdict.as_str()}},
    });
    ([(header::CONTENT_TYPE, "application/json")], review.to_string()).into_response()
}

#[cfg(test)]
#[path = "pod_deletions_tests.rs"]
mod tests;
