//! Alertmanager's notifications: they repeat, some are lost, and the last one says that it is over.

use super::{Made, flip, insist};
use crate::world::{NAMESPACE, World};
use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use test_cluster::{client_config, webhook_ca};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

const REPEAT: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(5);
const AUDIENCE: &str = "--audience=alerts.failover.linkerd.io";

/// One alert about a primary fires again and again, and is resolved.
pub(super) async fn repeat(mut made: Made<'_>) -> anyhow::Result<()> {
    let world = made.world;
    let create = ["-n", "monitoring", "create", "token", "alertmanager", AUDIENCE];
    // Where the API server is away nobody gets a token, and no alert is sent.
    let Ok(token) = world.east.kubectl(create).ok().await else { return Ok(()) };
    let token = token.trim();
    let of = flip::primary(&mut made.random);
    let fingerprint = format!("{:016x}", made.fault.seed);
    let end = made.end();
    while tokio::time::Instant::now() < end {
        // Two of five are lost.
        if made.random.u8(..5) > 1 {
            let _ = send(world, token, &notification(&of, &fingerprint, "firing")).await;
        }
        tokio::time::sleep(REPEAT).await;
    }
    let resolved = notification(&of, &fingerprint, "resolved");
    insist("the alert is resolved", || send(world, token, &resolved)).await
}

fn notification(of: &(String, String), fingerprint: &str, status: &str) -> Value {
    json!({
        "version": "4", "status": status, "receiver": "linkerd-failover", "truncatedAlerts": 0,
        "alerts": [{
            "status": status,
            "labels": { "alertname": "Failing", "namespace": of.0, "service": of.1 },
            "annotations": {},
            "startsAt": Timestamp::now().to_string(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint,
        }],
    })
}

/// To the webhook's Service, as Alertmanager does.
async fn send(world: &World, token: &str, body: &Value) -> anyhow::Result<()> {
    let sent = async {
        let address = world.installation.webhook_service().context("no webhook")?;
        let config = client_config(&webhook_ca(&world.east).await?)?;
        let name = ServerName::try_from(format!("{NAMESPACE}-webhook.{NAMESPACE}.svc"))?;
        let tls = TlsConnector::from(Arc::new(config));
        let mut stream = tls.connect(name, TcpStream::connect(address).await?).await?;
        let body = body.to_string();
        let head = format!(
            "POST /alerts HTTP/1.1\r\nhost: webhook\r\ncontent-type: application/json\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    };
    tokio::time::timeout(PATIENCE, sent).await.context("no answer")?
}
