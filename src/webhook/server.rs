//! The TLS server. It has its own accept loop, so that a silent client takes one connection slot for a
//! bounded time, and nothing from other clients.

use crate::telemetry::{HandshakeFailure, Metrics};
use crate::webhook::connections::{Connection, Connections};
use crate::webhook::handshakes::Handshakes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapFuture;

/// Bounds on what clients can take.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Open connections; an API server needs one.
    pub connections: usize,
    /// Of a TLS handshake.
    pub handshake: Duration,
    /// For an idle connection, and over HTTP/1 for a request's headers. Longer than the 90 s after which an
    /// API server closes it itself: the review that is on its way when we close one fails.
    pub idle: Duration,
    /// Between the pings of HTTP/2, and for the answer to one.
    pub ping: Duration,
    /// Requests under way, from their headers to their answer. Beyond them, one whose body has not
    /// arrived makes room, of the client that has the most.
    pub requests: usize,
    /// The API server sends the old and the new object, each at most 3 MiB.
    pub body_bytes: usize,
    /// All bodies in memory together, in bytes, but for the first 16 KiB of each, which a request's
    /// place covers: so small reviews are read while large ones have all of this.
    pub bodies_bytes: usize,
    /// The longest time for an answer, whatever the timeout of the API server.
    pub answer: Duration,
    /// How long requests may run after the stop: longer than any answer takes.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            handshake: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            ping: Duration::from_secs(30),
            requests: 256,
            body_bytes: 8 * 1024 * 1024,
            bodies_bytes: 32 * 1024 * 1024,
            answer: Duration::from_secs(5),
            drain: Duration::from_secs(6),
        }
    }
}

/// The bytes of an HTTP/2 connection that are buffered before a request reads them.
const WINDOW: u32 = 256 * 1024;
/// The same of an HTTP/1 connection, whose headers are no longer either.
const HTTP1_BUFFER: usize = 64 * 1024;
/// Streams of one connection. A thousand pods may be deleted at once: beyond it, the API server opens
/// another connection, whose handshake takes longer than the guard lets a deletion wait.
const STREAMS: u32 = 1_000;
/// All headers of an HTTP/2 request. With more, in HEADERS and CONTINUATION frames, the connection ends.
const HEADER_LIST: u32 = 16 * 1024;
/// Streams of a connection that their client may have reset before we have looked at them, and that we
/// may have reset for its faults (CVE-2023-44487, CVE-2025-8671). With more, the connection ends.
const RESETS_UNSEEN: usize = 20;
const RESETS_BY_US: usize = 100;
/// The bytes of an answer that wait for a client which does not read them.
const SEND_BUFFER: usize = 64 * 1024;
/// How long an evicted connection may drain.
const EVICTION_GRACE: Duration = Duration::from_secs(1);

/// Whether the client of a connection sent a certificate, which the handshake has verified.
#[derive(Clone)]
struct ClientCertificate {
    is_verified: bool,
    failures: HandshakeFailures,
}

/// The address that a request comes from.
#[derive(Clone, Copy)]
pub(crate) struct ClientAddress(pub IpAddr);

/// Turns away a client without a certificate, where the handshake accepts one.
pub async fn require_client_certificate(request: Request, next: Next) -> Response {
    let certificate = request.extensions().get::<ClientCertificate>();
    if certificate.is_some_and(|certificate| certificate.is_verified) {
        return next.run(request).await;
    }
    if let Some(ClientCertificate { failures, .. }) = certificate {
        failures.record(HandshakeFailure::NoClientCertificate, "no certificate was shown");
    }
    (StatusCode::UNAUTHORIZED, "a client certificate is asked for\n").into_response()
}

/// Counts and logs the failures of one client.
#[derive(Clone)]
struct HandshakeFailures {
    from: IpAddr,
    handshakes: Arc<Handshakes>,
    metrics: Arc<Metrics>,
}

impl HandshakeFailures {
    fn record(&self, reason: HandshakeFailure, error: &str) {
        self.metrics.admission.handshake_failed(reason);
        match self.handshakes.failed(reason, error, self.from, Instant::now()) {
            Some(warning) => tracing::warn!("{warning}"),
            None => tracing::debug!(from = %self.from, error, "TLS handshake failed"),
        }
    }
}

/// How often series of failures are checked for their end.
const FAILURE_CHECK: Duration = Duration::from_secs(10);

/// Serves until `stop`, then drains. A change of `tls` applies to new connections; open ones are drained,
/// so that their clients reconnect.
pub async fn serve(
    listener: TcpListener,
    mut tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    router: axum::Router,
    limits: ServerLimits,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let connections = Arc::new(Connections::new(limits.connections, metrics.clone(), stop.clone()));
    let handshakes = Arc::new(Handshakes::default());
    let mut failure_check = tokio::time::interval(FAILURE_CHECK);
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Ok(()) = tls.changed() => {
                connections.drain_all();
                continue;
            }
            _ = failure_check.tick() => {
                for (reason, times) in handshakes.take_ended(Instant::now()) {
                    tracing::info!(why = reason.as_str(), times, "TLS handshakes fail no longer");
                }
                continue;
            }
            () = stop.cancelled() => break,
        };
        let (stream, from) = match accepted {
            Ok((stream, from)) => (stream, from.ip().to_canonical()),
            Err(error) => {
                // Most likely no file descriptor is free; connections that end free some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(connection) = connections.accept(from) else { continue };
        let acceptor = TlsAcceptor::from(tls.borrow().clone());
        let (handshakes, metrics) = (handshakes.clone(), metrics.clone());
        let failures = HandshakeFailures { from, handshakes, metrics };
        let router = router.clone();
        tasks.spawn(serve_connection(stream, acceptor, router, limits, connection, failures));
        // A flood of connections is accepted one by one, between the reviews.
        tokio::task::yield_now().await;
    }
    drop(listener);
    tasks.close();
    if timeout(limits.drain, tasks.wait()).await.is_err() {
        tracing::warn!("{} connections did not end in time", tasks.len());
    }
}

async fn serve_connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: axum::Router,
    limits: ServerLimits,
    connection: Connection,
    failures: HandshakeFailures,
) {
    let _ = stream.set_nodelay(true);
    let handshake = tokio::select! {
        handshake = timeout(limits.handshake, acceptor.accept(stream)) => handshake,
        // A connection that drains completes its handshake: GOAWAY sends its client elsewhere, at no cost.
        () = connection.evicted() => return,
    };
    match handshake {
        Ok(Ok(stream)) => serve_requests(stream, router, limits, connection, failures).await,
        Ok(Err(error)) => failures.record(HandshakeFailure::of(&error), &error.to_string()),
        Err(_) => failures.record(HandshakeFailure::Timeout, "it took too long"),
    }
}

async fn serve_requests(
    stream: TlsStream<TcpStream>,
    router: axum::Router,
    limits: ServerLimits,
    connection: Connection,
    failures: HandshakeFailures,
) {
    let is_verified = stream.get_ref().1.peer_certificates().is_some();
    let client = ClientAddress(failures.from);
    let certificate = ClientCertificate { is_verified, failures };
    let router = router.layer(axum::Extension(certificate)).layer(axum::Extension(client));
    let counted = connection.clone();
    let service = MapFuture::new(router, move |answer: RouteFuture<Infallible>| {
        let active = counted.begin_request();
        async move {
            let answer = answer.await;
            drop(active);
            answer
        }
    });
    let builder = builder(&stream, limits);
    let mut serving =
        pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let never_used = async {
        tokio::time::sleep(limits.idle).await;
        if connection.was_used() {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = never_used => return,
        () = connection.shutdown.cancelled() => {
            let grace = if connection.may_drain() { limits.drain } else { EVICTION_GRACE };
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = timeout(grace, serving) => match ended {
                    Ok(ended) => ended,
                    Err(_) => return tracing::debug!("a connection did not end in time"),
                },
                () = connection.close.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Speaks the protocol of the handshake, so that the timeouts hold for a client that sends nothing.
fn builder(stream: &TlsStream<TcpStream>, limits: ServerLimits) -> auto::Builder<TokioExecutor> {
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle);
    builder.http1().max_buf_size(HTTP1_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.ping)
        // An API server whose machine is busy may answer late: what is under way would be lost.
        .keep_alive_timeout(limits.ping)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .max_pending_accept_reset_streams(RESETS_UNSEEN)
        .max_local_error_reset_streams(RESETS_BY_US)
        .max_send_buf_size(SEND_BUFFER);
    if http2 { builder.http2_only() } else { builder.http1_only() }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
