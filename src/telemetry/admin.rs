//! The admin server: `/live`, `/ready`, `/metrics`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

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
    let turn = Arc::new(Semaphore::new(1));
    let metrics = move || answer_scrape(scrape.clone(), turn.clone());
    let router = axum::Router::new()
        .route("/live", get(|| std::future::ready("live\n")))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// Away from the thread that moves traffic, and one at a time: of 10,000 objects each takes CPU for a tenth of
/// a second and megabytes, and anybody in the cluster may ask.
async fn answer_scrape(scrape: Scrape, turn: Arc<Semaphore>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let turn = turn.acquire_owned().await;
    let scraped = tokio::task::spawn_blocking(move || {
        // It lasts also where nobody waits for the answer any more.
        let _turn = turn;
        scrape()
    });
    match scraped.await {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn scrapes_are_made_one_at_a_time_also_of_those_that_nobody_waits_for() {
        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (running, highest) = (under_way.clone(), most.clone());
        let scrape: Scrape = Arc::new(move || {
            highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(10));
            running.fetch_sub(1, Ordering::SeqCst);
            "text".to_owned()
        });
        let turn = Arc::new(Semaphore::new(1));
        let ask = || answer_scrape(scrape.clone(), turn.clone());
        let impatient = (0..4).map(|_| tokio::time::timeout(Duration::from_millis(1), ask()));
        let (_, answers) = tokio::join!(join_all(impatient), join_all((0..4).map(|_| ask())));
        assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
        assert_eq!((most.load(Ordering::SeqCst), under_way.load(Ordering::SeqCst)), (1, 0));
    }
}
