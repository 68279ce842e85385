//! A candidate for the Lease: the election's I/O.

use crate::index::shared_index::SharedIndex;
use crate::informers::list_watch::follow;
use crate::kinds::brief;
use crate::leader_election::claim::{Claim, leader_address, record};
use crate::leader_election::election::{Election, ElectionStep, Timing};
use crate::leader_election::eligibility::{CandidateStep, Eligibility};
use crate::telemetry::Metrics;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::watcher::Event;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How often a candidate whose caches are not synced checks them.
const SYNC_POLL: Duration = Duration::from_millis(50);

/// For `--no-lease`: the only replica leads.
pub(crate) fn always_leading() -> watch::Receiver<bool> {
    watch::channel(true).1
}

/// A candidate for the Lease, and where the result of the election is published.
pub(crate) struct LeaderElection {
    pub api: Api<Lease>,
    pub name: String,
    pub identity: String,
    /// Where the other replicas send announcements while this one leads; none where they need not.
    pub address: Option<SocketAddr>,
    pub shared: SharedIndex,
    pub metrics: Arc<Metrics>,
    /// Whether this replica leads.
    pub leading: watch::Sender<bool>,
    /// Where the leader takes announcements.
    pub leader_address: watch::Sender<Option<SocketAddr>>,
    /// Called with the Lease each time that it is read past the caches; none while there is none.
    pub on_read: OnRead,
}

/// What follows the Lease as it is read.
pub(crate) type OnRead = Box<dyn Fn(Option<&Lease>) + Send + Sync>;

/// Acquires and renews the Lease until `stop`, then releases it. `leading` turns false by itself where
/// the Lease cannot be renewed in time, and where the caches are not synced for too long.
pub(crate) async fn run_election(election: LeaderElection, stop: CancellationToken) {
    let mut candidate = Candidate::new(election);
    let mut releases = pin!(candidate.watch_releases());
    loop {
        let step = candidate.next_step(Instant::now());
        let ended = match step {
            CandidateStep::Release => {
                tracing::warn!("the caches are not synced: releasing the Lease to another replica");
                candidate.resign().await;
                continue;
            }
            CandidateStep::AwaitSync => stop.run_until_cancelled(sleep(SYNC_POLL)).await,
            CandidateStep::Attempt => {
                stop.run_until_cancelled(candidate.attempt_and_rest(&mut releases)).await
            }
        };
        if ended.is_none() {
            break;
        }
    }
    candidate.resign().await;
}

struct Candidate {
    election: Election,
    eligibility: Eligibility,
    timing: Timing,
    claim: Claim,
    parts: LeaderElection,
}

impl Candidate {
    fn new(parts: LeaderElection) -> Self {
        let timing = Timing::default();
        let (lease, identity) = (parts.name.clone(), parts.identity.clone());
        let election = Election::new(identity.clone(), timing);
        let claim = Claim { lease, identity, address: parts.address, duration: timing.lease };
        Self { election, eligibility: Eligibility::default(), timing, claim, parts }
    }

    fn next_step(&mut self, now: Instant) -> CandidateStep {
        let synced = self.parts.shared.read().synced.all();
        self.eligibility.next_step(synced, self.election.leads(now), now)
    }

    /// One attempt, and the time until the next one. A standby's ends early when the Lease is released.
    async fn attempt_and_rest(&mut self, releases: &mut (impl Stream<Item = ()> + Unpin)) {
        // An attempt that hangs must not outlive the deadline by which this replica stops leading.
        match timeout(self.timing.renew_deadline / 2, self.acquire_or_renew()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = brief(&error), "cannot read or write the Lease");
            }
            Err(_) => tracing::warn!("the API server does not answer for the Lease"),
        }
        self.publish_leading();
        let next = Instant::now() + self.timing.retry;
        if let Some(ends) = self.election.leads_until().filter(|ends| *ends < next) {
            sleep_until(ends.into()).await;
            self.publish_leading();
        }
        let leads = self.election.leads(Instant::now());
        tokio::select! {
            () = sleep_until(next.into()) => {}
            Some(()) = releases.next(), if !leads => {}
        }
    }

    async fn acquire_or_renew(&mut self) -> kube::Result<()> {
        let lease = self.parts.api.get_opt(&self.parts.name).await?;
        if let Some(lease) = &lease {
            publish_address(&self.parts.leader_address, lease);
        }
        (self.parts.on_read)(lease.as_ref());
        let began = Instant::now();
        let step = self.election.observe(lease.as_ref().map(record), began);
        let Some(claimed) = self.claim.claimed(step, lease, Timestamp::now()) else {
            self.election.lost();
            return Ok(());
        };
        let params = PostParams::default();
        let written = match step {
            ElectionStep::Create => self.parts.api.create(&params, &claimed).await,
            // With the resourceVersion that was read: of two candidates one gets 409.
            _ => self.parts.api.replace(&self.parts.name, &params, &claimed).await,
        };
        match written {
            Ok(lease) => {
                self.election.wrote(record(&lease), began);
                Ok(())
            }
            // Another candidate was faster; the next attempt reads which.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Leads no longer, and releases the Lease where it led.
    async fn resign(&mut self) {
        let led = self.election.leads(Instant::now());
        self.election.lost();
        self.publish_leading();
        if led && !matches!(timeout(self.timing.renew_deadline, self.release()).await, Ok(Ok(()))) {
            tracing::warn!("the Lease was not released; it expires by itself");
        }
    }

    async fn release(&self) -> kube::Result<()> {
        let (api, name) = (&self.parts.api, &self.parts.name);
        let lease = api.get_opt(name).await?;
        let released = lease.and_then(|lease| self.claim.released(lease, Timestamp::now()));
        match released {
            Some(lease) => api.replace(name, &PostParams::default(), &lease).await.map(drop),
            None => Ok(()),
        }
    }

    fn publish_leading(&self) {
        let leads = self.election.leads(Instant::now());
        self.parts.metrics.leader.set(i64::from(leads));
        let set = |led: &mut bool| std::mem::replace(led, leads) != leads;
        if self.parts.leading.send_if_modified(set) {
            tracing::info!("{}", if leads { "leading" } else { "no longer leading" });
        }
    }

    /// The moments at which the Lease is seen to be released: the next holder need not wait. Publishes
    /// the address of each new holder.
    fn watch_releases(&self) -> impl Stream<Item = ()> + use<> {
        let leader_address = self.parts.leader_address.clone();
        let received = self.parts.metrics.watches.begin("leases");
        let name = format!("metadata.name={}", self.parts.name);
        let events = follow(self.parts.api.clone(), &name, received);
        events.filter_map(move |event| {
            let released = match event {
                Event::InitApply(lease) | Event::Apply(lease) => {
                    publish_address(&leader_address, &lease);
                    record(&lease).holder.is_empty()
                }
                Event::Init | Event::InitDone | Event::Delete(_) => false,
            };
            std::future::ready(released.then_some(()))
        })
    }
}

fn publish_address(published: &watch::Sender<Option<SocketAddr>>, lease: &Lease) {
    let address = leader_address(lease);
    published.send_if_modified(|last| std::mem::replace(last, address) != address);
}
