//! Services that are declared down: by annotations of their own, or of the Secret with the credentials of the
//! cluster that they are in.

use crate::index::down_facts::{Declared, DeclaredCluster, DownFacts};
use crate::index::remote::members::Member;
use crate::index::resource::WatchedResource;
use crate::index::service_facts::ServiceFacts;
use crate::index::store::Index;
use crate::kinds::{ObjectKey, ObjectRef};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Index {
    /// The declaration that a Service is down, while it holds: of its own, or of its cluster.
    pub(super) fn declared_down<'a>(
        &'a self,
        service: &'a ServiceFacts,
        now: Timestamp,
    ) -> Option<Declared<'a>> {
        let own = service.declared_down.as_ref().and_then(|facts| facts.holding(now));
        let of_cluster = || self.cluster_declared_down(service, now);
        let of_cluster = if self.clusters_down.is_empty() { None } else { of_cluster() };
        own.into_iter().chain(of_cluster).reduce(Declared::and)
    }

    /// The declaration of the clusters in which a Service is; of several the first to end.
    fn cluster_declared_down(
        &self,
        service: &ServiceFacts,
        now: Timestamp,
    ) -> Option<Declared<'_>> {
        let mut clusters = clusters_of(service)?.into_iter();
        let holding = |cluster: &str| self.clusters_down.get(cluster)?.facts.holding(now);
        let first = holding(clusters.next()?)?;
        clusters.try_fold(first, |first, cluster| {
            let other = holding(cluster)?;
            Some(if other.until < first.until { other } else { first })
        })
    }

    /// Replaces what the Secrets of clusters declare. Returns the objects that it concerns.
    pub(crate) fn set_clusters_down(
        &mut self,
        declared: impl IntoIterator<Item = (Box<str>, DeclaredCluster)>,
    ) -> Vec<ObjectRef> {
        let before = std::mem::replace(&mut self.clusters_down, declared.into_iter().collect());
        let is_same = |cluster: &str| before.get(cluster) == self.clusters_down.get(cluster);
        let known: BTreeSet<&str> =
            before.keys().chain(self.clusters_down.keys()).map(|cluster| &**cluster).collect();
        let changed: BTreeSet<&str> = known.into_iter().filter(|c| !is_same(c)).collect();
        if changed.is_empty() {
            return vec![];
        }
        self.declared_revision += 1;
        let is_in = |(_, service): &(&ObjectKey, &ServiceFacts)| {
            clusters_of(service).into_iter().flatten().any(|cluster| changed.contains(cluster))
        };
        let services = self.services.iter().filter(is_in).map(|(key, _)| key);
        let objects: BTreeSet<ObjectRef> =
            services.flat_map(|service| self.objects_naming(service)).cloned().collect();
        objects.into_iter().collect()
    }

    /// The Secrets of linked clusters have been looked for, or there are none to look for. Returns the objects
    /// that nothing could be decided for until now.
    pub(crate) fn set_credentials_tried(&mut self) -> Vec<ObjectRef> {
        let was_lacking = self.synced.lacks(WatchedResource::Credentials);
        self.synced.set_tried(WatchedResource::Credentials);
        if was_lacking { self.object_refs() } else { vec![] }
    }

    /// The Services that declare something, whether it holds or not.
    pub(crate) fn services_declaring(&self) -> impl Iterator<Item = (&ObjectKey, &DownFacts)> {
        let services = self.services.iter();
        services.filter_map(|(key, service)| Some((key, service.declared_down.as_deref()?)))
    }

    /// The clusters whose Secrets declare something.
    pub(crate) fn clusters_declaring(&self) -> impl Iterator<Item = (&str, &DeclaredCluster)> {
        self.clusters_down.iter().map(|(cluster, declared)| (&**cluster, declared))
    }
}

/// The linked clusters that all endpoints of a Service are in; none where it has some here.
fn clusters_of(service: &ServiceFacts) -> Option<Vec<&str>> {
    if let Some(cluster) = service.mirrors.as_deref() {
        return Some(vec![cluster]);
    }
    let members = service.members();
    (!members.is_empty()).then(|| members.iter().map(cluster_of).collect())?
}

fn cluster_of(member: &Member) -> Option<&str> {
    match member {
        Member::Local(_) => None,
        Member::Remote { cluster, .. } => Some(cluster),
    }
}

#[cfg(test)]
#[path = "declared_down_tests.rs"]
mod tests;
