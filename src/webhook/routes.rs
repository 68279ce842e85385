//! The webhook's routes: how many reviews at once, how large, and by when.

use crate::engine;
use crate::telemetry::Metrics;
use crate::webhook::body;
use crate::webhook::handler::Operation;
use crate::webhook::outline::Outline;
use crate::webhook::response::{self, ReviewOutcome, ReviewResponse, Reviewer};
use crate::webhook::server::ServerLimits;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A review of more bytes may take long to read and to judge.
const LIGHT: usize = 16 * 1024;
/// So many of those at once: what flips needs a core too.
const HEAVY_AT_ONCE: usize = 1;

/// What an API server waits where it does not say.
const WAITS: Duration = Duration::from_secs(3);

/// The routes of the webhook. Once `draining`, clients are told to make their next connection.
pub(crate) fn router<J: Reviewer>(
    judge: J,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
) -> axum::Router {
    let desk = ReviewService {
        judge: Arc::new(judge),
        limits,
        metrics,
        draining,
        requests: Semaphore::new(limits.requests),
        memory: Semaphore::new(limits.bodies_bytes),
        heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
    };
    axum::Router::new()
        .route("/mutate", post(|desk, request| respond(Operation::Mutate, desk, request)))
        .route("/validate", post(|desk, request| respond(Operation::Validate, desk, request)))
        .route(
            "/service-deletion",
            post(|desk, request| respond(Operation::ServiceDeletion, desk, request)),
        )
        .with_state(Arc::new(desk))
}

/// Where reviews come in.
struct ReviewService<J> {
    judge: Arc<J>,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
    requests: Semaphore,
    memory: Semaphore,
    /// Places for reviews that take long to read.
    heavy: Arc<Semaphore>,
}

async fn respond<J: Reviewer>(
    operation: Operation,
    State(desk): State<Arc<ReviewService<J>>>,
    request: Request,
) -> Response {
    let http1 = request.version() < Version::HTTP_2;
    let mut response = desk.take(operation, request).await;
    // An idle HTTP/1 connection that we close may meet a request on its way; one that the client
    // closes cannot. HTTP/2 has GOAWAY for it.
    if http1 && desk.draining.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl<J: Reviewer> ReviewService<J> {
    async fn take(&self, operation: Operation, request: Request) -> Response {
        let Ok(_place) = self.requests.try_acquire() else { return self.shed("requests") };
        let _in_flight = InFlightGauge::new(&self.metrics.admission.in_flight);
        let began = Instant::now();
        let deadline = began + patience(request.uri().query(), self.limits.answer);
        let reading = body::read(request.into_body(), self.limits.body_bytes, &self.memory);
        let unread = |verdict, code: StatusCode, why: String| {
            (verdict, "unknown", (code, why + "\n").into_response())
        };
        let (verdict, on_object, response) = match timeout_at(deadline, reading).await {
            Ok(Ok(body)) => {
                let Some(answer) = self.answer(operation, body, deadline).await else {
                    return self.shed("heavy");
                };
                (answer.verdict, answer.on_object, answer.into_response())
            }
            Ok(Err(body::BodyError::NoMemory)) => return self.shed("memory"),
            Ok(Err(body::BodyError::TooLarge)) => {
                let why = format!("a review has at most {} bytes", self.limits.body_bytes);
                unread(ReviewOutcome::Unread, StatusCode::PAYLOAD_TOO_LARGE, why)
            }
            Ok(Err(body::BodyError::Broken(why))) => {
                unread(ReviewOutcome::Unread, StatusCode::BAD_REQUEST, why)
            }
            Err(_) => {
                let why = "the body came too slowly".into();
                unread(ReviewOutcome::Late, StatusCode::REQUEST_TIMEOUT, why)
            }
        };
        let counted = &self.metrics.admission;
        counted.answered(operation.as_str(), on_object, verdict.as_str(), began.elapsed());
        if verdict == ReviewOutcome::Panicked {
            counted.panics.inc();
        }
        response
    }

    /// The answer to a review, large ones in a thread of their own; none where too many of those
    /// wait.
    async fn answer(
        &self,
        operation: Operation,
        mut body: body::RequestBody<'_>,
        deadline: Instant,
    ) -> Option<ReviewResponse> {
        if body.bytes.len() <= LIGHT {
            return Some(response::answer(&*self.judge, operation, &body.bytes, deadline).await);
        }
        if let Some(answer) = self.judge.glance(operation, &body.bytes) {
            return Some(answer);
        }
        let place = timeout_at(deadline, self.heavy.clone().acquire_owned()).await;
        let place = place.ok()?.ok()?;
        let uid = Outline::of(&body.bytes).map(|outline| outline.uid);
        let (judge, bytes) = (self.judge.clone(), std::mem::take(&mut body.bytes));
        let runtime = Handle::current();
        let judging = tokio::task::spawn_blocking(move || {
            // Kept until it has ended, whether or not anybody waits for it still.
            let _place = place;
            runtime.block_on(response::answer(&*judge, operation, &bytes, deadline))
        });
        Some(match timeout_at(deadline, judging).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => response::unjudged(uid, operation, ReviewOutcome::Panicked),
            Err(_) => response::unjudged(uid, operation, ReviewOutcome::Late),
        })
    }

    /// Turned away at once rather than made to wait: an API server that waits in vain holds its own
    /// caller up for just as long. On 503 (or 429) with Retry-After it tries again by itself after
    /// that second, twice within its 3 s and perhaps with another replica; without the header, or
    /// with an AdmissionReview, the call would have failed for good. 503, as it is this replica that
    /// has too much to do, not this client that asks too often.
    fn shed(&self, why: &'static str) -> Response {
        self.metrics.admission.shed(why);
        let retry = [(header::RETRY_AFTER, "1")];
        (StatusCode::SERVICE_UNAVAILABLE, retry, "too much to do\n").into_response()
    }
}

impl IntoResponse for ReviewResponse {
    fn into_response(self) -> Response {
        match self.review {
            Ok(review) => ([(header::CONTENT_TYPE, "application/json")], review).into_response(),
            Err(why) if self.verdict == ReviewOutcome::Malformed => {
                (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
            }
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
        }
    }
}

/// How long an answer may take: a sixth less than the API server waits, which it says in the URL
/// (`?timeout=3s`), for the way there and back.
pub(crate) fn patience(query: Option<&str>, most: Duration) -> Duration {
    let told = query.unwrap_or_default().split('&').find_map(|part| part.strip_prefix("timeout="));
    let waits = told.and_then(engine::delay).map_or(WAITS, |waits| waits.unsigned_abs());
    (waits * 5 / 6).min(most)
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
