//! What the other replicas call: they are known by their tokens, whoever else reaches the port.

use super::{Announcement, Authenticator, Desk, Patience, Verdict};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use std::sync::Arc;

/// Where announcements come in, and where a replica asks whether they would.
pub const ANNOUNCEMENT: &str = "/announcement";
pub const PING: &str = "/ping";

/// Longer than any announcement: two names and a uid.
const LONGEST: usize = 4 * 1024;

struct Peer {
    desk: Desk,
    authenticator: Authenticator,
    patience: Patience,
}

/// The routes for other replicas.
pub fn router(desk: Desk, authenticator: Authenticator, patience: Patience) -> Router {
    Router::new()
        .route(ANNOUNCEMENT, post(announcement))
        .route(PING, get(ping))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(Arc::new(Peer { desk, authenticator, patience }))
}

async fn announcement(
    State(peer): State<Arc<Peer>>,
    headers: HeaderMap,
    Json(announcement): Json<Announcement>,
) -> Response {
    if !peer.authenticator.is_replica(token(&headers), false).await {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let judged = peer.desk.judge_here(announcement);
    // Who asked has its own bound, and waits no longer than this.
    let verdict = tokio::time::timeout(peer.patience.bound, judged).await;
    Json(verdict.unwrap_or(Verdict::NoJudge)).into_response()
}

async fn ping(State(peer): State<Arc<Peer>>, headers: HeaderMap) -> StatusCode {
    match peer.authenticator.is_replica(token(&headers), true).await {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::UNAUTHORIZED,
    }
}

fn token(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}
