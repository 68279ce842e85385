//! What the election reads from a Lease and writes into it. No I/O.

use crate::engine::annotations::JUDGE;
use crate::leader_election::election::{ElectionStep, LeaseRecord};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use std::net::SocketAddr;
use std::time::Duration;

/// What a candidate writes into the Lease.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The name of the Lease.
    pub lease: String,
    pub identity: String,
    /// Where the other replicas send announcements while this one leads; none where they need not.
    pub address: Option<SocketAddr>,
    /// How long the holder counts as alive without a renewal.
    pub duration: Duration,
}

impl Claim {
    /// The Lease with this candidate as its holder; none where the step leaves it to another.
    pub(crate) fn claimed(
        &self,
        step: ElectionStep,
        lease: Option<Lease>,
        now: Timestamp,
    ) -> Option<Lease> {
        let mut lease = lease.unwrap_or_default();
        let spec = lease.spec.get_or_insert_default();
        match step {
            ElectionStep::Wait => return None,
            ElectionStep::Update { new_holder: false } => {}
            ElectionStep::Update { new_holder: true } => {
                spec.acquire_time = Some(MicroTime(now));
                spec.lease_transitions =
                    Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
            }
            ElectionStep::Create => {
                spec.acquire_time = Some(MicroTime(now));
                spec.lease_transitions = Some(0);
            }
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(self.duration.as_secs() as i32);
        spec.renew_time = Some(MicroTime(now));
        lease.metadata.name = Some(self.lease.clone());
        let annotations = lease.metadata.annotations.get_or_insert_default();
        match self.address {
            Some(address) => annotations.insert(JUDGE.into(), address.to_string()),
            None => annotations.remove(JUDGE),
        };
        Some(lease)
    }

    /// The Lease without a holder, so that the next one need not wait until it expires; none where it is
    /// another's.
    pub(crate) fn released(&self, mut lease: Lease, now: Timestamp) -> Option<Lease> {
        if record(&lease).holder != self.identity {
            return None;
        }
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(now));
        Some(lease)
    }
}

/// What of a Lease decides the election.
pub(crate) fn record(lease: &Lease) -> LeaseRecord {
    let spec = lease.spec.clone().unwrap_or_default();
    LeaseRecord {
        holder: spec.holder_identity.unwrap_or_default(),
        renewed: format!("{:?} {:?}", spec.renew_time, spec.lease_transitions),
    }
}

/// Where the holder takes announcements; none where nobody holds the Lease.
pub(crate) fn leader_address(lease: &Lease) -> Option<SocketAddr> {
    let is_held = !record(lease).holder.is_empty();
    lease.annotations().get(JUDGE).filter(|_| is_held)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(address: Option<&str>) -> Claim {
        Claim {
            lease: "linkerd-failover".into(),
            identity: "me".into(),
            address: address.map(|address| address.parse().unwrap()),
            duration: Duration::from_secs(6),
        }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn created(address: Option<&str>) -> Lease {
        claim(address).claimed(ElectionStep::Create, None, second(1)).unwrap()
    }

    #[test]
    fn a_renewal_changes_the_renew_time_and_a_new_holder_counts_as_a_transition() {
        let created = created(None);
        let spec = created.spec.clone().unwrap();
        assert_eq!((spec.lease_transitions, spec.lease_duration_seconds), (Some(0), Some(6)));
        let update = |new_holder| {
            let step = ElectionStep::Update { new_holder };
            claim(None).claimed(step, Some(created.clone()), second(2)).unwrap().spec.unwrap()
        };
        let renewed = update(false);
        assert_eq!(renewed.renew_time, Some(MicroTime(second(2))));
        assert_eq!(renewed.acquire_time, Some(MicroTime(second(1))));
        assert_eq!(renewed.lease_transitions, Some(0));
        let acquired = update(true);
        assert_eq!(acquired.acquire_time, Some(MicroTime(second(2))));
        assert_eq!(acquired.lease_transitions, Some(1));
        assert_eq!(claim(None).claimed(ElectionStep::Wait, Some(created), second(2)), None);
    }

    #[test]
    fn the_address_is_that_of_the_holder() {
        let address = "10.1.2.3:8443";
        let held = created(Some(address));
        assert_eq!(leader_address(&held), address.parse().ok());
        let step = ElectionStep::Update { new_holder: true };
        let without = claim(None).claimed(step, Some(held.clone()), second(2)).unwrap();
        assert_eq!(leader_address(&without), None);
        let released = claim(None).released(held, second(2)).unwrap();
        assert_eq!(leader_address(&released), None);
    }

    #[test]
    fn only_the_holder_releases() {
        let released = claim(None).released(created(None), second(2)).unwrap();
        assert_eq!(record(&released).holder, "");
        assert_eq!(released.spec.as_ref().unwrap().lease_transitions, Some(0));
        assert_eq!(claim(None).released(released, second(3)), None);
    }
}
