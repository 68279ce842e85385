//! By whom a receiver is trusted: real handshakes with receivers of several authorities.

use super::*;
use crate::notifications::notification::tests::failover;
use crate::notifications::test_server::{self, Answer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's configuration with a certificate of this name.
    fn server(&self, name: &str, years: std::ops::Range<i32>) -> ServerConfig {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

/// Serves HTTPS on loopback. Returns its port.
async fn serve(config: ServerConfig) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let answers = Mutex::new(VecDeque::from([Answer::Head("204 No Content")]));
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                test_server::serve(stream, &Mutex::default(), &answers).await;
            }
        }
    });
    (port, task)
}

/// The outcome of one attempt at a receiver with this certificate, which is trusted by this CA.
async fn outcome_of(server: ServerConfig, ca: Option<String>) -> Outcome {
    let (port, task) = serve(server).await;
    let receiver = test_server::receiver(&format!("https://127.0.0.1:{port}/secret"), ca);
    let notification = failover("web", 1);
    let id = notification.id();
    let queued = Queued { number: 1, id, notification, since: Instant::now() };
    let outcome = receiver.deliver(&queued, Timestamp::now()).await;
    task.abort();
    outcome
}

#[tokio::test]
async fn a_receiver_is_trusted_by_the_ca_that_is_set_and_by_no_other() {
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    let server = || authority.server("127.0.0.1", 2020..2120);
    assert_eq!(outcome_of(server(), Some(authority.pem())).await, Outcome::Delivered);
    let both = format!("{}{}", other.pem(), authority.pem());
    assert_eq!(outcome_of(server(), Some(both)).await, Outcome::Delivered);
    for (server, ca, expected) in [
        (server(), Some(other.pem()), "invalid peer certificate: UnknownIssuer"),
        (authority.server("127.0.0.1", 2020..2021), Some(authority.pem()), "certificate expired"),
        (authority.server("127.0.0.1", 2119..2120), Some(authority.pem()), "not valid yet"),
        (authority.server("a.example", 2020..2120), Some(authority.pem()), "not valid for name"),
    ] {
        let outcome = outcome_of(server, ca).await;
        let Outcome::Failed { why, retry_after: None } = outcome else { panic!("{outcome:?}") };
        assert!(why.contains(expected) && !why.contains("secret"), "{expected}: {why}");
    }
}

/// HTTP at the port of HTTPS, and the other way round.
#[tokio::test]
async fn a_receiver_that_speaks_another_protocol_is_tried_again() {
    let server = test_server::TestServer::start(&[Answer::Close]).await;
    let authority = Authority::new("one");
    let notification = failover("web", 1);
    let id = notification.id();
    let queued = Queued { number: 1, id, notification, since: Instant::now() };
    let url = format!("https://{}/", server.address);
    let receiver = test_server::receiver(&url, Some(authority.pem())).impatient();
    let outcome = receiver.deliver(&queued, Timestamp::now()).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    let (port, task) = serve(authority.server("127.0.0.1", 2020..2120)).await;
    let receiver = test_server::receiver(&format!("http://127.0.0.1:{port}/"), None).impatient();
    let outcome = receiver.deliver(&queued, Timestamp::now()).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    task.abort();
}
