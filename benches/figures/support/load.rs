//! A webhook at a steady rate of requests.
//!
//! A request is sent when it is due, and its latency counts from that moment: who is slow once pays for
//! all that had to wait.

use super::bench::PATIENCE;
use super::budget::Budget;
use anyhow::{Context, Result, ensure};
use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use test_cluster::client_config;
use tokio::sync::mpsc;

/// The name in the webhook's certificate.
pub(crate) const SERVER_NAME: &str = "linkerd-failover-webhook.linkerd-failover.svc";
pub(crate) const PER_SECOND: u32 = 200;
/// Of one endpoint, in each round: half a second, so that what else the machine does meets all alike.
pub(crate) const REQUESTS: u32 = 100;

/// The server and the path.
pub(crate) type Target<'a> = (&'a WebhookClient, &'a str);

/// Loads all targets in turn, round by round, with what `reviews` gives for each; of each round, the
/// seconds that each target took.
pub(crate) async fn in_turn(
    targets: &[Target<'_>],
    budget: Budget,
    mut reviews: impl FnMut(usize) -> Vec<Bytes>,
) -> Result<Vec<Vec<Vec<f64>>>> {
    let mut rounds = vec![];
    let mut turns: Vec<usize> = (0..targets.len()).collect();
    for round in budget {
        let mut took = vec![vec![]; targets.len()];
        // In any order: a Lease is renewed every two seconds, and shall not always meet the same one.
        fastrand::shuffle(&mut turns);
        for target in &turns {
            let (client, path) = targets[*target];
            let times = client.at_steady_rate(path, &reviews(*target)).await?;
            took[*target].extend(times.iter().map(Duration::as_secs_f64));
        }
        // The first round warms up.
        if round > 0 {
            rounds.push(took);
        }
    }
    Ok(rounds)
}

/// The rounds of one target beside those of the first.
pub(crate) fn beside_first(rounds: &[Vec<Vec<f64>>], target: usize) -> Vec<[Vec<f64>; 2]> {
    rounds.iter().map(|took| [took[target].clone(), took[0].clone()]).collect()
}

/// Calls a webhook over one HTTP/2 connection, as an API server does.
pub(crate) struct WebhookClient {
    pub(super) client: Client<HttpsConnector<HttpConnector>, Body>,
    address: SocketAddr,
}

impl WebhookClient {
    pub(crate) fn new(address: SocketAddr, ca: &[u8]) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(client_config(ca)?)
            .https_only()
            .with_server_name_resolver(FixedServerNameResolver::new(ServerName::try_from(
                SERVER_NAME,
            )?))
            .enable_http2()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).http2_only(true).build(https),
            address,
        })
    }

    /// Of a path, with the timeout that the chart gives the API server.
    pub(super) fn uri(&self, path: &str) -> String {
        format!("https://{}{path}?timeout=3s", self.address)
    }

    /// Calls once.
    pub(crate) async fn call(&self, path: &str, review: Bytes) -> Result<()> {
        let uri = format!("https://{}{path}?timeout=1s", self.address);
        let answer = tokio::time::timeout(PATIENCE, post(self.client.clone(), uri, review)).await;
        answer.with_context(|| format!("{path} does not answer"))?
    }

    /// Calls [`REQUESTS`] times, each when it is due; the time that each answer took.
    pub(crate) async fn at_steady_rate(
        &self,
        path: &str,
        reviews: &[Bytes],
    ) -> Result<Vec<Duration>> {
        let (sender, mut answers) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Handle::current();
        let uri = self.uri(path);
        let (client, reviews) = (self.client.clone(), reviews.to_vec());
        // A thread of its own: the runtime's timers are a millisecond coarse, more than is measured.
        std::thread::spawn(move || {
            let began = Instant::now() + Duration::from_millis(5);
            for i in 0..REQUESTS {
                let due = began + Duration::from_secs(1) * i / PER_SECOND;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let review = reviews[i as usize % reviews.len()].clone();
                let (client, sender, uri) = (client.clone(), sender.clone(), uri.clone());
                runtime.spawn(async move {
                    let answer = post(client, uri, review).await;
                    let _ = sender.send(answer.map(|()| due.elapsed()));
                });
            }
        });
        let mut took = Vec::with_capacity(REQUESTS as usize);
        let all = async {
            while let Some(one) = answers.recv().await {
                took.push(one?);
            }
            anyhow::Ok(())
        };
        let answered = tokio::time::timeout(PATIENCE, all).await;
        answered
            .with_context(|| format!("{path}: not all of {REQUESTS} requests are answered"))??;
        Ok(took)
    }
}

pub(super) async fn post(
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
