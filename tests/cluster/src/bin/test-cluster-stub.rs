//! Stands in for the real program in the tests of this crate: it is ready, and
//! answers whoever calls the webhook with something that is not TLS.

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arg = |flag: &str| {
        let found = std::env::args().find_map(|arg| arg.strip_prefix(flag).map(String::from));
        found.with_context(|| format!("no {flag}"))
    };
    println!("I am {}", arg("--name=")?);
    let webhook = std::env::var("LINKERD_FAILOVER_WEBHOOK_ADDR")?;
    tokio::try_join!(
        answer(arg("--admin-addr=")?, "HTTP/1.0 200 OK\r\n\r\n"),
        answer(webhook, "HTTP/1.0 400 This is no webhook\r\n\r\n"),
    )?;
    Ok(())
}

async fn answer(address: String, text: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (mut client, _) = listener.accept().await?;
        // Closing with a request unread would reset the connection.
        let _ = client.read(&mut [0; 4096]).await;
        let _ = client.write_all(text.as_bytes()).await;
    }
}
