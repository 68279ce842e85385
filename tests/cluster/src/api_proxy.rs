//! A reverse proxy before the API server that can freeze what goes through it.

use crate::api_gate::{Answer, Asked, Gate};
use crate::client_tls::client_config;
use crate::cluster::Cluster;
use crate::site::Site;
use anyhow::Context;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, StatusCode, Version};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::SockRef;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, oneshot};
use tokio_rustls::TlsAcceptor;

const RETRY_ACCEPT: Duration = Duration::from_millis(100);
/// Sooner than the API server closes an idle connection.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// They concern one connection, not the request; HTTP/2 has none of them.
const OF_ONE_CONNECTION: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Stands between clients, such as one replica, and the API server, and passes
/// everything on as it comes, until a test freezes some of it: what a network
/// or an API server that stalls without closing anything looks like.
///
/// Who the client is must be in the request, such as a token: a client
/// certificate does not get through. Neither do upgrades (`kubectl exec`).
/// While the API server is down, the answer is 502.
///
/// It has a thread of its own: a test that blocks its runtime does not stop it.
/// Dropping it closes its address and every connection.
#[derive(Debug)]
pub struct ApiProxy {
    address: SocketAddr,
    gate: Arc<Gate>,
    /// Tells the paths whose answers end.
    ends: broadcast::Sender<String>,
    cuts: broadcast::Sender<()>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Holds the claim on the address.
    _site: Arc<Site>,
}

impl ApiProxy {
    /// Starts one before a cluster's API server, trusted by the same CA.
    pub fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let site = Arc::clone(cluster.site());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let acceptor = acceptor(&site, &provider).context("the API proxy's TLS server")?;
        let gate = Arc::new(Gate::default());
        let ends = broadcast::Sender::new(16);
        let cuts = broadcast::Sender::new(16);
        let upstream = Upstream {
            ends: ends.clone(),
            cuts: cuts.clone(),
            client: client(&site).context("the API proxy's TLS client")?,
            server: site.server.clone(),
            gate: Arc::clone(&gate),
        };
        let listener = std::net::TcpListener::bind((site.slot.address(), 0))
            .with_context(|| format!("cannot listen on {}", site.slot.address()))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _within = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (end, ended) = oneshot::channel();
        // The end of the runtime, with the thread, ends all tasks.
        let run = async move {
            tokio::select! {
                () = serve(listener, acceptor, upstream) => {}
                _ = ended => {}
            }
        };
        let thread = std::thread::Builder::new()
            .name("api-proxy".into())
            .spawn(move || runtime.block_on(run))?;
        Ok(Self { address, gate, ends, cuts, end: Some(end), thread: Some(thread), _site: site })
    }

    /// What to use instead of the API server's URL; the CA is the same.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Freezes, from now on, every request whose path contains `pattern`. What
    /// is open stays open, but nothing more of it is delivered; what is new is
    /// not answered and does not reach the API server. Adds to earlier freezes.
    pub fn freeze(&self, pattern: impl Into<String>) {
        self.gate.freeze(pattern.into(), false);
    }

    /// Like [`Self::freeze`], but watches only: other requests go through.
    pub fn freeze_watches(&self, pattern: impl Into<String>) {
        self.gate.freeze(pattern.into(), true);
    }

    /// Like [`Self::freeze`], but what is asked reaches the API server; only its answer is delayed.
    pub fn freeze_answers(&self, pattern: impl Into<String>) {
        self.gate.freeze_answers(pattern.into());
    }

    /// Answers, from now on, every new request whose path contains `pattern` in
    /// place of the API server: what a load balancer, or one that is overloaded,
    /// looks like. The newest answer counts.
    pub fn answer(&self, pattern: &str, status: u16, content_type: &str, body: &str) {
        let (content_type, body) = (content_type.into(), body.into());
        let answer = Answer { status, content_type, body, retry_after: None };
        self.gate.answer(pattern.into(), answer);
    }

    /// Answers, from now on, every new request whose path contains `pattern` with 429, and asks to
    /// come again after so many seconds: what an API server with too many requests looks like.
    pub fn throttle(&self, pattern: &str, retry_after: u32) {
        let answer = Answer {
            status: 429,
            content_type: "text/plain".into(),
            body: "Too many requests, please try again later.\n".into(),
            retry_after: Some(retry_after),
        };
        self.gate.answer(pattern.into(), answer);
    }

    /// How many requests have come whose path contains `pattern`.
    pub fn requests(&self, pattern: &str) -> usize {
        self.gate.requests(pattern)
    }

    /// Ends everything that is being answered whose path contains `pattern`, such as watches, in good
    /// order: what an API server that is shut down looks like.
    pub fn end(&self, pattern: &str) {
        // Nothing may be open.
        let _ = self.ends.send(pattern.to_owned());
    }

    /// Delays, from now on, every request whose path contains `pattern`, and each piece of its answer: a
    /// slow network.
    pub fn delay(&self, pattern: &str, by: Duration) {
        self.gate.delay(pattern.into(), by);
    }

    /// Lets, from now on, the answers to requests whose path contains `pattern` come at so many bytes a second.
    pub fn limit(&self, pattern: &str, bytes_a_second: u32) {
        self.gate.limit(pattern.into(), bytes_a_second);
    }

    /// Lets, from now on, every write whose path contains `pattern` reach the API server, and resets all
    /// connections in the place of its answer.
    pub fn lose_answers(&self, pattern: &str) {
        self.gate.lose(pattern.into());
    }

    /// Resets every connection that is open.
    pub fn cut(&self) {
        // None may be open.
        let _ = self.cuts.send(());
    }

    /// Ends every freeze, delay, limit and loss, and every answer of its own. Nothing that was delayed is lost: each watch delivers
    /// what it missed, in order.
    pub fn thaw(&self) {
        self.gate.thaw();
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Upstream {
    ends: broadcast::Sender<String>,
    cuts: broadcast::Sender<()>,
    client: Client<HttpsConnector<HttpConnector>, Body>,
    server: String,
    gate: Arc<Gate>,
}

impl Upstream {
    async fn forward(self, request: Request) -> anyhow::Result<Response> {
        let asked = Asked::of(request.method(), request.uri());
        self.gate.count(&asked);
        self.gate.pass(&asked).await;
        if let Some(answer) = self.gate.answer_to(&asked) {
            return instead(answer);
        }
        pause(self.gate.delay_of(&asked, 0)).await;
        let response = self.client.request(self.readdress(request)?).await?;
        if self.gate.loses(&asked) {
            let _ = self.cuts.send(());
            std::future::pending::<()>().await;
        }
        // The freeze may have come meanwhile.
        self.gate.pass_answer(&asked).await;
        let (mut head, body) = response.into_parts();
        drop_headers(&mut head.headers);
        let ended = ended(self.ends.subscribe(), asked.clone());
        let gate = Arc::clone(&self.gate);
        let of_body = asked.clone();
        let body = self.gate.pass_body(asked, Body::new(body).into_data_stream());
        let body = body.then(move |piece| {
            let bytes = piece.as_ref().map_or(0, |piece| piece.len());
            let delay = gate.delay_of(&of_body, bytes);
            async move {
                pause(delay).await;
                piece
            }
        });
        let body = body.take_until(Box::pin(ended));
        Ok(Response::from_parts(head, Body::from_stream(body)))
    }

    fn readdress(&self, mut request: Request) -> anyhow::Result<Request> {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        *request.uri_mut() = format!("{}{target}", self.server).parse()?;
        *request.version_mut() = Version::HTTP_11;
        drop_headers(request.headers_mut());
        // Set again from the URI.
        request.headers_mut().remove(HOST);
        Ok(request)
    }
}

async fn pause(delay: Option<Duration>) {
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
}

/// What is answered in place of the API server.
fn instead(answer: Answer) -> anyhow::Result<Response> {
    let Answer { status, content_type, body, retry_after } = answer;
    let status = StatusCode::from_u16(status)?;
    let mut response = (status, [(CONTENT_TYPE, content_type)], body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Until what was asked for is ended.
async fn ended(mut ends: broadcast::Receiver<String>, asked: Asked) {
    while let Ok(pattern) = ends.recv().await {
        if asked.is_about(&pattern) {
            return;
        }
    }
    std::future::pending().await
}

fn drop_headers(headers: &mut HeaderMap) {
    for name in OF_ONE_CONNECTION {
        headers.remove(name);
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    upstream.forward(request).await.unwrap_or_else(|error| {
        (StatusCode::BAD_GATEWAY, format!("the API proxy: {error:#}\n")).into_response()
    })
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, upstream: Upstream) {
    let cuts = upstream.cuts.clone();
    let router = axum::Router::new().fallback(answer).with_state(upstream);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let cut = cuts.subscribe();
                tokio::spawn(serve_connection(stream, acceptor.clone(), router.clone(), cut));
            }
            // Out of file descriptors, most likely: some may be free later.
            Err(_) => tokio::time::sleep(RETRY_ACCEPT).await,
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: axum::Router,
    mut cut: broadcast::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(socket) = stream.as_fd().try_clone_to_owned().map(std::net::TcpStream::from) else {
        return;
    };
    // Whatever goes wrong with a connection, its client is the one to notice.
    if let Ok(stream) = acceptor.accept(stream).await {
        let service = TowerToHyperService::new(router);
        let builder = auto::Builder::new(TokioExecutor::new());
        tokio::select! {
            _ = builder.serve_connection(TokioIo::new(stream), service) => {}
            // What is cut is reset, not closed in good order.
            _ = cut.recv() => drop(SockRef::from(&socket).set_linger(Some(Duration::ZERO))),
        }
    }
}

fn acceptor(site: &Site, provider: &Arc<CryptoProvider>) -> anyhow::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_file(site.path("pki/api-proxy.crt"))?;
    let key = PrivateKeyDer::from_pem_file(site.path("pki/api-proxy.key"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// HTTP/1.1 only: each request that runs has a connection of its own, so that
/// none that is delayed takes room from another.
fn client(site: &Site) -> anyhow::Result<Client<HttpsConnector<HttpConnector>, Body>> {
    let config = client_config(site.ca.as_bytes())?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .build(https))
}
