//! The Lease: the election's I/O.

use crate::engine::annotations::JUDGE;
use crate::index::shared_index::SharedIndex;
use crate::informers::list_watch::follow;
use crate::kinds::brief;
use crate::leader_election::brake_record::BrakeRecord;
use crate::leader_election::election::{Election, ElectionStep, LeaseRecord, Timing};
use crate::leader_election::eligibility::{Eligibility, LeaseAction};
use crate::telemetry::Metrics;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::runtime::watcher::Event;
use kube::{Api, ResourceExt};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often a replica whose caches are not synced looks whether they are.
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
    /// Where the other replicas call this one; none where they need not.
    pub address: Option<SocketAddr>,
    pub shared: SharedIndex,
    pub metrics: Arc<Metrics>,
    /// Whether this replica leads.
    pub leading: watch::Sender<bool>,
    /// Where the leader is called.
    pub leader_address: watch::Sender<Option<SocketAddr>>,
    /// What the Lease records of the brake, each time that it is read past the caches.
    pub brake: watch::Sender<Option<BrakeRecord>>,
}

/// Acquires and renews the Lease until `stop`, then releases it. `leading` turns false by itself where
/// the Lease cannot be renewed in time, and where the caches are not synced for too long.
pub(crate) async fn run_election(election: LeaderElection, stop: CancellationToken) {
    let LeaderElection {
        api,
        name,
        identity,
        address,
        shared,
        metrics,
        leading,
        leader_address,
        brake,
    } = election;
    let timing = Timing::default();
    let election = Election::new(identity.clone(), timing);
    let mut candidate = Candidate {
        election,
        api,
        name,
        identity,
        address,
        leader_address: leader_address.clone(),
        brake,
    };
    let report = |leads: bool| {
        metrics.leader.set(i64::from(leads));
        let changed = leading.send_if_modified(|led| std::mem::replace(led, leads) != leads);
        if changed {
            tracing::info!("{}", if leads { "leading" } else { "no longer leading" });
        }
    };
    let mut releases = pin!(watch_releases(&candidate.api, &candidate.name, leader_address));
    let mut eligibility = Eligibility::default();
    loop {
        let (synced, now) = (shared.read().synced.all(), Instant::now());
        let leads = candidate.election.leads(now);
        match eligibility.action(synced, now) {
            LeaseAction::Release if leads => {
                tracing::warn!("the caches are not whole: giving the Lease to a replica that sees");
                candidate.election.lost();
                report(false);
                candidate.release().await;
                continue;
            }
            LeaseAction::AcquireOrRenew | LeaseAction::Renew if leads || synced => {}
            _ => {
                tokio::select! {
                    () = tokio::time::sleep(SYNC_POLL) => continue,
                    () = stop.cancelled() => break,
                }
            }
        }
        // A try that hangs must not outlive the deadline by which we have to stop leading.
        let limit = timing.renew_deadline / 2;
        let tried = tokio::time::timeout(limit, candidate.try_acquire_or_renew());
        match tokio::select! { tried = tried => tried, () = stop.cancelled() => break } {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = brief(&error), "cannot read or write the Lease")
            }
            Err(_) => tracing::warn!("the API server does not answer for the Lease"),
        }
        report(candidate.election.leads(Instant::now()));
        let next = Instant::now() + timing.retry;
        if let Some(ends) = candidate.election.leads_until().filter(|ends| *ends < next) {
            tokio::time::sleep_until(ends.into()).await;
            report(candidate.election.leads(Instant::now()));
        }
        let leads = candidate.election.leads(Instant::now());
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            Some(()) = releases.next(), if !leads => {}
            () = stop.cancelled() => break,
        }
    }
    let led = candidate.election.leads(Instant::now());
    report(false);
    if led {
        candidate.release().await;
    }
}

/// The moments at which the Lease is seen to be released: the next holder need not wait. Publishes the
/// address of each new holder.
fn watch_releases(
    api: &Api<Lease>,
    name: &str,
    leader_address: watch::Sender<Option<SocketAddr>>,
) -> impl Stream<Item = ()> + use<> {
    let events = follow(api.clone(), &format!("metadata.name={name}"));
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

struct Candidate {
    election: Election,
    api: Api<Lease>,
    name: String,
    identity: String,
    address: Option<SocketAddr>,
    leader_address: watch::Sender<Option<SocketAddr>>,
    brake: watch::Sender<Option<BrakeRecord>>,
}

impl Candidate {
    async fn try_acquire_or_renew(&mut self) -> kube::Result<()> {
        let lease = self.api.get_opt(&self.name).await?;
        if let Some(lease) = &lease {
            publish_address(&self.leader_address, lease);
        }
        let recorded = Some(lease.as_ref().map(BrakeRecord::of).unwrap_or_default());
        self.brake.send_if_modified(|last| {
            let changed = *last != recorded;
            *last = recorded;
            changed
        });
        let began = Instant::now();
        let step = self.election.observe(lease.as_ref().map(record), began);
        let written = match (step, lease) {
            (ElectionStep::Wait, _) => {
                self.election.lost();
                return Ok(());
            }
            (ElectionStep::Update { new_holder }, Some(mut lease)) => {
                self.set_address(&mut lease);
                let spec = lease.spec.get_or_insert_default();
                if new_holder {
                    spec.acquire_time = Some(MicroTime(Timestamp::now()));
                    spec.lease_transitions =
                        Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
                }
                self.set_holder(spec);
                // The resourceVersion that was read goes along: of two takers one gets 409.
                self.api.replace(&self.name, &PostParams::default(), &lease).await
            }
            (ElectionStep::Create | ElectionStep::Update { .. }, _) => {
                let mut spec = LeaseSpec {
                    acquire_time: Some(MicroTime(Timestamp::now())),
                    lease_transitions: Some(0),
                    ..LeaseSpec::default()
                };
                self.set_holder(&mut spec);
                let mut lease = Lease { spec: Some(spec), ..Lease::default() };
                lease.metadata.name = Some(self.name.clone());
                self.set_address(&mut lease);
                self.api.create(&PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(lease) => {
                self.election.wrote(record(&lease), began);
                Ok(())
            }
            // Somebody was faster; the next try sees who.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn set_address(&self, lease: &mut Lease) {
        let annotations = lease.metadata.annotations.get_or_insert_default();
        match self.address {
            Some(address) => annotations.insert(JUDGE.into(), address.to_string()),
            None => annotations.remove(JUDGE),
        };
    }

    fn set_holder(&self, spec: &mut LeaseSpec) {
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(Timing::default().lease.as_secs() as i32);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
    }

    async fn release(&mut self) {
        let limit = Timing::default().renew_deadline;
        if !matches!(tokio::time::timeout(limit, self.try_release()).await, Ok(Ok(()))) {
            tracing::warn!("the Lease was not given back; it expires by itself");
        }
    }

    /// Empties the Lease, so that the next replica need not wait for it to expire.
    async fn try_release(&mut self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        if record(&lease).holder != self.identity {
            return Ok(());
        }
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.api.replace(&self.name, &PostParams::default(), &lease).await.map(|_| ())
    }
}

fn publish_address(leader_address: &watch::Sender<Option<SocketAddr>>, lease: &Lease) {
    let is_held = !record(lease).holder.is_empty();
    let address = lease.annotations().get(JUDGE).filter(|_| is_held);
    let address = address.and_then(|address| address.parse().ok());
    leader_address.send_if_modified(|last| std::mem::replace(last, address) != address);
}

fn record(lease: &Lease) -> LeaseRecord {
    let spec = lease.spec.clone().unwrap_or_default();
    LeaseRecord {
        holder: spec.holder_identity.unwrap_or_default(),
        renewed: format!("{:?} {:?}", spec.renew_time, spec.lease_transitions),
    }
}
