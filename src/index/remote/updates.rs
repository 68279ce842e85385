//! The linked clusters in the index: which facts enter, and which objects a change concerns.

use crate::engine::Now;
use crate::index::order::{Arrival, Superseded, Ticket};
use crate::index::remote::reach::{Reach, Transition};
use crate::index::remote::services::Versioned;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds::{ObjectKey, ObjectRef};
use std::collections::{BTreeSet, HashMap};

impl Index {
    /// The Services of a linked cluster that managed objects depend on.
    pub(crate) fn requested_of(&self, cluster: &str) -> BTreeSet<ObjectKey> {
        let is_named = |service: &ObjectKey| self.objects_naming(service).next().is_some();
        let members = self.remote.members_in(cluster);
        let requested = members.filter(|(_, local)| local.iter().any(is_named));
        requested.map(|(service, _)| service.clone()).collect()
    }

    /// Adds a cluster, whose credentials are there.
    pub(crate) fn link(&mut self, cluster: &str) -> Vec<ObjectRef> {
        self.remote.link(cluster);
        self.remote_services_changed(cluster, |_| true)
    }

    /// Removes a cluster, whose credentials are gone.
    pub(crate) fn unlink(&mut self, cluster: &str) -> Vec<ObjectRef> {
        self.remote.unlink(cluster);
        self.remote_services_changed(cluster, |_| true)
    }

    /// Changes the reach of a cluster. Returns the transition that is to be reported.
    pub(crate) fn change_reach(
        &mut self,
        cluster: &str,
        change: impl FnOnce(&mut Reach, Now),
    ) -> (Option<Transition>, Vec<ObjectRef>) {
        let now = self.now;
        match self.remote.change_reach(cluster, |reach| change(reach, now)) {
            Some(transition) => (transition, self.remote_services_changed(cluster, |_| true)),
            None => (None, vec![]),
        }
    }

    /// Replaces the slices of a cluster by a complete LIST.
    pub(crate) fn set_remote_listing(
        &mut self,
        cluster: &str,
        requested: &BTreeSet<ObjectKey>,
        listed: Vec<SliceUpdate>,
    ) -> (Option<Transition>, Vec<ObjectRef>) {
        self.remote.set_listed(cluster, requested, listed);
        let transition = self.remote.change_reach(cluster, Reach::listed).flatten();
        (transition, self.remote_services_changed(cluster, |_| true))
    }

    pub(crate) fn set_remote_slice(
        &mut self,
        cluster: &str,
        update: SliceUpdate,
    ) -> Vec<ObjectRef> {
        let changed = self.remote.set_slice(cluster, update);
        self.remote_services_changed(cluster, |service| changed.contains(service))
    }

    pub(crate) fn delete_remote_slice(
        &mut self,
        cluster: &str,
        slice: &ObjectKey,
        version: u64,
    ) -> Vec<ObjectRef> {
        let changed = self.remote.delete_slice(cluster, slice, version);
        self.remote_services_changed(cluster, |service| changed.contains(service))
    }

    /// Enters a LIST of one Service's slices, requested past the watch with this ticket.
    pub(crate) fn confirm_remote_slices(
        &mut self,
        cluster: &str,
        ticket: &Ticket,
        service: &ObjectKey,
        listed: Vec<SliceUpdate>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        let changed = self.remote.confirm(cluster, ticket, service, listed, at)?;
        Ok(match changed {
            true => self.remote_services_changed(cluster, |changed| changed == service),
            false => vec![],
        })
    }

    /// Replaces the Services of a cluster by a complete LIST of the requested ones.
    pub(crate) fn set_remote_services(
        &mut self,
        cluster: &str,
        requested: BTreeSet<ObjectKey>,
        listed: HashMap<ObjectKey, Versioned>,
    ) -> Vec<ObjectRef> {
        self.remote.change_services(cluster, self.now.steady, |services, context| {
            services.replace(requested, listed, context);
        });
        self.remote_services_changed(cluster, |_| true)
    }

    /// Records that the Services of a cluster are not watched, or may not be read at all.
    pub(crate) fn doubt_remote_services(
        &mut self,
        cluster: &str,
        why: &str,
        refused: bool,
    ) -> Vec<ObjectRef> {
        let is_news =
            self.remote.change_services(cluster, self.now.steady, |services, _| match refused {
                true => services.refused(why),
                false => services.interrupted(why),
            });
        self.remote_services_changed(cluster, |_| is_news == Some(true))
    }

    /// Enters a Service of a cluster, as its watch reports it.
    pub(crate) fn set_remote_service(
        &mut self,
        cluster: &str,
        service: &ObjectKey,
        versioned: Versioned,
    ) -> Vec<ObjectRef> {
        let is_news = self.remote.change_services(cluster, self.now.steady, |services, context| {
            services.enter(service, versioned, context, Arrival::Watched)
        });
        self.remote_services_changed(cluster, |changed| is_news == Some(true) && changed == service)
    }

    /// Removes a Service of a cluster, as its watch reports.
    pub(crate) fn delete_remote_service(
        &mut self,
        cluster: &str,
        service: &ObjectKey,
        version: u64,
    ) -> Vec<ObjectRef> {
        let is_news = self.remote.change_services(cluster, self.now.steady, |services, _| {
            services.delete(service, version)
        });
        self.remote_services_changed(cluster, |changed| is_news == Some(true) && changed == service)
    }

    /// Enters a LIST of one Service itself, requested past the watch with this ticket.
    pub(crate) fn confirm_remote_service(
        &mut self,
        cluster: &str,
        ticket: &Ticket,
        service: &ObjectKey,
        found: Option<Versioned>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        let confirmed =
            self.remote.change_services(cluster, self.now.steady, |services, context| {
                services.confirm(ticket, service, found, at, context)
            });
        let is_news = confirmed.unwrap_or(Err(Superseded::ListedSince))?;
        Ok(self.remote_services_changed(cluster, |changed| is_news && changed == service))
    }

    /// Follows a change of Services of a cluster. Returns the objects that it concerns.
    fn remote_services_changed(
        &mut self,
        cluster: &str,
        changed: impl Fn(&ObjectKey) -> bool,
    ) -> Vec<ObjectRef> {
        let members = self.remote.members_in(cluster).filter(|(service, _)| changed(service));
        let (remote, local): (Vec<_>, Vec<_>) =
            members.map(|(service, local)| (service.clone(), local.clone())).unzip();
        self.remote.observe(cluster, &remote);
        let local: BTreeSet<ObjectKey> = local.into_iter().flatten().collect();
        let affected: BTreeSet<ObjectRef> =
            local.iter().flat_map(|service| self.service_changed(service)).collect();
        affected.into_iter().collect()
    }
}
