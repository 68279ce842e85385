//! Real handshakes and answers, over loopback, with the client that linked clusters have.

use super::*;
use crate::informers::remote::kubeconfig::check;
use crate::informers::remote::links::connect;
use crate::kinds::partial::PartialSlice;
use base64::{Engine, prelude::BASE64_STANDARD};
use kube::api::{Api, ListParams};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, CertificateError, RootCertStore, ServerConfig};
use serde_json::json;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

/// The certificate of an API server without a fault.
fn named() -> CertificateParams {
    CertificateParams::new(["127.0.0.1".to_owned()]).unwrap()
}

/// A TLS server with a certificate by an authority, or else by itself.
fn server(params: &CertificateParams, by: Option<&Authority>) -> ServerConfig {
    server_for(params, by, None)
}

/// The same, for clients of an authority only.
fn server_for(
    params: &CertificateParams,
    by: Option<&Authority>,
    clients_of: Option<&Authority>,
) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let certificate = match by {
        Some(authority) => params.signed_by(&key, &authority.issuer),
        None => params.self_signed(&key),
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients_of {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let pem = pem_of(&authority.pem);
            roots.add(pem.into()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    builder.with_single_cert(vec![certificate.unwrap().into()], key).unwrap()
}

fn pem_of(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64_STANDARD.decode(lines).unwrap()
}

/// A server that does the same with each connection.
async fn serve<F>(with: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(with(stream));
        }
    });
    address
}

/// A server that answers each request in TLS.
async fn serve_tls(config: ServerConfig, answer: String) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let answer: Arc<str> = answer.into();
    serve(move |stream| {
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                reply(stream, answer.as_bytes()).await;
            }
        }
    })
    .await
}

/// A server that answers every request with the same bytes, and closes.
async fn serve_bytes(answer: &'static [u8]) -> SocketAddr {
    serve(move |stream| reply(stream, answer)).await
}

async fn reply(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) {
    let _ = stream.read(&mut [0; 16 * 1024]).await;
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    // The answer before the reset.
    let _ = stream.read(&mut [0; 1024]).await;
}

fn http(status: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn empty_list() -> String {
    let list = json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"resourceVersion": "1"}, "items": []});
    http("200 OK", &[], &list.to_string())
}

/// The failure of a LIST of slices by a kubeconfig.
async fn list_by(server: &str, ca: &Authority) -> Option<RequestFailure> {
    let kubeconfig = json!({
        "current-context": "west", "contexts": [{"name": "west", "context": {"cluster": "west",
            "user": "west"}}],
        "clusters": [{"name": "west", "cluster": {"server": server,
            "certificate-authority-data": BASE64_STANDARD.encode(&ca.pem)}}],
        "users": [{"name": "west", "user": {"token": "token-of-ana"}}],
    });
    let checked = check(kubeconfig.to_string().as_bytes()).ok().unwrap();
    let client = connect(checked).await.ok().unwrap();
    let slices: Api<PartialSlice> = Api::namespaced(client, "books");
    slices.list(&ListParams::default()).await.err().map(|error| of(&error))
}

async fn list_at(address: SocketAddr, ca: &Authority) -> Option<RequestFailure> {
    list_by(&format!("https://{address}"), ca).await
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_not_an_outage_and_the_next_step_is_named() {
    let ca = authority("west");
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = named();
        change(&mut params);
        params
    };
    let expired = with(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let early = with(|params| params.not_before = date_time_ymd(4000, 1, 1));
    let client = with(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let elsewhere = CertificateParams::new(["api.elsewhere.example".to_owned()]).unwrap();
    let nameless = CertificateParams::default();
    let other = authority("another");
    // With the same name, as one that was replaced.
    let replaced = authority("west");
    for (what, config, expected) in [
        ("another CA", server(&named(), Some(&other)), "not signed by the CA"),
        ("a replaced CA", server(&named(), Some(&replaced)), "not signed by the CA"),
        ("self-signed", server(&named(), None), "not signed by the CA"),
        ("expired", server(&expired, Some(&ca)), "has expired"),
        ("not yet valid", server(&early, Some(&ca)), "not valid yet"),
        ("another name", server(&elsewhere, Some(&ca)), "for other names"),
        ("no name", server(&nameless, Some(&ca)), "for other names"),
        ("a client's", server(&client, Some(&ca)), "not one for servers"),
        ("expired, of another CA", server(&expired, Some(&other)), ""),
    ] {
        let address = serve_tls(config, empty_list()).await;
        let failure = list_at(address, &ca).await;
        let Some(RequestFailure::Unverified(why)) = failure else { panic!("{what}: {failure:?}") };
        assert!(why.contains(expected), "{what}: {why}");
        for next in ["ink it again", "linkerd multicluster link-gen"] {
            assert!(why.contains(next), "{what}: {why}");
        }
        assert!(!why.contains("127.0.0.1") && !why.contains("elsewhere"), "it quotes: {why}");
    }
    let address = serve_tls(server(&named(), Some(&ca)), empty_list()).await;
    assert_eq!(list_at(address, &ca).await, None);
}

#[tokio::test]
async fn a_server_that_ends_tls_is_unverified_and_one_that_refuses_our_certificate_was_verified() {
    let ca = authority("west");
    // A fatal alert each: handshake_failure, protocol_version, internal_error, unrecognized_name.
    for alert in [
        &[21, 3, 3, 0, 2, 2, 40],
        &[21, 3, 1, 0, 2, 2, 70],
        &[21, 3, 3, 0, 2, 2, 80],
        &[21, 3, 3, 0, 2, 2, 112],
    ] {
        let failure = list_at(serve_bytes(alert).await, &ca).await;
        assert!(matches!(failure, Some(RequestFailure::Unverified(_))), "{alert:?}: {failure:?}");
    }
    let asks = server_for(&named(), Some(&ca), Some(&ca));
    let failure = list_at(serve_tls(asks, empty_list()).await, &ca).await;
    assert!(matches!(failure, Some(RequestFailure::Refused(_))), "{failure:?}");
}

#[tokio::test]
async fn a_server_that_is_silent_or_speaks_no_tls_is_unreachable() {
    let ca = authority("west");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = serve(|stream| async move { drop(stream) }).await;
    let reset = serve(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    for (what, address, expected) in [
        ("nobody", nobody, "connection refused"),
        ("one that closes", closed, "the connection broke"),
        ("a reset", reset, "the connection broke"),
        ("half a record", serve_bytes(&[22, 3, 3, 0, 100, 2]).await, "the connection broke"),
        ("no TLS", serve_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, "no TLS"),
        ("an end in order", serve_bytes(&[21, 3, 3, 0, 2, 1, 0]).await, "the connection broke"),
    ] {
        let failure = list_at(address, &ca).await;
        let Some(RequestFailure::Unreachable(why)) = failure else { panic!("{what}: {failure:?}") };
        assert!(why.contains(expected), "{what}: {why}");
    }
    let nowhere = list_by("https://api.west.invalid:6443", &ca).await;
    let not_found = "the name of its API server is not found".to_owned();
    assert_eq!(nowhere, Some(RequestFailure::Unreachable(not_found)));
}

#[tokio::test]
async fn an_error_as_kubernetes_answers_it_is_failing_and_any_other_body_is_unreachable() {
    let ca = authority("west");
    let status = |code: u16, reason: &str| {
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "…", "reason": reason, "code": code})
        .to_string()
    };
    let pf = "X-Kubernetes-Pf-Flowschema-Uid: 6c33b8f2-1f1c-4c0f-8b51-3a2b5e6a1d30";
    let html = "<html><body><h1>503 Service Unavailable</h1>No server is available</body></html>";
    let unreachable = RequestFailure::Unreachable as fn(String) -> RequestFailure;
    let failing = RequestFailure::Failing as fn(String) -> RequestFailure;
    let refused = RequestFailure::Refused as fn(String) -> RequestFailure;
    let unauthorized = status(401, "Unauthorized");
    for (is, line, headers, body) in [
        (failing, "429 Too Many Requests", vec![], status(429, "TooManyRequests")),
        (failing, "500 Internal Server Error", vec![], status(500, "InternalError")),
        (failing, "503 Service Unavailable", vec![], status(503, "ServiceUnavailable")),
        (failing, "504 Gateway Timeout", vec![], status(504, "Timeout")),
        (failing, "410 Gone", vec![], status(410, "Expired")),
        (refused, "401 Unauthorized", vec![], unauthorized.clone()),
        (refused, "403 Forbidden", vec![], status(403, "Forbidden")),
        (refused, "404 Not Found", vec![], status(404, "NotFound")),
        // As the filters of an API server write it, without a Status.
        (failing, "429 Too Many Requests", vec![pf], "Too many requests, please try again".into()),
        (
            failing,
            "500 Internal Server Error",
            vec![pf],
            "This request caused apiserver to panic".into(),
        ),
        (failing, "503 Service Unavailable", vec![pf], "".into()),
        (refused, "401 Unauthorized", vec![pf], "".into()),
        (refused, "404 Not Found", vec![pf], "404 page not found".into()),
        // A load balancer whose API server is down.
        (unreachable, "503 Service Unavailable", vec![], html.into()),
        (
            unreachable,
            "503 Service Unavailable",
            vec!["content-type: application/json"],
            html.into(),
        ),
        (unreachable, "503 Service Unavailable", vec![], "".into()),
        (
            unreachable,
            "503 Service Unavailable",
            vec![],
            r#"{"code":503,"message":"no healthy upstream"}"#.into(),
        ),
        (
            unreachable,
            "503 Service Unavailable",
            vec![],
            r#"{"kind":"Status","apiVersion":"v1"}"#.into(),
        ),
        (unreachable, "502 Bad Gateway", vec!["server: nginx"], html.into()),
        (unreachable, "500 Internal Server Error", vec![], "null".into()),
        (unreachable, "429 Too Many Requests", vec!["retry-after: 1"], "slow down".into()),
        (unreachable, "401 Unauthorized", vec![], html.into()),
        (unreachable, "403 Forbidden", vec![], html.into()),
        (unreachable, "404 Not Found", vec![], "default backend - 404".into()),
        (unreachable, "302 Found", vec!["location: /login"], "".into()),
        (unreachable, "200 OK", vec![], html.into()),
        (unreachable, "200 OK", vec![], "{}".into()),
    ] {
        let what = format!("{line} {headers:?} {body}");
        let address = serve_tls(server(&named(), Some(&ca)), http(line, &headers, &body)).await;
        let failure = list_at(address, &ca).await.unwrap_or_else(|| panic!("{what}"));
        let why = match &failure {
            RequestFailure::Unreachable(why) | RequestFailure::Unverified(why) => why,
            RequestFailure::Failing(why) | RequestFailure::Refused(why) => why,
        };
        assert_eq!(failure, is(why.clone()), "{what}");
        assert!(!why.contains("html") && !why.contains("please"), "it quotes: {why}");
    }
    // The server is verified before its answer.
    let stranger = server(&named(), Some(&authority("stranger")));
    let address = serve_tls(stranger, http("401 Unauthorized", &[], &unauthorized)).await;
    let failure = list_at(address, &ca).await;
    assert!(matches!(failure, Some(RequestFailure::Unverified(_))), "{failure:?}");
}

#[test]
fn every_problem_with_a_certificate_is_unverified() {
    use CertificateError::*;
    for problem in [BadEncoding, Revoked, UnknownRevocationStatus, BadSignature, InvalidPurpose] {
        let error = rustls::Error::InvalidCertificate(problem);
        // As deep as hyper, its connector and a reader wrap it, one after another.
        for wrapped in [
            io::Error::other(error.clone()),
            io::Error::other(io::Error::new(ErrorKind::InvalidData, error.clone())),
            io::Error::new(ErrorKind::TimedOut, io::Error::other(error)),
        ] {
            let failure = of(&kube::Error::Service(Box::new(wrapped)));
            assert!(matches!(failure, RequestFailure::Unverified(_)), "{failure:?}");
        }
    }
    let end = rustls::Error::AlertReceived(AlertDescription::CloseNotify);
    let failure = of(&kube::Error::ReadEvents(io::Error::other(end)));
    assert_eq!(failure, RequestFailure::Unreachable("the connection broke".into()));
}

#[test]
fn an_error_whose_cause_is_itself_ends_too() {
    #[derive(Debug)]
    struct Itself;
    impl std::fmt::Display for Itself {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("again")
        }
    }
    impl Error for Itself {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    let failure = of(&kube::Error::Service(Box::new(Itself)));
    assert_eq!(failure, RequestFailure::Unreachable("no answer that can be read".into()));
}

#[test]
fn only_a_server_that_does_not_answer_is_unreachable() {
    for (code, refused) in [
        (401, true),
        (403, true),
        (404, true),
        (408, false),
        (410, false),
        (429, false),
        (500, false),
        (503, false),
    ] {
        let failure = RequestFailure::answered(code, "Reason");
        assert_eq!(matches!(failure, RequestFailure::Refused(_)), refused, "{code}");
        assert_eq!(matches!(failure, RequestFailure::Failing(_)), !refused, "{code}");
    }
    let quoted = RequestFailure::answered(503, "see https://192.0.2.1/ana");
    assert_eq!(quoted, RequestFailure::Failing("its API server answers 503".into()));
}

#[test]
fn a_failure_does_not_quote_the_address() {
    let refused = io::Error::new(ErrorKind::ConnectionRefused, "192.0.2.1:6443 of ana");
    let failure = of(&kube::Error::ReadEvents(refused));
    assert_eq!(failure, RequestFailure::Unreachable("connection refused".into()));
    let certificate = CertificateError::UnknownIssuer;
    let tls = io::Error::other(rustls::Error::InvalidCertificate(certificate));
    let RequestFailure::Unverified(why) = of(&kube::Error::ReadEvents(tls)) else { panic!() };
    assert!(why.contains("certificate"), "{why}");
}
