//! Reviews as an API server sends them: at a steady rate over one HTTP/2 connection that stays open, and
//! now and then over a new one. A review is sent when it is due, and its latency counts from then.

use anyhow::{Context, Result, ensure};
use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use rustls::ClientConfig;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use test_cluster::{WebhookClient, webhook_client};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// What an API server gives a webhook by default.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Reviews a second.
pub const PER_SECOND: u32 = 50;
/// One in so many is sent over a new connection.
const NEW_CONNECTION: usize = 20;

/// What came of reviews.
#[derive(Clone, Debug, Default)]
pub struct Reviews {
    /// The latencies over the connection that stays open.
    pub kept: Vec<Duration>,
    /// The latencies of those that had to open a connection first.
    pub new: Vec<Duration>,
    /// Why others were not answered.
    pub lost: Vec<String>,
}

impl Reviews {
    /// All that were sent.
    pub fn sent(&self) -> usize {
        self.kept.len() + self.new.len() + self.lost.len()
    }
}

/// The latency that 99 of 100 do not exceed; zero of none.
pub fn p99(latencies: &[Duration]) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let nth = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
    sorted.get(nth).copied().unwrap_or_default()
}

/// An API server.
pub struct ApiServer {
    webhook: SocketAddr,
    tls: ClientConfig,
    kept: WebhookClient,
    patience: Duration,
}

impl ApiServer {
    /// Without a connection yet; `tls` trusts the webhook's CA. A review that takes longer than
    /// `patience` is lost.
    pub fn new(webhook: SocketAddr, tls: ClientConfig, patience: Duration) -> Result<Self> {
        let kept = webhook_client(tls.clone())?;
        Ok(Self { webhook, tls, kept, patience })
    }

    /// Sends one review over the connection that stays open.
    pub async fn ask(&self) -> Result<()> {
        review(self.kept.clone(), self.webhook, 0).await
    }

    /// Sends reviews for so long, and waits for their answers.
    pub async fn send(&self, length: Duration) -> Result<Reviews> {
        let (began, mut sent) = (Instant::now(), JoinSet::new());
        for nth in 0_usize.. {
            let due = began + Duration::from_secs(1) * u32::try_from(nth)? / PER_SECOND;
            if due > began + length {
                break;
            }
            sleep_until(due).await;
            let is_new = nth % NEW_CONNECTION == NEW_CONNECTION - 1;
            let client = if is_new { webhook_client(self.tls.clone())? } else { self.kept.clone() };
            let (webhook, patience) = (self.webhook, self.patience);
            sent.spawn(async move {
                let answer = timeout(patience, review(client, webhook, nth)).await;
                let answer = answer
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {patience:?}")));
                (is_new, answer.map(|()| due.elapsed()))
            });
        }
        let mut reviews = Reviews::default();
        for (is_new, answer) in sent.join_all().await {
            match answer {
                Ok(latency) if is_new => reviews.new.push(latency),
                Ok(latency) => reviews.kept.push(latency),
                Err(error) => reviews.lost.push(format!("{error:#}")),
            }
        }
        Ok(reviews)
    }
}

async fn review(client: WebhookClient, webhook: SocketAddr, nth: usize) -> Result<()> {
    let path = if nth.is_multiple_of(2) { "mutate" } else { "validate" };
    let uri = format!("https://{webhook}/{path}?timeout=10s");
    let request = Request::post(uri).header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body(nth)))?;
    let answer = client.request(request).await.context("no answer")?;
    let status = answer.status();
    let body = axum::body::to_bytes(Body::new(answer.into_body()), 1 << 20).await?;
    let text = String::from_utf8_lossy(&body);
    ensure!(status == 200, "{status}: {text}");
    ensure!(text.contains(&format!(r#""uid":"review-{nth}""#)), "the uid of another: {text}");
    ensure!(text.contains(r#""allowed":true"#), "denied: {text}");
    Ok(())
}

/// The review of a split that is created.
fn body(nth: usize) -> Bytes {
    let kind = json!({"group": "split.smi-spec.io", "version": "v1alpha2", "kind": "TrafficSplit"});
    let resource =
        json!({"group": "split.smi-spec.io", "version": "v1alpha2", "resource": "trafficsplits"});
    let state = r#"{"decided":"steady-svc"}"#;
    let object = json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {
            "name": "honest", "namespace": "hardening",
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"},
            "annotations": {"example.com/about": state.repeat(40)},
        },
        "spec": {"service": "steady-svc", "backends": [
            {"service": "steady-svc", "weight": 1}, {"service": "steady-svc-west", "weight": 0},
        ]},
    });
    let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": format!("review-{nth}"),
        "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "name": "honest", "namespace": "hardening", "operation": "CREATE",
        "userInfo": {"username": "kubernetes-admin", "groups": ["system:authenticated"]},
        "object": object, "oldObject": null, "dryRun": false, "options": null,
    }});
    review.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_nine_of_a_hundred_are_not_slower_than_p99() {
        let latencies: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(p99(&latencies), Duration::from_millis(99));
        assert_eq!(p99(&latencies[..1]), Duration::from_millis(100));
        assert_eq!(p99(&[]), Duration::ZERO);
    }
}
