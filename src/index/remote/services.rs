//! The Services of a linked cluster that are members of local ones, as that cluster has them: a member is
//! asked for a port by its number, and its own Service has the name of the port in the slices.

use crate::engine::SteadyTime;
use crate::engine::Unknown;
use crate::index::changed_services::ChangedServices;
use crate::index::order::{Arrival, Freshness, Order, Superseded, Ticket};
use crate::index::service_facts::ServiceFacts;
use crate::kinds::ObjectKey;
use std::collections::{BTreeSet, HashMap};

/// The facts of the Services of a cluster.
#[derive(Debug, Default)]
pub(crate) struct RemoteServices {
    /// None where they cannot be read: ports are taken to have the same names there.
    listed: Option<HashMap<ObjectKey, ServiceFacts>>,
    /// The Services that the LIST is of.
    requested: BTreeSet<ObjectKey>,
    /// Why the facts may be outdated.
    doubt: Option<String>,
    order: Order,
    changes: ChangedServices,
}

/// A Service with its version, as an API server has it.
pub(crate) type Versioned = (u64, ServiceFacts);

/// What a change of the facts depends on: the time, by the steady clock, and the fingerprint of the slices of
/// a Service.
#[derive(Clone, Copy)]
pub(crate) struct ChangeContext<'a> {
    pub now: SteadyTime,
    pub slices: &'a dyn Fn(&ObjectKey) -> u64,
}

/// A Service of a linked cluster.
#[derive(Debug, PartialEq)]
pub(crate) enum RemoteService<'a> {
    /// It may not be read, or is not listed.
    Unread,
    Missing,
    Is(&'a ServiceFacts),
}

impl RemoteServices {
    /// Replaces the Services by a complete LIST of the requested ones.
    pub(crate) fn replace(
        &mut self,
        requested: BTreeSet<ObjectKey>,
        listed: HashMap<ObjectKey, Versioned>,
        context: ChangeContext<'_>,
    ) {
        self.order.begin(None);
        let known = self.listed.get_or_insert_default();
        known.retain(|service, _| listed.contains_key(service));
        for (service, versioned) in listed {
            self.enter(&service, versioned, context, Arrival::Listed);
        }
        self.order.complete(None);
        (self.requested, self.doubt) = (requested, None);
    }

    /// Whether they have been listed, or could not be.
    pub(crate) fn is_tried(&self) -> bool {
        self.listed.is_some() || self.doubt.is_some()
    }

    /// Records that their watch broke, or cannot begin: the facts may be outdated. Returns whether that is
    /// new.
    pub(crate) fn interrupted(&mut self, why: &str) -> bool {
        self.doubt.replace(why.to_owned()).is_none_or(|before| before != why)
    }

    /// Records that they may not be read. Returns whether that is new.
    pub(crate) fn refused(&mut self, why: &str) -> bool {
        let were_read = self.listed.take().is_some();
        self.interrupted(why) || were_read
    }

    /// Enters one where it is the newest. Returns whether it changed.
    pub(crate) fn enter(
        &mut self,
        service: &ObjectKey,
        (version, facts): Versioned,
        context: ChangeContext<'_>,
        arrival: Arrival<'_>,
    ) -> bool {
        if self.listed.is_none() {
            return false;
        }
        match self.order.enter(service, version, service, arrival) {
            Freshness::Newest => self.put(service, facts, context),
            Freshness::Deleted => self.remove(service),
            Freshness::Stale => false,
        }
    }

    fn put(
        &mut self,
        service: &ObjectKey,
        facts: ServiceFacts,
        context: ChangeContext<'_>,
    ) -> bool {
        let shape = facts.shape;
        let listed = self.listed.get_or_insert_default();
        let is_new = listed.get(service) != Some(&facts);
        let before = listed.insert(service.clone(), facts);
        if before.is_some_and(|before| before.shape != shape) {
            self.changes.begin(service, (context.slices)(service), context.now);
        }
        is_new
    }

    /// Removes one, as the watch reports. Returns whether it was there.
    pub(crate) fn delete(&mut self, service: &ObjectKey, version: u64) -> bool {
        self.order.delete(service, version) && self.remove(service)
    }

    /// A ticket for a LIST of one, past the watch; none where they cannot be read.
    pub(crate) fn ticket(&self, service: &ObjectKey) -> Option<Ticket> {
        self.listed.as_ref().map(|_| self.order.ticket(service))
    }

    /// Enters that LIST. Returns whether it shows anything new.
    pub(crate) fn confirm(
        &mut self,
        ticket: &Ticket,
        service: &ObjectKey,
        found: Option<Versioned>,
        at: u64,
        context: ChangeContext<'_>,
    ) -> Result<bool, Superseded> {
        self.order.check_answer(ticket, service, at)?;
        let is_news = match found {
            Some(versioned) => self.enter(service, versioned, context, Arrival::Answered(ticket)),
            None => self.order.answer_lacks(ticket, service, at) && self.remove(service),
        };
        self.order.answer_covers(ticket, service, at);
        Ok(is_news)
    }

    fn remove(&mut self, service: &ObjectKey) -> bool {
        self.listed.as_mut().is_some_and(|listed| listed.remove(service).is_some())
    }

    pub(crate) fn get(&self, service: &ObjectKey) -> RemoteService<'_> {
        match self.listed.as_ref().map(|listed| listed.get(service)) {
            Some(Some(facts)) => RemoteService::Is(facts),
            Some(None) if self.requested.contains(service) => RemoteService::Missing,
            None | Some(None) => RemoteService::Unread,
        }
    }

    /// Why an endpoint may offer a port by another name than the one that is known for it.
    pub(crate) fn doubt(
        &self,
        cluster: &str,
        service: &ObjectKey,
        now: SteadyTime,
    ) -> Option<Unknown> {
        if let Some(until) = self.changes.until(service, now) {
            return Some(Unknown::Changed { until });
        }
        let is_unread = self.get(service) == RemoteService::Unread;
        let why = self.doubt.as_deref().or(is_unread.then_some("they are not listed yet"))?;
        let why = format!("it may call the port otherwise; its Services cannot be read: {why}");
        Some(Unknown::Refused { cluster: cluster.to_owned(), why })
    }

    /// Records the present fingerprint of the slices of a Service.
    pub(crate) fn observe(&mut self, service: &ObjectKey, slices: impl FnOnce() -> u64) {
        if self.changes.awaits(service) {
            self.changes.observe(service, slices());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(port: &str) -> ServiceFacts {
        let service = json!({"spec": {"ports": [{"name": port, "port": 80}]}});
        ServiceFacts::read(&serde_json::from_value(service).unwrap())
    }

    fn at(seconds: i64) -> SteadyTime {
        SteadyTime::at(seconds)
    }

    fn bb() -> ObjectKey {
        ObjectKey::new("books", "bb")
    }

    fn context(seconds: i64) -> ChangeContext<'static> {
        ChangeContext { now: at(seconds), slices: &|_| 7 }
    }

    fn lists(services: &mut RemoteServices, listed: Option<(u64, &str)>, seconds: i64) {
        let listed = listed.map(|(version, port)| (bb(), (version, facts(port))));
        services.replace([bb()].into(), listed.into_iter().collect(), context(seconds));
    }

    fn watched(services: &mut RemoteServices, version: u64, port: &str, seconds: i64) -> bool {
        services.enter(&bb(), (version, facts(port)), context(seconds), Arrival::Watched)
    }

    fn until(services: &RemoteServices, seconds: i64) -> Option<SteadyTime> {
        match services.doubt("west", &bb(), at(seconds)) {
            Some(Unknown::Changed { until }) => Some(until),
            _ => None,
        }
    }

    #[test]
    fn a_service_that_has_changed_awaits_its_slices_and_one_that_is_new_does_not() {
        let mut services = RemoteServices::default();
        assert!(!watched(&mut services, 1, "http", 0));
        lists(&mut services, None, 0);
        assert!(watched(&mut services, 2, "http", 0));
        assert!(!watched(&mut services, 3, "http", 0));
        assert_eq!(services.doubt("west", &bb(), at(0)), None);

        assert!(watched(&mut services, 4, "web", 1));
        services.observe(&bb(), || 7);
        assert_eq!(until(&services, 1), Some(at(6)));
        services.observe(&bb(), || 8);
        assert_eq!(until(&services, 1), None);

        // While its watch was broken, and with a lower number: a LIST replaces what was known.
        lists(&mut services, Some((1, "rpc")), 100);
        assert_eq!(until(&services, 100), Some(at(105)));
    }

    #[test]
    fn facts_are_in_doubt_while_they_are_not_watched() {
        let mut services = RemoteServices::default();
        let is_doubted = |services: &RemoteServices| services.doubt("west", &bb(), at(0)).is_some();
        assert!(is_doubted(&services) && services.ticket(&bb()).is_none());
        assert_eq!(services.get(&bb()), RemoteService::Unread);
        lists(&mut services, None, 0);
        assert_eq!(services.get(&bb()), RemoteService::Missing);
        assert_eq!(services.get(&ObjectKey::new("books", "not-asked-for")), RemoteService::Unread);
        lists(&mut services, Some((1, "http")), 0);
        assert!(!is_doubted(&services));
        services.interrupted("no answer");
        assert_eq!(services.get(&bb()), RemoteService::Is(&facts("http")));
        assert!(is_doubted(&services));
        lists(&mut services, Some((2, "http")), 0);
        assert!(!is_doubted(&services));
        services.refused("403");
        assert_eq!(services.get(&bb()), RemoteService::Unread);
        assert!(is_doubted(&services));
    }

    #[test]
    fn a_list_past_the_watch_brings_nothing_back_and_removes_what_is_older() {
        let mut services = RemoteServices::default();
        lists(&mut services, Some((5, "http")), 0);
        let ticket = services.ticket(&bb()).unwrap();
        let confirm = |services: &mut RemoteServices, found: Option<(u64, &str)>, at: u64| {
            let found = found.map(|(version, port)| (version, facts(port)));
            services.confirm(&ticket, &bb(), found, at, context(0))
        };
        // The watch was quicker.
        assert!(services.delete(&bb(), 7));
        assert_eq!(confirm(&mut services, Some((5, "http")), 6), Ok(false));
        assert_eq!(services.get(&bb()), RemoteService::Missing);
        // The LIST was.
        watched(&mut services, 9, "web", 0);
        assert_eq!(confirm(&mut services, Some((12, "rpc")), 13), Ok(true));
        assert!(!watched(&mut services, 11, "web", 0));
        assert_eq!(confirm(&mut services, None, 20), Ok(true));
        assert_eq!(services.get(&bb()), RemoteService::Missing);
        // Another LIST has begun the watch again.
        lists(&mut services, Some((5, "http")), 0);
        assert_eq!(confirm(&mut services, None, 30), Err(Superseded::ListedSince));
    }
}
