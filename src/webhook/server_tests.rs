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

    async fn connect(&self) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut config = client_config(self.ca.as_bytes())?;
        config.alpn_protocols = vec![b"h2".to_vec()];
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
    let headers = Duration::from_secs(2);
    let limits =
        ServerLimits { headers, handshake: Duration::from_secs(1), ..ServerLimits::default() };
    let server = Server::start(limits).await?;
    let began = Instant::now();
    let mut stream = server.connect().await?;
    stream.write_all(REQUEST).await?;
    let mut received = vec![];
    // It ends with or without TLS's close_notify.
    let ended = timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    let _ = ended.context("it stays open")?;
    ensure!(received.windows(8).any(|bytes| bytes == b"answered"), "{received:?}");
    ensure!(began.elapsed() >= 2 * headers, "closed after {:?}", began.elapsed());
    Ok(())
}
