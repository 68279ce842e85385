//! A receiver of notifications on loopback, which fails as it is told to.

use super::*;
use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use test_cluster::{Cluster, Installation, eventually};
use tokio::task::JoinHandle;

/// The key that signs notifications.
pub(crate) const KEY: &str = "a key for tests, of some bytes";

/// Two replicas, of a chart with these values, that send notifications to this receiver.
pub(crate) async fn two_replicas(
    cluster: &Cluster,
    receiver: &TestReceiver,
    values: &[&str],
) -> Result<Installation> {
    let mut installation = Installation::install(cluster, options(0, values)).await?;
    let url = receiver.url();
    for _ in 0..2 {
        let environment = [
            ("LINKERD_FAILOVER_NOTIFICATIONS_URL", url.as_str()),
            ("LINKERD_FAILOVER_NOTIFICATIONS_KEY", KEY),
            ("LINKERD_FAILOVER_NOTIFICATIONS_SOURCE", "/clusters/east"),
        ];
        installation.start_replica_with(&environment).await?;
    }
    installation.wait_ready(PATIENCE).await?;
    Ok(installation)
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Accept,
    Fail,
    /// For good.
    Refuse,
    /// Never.
    Hang,
}

/// A receiver, which ends when it is dropped.
pub(crate) struct TestReceiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    answer: Answer,
    /// Requests that it did not accept.
    failed: usize,
    /// What it accepted, in order.
    accepted: Vec<Value>,
    /// What was wrong with a request.
    faults: Vec<String>,
}

type SharedState = Arc<Mutex<Shared>>;

impl TestReceiver {
    pub(crate) async fn start(answer: Answer) -> Result<Self> {
        let shared = Shared { answer, failed: 0, accepted: vec![], faults: vec![] };
        let shared = Arc::new(Mutex::new(shared));
        let router = Router::new().route("/hook", post(receive)).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, server })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn answer(&self, answer: Answer) {
        lock(&self.shared).answer = answer;
    }

    /// How many requests it has not accepted.
    pub(crate) fn failed(&self) -> usize {
        lock(&self.shared).failed
    }

    /// What it has accepted of a type, each id once, in order.
    pub(crate) fn accepted(&self, what: &str) -> Vec<Value> {
        let kind = format!("io.linkerd.failover.{what}.v1");
        let shared = lock(&self.shared);
        let mut distinct: Vec<Value> = vec![];
        for event in shared.accepted.iter().filter(|event| event["type"] == kind.as_str()) {
            if !distinct.iter().any(|known| known["id"] == event["id"]) {
                distinct.push(event.clone());
            }
        }
        distinct
    }

    /// Waits until it has accepted so many of a type.
    pub(crate) async fn wait(&self, what: &str, wanted: usize) -> Result<Vec<Value>> {
        let name = format!("{wanted} notifications {what}");
        let accepted = eventually(&name, PATIENCE, || async {
            let accepted = self.accepted(what);
            ensure!(accepted.len() >= wanted, "{:?}", lock(&self.shared));
            Ok(accepted)
        })
        .await?;
        let shared = lock(&self.shared);
        ensure!(shared.faults.is_empty(), "{:?}", shared.faults);
        ensure!(accepted.len() == wanted, "{accepted:?}");
        Ok(accepted)
    }
}

impl Drop for TestReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(State(shared): State<SharedState>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let answer = {
        let mut shared = lock(&shared);
        match (shared.answer, verified(&headers, &body)) {
            (_, Err(fault)) => shared.faults.push(format!("{fault:#}")),
            (Answer::Accept, Ok(event)) => shared.accepted.push(event),
            (Answer::Fail | Answer::Refuse | Answer::Hang, Ok(_)) => shared.failed += 1,
        }
        shared.answer
    };
    match answer {
        Answer::Accept => StatusCode::NO_CONTENT,
        Answer::Fail => StatusCode::INTERNAL_SERVER_ERROR,
        Answer::Refuse => StatusCode::UNPROCESSABLE_ENTITY,
        Answer::Hang => std::future::pending().await,
    }
}

/// The CloudEvent of a request, once its signature is verified as the documentation has it.
fn verified(headers: &HeaderMap, body: &[u8]) -> Result<Value> {
    let header = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).context(name.to_owned())
    };
    let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
    let sent: i64 = at.parse()?;
    ensure!((jiff::Timestamp::now().as_second() - sent).abs() < 300, "sent at {sent}");
    let signature = header("webhook-signature")?.strip_prefix("v1,").context("another version")?;
    let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let verified = hmac::verify(&key, &signed, &BASE64_STANDARD.decode(signature)?);
    ensure!(verified.is_ok(), "the signature is another");
    ensure!(header("content-type")? == "application/cloudevents+json", "another content-type");
    let event: Value = serde_json::from_slice(body)?;
    ensure!(event["id"] == id && event["specversion"] == "1.0", "{event}");
    ensure!(event["source"] == "/clusters/east", "{event}");
    Ok(event)
}
