//! What the other replicas call: they are known by their tokens, whoever else reaches the port.

use crate::deletion_guard::{
    Announcement, AnnouncementOutcome, Announcer, Authenticator, Patience,
};
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use std::sync::Arc;
use tokio::time::timeout;

/// Where announcements come in, and where a replica asks whether they would.
pub(crate) const ANNOUNCEMENT: &str = "/announcement";
pub(crate) const PING: &str = "/ping";

/// Longer than any announcement: two names and a uid.
const LONGEST: usize = 4 * 1024;

struct Peer {
    desk: Announcer,
    authenticator: Authenticator,
    patience: Patience,
}

/// The routes for other replicas.
pub(crate) fn router(desk: Announcer, authenticator: Authenticator, patience: Patience) -> Router {
    Router::new()
        .route(ANNOUNCEMENT, post(announcement))
        .route(PING, get(ping))
        .with_state(Arc::new(Peer { desk, authenticator, patience }))
}

/// Of a stranger nothing but the headers is read.
async fn announcement(State(peer): State<Arc<Peer>>, request: Request) -> Response {
    if !peer.authenticator.is_replica(token(request.headers()), false).await {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // Who asks has its own bound, and waits no longer than this.
    match timeout(peer.patience.bound, peer.judge(request)).await {
        Ok(response) => response,
        Err(_) => Json(AnnouncementOutcome::NoJudge).into_response(),
    }
}

impl Peer {
    async fn judge(&self, request: Request) -> Response {
        let body = to_bytes(request.into_body(), LONGEST).await.unwrap_or_default();
        match serde_json::from_slice::<Announcement>(&body) {
            Ok(announcement) => Json(self.desk.judge_here(announcement).await).into_response(),
            Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        }
    }
}

async fn ping(State(peer): State<Arc<Peer>>, request: Request) -> StatusCode {
    match peer.authenticator.is_replica(token(request.headers()), true).await {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::UNAUTHORIZED,
    }
}

fn token(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}
