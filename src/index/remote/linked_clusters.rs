//! The facts of linked clusters, and which Services here have members there.

use crate::engine::SteadyTime;
use crate::engine::{Health, Unknown};
use crate::index::announced_pods::AnnouncedNow;
use crate::index::endpoint_count::EndpointCount;
use crate::index::endpoints::SliceFacts;
use crate::index::order::{Superseded, Ticket};
use crate::index::remote::members::Member;
use crate::index::remote::mirrors::RemoteMirror;
use crate::index::remote::reach::{Reach, Transition};
use crate::index::remote::services::{ChangeContext, RemoteService, RemoteServices};
use crate::index::remote::union::of_member;
use crate::index::service_facts::{ServiceKind, ServicePort};
use crate::index::slice_table::{SliceTable, SliceUpdate};
use crate::kinds::ObjectKey;
use crate::kinds::hash::hash_of;
use std::collections::{BTreeSet, HashMap, HashSet};

/// From a member to the local Services that it is a member of.
type Memberships = HashMap<ObjectKey, BTreeSet<ObjectKey>>;

/// The facts of every linked cluster.
#[derive(Debug, Default)]
pub(crate) struct LinkedClusters {
    clusters: HashMap<Box<str>, LinkedCluster>,
    /// By the local members of federated Services.
    of_local: Memberships,
    /// By cluster, linked or not yet.
    of_remote: HashMap<Box<str>, Memberships>,
    /// Grows when the Services that are requested of a cluster may have changed.
    revision: u64,
}

#[derive(Debug, Default)]
struct LinkedCluster {
    reach: Reach,
    slices: SliceTable,
    services: RemoteServices,
    /// The Services whose slices are listed.
    listed: HashSet<ObjectKey>,
    /// Its own mirrors of other clusters, through gateways.
    mirrors: HashMap<ObjectKey, RemoteMirror>,
}

impl LinkedClusters {
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Notifies that the managed objects, or what they name, may have changed.
    pub(crate) fn objects_changed(&mut self) {
        self.revision += 1;
    }

    /// Replaces the members of a Service.
    pub(crate) fn set_members(&mut self, service: &ObjectKey, before: &[Member], now: &[Member]) {
        if before == now {
            return;
        }
        for member in before {
            let key = key_of(service, member);
            let memberships = self.memberships_of(member);
            if let Some(services) = memberships.get_mut(&key) {
                services.remove(service);
                if services.is_empty() {
                    memberships.remove(&key);
                }
            }
        }
        for member in now {
            let key = key_of(service, member);
            self.memberships_of(member).entry(key).or_default().insert(service.clone());
        }
        self.of_remote.retain(|_, memberships| !memberships.is_empty());
        self.revision += 1;
    }

    fn memberships_of(&mut self, member: &Member) -> &mut Memberships {
        match member {
            Member::Local(_) => &mut self.of_local,
            Member::Remote { cluster, .. } => self.of_remote.entry(cluster.clone()).or_default(),
        }
    }

    /// The federated Services that a Service of this cluster is a member of.
    pub(crate) fn federated_over(&self, member: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.of_local.get(member).into_iter().flatten()
    }

    /// The Services of a cluster that are members of local ones, with the local ones.
    pub(crate) fn members_in(
        &self,
        cluster: &str,
    ) -> impl Iterator<Item = (&ObjectKey, &BTreeSet<ObjectKey>)> {
        self.of_remote.get(cluster).into_iter().flatten()
    }

    /// Adds a cluster, whose credentials are there.
    pub(crate) fn link(&mut self, cluster: &str) {
        self.clusters.entry(cluster.into()).or_default();
    }

    /// Removes a cluster, whose credentials are gone.
    pub(crate) fn unlink(&mut self, cluster: &str) {
        self.clusters.remove(cluster);
    }

    /// The mirrors of other clusters that a linked one has, as far as they can be seen.
    pub(crate) fn mirrors_of(&self, cluster: &str) -> impl Iterator<Item = &RemoteMirror> {
        self.clusters.get(cluster).into_iter().flat_map(|linked| linked.mirrors.values())
    }

    pub(crate) fn set_mirrors_of(&mut self, cluster: &str, now: HashMap<ObjectKey, RemoteMirror>) {
        if let Some(linked) = self.clusters.get_mut(cluster) {
            linked.mirrors = now;
        }
    }

    pub(crate) fn reach(&self, cluster: &str) -> Option<&Reach> {
        self.clusters.get(cluster).map(|linked| &linked.reach)
    }

    /// Changes the reach of a cluster. Returns the transition to report, if any; none where nothing changed.
    pub(crate) fn change_reach(
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

    /// Replaces the slices by a complete LIST of those of these Services, whatever its versions: it may come
    /// from another API server, or from an etcd that was restored.
    pub(crate) fn set_listed(
        &mut self,
        cluster: &str,
        requested: &BTreeSet<ObjectKey>,
        listed: Vec<SliceUpdate>,
    ) {
        let Some(linked) = self.clusters.get_mut(cluster) else { return };
        linked.slices.replace(listed);
        linked.listed = requested.iter().cloned().collect();
    }

    /// Enters a slice. Returns the Services there that changed.
    pub(crate) fn set_slice(&mut self, cluster: &str, update: SliceUpdate) -> BTreeSet<ObjectKey> {
        let linked = self.clusters.get_mut(cluster);
        linked.map(|linked| linked.slices.set(update)).unwrap_or_default()
    }

    /// Removes a slice, as its watch reports. Returns the Services there that changed.
    pub(crate) fn delete_slice(
        &mut self,
        cluster: &str,
        slice: &ObjectKey,
        version: u64,
    ) -> BTreeSet<ObjectKey> {
        let linked = self.clusters.get_mut(cluster);
        linked.map(|linked| linked.slices.delete(slice, version)).unwrap_or_default()
    }

    /// A ticket for a LIST of a Service's slices, past the watch.
    pub(crate) fn ticket(&self, cluster: &str, service: &ObjectKey) -> Option<Ticket> {
        self.clusters.get(cluster).map(|linked| linked.slices.order.ticket(service))
    }

    /// Enters a LIST of one Service's slices, requested past the watch with this ticket. Returns whether it
    /// shows anything new.
    pub(crate) fn confirm(
        &mut self,
        cluster: &str,
        ticket: &Ticket,
        service: &ObjectKey,
        listed: Vec<SliceUpdate>,
        at: u64,
    ) -> Result<bool, Superseded> {
        let linked = self.clusters.get_mut(cluster).ok_or(Superseded::ListedSince)?;
        Ok(!linked.slices.confirm(ticket, service, listed, at)?.is_empty())
    }

    /// Changes the facts of a cluster's Services.
    pub(crate) fn change_services<T>(
        &mut self,
        cluster: &str,
        now: SteadyTime,
        change: impl FnOnce(&mut RemoteServices, ChangeContext<'_>) -> T,
    ) -> Option<T> {
        let LinkedCluster { slices, services, .. } = self.clusters.get_mut(cluster)?;
        Some(change(
            services,
            ChangeContext { now, slices: &|service| slices.fingerprint(service) },
        ))
    }

    /// Whether the Services of a cluster have been listed, or could not be.
    pub(crate) fn has_tried_services(&self, cluster: &str) -> bool {
        self.clusters.get(cluster).is_some_and(|linked| linked.services.is_tried())
    }

    /// A ticket for a LIST of a Service itself, past the watch; none where it may not be read.
    pub(crate) fn service_ticket(&self, cluster: &str, service: &ObjectKey) -> Option<Ticket> {
        self.clusters.get(cluster)?.services.ticket(service)
    }

    /// The endpoints of a Service of a cluster for these ports of the local one, or why they cannot be seen.
    /// Pods there are not announced here.
    pub(crate) fn count(
        &self,
        cluster: &str,
        service: &ObjectKey,
        ports: &[&ServicePort],
    ) -> Result<EndpointCount, Health> {
        let linked = self.seen(cluster, service)?;
        let count =
            |names: &[Option<&str>]| linked.slices.count(service, names, AnnouncedNow::NONE);
        let names = match linked.services.get(service) {
            RemoteService::Unread => ports.iter().map(|port| Some(port.name.as_str())).collect(),
            RemoteService::Is(facts) if facts.kind == ServiceKind::Slices => facts.names_of(ports),
            RemoteService::Is(_) => return Ok(EndpointCount::default()),
            // Its slices go in a moment; until then they are asked by number.
            RemoteService::Missing => vec![None; ports.len()],
        };
        of_member(&names, ports, count)
    }

    /// Why the endpoints of a Service of a cluster may offer more ports than they seem to.
    pub(crate) fn doubt(
        &self,
        cluster: &str,
        service: &ObjectKey,
        now: SteadyTime,
    ) -> Option<Unknown> {
        self.clusters.get(cluster)?.services.doubt(cluster, service, now)
    }

    /// Follows a change of Services of a cluster, or of their slices.
    pub(crate) fn observe(&mut self, cluster: &str, changed: &[ObjectKey]) {
        let Some(LinkedCluster { slices, services, .. }) = self.clusters.get_mut(cluster) else {
            return;
        };
        for service in changed {
            services.observe(service, || slices.fingerprint(service));
        }
    }

    /// The identities of its endpoints, different from those of other clusters; none where it cannot be
    /// seen.
    pub(crate) fn identities(&self, cluster: &str, service: &ObjectKey) -> Option<Vec<u64>> {
        let slices = self.seen(cluster, service).ok()?.slices.of(service);
        let salted = |identity: u64| hash_of((cluster, identity));
        Some(slices.flat_map(SliceFacts::identities).map(salted).collect())
    }

    fn seen(&self, cluster: &str, service: &ObjectKey) -> Result<&LinkedCluster, Health> {
        let name = || cluster.to_owned();
        let unknown = |unknown| Err(Health::Unknown(unknown));
        let Some(linked) = self.clusters.get(cluster) else {
            return unknown(Unknown::NotLinked { cluster: name() });
        };
        match &linked.reach {
            Reach::Seen { .. } if linked.listed.contains(service) => Ok(linked),
            Reach::Idle | Reach::Requested { .. } | Reach::Seen { .. } => {
                unknown(Unknown::NotListed { cluster: name() })
            }
            Reach::Lost { since } => {
                unknown(Unknown::Unreachable { cluster: name(), since: since.wall })
            }
            Reach::Unverified { why } => {
                unknown(Unknown::Unverified { cluster: name(), why: why.clone() })
            }
            Reach::Failing { why } => {
                unknown(Unknown::Failing { cluster: name(), why: why.clone() })
            }
            Reach::Refused { why } => {
                unknown(Unknown::Refused { cluster: name(), why: why.clone() })
            }
            Reach::Down { since } => {
                Err(Health::Unreachable { cluster: name(), since: since.wall })
            }
        }
    }
}

/// A member of a Service, in that one's namespace.
fn key_of(service: &ObjectKey, member: &Member) -> ObjectKey {
    match member {
        Member::Local(name) | Member::Remote { service: name, .. } => service.beside(name),
    }
}
