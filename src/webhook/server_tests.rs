use super::*;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use test_cluster::client_config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use webhook_certs::{Authority, ClientAuth, Lifetimes, ReloadingResolver, TlsVersions};

const NAME: &str = "webhook.test.svc";
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    address: SocketAddr,
    ca: String,
    _tls: watch::Sender<Arc<rustls::ServerConfig>>,
    stop: CancellationToken,
}

impl Server {
    async fn start(limits: ServerLimits) -> Result<Self> {
        let (names, lifetimes) = ([NAME.to_owned()], Lifetimes::default());
        let authority = Authority::generate(&names, &lifetimes, Timestamp::now())?;
        let resolver = Arc::new(ReloadingResolver::default());
        resolver.set(authority.issue(&names, &lifetimes, Timestamp::now())?);
        let tls = webhook_certs::server_config(resolver, TlsVersions::Tls13Only, ClientAuth::None)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = axum::Router::new().fallback(|| std::future::ready("answered"));
        let (sender, tls) = watch::channel(Arc::new(tls));
        let (metrics, stop) = (Arc::new(Metrics::default()), CancellationToken::new());
        tokio::spawn(serve(listener, tls, router, limits, metrics, stop.clone()));
        Ok(Self { address, ca: authority.cert_pem(), _tls: sender, stop })
    }

    /// A connection of this protocol.
    async fn connect(&self, alpn: &str) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut config = client_config(self.ca.as_bytes())?;
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(NAME)?;
        for _ in 0..20 {
            // On a busy machine a handshake may take longer than the server waits.
            let stream = TcpStream::connect(self.address).await?;
            if let Ok(stream) = connector.connect(name.clone(), stream).await {
                return Ok(stream);
            }
        }
        anyhow::bail!("no handshake is completed")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The preface, empty SETTINGS, and a GET of `/` on stream 1, all of it by HPACK's static table.
const REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x87\x84\x01\x01x";

/// An API server on a machine that has no time for it answers no ping for a while, and the reviews that
/// are under way are lost with the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_keeps_its_connection_for_as_long_as_one_that_is_idle()
-> Result<()> {
    let ping = Duration::from_secs(2);
    let limits =
        ServerLimits { ping, handshake: Duration::from_secs(1), ..ServerLimits::default() };
    let server = Server::start(limits).await?;
    let began = Instant::now();
    let mut stream = server.connect("h2").await?;
    stream.write_all(REQUEST).await?;
    let mut received = vec![];
    // It ends with or without TLS's close_notify.
    let ended = timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    let _ = ended.context("it stays open")?;
    ensure!(received.windows(8).any(|bytes| bytes == b"answered"), "{received:?}");
    ensure!(began.elapsed() >= 2 * ping, "closed after {:?}", began.elapsed());
    Ok(())
}

/// Go's idle timeout in the client of an API server, which speaks HTTP/1 with webhooks.
const CLOSED_BY_API_SERVER: Duration = Duration::from_secs(90);

/// Its next review may be on its way when we close a connection, and fails with EOF.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_left_to_the_api_server_to_close() -> Result<()> {
    ensure!(ServerLimits::default().idle > CLOSED_BY_API_SERVER);
    let (idle, ping) = (Duration::from_secs(3), Duration::from_millis(10));
    let server = Server::start(ServerLimits { idle, ping, ..ServerLimits::default() }).await?;
    for request in ["", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let began = Instant::now();
        let mut stream = server.connect("http/1.1").await?;
        stream.write_all(request.as_bytes()).await?;
        let ended = timeout(PATIENCE, stream.read_to_end(&mut vec![])).await;
        let _ = ended.context("it stays open")?;
        ensure!(began.elapsed() >= idle, "closed after {:?}", began.elapsed());
    }
    Ok(())
}
