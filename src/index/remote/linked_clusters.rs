//! What is known of linked clusters, and which Services here rest on what there.

use crate::engine::SteadyTime;
use crate::engine::{Health, Unknown};
use crate::index::endpoint_count::{self, EndpointCount};
use crate::index::endpoints::SliceFacts;
use crate::index::order::{Superseded, Ticket};
use crate::index::remote::members::Member;
use crate::index::remote::mirrors::MirrorThere;
use crate::index::remote::reach::{Reach, Transition};
use crate::index::remote::services::{Beside, RemoteService, RemoteServices};
use crate::index::remote::union::of_member;
use crate::index::service_facts::{ServiceKind, ServicePort};
use crate::index::slice_table::{SliceTable, SliceUpdate};
use crate::kinds::ObjectKey;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// From a Service that is rested on to the local ones that do.
type Resting = HashMap<ObjectKey, BTreeSet<ObjectKey>>;

/// The facts of every linked cluster.
#[derive(Debug, Default)]
pub(crate) struct LinkedClusters {
    clusters: HashMap<Box<str>, LinkedCluster>,
    /// On Services of this cluster: the local members of federated ones.
    on_here: Resting,
    /// On Services of linked clusters, linked or not yet.
    on_there: HashMap<Box<str>, Resting>,
    /// Grows when what is asked of a cluster may have changed.
    revision: u64,
}

#[derive(Debug, Default)]
struct LinkedCluster {
    reach: Reach,
    slices: SliceTable,
    services: RemoteServices,
    /// The Services that the slices are those of.
    listed: HashSet<ObjectKey>,
    /// Its own mirrors of other clusters, through gateways.
    mirrors: HashMap<ObjectKey, MirrorThere>,
}

impl LinkedClusters {
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The objects that are managed, or what they name, may have changed.
    pub(crate) fn reconsider(&mut self) {
        self.revision += 1;
    }

    /// A Service rests on these now, and rested on those before.
    pub(crate) fn rest(&mut self, service: &ObjectKey, before: &[Member], now: &[Member]) {
        if before == now {
            return;
        }
        for member in before {
            let on = named(service, member);
            let resting = self.resting_on(member);
            if let Some(there) = resting.get_mut(&on) {
                there.remove(service);
                if there.is_empty() {
                    resting.remove(&on);
                }
            }
        }
        for member in now {
            let on = named(service, member);
            self.resting_on(member).entry(on).or_default().insert(service.clone());
        }
        self.on_there.retain(|_, resting| !resting.is_empty());
        self.revision += 1;
    }

    fn resting_on(&mut self, member: &Member) -> &mut Resting {
        match member {
            Member::Here(_) => &mut self.on_here,
            Member::There { cluster, .. } => self.on_there.entry(cluster.clone()).or_default(),
        }
    }

    /// The federated Services that a Service of this cluster is a member of.
    pub(crate) fn resting_here(&self, on: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.on_here.get(on).into_iter().flatten()
    }

    /// The Services of a cluster that local ones rest on, with these.
    pub(crate) fn resting_there(
        &self,
        cluster: &str,
    ) -> impl Iterator<Item = (&ObjectKey, &BTreeSet<ObjectKey>)> {
        self.on_there.get(cluster).into_iter().flatten()
    }

    /// There are credentials for a cluster.
    pub(crate) fn link(&mut self, cluster: &str) {
        self.clusters.entry(cluster.into()).or_default();
    }

    /// There are none any more.
    pub(crate) fn unlink(&mut self, cluster: &str) {
        self.clusters.remove(cluster);
    }

    /// The mirrors of other clusters that a linked one has, as far as that can be seen.
    pub(crate) fn mirrors_there(&self, cluster: &str) -> impl Iterator<Item = &MirrorThere> {
        self.clusters.get(cluster).into_iter().flat_map(|there| there.mirrors.values())
    }

    pub(crate) fn set_mirrors_there(
        &mut self,
        cluster: &str,
        now: HashMap<ObjectKey, MirrorThere>,
    ) {
        if let Some(there) = self.clusters.get_mut(cluster) {
            there.mirrors = now;
        }
    }

    pub(crate) fn reach(&self, cluster: &str) -> Option<&Reach> {
        self.clusters.get(cluster).map(|there| &there.reach)
    }

    /// Changes what is known of whether a cluster can be reached.
    pub(crate) fn note(
        &mut self,
        cluster: &str,
        change: impl FnOnce(&mut Reach),
    ) -> Option<Option<Transition>> {
        let reach = &mut self.clusters.get_mut(cluster)?.reach;
        let before = reach.clone();
        change(reach);
        let transition = reach.transition(&before);
        (*reach != before).then_some(transition)
    }

    /// A LIST of these Services' slices is complete: it replaces what was known, whatever its
    /// numbers. It may be another API server's, or that of an etcd that was restored.
    pub(crate) fn set_listed(
        &mut self,
        cluster: &str,
        requested: &BTreeSet<ObjectKey>,
        listed: Vec<SliceUpdate>,
    ) {
        let Some(there) = self.clusters.get_mut(cluster) else { return };
        there.slices.replace(listed);
        there.listed = requested.iter().cloned().collect();
    }

    /// A slice changed. Returns the Services there that did.
    pub(crate) fn set_slice(&mut self, cluster: &str, update: SliceUpdate) -> BTreeSet<ObjectKey> {
        let there = self.clusters.get_mut(cluster);
        there.map(|there| there.slices.set(update)).unwrap_or_default()
    }

    /// Its watch says that a slice is gone. Returns the Services there that changed.
    pub(crate) fn delete_slice(
        &mut self,
        cluster: &str,
        slice: &ObjectKey,
        version: u64,
    ) -> BTreeSet<ObjectKey> {
        let there = self.clusters.get_mut(cluster);
        there.map(|there| there.slices.delete(slice, version)).unwrap_or_default()
    }

    /// A LIST of a Service's slices, past the watch, is about to be asked for.
    pub(crate) fn ticket(&self, cluster: &str, service: &ObjectKey) -> Option<Ticket> {
        self.clusters.get(cluster).map(|there| there.slices.order.ticket(service))
    }

    /// Takes in a LIST of one Service's slices, made past the watch with this ticket. Returns whether
    /// it showed anything new.
    pub(crate) fn confirm(
        &mut self,
        cluster: &str,
        ticket: &Ticket,
        service: &ObjectKey,
        listed: Vec<SliceUpdate>,
        at: u64,
    ) -> Result<bool, Superseded> {
        let there = self.clusters.get_mut(cluster).ok_or(Superseded::ListedSince)?;
        Ok(!there.slices.confirm(ticket, service, listed, at)?.is_empty())
    }

    /// Changes what is known of a cluster's Services.
    pub(crate) fn note_services<T>(
        &mut self,
        cluster: &str,
        now: SteadyTime,
        change: impl FnOnce(&mut RemoteServices, Beside<'_>) -> T,
    ) -> Option<T> {
        let LinkedCluster { slices, services, .. } = self.clusters.get_mut(cluster)?;
        Some(change(services, Beside { now, slices: &|service| slices.fingerprint(service) }))
    }

    /// A LIST of a Service itself, past the watch, is about to be asked for; none where we may not.
    pub(crate) fn service_ticket(&self, cluster: &str, service: &ObjectKey) -> Option<Ticket> {
        self.clusters.get(cluster)?.services.ticket(service)
    }

    /// The endpoints of a Service of a cluster for these ports of the local one, or why they cannot
    /// be seen. Deletions there are not announced here.
    pub(crate) fn count(
        &self,
        cluster: &str,
        service: &ObjectKey,
        ports: &[&ServicePort],
    ) -> Result<EndpointCount, Health> {
        let there = self.seen(cluster, service)?;
        let count = |names: &[Option<&str>]| {
            endpoint_count::count(there.slices.of(service), names, |_| None)
        };
        let names = match there.services.get(service) {
            RemoteService::Unread => ports.iter().map(|port| Some(port.name.as_str())).collect(),
            RemoteService::Is(facts) if facts.kind == ServiceKind::Slices => facts.names_of(ports),
            RemoteService::Is(_) => return Ok(EndpointCount::default()),
            // What is left of it goes in a moment, and is asked by number until then.
            RemoteService::Missing => vec![None; ports.len()],
        };
        of_member(&names, ports, count)
    }

    /// Why the endpoints of a Service of a cluster may offer ports that they do not seem to.
    pub(crate) fn doubt(
        &self,
        cluster: &str,
        service: &ObjectKey,
        now: SteadyTime,
    ) -> Option<Unknown> {
        self.clusters.get(cluster)?.services.doubt(cluster, service, now)
    }

    /// Services of a cluster changed, or their slices did.
    pub(crate) fn observe(&mut self, cluster: &str, changed: &[ObjectKey]) {
        let Some(LinkedCluster { slices, services, .. }) = self.clusters.get_mut(cluster) else {
            return;
        };
        for service in changed {
            services.observe(service, || slices.fingerprint(service));
        }
    }

    /// What tells its endpoints apart, also from those of other clusters; none where it cannot be
    /// seen.
    pub(crate) fn identities(&self, cluster: &str, service: &ObjectKey) -> Option<Vec<u64>> {
        let slices = self.seen(cluster, service).ok()?.slices.of(service);
        let salted = |identity: u64| {
            let mut hasher = DefaultHasher::new();
            (cluster, identity).hash(&mut hasher);
            hasher.finish()
        };
        Some(slices.flat_map(SliceFacts::identities).map(salted).collect())
    }

    fn seen(&self, cluster: &str, service: &ObjectKey) -> Result<&LinkedCluster, Health> {
        let named = || cluster.to_owned();
        let unknown = |unknown| Err(Health::Unknown(unknown));
        let Some(there) = self.clusters.get(cluster) else {
            return unknown(Unknown::NotLinked { cluster: named() });
        };
        match &there.reach {
            Reach::Seen { .. } if there.listed.contains(service) => Ok(there),
            Reach::Idle | Reach::Asked { .. } | Reach::Seen { .. } => {
                unknown(Unknown::NotListed { cluster: named() })
            }
            Reach::Lost { since } => {
                unknown(Unknown::Unreachable { cluster: named(), since: since.wall })
            }
            Reach::Unverified { why } => {
                unknown(Unknown::Unverified { cluster: named(), why: why.clone() })
            }
            Reach::Failing { why } => {
                unknown(Unknown::Failing { cluster: named(), why: why.clone() })
            }
            Reach::Refused { why } => {
                unknown(Unknown::Refused { cluster: named(), why: why.clone() })
            }
            Reach::Down { since } => {
                Err(Health::Unreachable { cluster: named(), since: since.wall })
            }
        }
    }
}

/// A member of a Service, in that one's namespace.
fn named(service: &ObjectKey, member: &Member) -> ObjectKey {
    match member {
        Member::Here(name) | Member::There { service: name, .. } => service.beside(name),
    }
}
