//! The route for Alertmanager on the webhook's port, which anybody reaches: how many requests at once, how
//! large, and by when. Only the headers are read before the sender is authenticated.

use crate::alerts::receiver::{AlertReceiver, Answer};
use crate::alerts::sender_places::SenderPlaces;
use crate::client::token_reviews::bearer_token;
use crate::webhook::body::{self, BodyError, Bounds};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Where Alertmanager sends alerts.
const PATH: &str = "/alerts";
/// As many alerts as are taken in one request, with the URL of their rule in each.
const LONGEST: usize = 2 * 1024 * 1024;
/// Requests under way. When much fails at once each Service has one.
const AT_ONCE: usize = 256;
/// Of one sender.
const OF_SENDER: usize = 32;
/// Bodies that are read, or whose alerts are being taken: requests with a larger one come one after the other.
const BODIES_BYTES: usize = 4 * LONGEST;
/// Of an answer: less than what the server waits for when it stops, and than Alertmanager does.
const LIMIT: Duration = Duration::from_secs(5);

struct AlertRoute {
    receiver: AlertReceiver,
    requests: Semaphore,
    senders: SenderPlaces,
    memory: Semaphore,
}

/// The route for Alertmanager.
pub(crate) fn router(receiver: AlertReceiver) -> Router {
    let (requests, memory) = (Semaphore::new(AT_ONCE), Semaphore::new(BODIES_BYTES));
    let senders = SenderPlaces::new(OF_SENDER);
    let route = AlertRoute { receiver, requests, senders, memory };
    Router::new().route(PATH, post(receive)).with_state(Arc::new(route))
}

async fn receive(State(route): State<Arc<AlertRoute>>, request: Request) -> Response {
    let Ok(_permit) = route.requests.try_acquire() else {
        return route.receiver.shed("too many requests are under way").into_response();
    };
    let answer = timeout(LIMIT, route.take(request)).await;
    let late = |_| route.receiver.shed("it was not done in time: what is done stays so");
    answer.unwrap_or_else(late).into_response()
}

impl AlertRoute {
    async fn take(&self, request: Request) -> Answer {
        let sender = match self.receiver.sender(bearer_token(request.headers())).await {
            Ok(sender) => sender,
            Err(answer) => return answer,
        };
        let name = sender.username.as_deref().unwrap_or_default();
        let Some(_place) = self.senders.take(name) else {
            return self.receiver.shed("too many requests of this sender are under way");
        };
        match body::read(request.into_body(), Bounds::of(LONGEST), &self.memory).await {
            Ok(body) => self.receiver.take(&sender, &body.bytes).await,
            Err(BodyError::NoMemory) => {
                self.receiver.shed("the bodies of other requests take all memory")
            }
            Err(BodyError::TooLarge { .. }) => self.receiver.unreadable(format!(
                "the body: found more than {LONGEST} bytes, expected at most those; group the route by namespace, service and alertname, or set max_alerts"
            )),
            Err(BodyError::Broken(error)) => {
                self.receiver.unreadable(format!("the body was not read to its end: {error}"))
            }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.text)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
