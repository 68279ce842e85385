//! The TLS server: an accept loop of our own, so that a silent client costs one place for a bounded time,
//! and other clients nothing.

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
    /// Connections at once; an API server needs one.
    pub connections: usize,
    /// Of a TLS handshake.
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

impl Default for ServerLimits {
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
#[derive(Clone)]
struct Known {
    is: bool,
    failures: Failures,
}

/// Turns away whoever has shown none, where the handshake lets such in.
pub async fn only_known(request: Request, next: Next) -> Response {
    let known = request.extensions().get::<Known>();
    if known.is_some_and(|known| known.is) {
        return next.run(request).await;
    }
    if let Some(known) = known {
        known.failures.note(HandshakeFailure::NoClientCertificate, "no certificate was shown");
    }
    (StatusCode::UNAUTHORIZED, "a client certificate is asked for\n").into_response()
}

/// Counts and logs the failures of one client.
#[derive(Clone)]
struct Failures {
    from: IpAddr,
    handshakes: Arc<Handshakes>,
    metrics: Arc<Metrics>,
}

impl Failures {
    fn note(&self, reason: HandshakeFailure, error: &str) {
        self.metrics.admission.handshake_failed(reason);
        match self.handshakes.failed(reason, error, self.from, Instant::now()) {
            Some(warning) => tracing::warn!("{warning}"),
            None => tracing::debug!(from = %self.from, error, "TLS handshake failed"),
        }
    }
}

/// How often to look whether failures are over.
const LOOK_BACK: Duration = Duration::from_secs(10);

/// Serves until `stop`, then lets what runs come to its end. What `tls` holds is for connections to
/// come; those that are open are asked to come again where it changes.
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
    let mut look_back = tokio::time::interval(LOOK_BACK);
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Ok(()) = tls.changed() => {
                connections.renew();
                continue;
            }
            _ = look_back.tick() => {
                for (reason, times) in handshakes.over(Instant::now()) {
                    tracing::info!(why = reason.as_str(), times, "TLS handshakes fail no longer");
                }
                continue;
            }
            () = stop.cancelled() => break,
        };
        let (stream, from) = match accepted {
            Ok((stream, from)) => (stream, from.ip().to_canonical()),
            Err(error) => {
                // Out of file descriptors, most likely: they come back as connections end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(connection) = connections.enter() else { continue };
        let acceptor = TlsAcceptor::from(tls.borrow().clone());
        let (handshakes, metrics) = (handshakes.clone(), metrics.clone());
        let failures = Failures { from, handshakes, metrics };
        let router = router.clone();
        tasks.spawn(serve_connection(stream, acceptor, router, limits, connection, failures));
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
    limits: ServerLimits,
    connection: Connection,
    failures: Failures,
) {
    let _ = stream.set_nodelay(true);
    let shaken = tokio::select! {
        shaken = timeout(limits.handshake, acceptor.accept(stream)) => shaken,
        // At a stop, or for a renewal, the handshake goes on: then GOAWAY tells the client to go elsewhere, at no cost.
        () = connection.has_to_make_room() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve_requests(stream, router, limits, connection, failures).await,
        Ok(Err(error)) => failures.note(HandshakeFailure::of(&error), &error.to_string()),
        Err(_) => failures.note(HandshakeFailure::Timeout, "it took too long"),
    }
}

async fn serve_requests(
    stream: TlsStream<TcpStream>,
    router: axum::Router,
    limits: ServerLimits,
    connection: Connection,
    failures: Failures,
) {
    let known = Known { is: stream.get_ref().1.peer_certificates().is_some(), failures };
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
            let patience = if connection.has_time() { limits.finish } else { GOODBYE };
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

/// The protocol is the one that the handshake agreed on: a silent client is noticed too.
fn builder(stream: &TlsStream<TcpStream>, limits: ServerLimits) -> auto::Builder<TokioExecutor> {
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
