//! TLS as a client of the webhook's speaks it.

use super::PATIENCE;
use anyhow::Result;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use test_cluster::{Cluster, WEBHOOK_NAME, client_config, webhook_ca};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Trusts the CA of the Secret and nothing else.
pub(crate) async fn connector(cluster: &Cluster) -> Result<TlsConnector> {
    let config = client_config(&webhook_ca(cluster).await?)?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Posts a body and returns all that comes back.
pub(crate) async fn post(
    tls: &TlsConnector,
    address: SocketAddr,
    path: &str,
    body: &[u8],
) -> Result<String> {
    post_with(tls, address, path, "", body).await
}

/// The same with further headers, which each end in `\r\n`.
pub(crate) async fn post_with(
    tls: &TlsConnector,
    address: SocketAddr,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Result<String> {
    let name = ServerName::try_from(WEBHOOK_NAME)?;
    let mut stream = tls.connect(name, TcpStream::connect(address).await?).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: webhook\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    // A server that has refused need not read the rest.
    let _ = stream.write_all(body).await;
    let mut answer = vec![];
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
