//! The smallest client that can ask a local process for one page.

use anyhow::Context;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Generous: a machine that builds beside the tests must not fail them.
const TIMEOUT: Duration = Duration::from_secs(30);

/// GETs `path` in plain HTTP and returns the status and the body.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    // HTTP/1.0: the answer ends where the connection ends, never in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    exchange(address, path, &request, TIMEOUT).await
}

/// POSTs JSON to `path` and returns the status and the body.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    json: &str,
    timeout: Duration,
) -> anyhow::Result<(u16, String)> {
    let length = json.len();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
    );
    exchange(address, path, &request, timeout).await
}

async fn exchange(
    address: SocketAddr,
    path: &str,
    request: &str,
    timeout: Duration,
) -> anyhow::Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(timeout, exchange)
        .await
        .with_context(|| format!("http://{address}{path} did not answer within {timeout:?}"))?
        .with_context(|| format!("http://{address}{path}"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("http://{address}{path} answered no HTTP: {answer:?}"))?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("http://{address}{path} answered no status: {head:?}"))?;
    Ok((status, body.to_string()))
}
