//! The webhook's server with a fault, so that each verdict is seen to fail: without bounds, with room for
//! next to no connection, or with requests that block its thread.

use anyhow::{Context, Result, bail};
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, header};
use axum::routing::post;
use linkerd_failover::telemetry::Metrics;
use linkerd_failover::webhook::server::{ServerLimits, serve as serve_tls};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use test_cluster::self_issued_tls;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The first argument of the program that is such a server.
pub const ARGUMENT: &str = "planted";

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bodies of any size are kept for ever.
    NoBounds,
    /// Connections for four clients.
    NoRoom,
    /// A body of more than a MiB blocks the thread.
    Blocks,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::NoBounds => "no-bounds",
            Self::NoRoom => "no-room",
            Self::Blocks => "blocks",
        }
    }

    fn limits(self) -> ServerLimits {
        let limits = ServerLimits::default();
        match self {
            Self::NoRoom => ServerLimits { connections: 4, ..limits },
            Self::NoBounds | Self::Blocks => limits,
        }
    }
}

/// A server with a fault, in a process that ends with this.
pub struct Server {
    /// Keeps it running.
    pub child: Child,
    /// Its address, as text.
    pub address: String,
    /// Its CA, in PEM.
    pub ca: String,
}

/// Starts one by the program `hardening`.
pub async fn start(program: &Path, fault: Fault) -> Result<Server> {
    let mut command = Command::new(program);
    command.args([ARGUMENT, fault.name()]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().context("no stdout")?;
    let line = BufReader::new(stdout).lines().next_line().await?.context("it says nothing")?;
    let server: Value = serde_json::from_str(&line)?;
    let text = |key: &str| server[key].as_str().map(str::to_owned).context("it says less");
    Ok(Server { child, address: text("address")?, ca: text("ca")? })
}

/// Serves until the process is ended.
pub async fn serve(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let name = arguments.next().unwrap_or_default();
    let faults = [Fault::NoBounds, Fault::NoRoom, Fault::Blocks];
    let Some(fault) = faults.into_iter().find(|fault| fault.name() == name) else {
        bail!("found the fault {name:?}, expected one of {faults:?}");
    };
    let (tls, ca) = self_issued_tls()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({"address": listener.local_addr()?.to_string(), "ca": ca}));
    let answer = move |body: Bytes| std::future::ready(answer(fault, &body));
    let router = axum::Router::new()
        .route("/mutate", post(answer))
        .route("/validate", post(answer))
        .layer(DefaultBodyLimit::disable());
    let (metrics, (_keep, tls)) = (Arc::new(Metrics::default()), watch::channel(Arc::new(tls)));
    serve_tls(listener, tls, router, fault.limits(), metrics, CancellationToken::new()).await;
    Ok(())
}

static KEPT: Mutex<Vec<Bytes>> = Mutex::new(Vec::new());

fn answer(fault: Fault, body: &Bytes) -> ([(HeaderName, &'static str); 1], String) {
    if body.len() > 1 << 20 {
        match fault {
            Fault::NoBounds => {
                KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(body.clone());
            }
            Fault::Blocks => std::thread::sleep(Duration::from_millis(500)),
            Fault::NoRoom => {}
        }
    }
    let review: Value = serde_json::from_slice(body).unwrap_or_default();
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true}});
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string())
}
