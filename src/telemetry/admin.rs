//! The admin server: `/live`, `/ready`, `/metrics`.

use crate::telemetry::Metrics;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
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

/// Serves until `stop` resolves.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
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
    let scrape = move || {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        std::future::ready(([(header::CONTENT_TYPE, kind)], metrics.encode()).into_response())
    };
    let router = axum::Router::new()
        .route("/live", get(|| std::future::ready("live\n")))
        .route("/ready", get(ready))
        .route("/metrics", get(scrape));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
