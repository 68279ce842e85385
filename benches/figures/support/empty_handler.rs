//! A handler that answers without looking, which the webhook is measured against. It is served by the same stack
//! (TLS, HTTP/2, limits) in a process of its own, as the webhook is.

use super::child::Child;
use super::load::WebhookClient;
use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;
use linkerd_failover::telemetry::Metrics;
use linkerd_failover::webhook::server::{ServerLimits, serve};
use serde_json::{Value, json};
use std::sync::Arc;
use test_cluster::self_issued_tls;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The argument with which the benchmark's program is this handler.
pub(crate) const ARGUMENT: &str = "empty-handler";

/// Starts the handler in a process that ends with what is returned.
pub(crate) async fn start() -> Result<(Child, WebhookClient)> {
    let mut child = Child::start(&[ARGUMENT], &[])?;
    let server: Value = serde_json::from_str(&child.line().await?)?;
    let address = server["address"].as_str().context("no address")?.parse()?;
    let ca = server["ca"].as_str().context("no CA")?;
    Ok((child, WebhookClient::new(address, ca.as_bytes())?))
}

/// Serves until the process is ended.
pub(crate) async fn run() -> Result<()> {
    let (tls, ca) = self_issued_tls()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({"address": listener.local_addr()?, "ca": ca}));
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
