//! Who may send alerts: a token for the receiver's audience, of one that may patch the Service itself.

use crate::support::alerts::*;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use test_cluster::{Workload, eventually};

const FINGERPRINT: &str = "9f2c41d8a07be315";

/// Sends a notification with a token: the status, and what is answered.
struct Sender {
    tls: tokio_rustls::TlsConnector,
    to: std::net::SocketAddr,
}

impl Sender {
    async fn send(&self, token: &str, body: &str) -> Result<(u16, String)> {
        let header = format!("authorization: Bearer {token}\r\n");
        let answer = post_with(&self.tls, self.to, "/alerts", &header, body.as_bytes()).await?;
        let status = answer.split(' ').nth(1).context("no answer")?.parse()?;
        Ok((status, answer))
    }

    async fn answers(&self, token: &str, body: &str, wanted: u16) -> Result<String> {
        let (status, answer) = self.send(token, body).await?;
        ensure!(status == wanted, "expected {wanted}: {answer}");
        Ok(answer)
    }
}

/// Nobody declares the Service down.
async fn ensure_unchanged(workload: &Workload<'_>) -> Result<()> {
    for name in ["down-until", "down-by", "down-reason"] {
        let found = service_annotation(workload, name).await?;
        ensure!(found.is_none(), "{name}: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_for_alerts_of_one_that_may_patch_the_service_declares_it_down() -> Result<()>
{
    let cluster = cluster().await?;
    let values = ["alerts.enabled=true", "alerts.minimumStay=0s"];
    let installation = install(&cluster, 1, &values).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    monitoring(&cluster).await?;
    let replica = &installation.replicas()[0];
    let sender = Sender { tls: connector(&cluster).await?, to: replica.webhook_addr() };
    let firing = notification(FINGERPRINT, "emoji-svc", "firing").to_string();
    let token = sender_token(&cluster, AUDIENCE).await?;

    // Nobody's, a forged one, and those for somebody else.
    let (head, signature) = token.rsplit_once('.').context("no JSON Web Token")?;
    let forged: String = signature.chars().rev().collect();
    sender.answers("", &firing, 401).await?;
    sender.answers("secret", &firing, 401).await?;
    sender.answers(&format!("{head}.{forged}"), &firing, 401).await?;
    for audience in ["https://kubernetes.default.svc.cluster.local", "failover.linkerd.io"] {
        let other = sender_token(&cluster, audience).await?;
        sender.answers(&other, &firing, 401).await?;
    }
    let own = Workload::new(&cluster, "linkerd-failover").await?;
    let note = wait_event(&own, "linkerd-failover", "AlertRefused", "Warning").await?;
    ensure!(note.contains(AUDIENCE) && note.contains("credentials_file"), "{note}");
    ensure_unchanged(&workload).await?;

    // A good one, whose owner may not patch the Service.
    let answer = sender.answers(&token, &firing, 403).await?;
    ensure!(answer.contains("may not patch it"), "{answer}");
    let note = wait_event(&workload, "emoji-svc", "AlertRefused", "Warning").await?;
    let allowed = note.split_once("to allow it: ").context("no next step")?.1.to_owned();
    ensure_unchanged(&workload).await?;

    // The Event's own commands allow it.
    for command in allowed.split("; ") {
        let arguments = command.strip_prefix("kubectl ").context("no kubectl")?;
        cluster.kubectl(arguments.split(' ')).ok().await?;
    }
    eventually("the sender may patch the Service", PATIENCE, || async {
        sender.answers(&token, &firing, 200).await
    })
    .await?;
    wait_declaring(&workload, 1).await?;
    let other = notification(FINGERPRINT, "emoji-svc-west", "firing").to_string();
    sender.answers(&token, &other, 403).await?;

    // Again, and a resolve of another alert: nothing changes. Its own ends it.
    let version = async || {
        let services: kube::Api<k8s_openapi::api::core::v1::Service> = workload.api();
        anyhow::Ok(services.get("emoji-svc").await?.metadata.resource_version)
    };
    let before = version().await?;
    let answer = sender.answers(&token, &firing, 200).await?;
    ensure!(answer.contains("unchanged"), "{answer}");
    let resolved = |fingerprint| notification(fingerprint, "emoji-svc", "resolved").to_string();
    sender.answers(&token, &resolved("ffffffffffffffff"), 200).await?;
    ensure!(version().await? == before, "a write that changes nothing");
    sender.answers(&token, &resolved(FINGERPRINT), 200).await?;
    ensure_unchanged(&workload).await?;

    // What a person has declared is left alone.
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    let annotation = format!("failover.linkerd.io/down-until={until}");
    workload.kubectl(["annotate", "service", "emoji-svc", &annotation]).ok().await?;
    let answer = sender.answers(&token, &firing, 200).await?;
    ensure!(answer.contains("by_person"), "{answer}");
    sender.answers(&token, &resolved(FINGERPRINT), 200).await?;
    ensure!(service_annotation(&workload, "down-until").await? == Some(until));

    // What nothing can come of.
    let gone = notification(FINGERPRINT, "Emoji", "firing").to_string();
    let answer = sender.answers(&token, &gone, 400).await?;
    ensure!(answer.contains("labels[\"service\"]"), "{answer}");
    sender.answers(&token, "{}", 400).await?;
    let large = format!("{{\"version\": \"{}\"}}", "4".repeat(2 * 1024 * 1024));
    sender.answers(&token, &large, 400).await?;
    let metrics = replica.get("/metrics").await?;
    for sample in [
        r#"linkerd_failover_alerts_total{outcome="forbidden"} "#,
        r#"linkerd_failover_alerts_total{outcome="declared"} 1"#,
        r#"linkerd_failover_alerts_total{outcome="ended"} 1"#,
        r#"linkerd_failover_alerts_total{outcome="by_person"} 2"#,
        r#"linkerd_failover_alert_requests_refused_total{why="unauthenticated"} 5"#,
    ] {
        ensure!(metrics.contains(sample), "{sample} is not in\n{metrics}");
    }
    Ok(())
}
