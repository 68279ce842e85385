//! Clients that misbehave get a clear answer or a closed connection; every other client goes on.

use crate::support::*;
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_misbehaves_is_answered_or_cut_off_and_disturbs_nobody() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let address = installation.replicas()[0].webhook_addr();
    let tls = connector(&cluster).await?;

    // Many that connect and say nothing.
    let mut silent = vec![];
    for _ in 0..200 {
        silent.push(TcpStream::connect(address).await?);
    }
    workload.apply(&emoji()).await?;

    for path in ["/mutate", "/validate"] {
        let answer = post(&tls, address, path, b"not json").await?;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("not JSON"), "{answer}");
        let answer = post(&tls, address, path, br#"{"kind":"Pod","apiVersion":"v1"}"#).await?;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("found Pod of v1"),
            "{answer}"
        );
        let half = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1"}}"#;
        let answer = post(&tls, address, path, half).await?;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(r#""uid":"u-1""#),
            "{answer}"
        );
        assert!(answer.contains(&format!(r#""allowed":{}"#, path == "/mutate")), "{answer}");
        let answer = post(&tls, address, path, &vec![b' '; 20 << 20]).await?;
        assert!(answer.starts_with("HTTP/1.1 413") || answer.is_empty(), "{answer}");
    }
    let answer = post(&tls, address, "/elsewhere", b"{}").await?;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");

    // The silent ones are cut off by themselves.
    let mut one = silent.pop().context("no client")?;
    let mut nothing = [0; 1];
    let read = tokio::time::timeout(PATIENCE, one.read(&mut nothing)).await?;
    assert!(matches!(read, Ok(0) | Err(_)), "the connection is still open");
    workload.kubectl(["annotate", "trafficsplit/emoji", "example.com/still=served"]).ok().await?;
    tokio::time::timeout(Duration::from_secs(60), installation.wait_ready(PATIENCE)).await??;
    Ok(())
}
