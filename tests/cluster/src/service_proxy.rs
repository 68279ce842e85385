//! What kube-proxy would do for one Service: its ClusterIP leads to ready pods.

use crate::replica::Probe;
use anyhow::Context;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What its thread may take to stop listening, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A kubelet takes a pod for not ready after as many failures.
const SILENCES: u32 = 3;

/// A pod that the Service selects.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub address: SocketAddr,
    pub probe: Probe,
}

/// Listens on a Service's address and forwards to the replicas that are ready,
/// in turn. While none is ready, connections are refused, as kube-proxy does.
///
/// It has a thread of its own: a test that blocks its runtime does not stop it.
#[derive(Debug)]
pub struct ServiceProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    mode: watch::Sender<Mode>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    backends: Mutex<Vec<Backend>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Up,
    Down,
    Silent,
    End,
}

impl ServiceProxy {
    pub(crate) fn start(address: SocketAddr) -> anyhow::Result<Self> {
        // Tried here, because later nobody is there to get the error.
        drop(std::net::TcpListener::bind(address).with_context(|| {
            format!("cannot listen on the webhook Service's address {address}")
        })?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mode, changes) = watch::channel(Mode::Up);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("service-proxy".into())
            .spawn(move || runtime.block_on(run(address, theirs, changes)))?;
        Ok(Self { address, shared, mode, thread: Some(thread) })
    }

    /// The ClusterIP and port that it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set_backends(&self, backends: Vec<Backend>) {
        *self.shared.lock() = backends;
    }

    /// Refuses connections and cuts those that are open, from the moment of its return.
    pub(crate) fn down(&self) {
        self.mode.send_replace(Mode::Down);
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(self.address).is_ok() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Accepts connections and lets nothing through, not even to those that are open.
    pub(crate) fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// Serves again. What was sent into the silence is lost with its connection.
    pub(crate) fn up(&self) {
        self.mode.send_replace(Mode::Up);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Backend>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ServiceProxy {
    fn drop(&mut self) {
        self.mode.send_replace(Mode::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn run(address: SocketAddr, shared: Arc<Shared>, mut mode: watch::Receiver<Mode>) {
    let (publish, mut ready) = watch::channel(Vec::new());
    let mut connections = JoinSet::new();
    let mut turn = 0;
    let mut listener = None;
    let poll = poll_readiness(&shared, &publish);
    tokio::pin!(poll);
    loop {
        let wanted = *mode.borrow_and_update();
        match wanted {
            Mode::Up | Mode::Silent => {}
            Mode::Down => connections.abort_all(),
            Mode::End => return,
        }
        let backends = ready.borrow_and_update().clone();
        if wanted == Mode::Down || backends.is_empty() {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        tokio::select! {
            () = &mut poll => return,
            changed = mode.changed() => if changed.is_err() { return },
            _ = ready.changed() => {}
            Some(_) = connections.join_next() => {}
            client = accept(listener.as_ref()) => {
                turn += 1;
                connections.spawn(pass(client, backends, turn, mode.clone()));
            }
        }
    }
}

/// Never returns without a listener: there is nothing to accept.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    if let Some(listener) = listener {
        loop {
            if let Ok((client, _)) = listener.accept().await {
                return client;
            }
            // Out of file descriptors, most likely: some may be free later.
            tokio::time::sleep(POLL).await;
        }
    }
    std::future::pending().await
}

/// Forwards until there is silence, and then holds the connection until that is over.
async fn pass(
    mut client: TcpStream,
    backends: Vec<SocketAddr>,
    turn: usize,
    mut mode: watch::Receiver<Mode>,
) {
    let silence = |mode: &Mode| *mode == Mode::Silent;
    tokio::select! {
        biased;
        _ = mode.wait_for(silence) => {}
        () = forward(&mut client, backends, turn) => return,
    }
    let _ = mode.wait_for(|mode| !silence(mode)).await;
}

async fn forward(client: &mut TcpStream, backends: Vec<SocketAddr>, turn: usize) {
    let count = backends.len();
    for backend in backends.iter().cycle().skip(turn % count).take(count) {
        if let Ok(mut server) = TcpStream::connect(backend).await {
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let _ = tokio::io::copy_bidirectional(client, &mut server).await;
            return;
        }
    }
}

async fn poll_readiness(shared: &Shared, publish: &watch::Sender<Vec<SocketAddr>>) {
    // How often in a row a pod that was ready has not answered.
    let mut silences: HashMap<SocketAddr, u32> = HashMap::new();
    loop {
        let backends = shared.lock().clone();
        let mut checks = JoinSet::new();
        for (nth, Backend { address, probe }) in backends.into_iter().enumerate() {
            checks.spawn(async move {
                let check = tokio::time::timeout(PROBE_TIMEOUT, probe.check()).await;
                (nth, address, check.ok().map(|answer| answer.is_ok()))
            });
        }
        let mut ready = vec![];
        for (nth, address, answer) in checks.join_all().await {
            let silent = silences.remove(&address).unwrap_or(SILENCES);
            let is_ready = match answer {
                Some(is_ready) => is_ready,
                // A machine that has too much to do is no pod that is not ready.
                None => silent + 1 < SILENCES,
            };
            if is_ready {
                silences.insert(address, if answer.is_none() { silent + 1 } else { 0 });
                ready.push((nth, address));
            }
        }
        ready.sort_unstable();
        let ready: Vec<SocketAddr> = ready.into_iter().map(|(_, address)| address).collect();
        publish.send_if_modified(|known| {
            let changed = *known != ready;
            *known = ready;
            changed
        });
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain_http;
    use crate::slot::Slot;
    use crate::wait::eventually;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn leads_to_what_is_ready() -> anyhow::Result<()> {
        let backend = TcpListener::bind("127.0.0.1:0").await?;
        let behind = backend.local_addr()?;
        tokio::spawn(async move {
            while let Ok((mut client, _)) = backend.accept().await {
                let _ = client.read(&mut [0; 1024]).await;
                let _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\nhere").await;
            }
        });
        // No port that an outgoing connection could take before the proxy listens.
        let slot = Slot::claim()?;
        let front = SocketAddr::from((slot.address(), slot.free_port()?));
        let proxy = ServiceProxy::start(front)?;
        let timeout = Duration::from_secs(60);
        let refused = plain_http::get(front, "/").await.expect_err("no backend");
        assert!(format!("{refused:#}").contains("refused"), "{refused:#}");

        let probe = Probe { address: behind, path: "/".into() };
        proxy.set_backends(vec![Backend { address: behind, probe }]);
        eventually("served", timeout, || plain_http::get(front, "/")).await?;
        proxy.down();
        eventually("refused", timeout, || async {
            match plain_http::get(front, "/").await {
                Ok(_) => Err("it is served"),
                Err(_) => Ok(()),
            }
        })
        .await?;
        proxy.up();
        eventually("served again", timeout, || plain_http::get(front, "/")).await?;

        let mut open = TcpStream::connect(front).await?;
        proxy.silence();
        let moment = Duration::from_millis(300);
        let answer = tokio::time::timeout(moment, plain_http::get(front, "/")).await;
        assert!(answer.is_err(), "{answer:?}");
        open.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let answer = tokio::time::timeout(moment, open.read_u8()).await;
        assert!(answer.is_err(), "{answer:?}");
        proxy.up();
        let cut = tokio::time::timeout(timeout, open.read_u8()).await?;
        assert!(cut.is_err(), "what was delayed is closed, not answered: {cut:?}");
        eventually("served at last", timeout, || plain_http::get(front, "/")).await?;
        Ok(())
    }
}
