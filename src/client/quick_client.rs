//! The client for what callers wait for: one HTTP/2 connection that is open before it is needed.
//!
//! kube's own client speaks HTTP/1.1: each write beside another one costs a TLS handshake of tens of
//! milliseconds, and so does the first after a quiet while, which is when a flip comes.

use crate::client::{proxied, transport};
use hyper_util::client::legacy::connect::HttpConnector;
use kube::{Client, Config};
use std::time::Duration;

/// How long a TCP connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that the API server closed is made anew within this time.
const WARM_EVERY: Duration = Duration::from_secs(15);

/// Builds the client. Retries are the controller's business: it decides anew before each.
pub(crate) fn connect(config: Config) -> anyhow::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    match config.proxy_url.clone() {
        Some(proxy) => proxied::connect(&proxy, tcp, config),
        None => transport::over(tcp, config),
    }
}

/// Keeps a connection open, until dropped.
pub(crate) async fn keep_warm(client: Client) {
    loop {
        if let Err(error) = client.apiserver_version().await {
            tracing::debug!(%error, "the API server does not answer");
        }
        tokio::time::sleep(WARM_EVERY).await;
    }
}
