//! The way to the leader: its webhook port, where the API server calls it too, and with the same
//! `caBundle`.

use crate::client::quick_client;
use crate::deletion_guard::announcement::{
    ANNOUNCEMENT_PATH, Announcement, AnnouncementOutcome, LeaderAddress, PING_PATH,
};
use crate::kinds::brief;
use crate::telemetry::Metrics;
use anyhow::{Context, ensure};
use http::{Method, Request, header};
use kube::config::AuthInfo;
use kube::{Client, Config};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A connection is open, and the token on it reviewed, before either is needed.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_AGAIN: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Calls the leader.
pub(crate) struct Peers {
    pub leader: watch::Receiver<LeaderAddress>,
    /// The `caBundle` of our webhook, in PEM; empty while not known.
    pub trust: watch::Receiver<Arc<[u8]>>,
    /// The name in every replica's certificate.
    pub server_name: String,
    /// The token that this replica shows.
    pub token_file: PathBuf,
    connected: Mutex<Option<Connected>>,
    /// The last ping failed: then no deletion is delayed for another try.
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
        let (mut before, mut reported) = (None, None);
        metrics.guard.cut_off.set(1);
        loop {
            let is_ours = *leading.borrow_and_update();
            let known =
                leader.borrow_and_update().is_some() && !trust.borrow_and_update().is_empty();
            let problem = match (is_ours, known) {
                (true, _) => None,
                (false, true) => {
                    let tried = tokio::select! {
                        tried = self.ping() => tried,
                        // Another leads now.
                        Ok(()) = leader.changed() => continue,
                    };
                    tried.err().map(|error| format!("{error:#}"))
                }
                (false, false) => {
                    Some("its address (annotation failover.linkerd.io/judge of the Lease) or the caBundle of our ValidatingWebhookConfiguration is not known".into())
                }
            };
            self.is_cut_off.store(problem.is_some(), Ordering::Relaxed);
            metrics.guard.cut_off.set(i64::from(problem.is_some()));
            // It takes a moment until the address of a new leader is known.
            let lasts = problem == before;
            if lasts && problem != reported {
                match &problem {
                    Some(why) => tracing::warn!(
                        why,
                        "the replica that leads is not reached, or does not know this one: deletions of pods that this one hears of go on without a flip; may our pods reach each other on the webhook's port, and create tokenreviews?"
                    ),
                    None => tracing::info!("the replica that leads is reached"),
                }
                reported.clone_from(&problem);
            }
            let again = if problem.is_some() { PING_AGAIN } else { PING_EVERY };
            before = problem;
            tokio::select! {
                () = tokio::time::sleep(again) => {}
                Ok(()) = leading.changed() => {}
                Ok(()) = leader.changed() => {}
                Ok(()) = trust.changed() => {}
            }
        }
    }

    async fn ping(&self) -> anyhow::Result<()> {
        let request = Request::builder().method(Method::GET).uri(PING_PATH).body(vec![])?;
        let client = self.client()?;
        match tokio::time::timeout(TIMEOUT, client.request_text(request)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => anyhow::bail!("{}", brief(&error)),
            Err(_) => anyhow::bail!("no answer within {} s", TIMEOUT.as_secs()),
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
        ensure!(!roots.is_empty(), "no caBundle is known to believe it by");
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
