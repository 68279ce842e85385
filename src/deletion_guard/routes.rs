//! The routes for other replicas, which authenticate by their tokens: anybody reaches the port.

use crate::client::token_reviews::bearer_token;
use crate::deletion_guard::announcement::{
    ANNOUNCEMENT_PATH, Announcement, AnnouncementOutcome, DelayBounds, PING_PATH,
};
use crate::deletion_guard::announcer::Announcer;
use crate::deletion_guard::authenticator::Authenticator;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use std::sync::Arc;
use tokio::time::timeout;

/// Longer than any announcement: two names and a uid.
const LONGEST: usize = 4 * 1024;

/// What the routes share.
struct PeerRoutes {
    announcer: Announcer,
    authenticator: Authenticator,
    bounds: DelayBounds,
}

/// The routes for other replicas.
pub(crate) fn router(
    announcer: Announcer,
    authenticator: Authenticator,
    bounds: DelayBounds,
) -> Router {
    Router::new()
        .route(ANNOUNCEMENT_PATH, post(announcement))
        .route(PING_PATH, get(ping))
        .with_state(Arc::new(PeerRoutes { announcer, authenticator, bounds }))
}

/// Only the headers are read before the caller is authenticated.
async fn announcement(State(routes): State<Arc<PeerRoutes>>, request: Request) -> Response {
    if !routes.authenticator.is_replica(bearer_token(request.headers()), false).await {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // The caller has the same bound.
    match timeout(routes.bounds.bound, routes.announce(request)).await {
        Ok(response) => response,
        Err(_) => Json(AnnouncementOutcome::NoDecision).into_response(),
    }
}

impl PeerRoutes {
    async fn announce(&self, request: Request) -> Response {
        let body = to_bytes(request.into_body(), LONGEST).await.unwrap_or_default();
        match serde_json::from_slice::<Announcement>(&body) {
            Ok(announcement) => {
                Json(self.announcer.announce_here(announcement).await).into_response()
            }
            Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        }
    }
}

async fn ping(State(routes): State<Arc<PeerRoutes>>, request: Request) -> StatusCode {
    match routes.authenticator.is_replica(bearer_token(request.headers()), true).await {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::UNAUTHORIZED,
    }
}
