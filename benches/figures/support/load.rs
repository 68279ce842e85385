//! A webhook at a steady rate of requests.
//!
//! A request is sent when it is due, and its latency counts from that moment: who is slow once pays for
//! all that had to wait.

use super::bench::PATIENCE;
use super::budget::Budget;
use anyhow::{Context, Result, ensure};
use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use test_cluster::{client_config, webhook_client};
use tokio::sync::mpsc;

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
    client: test_cluster::WebhookClient,
    address: SocketAddr,
}

/// Requests that are sent when they are due.
pub(super) struct Sending {
    /// When the first is due.
    pub began: Instant,
    /// What comes of each: the time from when it was due until it was answered.
    pub answers: mpsc::UnboundedReceiver<Result<Duration>>,
}

impl WebhookClient {
    pub(crate) fn new(address: SocketAddr, ca: &[u8]) -> Result<Self> {
        Ok(Self { client: webhook_client(client_config(ca)?)?, address })
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
        let (uri, reviews) = (self.uri(path), reviews.to_vec());
        let request = move |nth: usize| (uri.clone(), reviews[nth % reviews.len()].clone());
        let mut sending = self.send(PER_SECOND, REQUESTS, PATIENCE, request);
        let mut took = Vec::with_capacity(REQUESTS as usize);
        let all = async {
            while let Some(one) = sending.answers.recv().await {
                took.push(one?);
            }
            anyhow::Ok(())
        };
        let answered = tokio::time::timeout(PATIENCE, all).await;
        answered
            .with_context(|| format!("{path}: not all of {REQUESTS} requests are answered"))??;
        Ok(took)
    }

    /// Sends so many requests, of which `request` gives the URI and the body of each, so many a second. One that
    /// is not answered within `patience` has failed.
    pub(super) fn send(
        &self,
        per_second: u32,
        requests: u32,
        patience: Duration,
        request: impl Fn(usize) -> (String, Bytes) + Send + 'static,
    ) -> Sending {
        let (sender, answers) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Handle::current();
        let client = self.client.clone();
        let began = Instant::now() + Duration::from_millis(5);
        // A thread of its own: the runtime's timers are a millisecond coarse, more than is measured.
        std::thread::spawn(move || {
            for i in 0..requests {
                let due = began + Duration::from_secs(1) * i / per_second;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let (uri, review) = request(i as usize);
                let (client, sender) = (client.clone(), sender.clone());
                runtime.spawn(async move {
                    let answer = tokio::time::timeout(patience, post(client, uri, review)).await;
                    let answer = answer.context("no answer in time").flatten();
                    let _ = sender.send(answer.map(|()| due.elapsed()));
                });
            }
        });
        Sending { began, answers }
    }
}

async fn post(client: test_cluster::WebhookClient, uri: String, review: Bytes) -> Result<()> {
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
