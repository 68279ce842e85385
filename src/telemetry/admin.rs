//! The admin server: `/live`, `/ready`, `/metrics`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Why the process is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("stopping")]
    Stopping,
    /// These kinds have not been listed yet.
    #[error("the caches are not synced: {0}")]
    NotSynced(String),
    /// What the webhook's certificates lack.
    #[error("{0}")]
    Certificates(String),
}

/// Whether the process is ready.
pub(crate) type ReadinessProbe = Arc<dyn Fn() -> Result<(), NotReady> + Send + Sync>;

/// The text of the metrics. Its reading may take a while where there are many objects.
pub(crate) type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves until `stop` resolves.
pub(crate) async fn serve(
    listener: TcpListener,
    scrape: Scrape,
    readiness: ReadinessProbe,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let ready = move || {
        let answer = match readiness() {
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        };
        std::future::ready(answer)
    };
    let metrics = move || answer_scrape(scrape.clone());
    let router = axum::Router::new()
        .route("/live", get(|| std::future::ready("live\n")))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// Away from the thread that moves traffic.
async fn answer_scrape(scrape: Scrape) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match tokio::task::spawn_blocking(move || scrape()).await {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
