//! The webhook's routes: how many reviews at once, how large, and by when.

use crate::engine;
use crate::telemetry::{Metrics, ObjectOperation, ReviewOutcome, ReviewPath, ShedReason};
use crate::webhook::background;
use crate::webhook::body::{self, BodyError, Bounds, RequestBody};
use crate::webhook::partial_review;
use crate::webhook::places::{Place, Places};
use crate::webhook::response::{self, RequestInfo, ReviewError, ReviewResponse, Reviewer};
use crate::webhook::server::{ClientAddress, ServerLimits};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::SignedDuration;
use prometheus_client::metrics::gauge::Gauge;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A review of more bytes may take long to parse and to answer: it is heavy.
const LIGHT: usize = 16 * 1024;
/// Heavy reviews at once: the reconciler needs a core too.
const HEAVY_AT_ONCE: usize = 1;
/// Heavy bodies that are counted at once, which takes milliseconds: not behind a review, which takes longer.
const PRECHECKS_AT_ONCE: usize = 1;

/// The timeout of an API server where the URL has none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// The routes of the webhook. Once `draining`, clients of HTTP/1 are asked to reconnect.
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
        places: Places::new(limits.requests),
        memory: Semaphore::new(limits.bodies_bytes),
        heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
        prechecks: Arc::new(Semaphore::new(PRECHECKS_AT_ONCE)),
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
        .route(
            "/declared-down",
            post(|service, request| respond(ReviewPath::DeclaredDown, service, request)),
        )
        .with_state(Arc::new(service))
}

/// Answers reviews within the limits.
struct ReviewService<R> {
    reviewer: Arc<R>,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
    places: Arc<Places>,
    memory: Semaphore,
    /// Permits for heavy reviews.
    heavy: Arc<Semaphore>,
    /// Permits for their prechecks.
    prechecks: Arc<Semaphore>,
}

/// Why a request is answered without a review.
#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error("too much to do")]
    Shed(ShedReason),
    #[error(transparent)]
    Unread(BodyError),
    /// The deadline passed while the body was read.
    #[error("the body came too slowly")]
    Late,
}

impl Rejection {
    fn outcome(&self) -> ReviewOutcome {
        match self {
            Self::Late => ReviewOutcome::Late,
            Self::Shed(_) | Self::Unread(_) => ReviewOutcome::Unread,
        }
    }
}

async fn respond<R: Reviewer>(
    webhook: ReviewPath,
    State(service): State<Arc<ReviewService<R>>>,
    request: Request,
) -> Response {
    let http1 = request.version() < Version::HTTP_2;
    let mut response = service.serve(webhook, request).await;
    // An idle HTTP/1 connection that we close may meet a request on its way; one that the client
    // closes cannot. HTTP/2 has GOAWAY for it.
    if http1 && service.draining.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl<R: Reviewer> ReviewService<R> {
    async fn serve(&self, webhook: ReviewPath, request: Request) -> Response {
        let client = request.extensions().get::<ClientAddress>();
        let client = client.map_or(Ipv4Addr::UNSPECIFIED.into(), |client| client.0);
        let Some(place) = self.places.take(client) else {
            return self.shed(ShedReason::Requests);
        };
        let _in_flight = InFlightGauge::new(&self.metrics.admission.in_flight);
        let began = Instant::now();
        let deadline = began + patience(request.uri().query(), self.limits.answer);
        let answered = match self.read(request, &place, deadline).await {
            Ok(body) => self.answer(webhook, body, deadline).await,
            Err(rejection) => Err(rejection),
        };
        let (outcome, operation, response) = match answered {
            Ok(answer) => (answer.outcome, answer.operation, answer.into_response()),
            Err(Rejection::Shed(reason)) => return self.shed(reason),
            Err(rejection) => {
                (rejection.outcome(), ObjectOperation::Unknown, rejection.into_response())
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
        place: &Place,
        deadline: Instant,
    ) -> Result<RequestBody<'_>, Rejection> {
        let bounds = Bounds { most: self.limits.body_bytes, free: LIGHT };
        let reading = body::read(request.into_body(), bounds, &self.memory);
        let read = tokio::select! {
            biased;
            read = timeout_at(deadline, reading) => read,
            () = place.lost.cancelled() => return Err(Rejection::Shed(ShedReason::Requests)),
        };
        match read {
            Ok(Ok(body)) => {
                place.keep();
                Ok(body)
            }
            Ok(Err(BodyError::NoMemory)) => Err(Rejection::Shed(ShedReason::Memory)),
            Ok(Err(error)) => Err(Rejection::Unread(error)),
            Err(_) => Err(Rejection::Late),
        }
    }

    /// The response to a review.
    async fn answer(
        &self,
        webhook: ReviewPath,
        body: RequestBody<'_>,
        deadline: Instant,
    ) -> Result<ReviewResponse, Rejection> {
        if body.bytes.len() <= LIGHT {
            return Ok(response::answer(&*self.reviewer, webhook, &body.bytes, deadline).await);
        }
        match self.answer_heavy(webhook, &body, deadline).await {
            Ok(answer) => Ok(answer),
            Err(Unanswered::NoPermit) => Err(Rejection::Shed(ShedReason::Heavy)),
            Err(Unanswered::Failed(error)) => {
                let uid = partial_review::uid_of(&body.bytes);
                Ok(response::failure(webhook, RequestInfo { uid, ..Default::default() }, error))
            }
        }
    }

    /// The response to a heavy review, which may not have to be parsed.
    async fn answer_heavy(
        &self,
        webhook: ReviewPath,
        body: &RequestBody<'_>,
        deadline: Instant,
    ) -> Result<ReviewResponse, Unanswered> {
        let (reviewer, bytes) = (self.reviewer.clone(), body.bytes.clone());
        let precheck = move || reviewer.precheck(webhook, &bytes);
        if let Some(answer) = in_background(&self.prechecks, deadline, precheck).await? {
            return Ok(answer);
        }
        let (reviewer, bytes) = (self.reviewer.clone(), body.bytes.clone());
        let runtime = Handle::current();
        let review =
            move || runtime.block_on(response::answer(&*reviewer, webhook, &bytes, deadline));
        in_background(&self.heavy, deadline, review).await
    }

    /// Turns a request away at once: an API server that waits in vain delays its own caller for as long.
    /// On 503 (or 429) with Retry-After it tries again by itself after that second, twice within its
    /// 3 s and perhaps with another replica; without the header, or with an AdmissionReview, the call
    /// fails for good. 503 and not 429: this replica is overloaded, the client does not ask too often.
    fn shed(&self, reason: ShedReason) -> Response {
        self.metrics.admission.shed(reason);
        let retry = [(header::RETRY_AFTER, "1")];
        (retry, Rejection::Shed(reason)).into_response()
    }
}

/// Why work in the background has no result.
enum Unanswered {
    /// Too many waited before it, until the deadline.
    NoPermit,
    Failed(ReviewError),
}

/// Does work in the background as soon as there is a permit for it.
async fn in_background<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unanswered> {
    let Ok(Ok(permit)) = timeout_at(deadline, permits.clone().acquire_owned()).await else {
        return Err(Unanswered::NoPermit);
    };
    let working = background::start(move || {
        // Released when the work has ended, also where its client has given up.
        let _permit = permit;
        work()
    });
    match timeout_at(deadline, working).await {
        Ok(done) => done.map_err(|_| Unanswered::Failed(ReviewError::Panicked)),
        Err(_) => Err(Unanswered::Failed(ReviewError::Late)),
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Shed(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unread(BodyError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unread(_) => StatusCode::BAD_REQUEST,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
        };
        (status, format!("{self}\n")).into_response()
    }
}

impl IntoResponse for ReviewResponse {
    fn into_response(self) -> Response {
        let error = |status, error: ReviewError| (status, format!("{error}\n")).into_response();
        match self.review {
            Ok(review) => ([(header::CONTENT_TYPE, "application/json")], review).into_response(),
            Err(malformed @ ReviewError::Malformed(_)) => error(StatusCode::BAD_REQUEST, malformed),
            Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, failure),
        }
    }
}

/// How long an answer may take: a sixth less than the timeout in the URL (`?timeout=3s`), for the time on
/// the network.
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
