//! The health of Services that rest on others: the union of their members.

use super::super::endpoints::Counted;
use super::super::index::Index;
use super::super::order::{Ticket, Void};
use super::super::services::{Port, ServiceFacts, ServiceKind};
use super::super::slices::ToldSlice;
use super::members::Member;
use super::reach::{Reach, Transition};
use crate::failover::{Health, Now, Unknown};
use crate::resources::{ObjectKey, ObjectRef};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What is known of a Service's members together.
#[derive(Debug, Default)]
pub struct Union {
    pub counted: Counted,
    /// The first member that cannot be seen, not known to be down.
    unknown: Option<Health>,
    /// The first whose cluster has been out of reach for too long.
    down: Option<Health>,
}

impl Union {
    fn add(&mut self, counted: Result<Counted, Health>) {
        match counted {
            Ok(counted) => self.counted = std::mem::take(&mut self.counted).and(counted),
            Err(unknown) if unknown.is_unknown() => {
                self.unknown.get_or_insert(unknown);
            }
            Err(down) => {
                self.down.get_or_insert(down);
            }
        }
    }

    /// Whether every member is seen.
    pub fn is_whole(&self) -> bool {
        self.unknown.is_none() && self.down.is_none()
    }

    /// What is known to be ready is, `seen` by its members that are; without any, not known is not
    /// down.
    pub fn health(self, seen: impl FnOnce(Counted) -> Health) -> Health {
        let Self { counted, unknown, down } = self;
        let mut seen = seen(counted);
        // Without what is about to go it would be unknown, and not down.
        if unknown.is_some() && !seen.without_announced().is_ready() {
            seen = seen.as_seen();
        }
        if seen.is_ready() { seen } else { unknown.or(down).unwrap_or(seen) }
    }
}

impl Index {
    /// The members of a Service together. `ports` are the asked ones as the Service has them: mirrors
    /// have the ports of what they mirror, with their names.
    pub(in crate::cluster) fn union(
        &self,
        service: &ObjectKey,
        members: &[Member],
        ports: &[&Port],
        now: Timestamp,
    ) -> Union {
        let names: Vec<_> = ports.iter().map(|port| Some(port.name.as_str())).collect();
        let mut union = Union::default();
        for member in members {
            union.add(match member {
                Member::There { cluster, service: name } => {
                    self.remote.count(cluster, &service.beside(name), &names)
                }
                Member::Here(name) => {
                    let here = service.beside(name);
                    let facts = self.service(&here).filter(|f| f.kind == ServiceKind::Slices);
                    facts.map_or(Ok(Counted::default()), |f| self.member_here(&here, f, ports, now))
                }
            });
        }
        union
    }

    /// A member of this cluster, asked for these ports by number.
    fn member_here(
        &self,
        member: &ObjectKey,
        facts: &ServiceFacts,
        ports: &[&Port],
        now: Timestamp,
    ) -> Result<Counted, Health> {
        let names = facts.names_of(ports);
        let none_ready = |counted: &Counted| counted.ports.iter().all(|port| port.ready == 0);
        let counted = self.count(member, &names, now);
        if !none_ready(&counted) || counted.ready == 0 {
            return Ok(counted);
        }
        if let Some(until) = self.changes.until(member, now) {
            return Err(Health::Unknown(Unknown::Changed { until }));
        }
        match names.iter().all(Option::is_none) && !ports.is_empty() {
            true => {
                let numbers = ports.iter().map(|port| port.number).collect();
                Err(Health::Unknown(Unknown::no_such_port(&numbers)))
            }
            false => Ok(counted),
        }
    }

    /// What tells the endpoints of a Service's members apart; none while one cannot be seen.
    pub(in crate::cluster) fn identities_of_members(
        &self,
        service: &ObjectKey,
        members: &[Member],
    ) -> Option<BTreeSet<u64>> {
        let mut identities = BTreeSet::new();
        for member in members {
            match member {
                Member::Here(name) => identities.extend(self.identities_of(&service.beside(name))),
                Member::There { cluster, service: name } => {
                    identities.extend(self.remote.identities(cluster, &service.beside(name))?);
                }
            }
        }
        Some(identities)
    }

    /// The Services of a linked cluster that managed objects rest on.
    pub fn wanted_of(&self, cluster: &str) -> BTreeSet<ObjectKey> {
        let is_named = |service: &ObjectKey| self.objects_naming(service).next().is_some();
        let resting = self.remote.resting_there(cluster);
        let wanted = resting.filter(|(_, local)| local.iter().any(is_named));
        wanted.map(|(service, _)| service.clone()).collect()
    }

    /// There are credentials for a cluster.
    pub fn link(&mut self, cluster: &str) -> Vec<ObjectRef> {
        self.remote.link(cluster);
        self.noticed_there(cluster, |_| true)
    }

    /// There are none any more.
    pub fn unlink(&mut self, cluster: &str) -> Vec<ObjectRef> {
        self.remote.unlink(cluster);
        self.noticed_there(cluster, |_| true)
    }

    /// Something was learnt of whether a cluster can be reached. Returns what people are to hear.
    pub fn note_reach(
        &mut self,
        cluster: &str,
        change: impl FnOnce(&mut Reach, Now),
    ) -> (Option<Transition>, Vec<ObjectRef>) {
        let now = self.now;
        match self.remote.note(cluster, |reach| change(reach, now)) {
            Some(told) => (told, self.noticed_there(cluster, |_| true)),
            None => (None, vec![]),
        }
    }

    /// A LIST of a cluster's slices is whole: what it has takes the place of what was known.
    pub fn set_remote_listing(
        &mut self,
        cluster: &str,
        wanted: &BTreeSet<ObjectKey>,
        listed: Vec<ToldSlice>,
    ) -> (Option<Transition>, Vec<ObjectRef>) {
        self.remote.set_listed(cluster, wanted, listed);
        let told = self.remote.note(cluster, Reach::listed).flatten();
        (told, self.noticed_there(cluster, |_| true))
    }

    pub fn set_remote_slice(&mut self, cluster: &str, told: ToldSlice) -> Vec<ObjectRef> {
        let changed = self.remote.set_slice(cluster, told);
        self.noticed_there(cluster, |service| changed.contains(service))
    }

    pub fn delete_remote_slice(
        &mut self,
        cluster: &str,
        slice: &ObjectKey,
        version: u64,
    ) -> Vec<ObjectRef> {
        let changed = self.remote.delete_slice(cluster, slice, version);
        self.noticed_there(cluster, |service| changed.contains(service))
    }

    /// Takes in a LIST of one Service's slices, made past the watch with this ticket.
    pub fn confirm_remote_slices(
        &mut self,
        cluster: &str,
        ticket: &Ticket,
        service: &ObjectKey,
        listed: Vec<ToldSlice>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Void> {
        let changed = self.remote.confirm(cluster, ticket, service, listed, at)?;
        Ok(match changed {
            true => self.noticed_there(cluster, |changed| changed == service),
            false => vec![],
        })
    }

    /// Services of a cluster changed: whoever rests on them did.
    fn noticed_there(
        &mut self,
        cluster: &str,
        changed: impl Fn(&ObjectKey) -> bool,
    ) -> Vec<ObjectRef> {
        let resting = self.remote.resting_there(cluster).filter(|(service, _)| changed(service));
        let local: BTreeSet<ObjectKey> = resting.flat_map(|(_, local)| local).cloned().collect();
        let affected: BTreeSet<ObjectRef> =
            local.iter().flat_map(|service| self.noticed(service)).collect();
        affected.into_iter().collect()
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
