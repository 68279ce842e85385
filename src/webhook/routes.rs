//! The webhook's routes: how many reviews at once, how large, and by when.

use crate::engine;
use crate::telemetry::{Metrics, ObjectOperation, ReviewOutcome, ReviewPath, ShedReason};
use crate::webhook::body;
use crate::webhook::partial_review;
use crate::webhook::response::{self, ReviewResponse, Reviewer};
use crate::webhook::server::ServerLimits;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::SignedDuration;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A review of more bytes may take long to parse and to answer.
const LIGHT: usize = 16 * 1024;
/// So many of those at once: what flips needs a core too.
const HEAVY_AT_ONCE: usize = 1;

/// What an API server waits where the URL has no timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// The routes of the webhook. Once `draining`, clients are asked to make their next connection.
pub(crate) fn router<R: Reviewer>(
    reviewer: R,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
) -> axum::Router {
    let service = ReviewService {
        reviewer: Arc::new(reviewer),
        limits,
        metrics,
        draining,
        requests: Semaphore::new(limits.requests),
        memory: Semaphore::new(limits.bodies_bytes),
        heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
    };
    axum::Router::new()
        .route("/mutate", post(|service, request| respond(ReviewPath::Mutate, service, request)))
        .route(
            "/validate",
            post(|service, request| respond(ReviewPath::Validate, service, request)),
        )
        .route(
            "/service-deletion",
            post(|service, request| respond(ReviewPath::ServiceDeletion, service, request)),
        )
        .with_state(Arc::new(service))
}

/// Answers reviews within the limits.
struct ReviewService<R> {
    reviewer: Arc<R>,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
    requests: Semaphore,
    memory: Semaphore,
    /// Places for reviews that take long to read.
    heavy: Arc<Semaphore>,
}

/// A body that was not read.
enum Unread {
    Shed(ShedReason),
    /// With a status and a sentence for the client.
    Failed(ReviewOutcome, StatusCode, String),
}

async fn respond<R: Reviewer>(
    webhook: ReviewPath,
    State(service): State<Arc<ReviewService<R>>>,
    request: Request,
) -> Response {
    let http1 = request.version() < Version::HTTP_2;
    let mut response = service.take(webhook, request).await;
    // An idle HTTP/1 connection that we close may meet a request on its way; one that the client
    // closes cannot. HTTP/2 has GOAWAY for it.
    if http1 && service.draining.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl<R: Reviewer> ReviewService<R> {
    async fn take(&self, webhook: ReviewPath, request: Request) -> Response {
        let Ok(_place) = self.requests.try_acquire() else {
            return self.shed(ShedReason::Requests);
        };
        let _in_flight = InFlightGauge::new(&self.metrics.admission.in_flight);
        let began = Instant::now();
        let deadline = began + patience(request.uri().query(), self.limits.answer);
        let (outcome, operation, response) = match self.read(request, deadline).await {
            Ok(body) => {
                let Some(answer) = self.answer(webhook, body, deadline).await else {
                    return self.shed(ShedReason::Heavy);
                };
                (answer.outcome, answer.operation, answer.into_response())
            }
            Err(Unread::Shed(reason)) => return self.shed(reason),
            Err(Unread::Failed(outcome, code, why)) => {
                (outcome, ObjectOperation::Unknown, (code, why + "\n").into_response())
            }
        };
        let metrics = &self.metrics.admission;
        metrics.answered(webhook, operation, outcome, began.elapsed());
        if outcome == ReviewOutcome::Panicked {
            metrics.panics.inc();
        }
        response
    }

    async fn read(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<body::RequestBody<'_>, Unread> {
        let reading = body::read(request.into_body(), self.limits.body_bytes, &self.memory);
        let failed = |code, why| Unread::Failed(ReviewOutcome::Unread, code, why);
        match timeout_at(deadline, reading).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(body::BodyError::NoMemory)) => Err(Unread::Shed(ShedReason::Memory)),
            Ok(Err(body::BodyError::TooLarge)) => {
                let why = format!("a review has at most {} bytes", self.limits.body_bytes);
                Err(failed(StatusCode::PAYLOAD_TOO_LARGE, why))
            }
            Ok(Err(body::BodyError::Broken(why))) => Err(failed(StatusCode::BAD_REQUEST, why)),
            Err(_) => {
                let why = "the body came too slowly".into();
                Err(Unread::Failed(ReviewOutcome::Late, StatusCode::REQUEST_TIMEOUT, why))
            }
        }
    }

    /// The answer to a review, large ones in a thread of their own; none where too many of those
    /// wait.
    async fn answer(
        &self,
        webhook: ReviewPath,
        mut body: body::RequestBody<'_>,
        deadline: Instant,
    ) -> Option<ReviewResponse> {
        if body.bytes.len() <= LIGHT {
            return Some(response::answer(&*self.reviewer, webhook, &body.bytes, deadline).await);
        }
        if let Some(answer) = self.reviewer.precheck(webhook, &body.bytes) {
            return Some(answer);
        }
        let place = timeout_at(deadline, self.heavy.clone().acquire_owned()).await;
        let place = place.ok()?.ok()?;
        let uid = partial_review::uid_of(&body.bytes);
        let (reviewer, bytes) = (self.reviewer.clone(), std::mem::take(&mut body.bytes));
        let runtime = Handle::current();
        let reviewing = tokio::task::spawn_blocking(move || {
            // Kept until it has ended, whether or not anybody waits for it still.
            let _place = place;
            runtime.block_on(response::answer(&*reviewer, webhook, &bytes, deadline))
        });
        Some(match timeout_at(deadline, reviewing).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => response::failure(uid, webhook, ReviewOutcome::Panicked),
            Err(_) => response::failure(uid, webhook, ReviewOutcome::Late),
        })
    }

    /// Turned away at once rather than made to wait: an API server that waits in vain holds its own
    /// caller up for just as long. On 503 (or 429) with Retry-After it tries again by itself after
    /// that second, twice within its 3 s and perhaps with another replica; without the header, or
    /// with an AdmissionReview, the call would have failed for good. 503, as it is this replica that
    /// has too much to do, not this client that asks too often.
    fn shed(&self, reason: ShedReason) -> Response {
        self.metrics.admission.shed(reason);
        let retry = [(header::RETRY_AFTER, "1")];
        (StatusCode::SERVICE_UNAVAILABLE, retry, "too much to do\n").into_response()
    }
}

impl IntoResponse for ReviewResponse {
    fn into_response(self) -> Response {
        match self.review {
            Ok(review) => ([(header::CONTENT_TYPE, "application/json")], review).into_response(),
            Err(why) if self.outcome == ReviewOutcome::Malformed => {
                (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
            }
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
        }
    }
}

/// How long an answer may take: a sixth less than the API server waits, by the URL (`?timeout=3s`), for
/// the way there and back.
pub(crate) fn patience(query: Option<&str>, most: Duration) -> Duration {
    let timeout =
        query.unwrap_or_default().split('&').find_map(|part| part.strip_prefix("timeout="));
    let timeout =
        timeout.and_then(engine::delay).map_or(DEFAULT_TIMEOUT, SignedDuration::unsigned_abs);
    (timeout * 5 / 6).min(most)
}

/// Counts a request until it is dropped: a client that goes away ends it without an answer.
pub(crate) struct InFlightGauge<'a>(&'a Gauge);

impl<'a> InFlightGauge<'a> {
    pub(crate) fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlightGauge<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "heavy_tests.rs"]
mod heavy_tests;
