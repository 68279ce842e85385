//! The TLS server: an accept loop of our own, so that a client that says nothing costs a place for
//! a bounded time and nobody else anything.

use super::connections::{Connection, Connections};
use crate::telemetry::Metrics;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapFuture;

/// Bounds on what clients can take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; an API server needs one.
    pub connections: usize,
    pub handshake: Duration,
    /// From the first byte of a request's headers to their last, and for an idle connection.
    pub headers: Duration,
    /// Requests at once, from their headers to their answer.
    pub requests: usize,
    /// The API server sends the old and the new object, each at most 3 MiB.
    pub body_bytes: usize,
    /// Bodies in memory at once, in bytes.
    pub bodies_bytes: usize,
    /// For an answer, however patient the API server is.
    pub answer: Duration,
    /// How long what runs may go on after the stop: longer than any answer takes.
    pub finish: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            handshake: Duration::from_secs(5),
            headers: Duration::from_secs(30),
            requests: 256,
            body_bytes: 8 * 1024 * 1024,
            bodies_bytes: 32 * 1024 * 1024,
            answer: Duration::from_secs(5),
            finish: Duration::from_secs(6),
        }
    }
}

/// What a connection may hold in memory that no request has taken in yet.
const WINDOW: u32 = 256 * 1024;
/// Above what an API server has under way; it opens another connection where it needs more.
const STREAMS: u32 = 1_000;
/// For a connection that makes room for another.
const GOODBYE: Duration = Duration::from_secs(1);

/// Whether a connection's client has shown a certificate that we asked for.
#[derive(Clone, Copy, Debug)]
struct Known(bool);

/// Turns away whoever has shown none, where the handshake lets such in.
pub async fn only_known(request: Request, next: Next) -> Response {
    match request.extensions().get::<Known>() {
        Some(Known(true)) => next.run(request).await,
        _ => (StatusCode::UNAUTHORIZED, "a client certificate is asked for\n").into_response(),
    }
}

/// Serves until `stop`, then lets what runs come to its end.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: axum::Router,
    limits: Limits,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = Arc::new(Connections::new(limits.connections, metrics, stop.clone()));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: they come back as connections end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(connection) = connections.enter() else { continue };
        tasks.spawn(serve_connection(stream, acceptor.clone(), router.clone(), limits, connection));
    }
    drop(listener);
    tasks.close();
    if timeout(limits.finish, tasks.wait()).await.is_err() {
        tracing::warn!("{} connections did not end in time", tasks.len());
    }
}

async fn serve_connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: axum::Router,
    limits: Limits,
    connection: Connection,
) {
    let _ = stream.set_nodelay(true);
    let shaken = tokio::select! {
        shaken = timeout(limits.handshake, acceptor.accept(stream)) => shaken,
        // At a stop the handshake goes on: then GOAWAY tells the client to go elsewhere, at no cost.
        () = connection.has_to_make_room() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve_requests(stream, router, limits, connection).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake timed out"),
    }
}

async fn serve_requests(
    stream: TlsStream<TcpStream>,
    router: axum::Router,
    limits: Limits,
    connection: Connection,
) {
    let known = Known(stream.get_ref().1.peer_certificates().is_some());
    let router = router.layer(axum::Extension(known));
    let counted = connection.clone();
    let service = MapFuture::new(router, move |answer: RouteFuture<Infallible>| {
        let running = counted.begin();
        async move {
            let answer = answer.await;
            drop(running);
            answer
        }
    });
    let builder = builder(&stream, limits);
    let mut serving =
        pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let never_used = async {
        tokio::time::sleep(limits.headers).await;
        if connection.was_used() {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = never_used => return,
        () = connection.leave.cancelled() => {
            let patience = if connection.is_for_a_stop() { limits.finish } else { GOODBYE };
            serving.as_mut().graceful_shutdown();
            match timeout(patience, serving).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("a connection did not end in time"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Speaks what was agreed on in the handshake: a client need not say it again, and one that says
/// nothing at all is noticed.
fn builder(stream: &TlsStream<TcpStream>, limits: Limits) -> auto::Builder<TokioExecutor> {
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.headers);
    builder.http1().max_buf_size(WINDOW as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.headers)
        .keep_alive_timeout(limits.handshake)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(STREAMS);
    if http2 { builder.http2_only() } else { builder.http1_only() }
}
