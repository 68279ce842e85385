//! A receiver on loopback for tests, which answers as it is made to.

use crate::notifications::receiver::Receiver;
use crate::notifications::settings::NotificationSettings;
use crate::notifications::signature::SigningKey;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// With this status line and headers.
    Head(&'static str),
    /// Never.
    Hang,
    /// By closing the connection.
    Close,
    /// With this head and a body without end.
    Endless(&'static str),
    /// With this head, and a body that never comes.
    Stalled(&'static str),
}

/// A receiver, which ends when it is dropped.
pub(super) struct TestServer {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl TestServer {
    /// One that gives these answers in turn, and the last of them from then on.
    pub(super) async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(vec![]));
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, answers) = (seen.clone(), answers.clone());
                tokio::spawn(async move { serve(stream, &seen, &answers).await });
            }
        });
        Self { address, requests, task }
    }

    pub(super) fn receiver(&self) -> Receiver {
        receiver(&format!("http://{}/hooks/x?y=z", self.address), None)
    }

    /// What it was sent, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The key that signs.
pub(super) const KEY: &str = "sixteen bytes or more";

pub(super) fn receiver(url: &str, ca: Option<String>) -> Receiver {
    let settings = NotificationSettings {
        url: url.parse().unwrap(),
        key: SigningKey::parse(KEY).unwrap(),
        types: vec![],
        source: "/clusters/east".into(),
        ca,
    };
    Receiver::new(&settings).unwrap()
}

/// Answers the requests of a connection, one after the other.
pub(super) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<String>>,
    answers: &Mutex<VecDeque<Answer>>,
) {
    while let Some(request) = read(&mut stream).await {
        seen.lock().unwrap().push(request);
        let answer = {
            let mut answers = answers.lock().unwrap();
            let next = *answers.front().unwrap();
            if answers.len() > 1 {
                answers.pop_front();
            }
            next
        };
        if !give(&mut stream, answer).await {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let (mut request, mut buffer) = (vec![], [0; 4096]);
    while !request.ends_with(b"}}") {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
    }
    Some(String::from_utf8(request).unwrap())
}

/// Whether the connection goes on.
async fn give(stream: &mut (impl AsyncWrite + Unpin), answer: Answer) -> bool {
    match answer {
        Answer::Head(head) => {
            let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.is_ok()
        }
        Answer::Close => false,
        Answer::Hang => std::future::pending().await,
        Answer::Endless(head) => {
            let head = format!("HTTP/1.1 {head}\r\ntransfer-encoding: chunked\r\n\r\n");
            let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
            let mut going = stream.write_all(head.as_bytes()).await.is_ok();
            while going {
                going = stream.write_all(chunk.as_bytes()).await.is_ok();
            }
            false
        }
        Answer::Stalled(head) => {
            let head = format!("HTTP/1.1 {head}\r\ncontent-length: 10\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending().await
        }
    }
}
