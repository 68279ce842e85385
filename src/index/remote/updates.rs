//! What enters the index of linked clusters, and which objects it concerns.

use crate::engine::Now;
use crate::index::order::{Arrival, Superseded, Ticket};
use crate::index::remote::reach::{Reach, Transition};
use crate::index::remote::services::Versioned;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds::{ObjectKey, ObjectRef};
use std::collections::{BTreeSet, HashMap};

impl Index {
    /// The Services of a linked cluster that managed objects rest on.
    pub(crate) fn requested_of(&self, cluster: &str) -> BTreeSet<ObjectKey> {
        let is_named = |service: &ObjectKey| self.objects_naming(service).next().is_some();
        let resting = self.remote.resting_there(cluster);
        let requested = resting.filter(|(_, local)| local.iter().any(is_named));
        requested.map(|(service, _)| service.clone()).collect()
    }

    /// A cluster has credentials.
    pub(crate) fn link(&mut self, cluster: &str) -> Vec<ObjectRef> {
        self.remote.link(cluster);
        self.noticed_there(cluster, |_| true)
    }

    /// A cluster has no credentials any more.
    pub(crate) fn unlink(&mut self, cluster: &str) -> Vec<ObjectRef> {
        self.remote.unlink(cluster);
        self.noticed_there(cluster, |_| true)
    }

    /// Changes the reach of a cluster. Returns the transition that is to be reported.
    pub(crate) fn note_reach(
        &mut self,
        cluster: &str,
        change: impl FnOnce(&mut Reach, Now),
    ) -> (Option<Transition>, Vec<ObjectRef>) {
        let now = self.now;
        match self.remote.note(cluster, |reach| change(reach, now)) {
            Some(transition) => (transition, self.noticed_there(cluster, |_| true)),
            None => (None, vec![]),
        }
    }

    /// A LIST of a cluster's slices is complete: it replaces what was known.
    pub(crate) fn set_remote_listing(
        &mut self,
        cluster: &str,
        requested: &BTreeSet<ObjectKey>,
        listed: Vec<SliceUpdate>,
    ) -> (Option<Transition>, Vec<ObjectRef>) {
        self.remote.set_listed(cluster, requested, listed);
        let transition = self.remote.note(cluster, Reach::listed).flatten();
        (transition, self.noticed_there(cluster, |_| true))
    }

    pub(crate) fn set_remote_slice(
        &mut self,
        cluster: &str,
        update: SliceUpdate,
    ) -> Vec<ObjectRef> {
        let changed = self.remote.set_slice(cluster, update);
        self.noticed_there(cluster, |service| changed.contains(service))
    }

    pub(crate) fn delete_remote_slice(
        &mut self,
        cluster: &str,
        slice: &ObjectKey,
        version: u64,
    ) -> Vec<ObjectRef> {
        let changed = self.remote.delete_slice(cluster, slice, version);
        self.noticed_there(cluster, |service| changed.contains(service))
    }

    /// Takes in a LIST of one Service's slices, made past the watch with this ticket.
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
            true => self.noticed_there(cluster, |changed| changed == service),
            false => vec![],
        })
    }

    /// A LIST of these Services of a cluster is complete.
    pub(crate) fn set_remote_services(
        &mut self,
        cluster: &str,
        asked: BTreeSet<ObjectKey>,
        listed: HashMap<ObjectKey, Versioned>,
    ) -> Vec<ObjectRef> {
        self.remote.note_services(cluster, self.now.steady, |services, beside| {
            services.replace(asked, listed, beside);
        });
        self.noticed_there(cluster, |_| true)
    }

    /// The Services of a cluster are not watched, or may not be read at all.
    pub(crate) fn doubt_remote_services(
        &mut self,
        cluster: &str,
        why: &str,
        refused: bool,
    ) -> Vec<ObjectRef> {
        let news =
            self.remote.note_services(cluster, self.now.steady, |services, _| match refused {
                true => services.refused(why),
                false => services.interrupted(why),
            });
        self.noticed_there(cluster, |_| news == Some(true))
    }

    /// Enters a Service of a cluster, as its watch reports it.
    pub(crate) fn set_remote_service(
        &mut self,
        cluster: &str,
        service: &ObjectKey,
        versioned: Versioned,
    ) -> Vec<ObjectRef> {
        let news = self.remote.note_services(cluster, self.now.steady, |services, beside| {
            services.enter(service, versioned, beside, Arrival::Watched)
        });
        self.noticed_there(cluster, |changed| news == Some(true) && changed == service)
    }

    /// Removes a Service of a cluster, as its watch reports.
    pub(crate) fn delete_remote_service(
        &mut self,
        cluster: &str,
        service: &ObjectKey,
        version: u64,
    ) -> Vec<ObjectRef> {
        let news = self.remote.note_services(cluster, self.now.steady, |services, _| {
            services.delete(service, version)
        });
        self.noticed_there(cluster, |changed| news == Some(true) && changed == service)
    }

    /// Takes in a LIST of one Service itself, made past the watch with this ticket.
    pub(crate) fn confirm_remote_service(
        &mut self,
        cluster: &str,
        ticket: &Ticket,
        service: &ObjectKey,
        found: Option<Versioned>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        let news = self.remote.note_services(cluster, self.now.steady, |services, beside| {
            services.confirm(ticket, service, found, at, beside)
        });
        let news = news.unwrap_or(Err(Superseded::ListedSince))?;
        Ok(self.noticed_there(cluster, |changed| news && changed == service))
    }

    /// Services of a cluster changed: whoever rests on them did.
    fn noticed_there(
        &mut self,
        cluster: &str,
        changed: impl Fn(&ObjectKey) -> bool,
    ) -> Vec<ObjectRef> {
        let resting = self.remote.resting_there(cluster).filter(|(service, _)| changed(service));
        let (there, local): (Vec<_>, Vec<_>) =
            resting.map(|(service, local)| (service.clone(), local.clone())).unzip();
        self.remote.observe(cluster, &there);
        let local: BTreeSet<ObjectKey> = local.into_iter().flatten().collect();
        let affected: BTreeSet<ObjectRef> =
            local.iter().flat_map(|service| self.noticed(service)).collect();
        affected.into_iter().collect()
    }
}
