//! Starts the election, and publishes its result to the other parts.

use crate::deletion_guard::LeaderAddress;
use crate::engine::annotations;
use crate::leader_election::lease::{LeaderElection, always_leading, run_election};
use crate::reconciler::gates::brake::BrakeRecord;
use crate::runtime::process::Process;
use crate::runtime::tasks::Tasks;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use tokio::sync::watch;

/// What the Lease shows, as it changes.
pub(crate) struct Leadership {
    /// Whether this replica leads.
    pub leading: watch::Receiver<bool>,
    /// Where the leader takes announcements of pod deletions.
    pub leader_address: watch::Receiver<LeaderAddress>,
    pub brake_record: watch::Receiver<Option<BrakeRecord>>,
}

/// Takes part in the election, or leads alone where there is none.
pub(crate) fn start(process: &Process, tasks: &mut Tasks) -> Leadership {
    let options = &process.options;
    let (publish_address, leader_address) = watch::channel(None);
    let (publish_brake, brake_record) = watch::channel(None);
    if !options.uses_lease {
        process.metrics.leader.set(1);
        return Leadership { leading: always_leading(), leader_address, brake_record };
    }
    let (publish_leading, leading) = watch::channel(false);
    let webhook = options.webhook.as_ref();
    let address = webhook.and_then(|webhook| webhook.guard.as_ref()?.address(webhook.address));
    let candidate = LeaderElection {
        api: Api::namespaced(process.client.clone(), &options.installation.namespace),
        name: options.installation.name.clone(),
        identity: options.identity.replica.to_string(),
        address,
        shared: process.index.clone(),
        metrics: process.metrics.clone(),
        leading: publish_leading,
        leader_address: publish_address,
        on_read: Box::new(move |lease| publish_record(&publish_brake, lease)),
    };
    tasks.last.tasks.spawn(run_election(candidate, tasks.last.stop.clone()));
    Leadership { leading, leader_address, brake_record }
}

/// Publishes what the Lease records of the brake; nothing recorded counts as an empty record.
fn publish_record(published: &watch::Sender<Option<BrakeRecord>>, lease: Option<&Lease>) {
    let annotation = lease.and_then(|lease| lease.annotations().get(annotations::BRAKE));
    let record = Some(BrakeRecord::parse(annotation.map(String::as_str)));
    published.send_if_modified(|last| {
        let changed = *last != record;
        *last = record;
        changed
    });
}
