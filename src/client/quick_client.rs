//! The client for urgent requests: one HTTP/2 connection that is open before it is needed.
//!
//! kube's own client uses HTTP/1.1: a write beside another costs a TLS handshake of tens of milliseconds,
//! and so does the first after an idle time, which a flip usually is.

use crate::client::{proxied, transport};
use hyper_util::client::legacy::connect::HttpConnector;
use kube::{Client, Config};
use std::time::Duration;

/// The timeout for a TCP connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that the API server closed is replaced within this time.
const WARM_EVERY: Duration = Duration::from_secs(15);

/// Builds the client. It does not retry: the reconciler decides again before each attempt.
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
