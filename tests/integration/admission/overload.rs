//! More clients and requests than there is room for: what is too much is shed, and the API server
//! is served.

use crate::support::*;
use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use test_cluster::{Replica, WEBHOOK_NAME, eventually, usage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What the webhook's `Limits` say.
const CONNECTIONS: f64 = 512.0;
const CROWD: f64 = CONNECTIONS * 1.25;
const REQUESTS: usize = 256;
/// Connections that were idle, closed for new ones.
const SHED: &str = "webhook_connections_shed_total{which=\"quiet\"}";

async fn count(replica: &Replica, name: &str) -> Result<f64> {
    let text = replica.get("/metrics").await?;
    Ok(metric(&text, &format!("linkerd_failover_{name}")).unwrap_or_default())
}

/// Silent connections to the webhook, the newest of them open. It goes as fast as the replica accepts.
struct Flood<'a> {
    replica: &'a Replica,
    open: VecDeque<TcpStream>,
}

impl Flood<'_> {
    /// Opens connections until the replica has closed so many more.
    async fn until_shed(&mut self, times: f64) -> Result<()> {
        let begin = count(self.replica, SHED).await?;
        let mut shed = 0.0;
        for _ in 0..1_000 {
            for _ in 0..100 {
                self.open.push_back(TcpStream::connect(self.replica.webhook_addr()).await?);
            }
            let excess = self.open.len().saturating_sub(700);
            self.open.drain(..excess);
            shed = count(self.replica, SHED).await? - begin;
            if shed >= times {
                return Ok(());
            }
        }
        bail!("{shed} of {times} connections are shed")
    }
}

/// Sends a review over a connection that stays open, and reads the answer.
async fn review(stream: &mut TlsStream<TcpStream>) -> Result<()> {
    let review =
        r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1"}}"#;
    let head = "POST /mutate HTTP/1.1\r\nhost: webhook\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{review}", review.len());
    stream.write_all(request.as_bytes()).await.context("the connection is closed")?;
    let mut answer = String::new();
    while !answer.contains(r#""uid":"u-1""#) {
        let mut part = [0; 1024];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut part)).await??;
        ensure!(read > 0, "the connection is closed after {answer:?}");
        answer.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_only_connect_push_each_other_out_and_not_the_api_server() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let replica = installation.replicas()[0].clone();
    workload.apply(&emoji()).await?;
    // Another client that has one connection, and uses it.
    let mut kept = connect(connector(&cluster).await?, replica.webhook_addr()).await?;
    review(&mut kept).await?;

    // Between two uses all connections that are only open have been replaced.
    let mut flood = Flood { replica: &replica, open: VecDeque::new() };
    for i in 0..10 {
        flood.until_shed(CROWD).await?;
        review(&mut kept).await.with_context(|| format!("review {i}"))?;
        let value = format!("example.com/n={i}");
        let applied = workload.kubectl(["annotate", "--overwrite", "trafficsplit/emoji", &value]);
        let (applied, flooded) = tokio::join!(applied.ok(), flood.until_shed(100.0));
        applied?;
        flooded?;
        let open = count(&replica, "webhook_connections").await?;
        ensure!(open <= CROWD, "{open} connections");
    }
    println!("{} connections shed meanwhile", count(&replica, SHED).await?);
    Ok(())
}

async fn connect(tls: TlsConnector, address: SocketAddr) -> Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(WEBHOOK_NAME)?;
    Ok(tls.connect(name, TcpStream::connect(address).await?).await?)
}

/// Begins a request whose body does not come to its end; the head of what comes back, and when.
async fn dawdle(mut stream: TlsStream<TcpStream>) -> Result<(String, Duration)> {
    let began = Instant::now();
    let head =
        "POST /validate?timeout=2s HTTP/1.1\r\nhost: webhook\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 1024];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await??;
    Ok((String::from_utf8_lossy(&answer[..read]).into_owned(), began.elapsed()))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_dawdle_push_each_other_out_and_not_those_of_the_api_server() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let replica = installation.replicas()[0].clone();
    let tls = connector(&cluster).await?;
    workload.apply(&emoji()).await?;
    let began = Instant::now();
    workload.kubectl(["annotate", "trafficsplit/emoji", "example.com/x=y"]).ok().await?;
    let unhindered = began.elapsed();

    let mut clients = JoinSet::new();
    for _ in 0..REQUESTS + 100 {
        clients.spawn(connect(tls.clone(), replica.webhook_addr()));
    }
    let mut dawdling = JoinSet::new();
    for client in clients.join_all().await {
        dawdling.spawn(dawdle(client?));
    }
    // Their places are taken. Those who wait for their clients make room for the API server.
    eventually("all places are taken", PATIENCE, || async {
        let taken = count(&replica, "admissions_in_flight").await?;
        ensure!(taken >= REQUESTS as f64, "{taken}");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    let applied = workload.kubectl(["annotate", "trafficsplit/emoji", "example.com/a=b"]).ok();
    let (applied, answers) = tokio::join!(applied, dawdling.join_all());
    applied?;
    let (mut shed, mut late) = (0, 0);
    for answer in answers {
        let (answer, took) = answer?;
        if answer.starts_with("HTTP/1.1 503") {
            ensure!(answer.contains("retry-after: 1"), "{answer}");
            shed += 1;
        } else {
            ensure!(answer.starts_with("HTTP/1.1 408"), "{answer}");
            ensure!(took > Duration::from_millis(1_500), "{took:?}");
            late += 1;
        }
    }
    println!("{shed} turned away, {late} cut off at their deadline");
    let counted = count(&replica, "admissions_shed_total{why=\"requests\"}").await?;
    ensure!(shed >= 100 && counted >= f64::from(shed), "{shed} answers, {counted} counted");
    ensure!(late > 0, "{late}");

    // Afterwards all is as before.
    wait_metric(&replica, "linkerd_failover_admissions_in_flight", 0.0).await?;
    ensure!(count(&replica, "admission_panics_total").await? == 0.0);
    let began = Instant::now();
    workload.kubectl(["annotate", "trafficsplit/emoji", "example.com/c=d"]).ok().await?;
    let took = began.elapsed();
    ensure!(took < at_most(Duration::from_secs(10), unhindered), "{took:?}");
    println!("{} MiB at most", usage::peak_memory(replica.process().pid())?);
    Ok(())
}
