//! Asking a webhook at a steady rate, beside a handler that answers without looking.
//!
//! The other handler is served by the same stack (TLS, HTTP/2, limits) in a process of its own, as
//! ours is. A request is sent when it is due, and its latency counts from that moment: who is slow
//! once pays for all that had to wait.

use anyhow::{Context, Result, ensure};
use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use axum::routing::post;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use linkerd_failover::telemetry::Metrics;
use linkerd_failover::webhook::server::{ServerLimits, serve};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_cluster::Cluster;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use webhook_certs::{Authority, Clients, Lives, ReloadingResolver, TlsVersions};

const NAME: &str = "linkerd-failover-webhook.linkerd-failover.svc";
pub(crate) const PER_SECOND: u32 = 200;
/// Of one endpoint, in each round: half a second, so that what else the machine does meets all alike.
pub(crate) const REQUESTS: u32 = 100;
/// The argument with which a program is the other handler.
pub(crate) const OTHER: &str = "answer-without-looking";

/// The CA by which the webhook that is installed is believed.
pub(crate) async fn webhook_ca(cluster: &Cluster) -> Result<Vec<u8>> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), "linkerd-failover");
    let secret = secrets.get("linkerd-failover-webhook-ca").await?;
    Ok(secret.data.and_then(|mut data| data.remove("ca.crt")).context("no CA")?.0)
}

/// A name for people, who is asked, and where.
pub(crate) type Leg<'a> = (&'a str, &'a Asked, &'a str);

/// Asks all in turn, round by round, with what `reviews` gives for each; then prints the figures.
pub(crate) async fn in_turn(
    legs: &[Leg<'_>],
    rounds: usize,
    mut reviews: impl FnMut(usize) -> Vec<Bytes>,
) -> Result<()> {
    let mut took: Vec<Vec<Duration>> = vec![vec![]; legs.len()];
    let mut turns: Vec<usize> = (0..legs.len()).collect();
    for round in 0..=rounds {
        // In any order: a Lease is renewed every two seconds, and shall not always meet the same one.
        fastrand::shuffle(&mut turns);
        for leg in &turns {
            let (_, asked, path) = legs[*leg];
            let times = asked.steadily(path, &reviews(*leg)).await?;
            // The first round warms up.
            if round > 0 {
                took[*leg].extend(times);
            }
        }
    }
    let names: Vec<&str> = legs.iter().map(|(name, ..)| *name).collect();
    report(&names, took);
    Ok(())
}

/// Prints figures beside those of the first.
pub(crate) fn report(names: &[&str], took: Vec<Vec<Duration>>) {
    let all: Vec<_> = took.into_iter().map(Figures::of).collect();
    for (name, figures) in names.iter().zip(&all) {
        println!(
            "  {name:<16} p50 {:5.2} ms  p99 {:5.2} ms  max {:6.2} ms   times the first: p50 {:.2}  p99 {:.2}",
            figures.p50,
            figures.p99,
            figures.max,
            figures.p50 / all[0].p50,
            figures.p99 / all[0].p99,
        );
    }
}

/// In milliseconds.
pub(crate) struct Figures {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Figures {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| {
            times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// A server that is asked, over one HTTP/2 connection as an API server has.
pub(crate) struct Asked {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    address: SocketAddr,
}

impl Asked {
    pub(crate) fn new(address: SocketAddr, ca: &[u8]) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca)?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .with_server_name_resolver(FixedServerNameResolver::new(ServerName::try_from(NAME)?))
            .enable_http2()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).http2_only(true).build(https),
            address,
        })
    }

    /// Asks once.
    #[allow(dead_code, reason = "not every benchmark does")]
    pub(crate) async fn once(&self, path: &str, review: Bytes) -> Result<()> {
        ask(self.client.clone(), format!("https://{}{path}?timeout=1s", self.address), review).await
    }

    /// Asks so many times a second, each time when it is due; the time that each answer took.
    pub(crate) async fn steadily(&self, path: &str, reviews: &[Bytes]) -> Result<Vec<Duration>> {
        let (say, mut said) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Handle::current();
        let uri = format!("https://{}{path}?timeout=3s", self.address);
        let (client, reviews) = (self.client.clone(), reviews.to_vec());
        // A thread of its own: the runtime's timers are a millisecond coarse, more than is measured.
        std::thread::spawn(move || {
            let began = Instant::now() + Duration::from_millis(5);
            for i in 0..REQUESTS {
                let due = began + Duration::from_secs(1) * i / PER_SECOND;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let review = reviews[i as usize % reviews.len()].clone();
                let (client, say, uri) = (client.clone(), say.clone(), uri.clone());
                runtime.spawn(async move {
                    let answer = ask(client, uri, review).await;
                    let _ = say.send(answer.map(|()| due.elapsed()));
                });
            }
        });
        let mut took = Vec::with_capacity(REQUESTS as usize);
        while let Some(one) = said.recv().await {
            took.push(one?);
        }
        Ok(took)
    }
}

async fn ask(
    client: Client<HttpsConnector<HttpConnector>, Body>,
    uri: String,
    review: Bytes,
) -> Result<()> {
    let request = Request::post(uri).header(header::CONTENT_TYPE, "application/json");
    let answer = client.request(request.body(Body::from(review))?).await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let body = axum::body::to_bytes(Body::new(answer.into_body()), 1 << 20).await?;
    ensure!(
        body.windows(14).any(|w| w == br#""allowed":true"#),
        "{}",
        String::from_utf8_lossy(&body)
    );
    Ok(())
}

/// Starts the other handler; it ends with what is returned.
pub(crate) async fn start_other() -> Result<(tokio::process::Child, Asked)> {
    let mut child = tokio::process::Command::new(std::env::current_exe()?)
        .arg(OTHER)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line).await?;
    let said: Value = serde_json::from_str(&line)?;
    let address = said["address"].as_str().context("no address")?.parse()?;
    Ok((child, Asked::new(address, said["ca"].as_str().context("no CA")?.as_bytes())?))
}

/// Is the other handler, until it is ended.
pub(crate) async fn answer_without_looking() -> Result<()> {
    let (names, lives, now) = ([NAME.to_owned()], Lives::default(), Timestamp::now());
    let authority = Authority::generate(&names, &lives, now)?;
    let resolver = Arc::new(ReloadingResolver::default());
    resolver.set(authority.issue(&names, &lives, now)?);
    let tls = webhook_certs::server_config(resolver, TlsVersions::Tls12And13, Clients::Anybody)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({"address": listener.local_addr()?, "ca": authority.cert_pem()}));
    let answer = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}"#;
    let router = axum::Router::new().route(
        "/",
        post(move |_: Bytes| {
            std::future::ready(([(header::CONTENT_TYPE, "application/json")], answer))
        }),
    );
    let (limits, metrics) = (ServerLimits::default(), Arc::new(Metrics::default()));
    let (_keep, tls) = watch::channel(Arc::new(tls));
    serve(listener, tls, router, limits, metrics, CancellationToken::new()).await;
    Ok(())
}
