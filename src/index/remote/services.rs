//! The Services of a linked cluster that are rested on, as that cluster has them: a member is asked
//! for a port by its number, and its own Service says how slices call that.

use crate::engine::SteadyTime;
use crate::engine::Unknown;
use crate::index::changed_services::ChangedServices;
use crate::index::order::{Arrival, Freshness, Order, Superseded, Ticket};
use crate::index::service_facts::ServiceFacts;
use crate::kinds::ObjectKey;
use std::collections::{BTreeSet, HashMap};

/// What is known of the Services of a cluster.
#[derive(Debug, Default)]
pub(crate) struct RemoteServices {
    /// None where they cannot be read: ports are taken to be called there as they are here.
    listed: Option<HashMap<ObjectKey, ServiceFacts>>,
    /// What the LIST was asked for.
    asked: BTreeSet<ObjectKey>,
    /// Why what is known may be old.
    doubt: Option<String>,
    order: Order,
    changes: ChangedServices,
}

/// A Service with its version, as an API server has it.
pub(crate) type Versioned = (u64, ServiceFacts);

/// The state of things beside a change: the moment, by the steady clock, and a number for how the
/// slices of a Service are.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub now: SteadyTime,
    pub slices: &'a dyn Fn(&ObjectKey) -> u64,
}

/// One of them.
#[derive(Debug, PartialEq)]
pub(crate) enum RemoteService<'a> {
    /// We may not look.
    Unread,
    Missing,
    Is(&'a ServiceFacts),
}

impl RemoteServices {
    /// These have been asked for, and listed.
    pub(crate) fn replace(
        &mut self,
        asked: BTreeSet<ObjectKey>,
        listed: HashMap<ObjectKey, Versioned>,
        beside: Beside<'_>,
    ) {
        self.order.begin(None);
        let known = self.listed.get_or_insert_default();
        known.retain(|service, _| listed.contains_key(service));
        for (service, versioned) in listed {
            self.enter(&service, versioned, beside, Arrival::Listed);
        }
        self.order.complete(None);
        (self.asked, self.doubt) = (asked, None);
    }

    /// Their watch broke, or cannot begin: what is known may be old. Returns whether that is news.
    pub(crate) fn interrupted(&mut self, why: &str) -> bool {
        self.doubt.replace(why.to_owned()).is_none_or(|before| before != why)
    }

    /// They may not be read. Returns whether that is news.
    pub(crate) fn refused(&mut self, why: &str) -> bool {
        let were_read = self.listed.take().is_some();
        self.interrupted(why) || were_read
    }

    /// Takes in one, where it may enter. Returns whether it is news.
    pub(crate) fn enter(
        &mut self,
        service: &ObjectKey,
        (version, facts): Versioned,
        beside: Beside<'_>,
        arrival: Arrival<'_>,
    ) -> bool {
        if self.listed.is_none() {
            return false;
        }
        match self.order.enter(service, version, service, arrival) {
            Freshness::Enters => self.put(service, facts, beside),
            Freshness::Leaves => self.remove(service),
            Freshness::Late => false,
        }
    }

    fn put(&mut self, service: &ObjectKey, facts: ServiceFacts, beside: Beside<'_>) -> bool {
        let shape = facts.shape;
        let listed = self.listed.get_or_insert_default();
        let is_new = listed.get(service) != Some(&facts);
        let before = listed.insert(service.clone(), facts);
        if before.is_some_and(|before| before.shape != shape) {
            self.changes.begin(service, (beside.slices)(service), beside.now);
        }
        is_new
    }

    /// The watch says that one is gone. Returns whether that is news.
    pub(crate) fn delete(&mut self, service: &ObjectKey, version: u64) -> bool {
        self.order.delete(service, version) && self.remove(service)
    }

    /// A LIST of one, past the watch, is about to be asked for; none where they cannot be read.
    pub(crate) fn ticket(&self, service: &ObjectKey) -> Option<Ticket> {
        self.listed.as_ref().map(|_| self.order.ticket(service))
    }

    /// Takes in that LIST. Returns whether it is news.
    pub(crate) fn confirm(
        &mut self,
        ticket: &Ticket,
        service: &ObjectKey,
        found: Option<Versioned>,
        at: u64,
        beside: Beside<'_>,
    ) -> Result<bool, Superseded> {
        self.order.places(ticket, service, at)?;
        let news = match found {
            Some(versioned) => self.enter(service, versioned, beside, Arrival::Answered(ticket)),
            None => self.order.lack(ticket, service, at) && self.remove(service),
        };
        self.order.show(ticket, service, at);
        Ok(news)
    }

    fn remove(&mut self, service: &ObjectKey) -> bool {
        self.listed.as_mut().is_some_and(|listed| listed.remove(service).is_some())
    }

    pub(crate) fn get(&self, service: &ObjectKey) -> RemoteService<'_> {
        match self.listed.as_ref().map(|listed| listed.get(service)) {
            Some(Some(facts)) => RemoteService::Is(facts),
            Some(None) if self.asked.contains(service) => RemoteService::Missing,
            None | Some(None) => RemoteService::Unread,
        }
    }

    /// Why an endpoint that offers no port by the name that is known for it may do so all the same.
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

    /// The slices of a Service are these now.
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

    fn beside(seconds: i64) -> Beside<'static> {
        Beside { now: at(seconds), slices: &|_| 7 }
    }

    fn lists(services: &mut RemoteServices, listed: Option<(u64, &str)>, seconds: i64) {
        let listed = listed.map(|(version, port)| (bb(), (version, facts(port))));
        services.replace([bb()].into(), listed.into_iter().collect(), beside(seconds));
    }

    fn watched(services: &mut RemoteServices, version: u64, port: &str, seconds: i64) -> bool {
        services.enter(&bb(), (version, facts(port)), beside(seconds), Arrival::Watched)
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

        // While its watch was broken, and with a lower number: a LIST counts anew.
        lists(&mut services, Some((1, "rpc")), 100);
        assert_eq!(until(&services, 100), Some(at(105)));
    }

    #[test]
    fn what_is_known_is_in_doubt_while_it_is_not_watched() {
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
    fn a_list_past_the_watch_brings_nothing_back_and_takes_away_what_is_older() {
        let mut services = RemoteServices::default();
        lists(&mut services, Some((5, "http")), 0);
        let ticket = services.ticket(&bb()).unwrap();
        let confirm = |services: &mut RemoteServices, found: Option<(u64, &str)>, at: u64| {
            let found = found.map(|(version, port)| (version, facts(port)));
            services.confirm(&ticket, &bb(), found, at, beside(0))
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
        // Listed anew meanwhile.
        lists(&mut services, Some((5, "http")), 0);
        assert_eq!(confirm(&mut services, None, 30), Err(Superseded::ListedSince));
    }
}
