//! The route for Alertmanager on the webhook's port, which anybody reaches: how many requests at once, how
//! large, and by when. Only the headers are read before the sender is authenticated.

use crate::alerts::receiver::{AlertReceiver, Answer};
use crate::client::token_reviews::bearer_token;
use axum::Router;
use axum::body::to_bytes;
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
/// Much more than as many alerts as are taken in one request have.
const LONGEST: usize = 512 * 1024;
/// Requests under way.
const AT_ONCE: usize = 16;
/// Of an answer: less than what the server waits for when it stops.
const LIMIT: Duration = Duration::from_secs(5);

struct AlertRoute {
    receiver: AlertReceiver,
    requests: Semaphore,
}

/// The route for Alertmanager.
pub(crate) fn router(receiver: AlertReceiver) -> Router {
    let requests = Semaphore::new(AT_ONCE);
    Router::new().route(PATH, post(receive)).with_state(Arc::new(AlertRoute { receiver, requests }))
}

async fn receive(State(route): State<Arc<AlertRoute>>, request: Request) -> Response {
    let Ok(_permit) = route.requests.try_acquire() else {
        return route.receiver.shed().into_response();
    };
    let answer = timeout(LIMIT, route.take(request)).await;
    answer.unwrap_or_else(|_| route.receiver.shed()).into_response()
}

impl AlertRoute {
    async fn take(&self, request: Request) -> Answer {
        let sender = match self.receiver.sender(bearer_token(request.headers())).await {
            Ok(sender) => sender,
            Err(answer) => return answer,
        };
        match to_bytes(request.into_body(), LONGEST).await {
            Ok(body) => self.receiver.take(&sender, &body).await,
            Err(error) => {
                let limit = "of at most 512 KiB; set max_alerts, or group the route by namespace, service and alertname";
                self.receiver
                    .unreadable(format!("the body was not read: {error}, expected one {limit}"))
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
