//! Requests to the leader, on the port of its webhook and with the `caBundle` of the API server.

use crate::client::quick_client;
use crate::deletion_guard::announcement::{
    ANNOUNCEMENT_PATH, Announcement, AnnouncementOutcome, LeaderAddress, PING_PATH,
};
use crate::deletion_guard::reachability::{LeaderUnreachable, ReachabilityLog};
use crate::kinds::brief;
use crate::telemetry::Metrics;
use anyhow::{Context, ensure};
use http::{Request, header};
use kube::config::AuthInfo;
use kube::{Client, Config};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between pings, so that a connection is open, and the token on it reviewed, before either is needed.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Between pings that fail.
const PING_AGAIN: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Calls the leader.
pub(crate) struct Peers {
    leader: watch::Receiver<LeaderAddress>,
    /// The `caBundle` of our webhook, in PEM; empty while not known.
    trust: watch::Receiver<Arc<[u8]>>,
    /// The name in every replica's certificate.
    server_name: String,
    /// The token by which the leader authenticates this replica.
    token_file: PathBuf,
    connected: Mutex<Option<Connected>>,
    /// The last ping failed: then no deletion is delayed for another attempt.
    is_cut_off: AtomicBool,
}

struct Connected {
    to: SocketAddr,
    trust: Arc<[u8]>,
    client: Client,
}

impl Peers {
    pub(crate) fn new(
        leader: watch::Receiver<LeaderAddress>,
        trust: watch::Receiver<Arc<[u8]>>,
        server_name: String,
        token_file: PathBuf,
    ) -> Self {
        let (connected, is_cut_off) = (Mutex::default(), AtomicBool::new(false));
        Self { leader, trust, server_name, token_file, connected, is_cut_off }
    }

    /// What the leader decides on an announcement.
    pub(crate) async fn announce(
        &self,
        announcement: &Announcement,
    ) -> anyhow::Result<AnnouncementOutcome> {
        ensure!(!self.is_cut_off.load(Ordering::Relaxed), "it was not reached just now");
        let client = self.client()?;
        let request = Request::post(ANNOUNCEMENT_PATH)
            .header(header::CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(announcement)?)?;
        Ok(client.request(request).await?)
    }

    /// Keeps the connection open while another replica leads, until dropped.
    pub(crate) async fn keep_warm(
        self: Arc<Self>,
        mut leading: watch::Receiver<bool>,
        metrics: Arc<Metrics>,
    ) {
        let (mut leader, mut trust) = (self.leader.clone(), self.trust.clone());
        let mut log = ReachabilityLog::default();
        metrics.guard.cut_off.set(1);
        loop {
            let leads = *leading.borrow_and_update();
            leader.mark_unchanged();
            trust.mark_unchanged();
            let unreachable = tokio::select! {
                checked = self.check(leads) => checked.err(),
                // Another replica leads now.
                Ok(()) = leader.changed() => continue,
            };
            self.is_cut_off.store(unreachable.is_some(), Ordering::Relaxed);
            metrics.guard.cut_off.set(i64::from(unreachable.is_some()));
            if log.observe(unreachable.is_none(), Instant::now()) {
                report(unreachable.as_ref());
            }
            let again = if unreachable.is_some() { PING_AGAIN } else { PING_EVERY };
            tokio::select! {
                () = tokio::time::sleep(again) => {}
                Ok(()) = leading.changed() => {}
                Ok(()) = leader.changed() => {}
                Ok(()) = trust.changed() => {}
            }
        }
    }

    /// Whether the leader takes announcements of this replica. A leader takes its own.
    async fn check(&self, leads: bool) -> Result<(), LeaderUnreachable> {
        if leads {
            return Ok(());
        }
        if self.leader.borrow().is_none() || self.trust.borrow().is_empty() {
            return Err(LeaderUnreachable::NotKnown);
        }
        let no_client = |error: anyhow::Error| LeaderUnreachable::NoClient(format!("{error:#}"));
        let client = self.client().map_err(no_client)?;
        let request = Request::get(PING_PATH).body(vec![]);
        let request = request.map_err(|error| no_client(error.into()))?;
        match tokio::time::timeout(TIMEOUT, client.request_text(request)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(LeaderUnreachable::Request(brief(&error))),
            Err(_) => Err(LeaderUnreachable::NoAnswer(TIMEOUT)),
        }
    }

    fn client(&self) -> anyhow::Result<Client> {
        let to = (*self.leader.borrow()).context("nobody is known to lead")?;
        let trust = self.trust.borrow().clone();
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = connected.as_ref().filter(|c| c.to == to && c.trust == trust) {
            return Ok(there.client.clone());
        }
        let roots = webhook_certs::certificates(&trust);
        ensure!(!roots.is_empty(), "no caBundle is known to verify it by");
        let mut config = Config::new(format!("https://{to}").parse()?);
        config.root_cert = Some(roots.iter().map(|root| root.to_vec()).collect());
        config.tls_server_name = Some(self.server_name.clone());
        let token_file = Some(self.token_file.display().to_string());
        config.auth_info = AuthInfo { token_file, ..AuthInfo::default() };
        let client = quick_client::connect(config)?;
        *connected = Some(Connected { to, trust, client: client.clone() });
        Ok(client)
    }
}

fn report(unreachable: Option<&LeaderUnreachable>) {
    match unreachable {
        Some(why) => tracing::warn!(
            %why,
            "the leader is not reached, or does not authenticate this replica: deletions of pods with the label failover.linkerd.io/guard, or in a namespace with it, that are reviewed here go on without a flip; may our pods reach each other on the webhook's port, and create tokenreviews?"
        ),
        None => tracing::info!("the leader is reached"),
    }
}
