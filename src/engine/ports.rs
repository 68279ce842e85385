//! The ports that callers ask a backend for, and those that it is short of.
//!
//! Ready endpoints are counted port by port. A port counts from the first moment that a ready
//! endpoint offers it; one that was never served moves no traffic. A port whose last endpoints all
//! offered another asked one too has no endpoints of its own and is counted by that other: where the
//! other goes on, it went with a release; where both go, either brings the backend back. What is left
//! are the [counts](PortCount) of a backend: it is as ready as the least of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// More ports of one Service than these are not looked at.
pub(crate) const MOST_PORTS: usize = 128;

/// Some of the asked ports, by their place.
pub(crate) type PortSet = u128;

/// What backends are short of, by backend: of each group of ports one has to be ready again.
pub(crate) type ShortPorts = BTreeMap<String, Vec<Vec<String>>>;

/// The most that were ready, by the [key](PortCount::key) of what fell short of a percentage.
pub type Peaks = BTreeMap<String, u32>;

/// What is seen of the ports that callers ask a backend for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    asked: Box<[Port]>,
    /// All endpoints of the backend, whatever they offer.
    endpoints: u32,
}

/// A port that the backend's Service declares and that callers ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// The number that callers ask for: the same port of several backends has the same.
    pub number: u16,
    /// As the backend's Service calls it.
    pub name: Box<str>,
    /// Ready endpoints that offer it.
    pub ready: u32,
    /// Endpoints that offer it, ready or not.
    pub total: u32,
    /// The most that were ready in the last ten minutes.
    pub peak: u32,
    /// Those of the ready ones that are about to be deleted.
    pub announced: u32,
    /// A ready endpoint has been seen to offer it.
    pub served: bool,
    /// The asked ports that all its ready endpoints offer too; where none is ready, that all of the
    /// last ones did.
    pub with: PortSet,
}

/// The endpoints of a port that counts: of each of these a backend has to have enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortCount<'a> {
    /// Ready endpoints that offer the port.
    pub ready: u32,
    /// Endpoints that offer it, ready or not.
    pub total: u32,
    /// The most that were ready in the last ten minutes.
    pub peak: u32,
    /// The port; none where it is the only one that counts.
    pub port: Option<&'a str>,
}

impl PortCount<'_> {
    /// Its key among recorded [`Peaks`].
    pub fn key(&self, backend: &str) -> String {
        match self.port {
            Some(port) => format!("{backend}#{port}"),
            None => backend.to_owned(),
        }
    }
}

impl Ports {
    /// The ports that callers ask for, of a backend with so many endpoints.
    pub fn new(asked: Vec<Port>, endpoints: u32) -> Self {
        let asked = asked.into_iter().take(MOST_PORTS).collect();
        Self { asked, endpoints }
    }

    /// No port at all.
    pub fn none() -> Self {
        Self { asked: Box::default(), endpoints: 0 }
    }

    /// The ports that count, by their place: those with endpoints of their own.
    fn own(&self) -> Vec<usize> {
        let is_own = |i: &usize| {
            let port = &self.asked[*i];
            let stands_for = |j: usize| {
                let other = &self.asked[j];
                // Of ports that always come together the first stands for all.
                other.served && (j < *i || !has(other.with, *i))
            };
            port.served && !self.beside(port).any(stands_for)
        };
        (0..self.asked.len()).filter(is_own).collect()
    }

    /// The places of the asked ports that all its ready, or last, endpoints offer too.
    fn beside(&self, port: &Port) -> impl Iterator<Item = usize> {
        let with = port.with;
        (0..self.asked.len()).filter(move |place| has(with, *place))
    }

    /// What counts of the backend; where no port has been served yet, nothing.
    pub fn counts(&self) -> Vec<PortCount<'_>> {
        let own = self.own();
        let several = own.len() > 1;
        let count = |i: &usize| {
            let Port { ready, total, peak, name, .. } = &self.asked[*i];
            let port = several.then_some(&**name);
            PortCount { ready: *ready, total: *total, peak: (*peak).max(*ready), port }
        };
        own.iter().map(count).collect()
    }

    /// Ready endpoints, all that offer the port, and the peak, of the port that has the least. Where
    /// nothing has been served yet, nothing is ready.
    pub fn least(&self) -> (u32, u32, u32) {
        let counts = self.counts();
        match counts.iter().min_by_key(|count| count.ready) {
            Some(least) => (least.ready, least.total, least.peak),
            None => (0, self.asked.iter().map(|port| port.total).max().unwrap_or_default(), 0),
        }
    }

    /// The numbers of the ports that have a ready endpoint.
    pub fn serves(&self) -> impl Iterator<Item = u16> {
        self.asked.iter().filter(|port| port.ready > 0).map(|port| port.number)
    }

    /// The numbers of the ports that count, each with those that always come together with it.
    pub fn classes(&self) -> impl Iterator<Item = Vec<u16>> {
        let number = |i: usize| self.asked[i].number;
        self.own().into_iter().map(move |i| self.class(i).map(number).collect())
    }

    /// The numbers of the ports that it served, that had endpoints of their own, and that it serves
    /// no more.
    pub fn lost(&self) -> BTreeSet<u16> {
        self.lost_own()
            .into_iter()
            .flat_map(|i| self.class(i))
            .map(|i| self.asked[i].number)
            .collect()
    }

    /// The names of those.
    pub fn lost_names(&self) -> Vec<&str> {
        let lost: BTreeSet<usize> =
            self.lost_own().into_iter().flat_map(|i| self.class(i)).collect();
        lost.into_iter().map(|i| &*self.asked[i].name).collect()
    }

    fn lost_own(&self) -> Vec<usize> {
        let mut own = self.own();
        own.retain(|i| self.asked[*i].ready == 0);
        own
    }

    /// A port, and those that always came together with it.
    fn class(&self, of: usize) -> impl Iterator<Item = usize> {
        let together = move |i: usize| {
            let (one, other) = (&self.asked[of], &self.asked[i]);
            i == of || other.served && has(one.with, i) && has(other.with, of)
        };
        (0..self.asked.len()).filter(move |i| together(*i))
    }

    /// What is to be remembered of its losses: each lost port, with those that always came together
    /// with it; but where those are all that is asked for. Then nothing else could be taken for
    /// readiness.
    pub fn short(&self) -> Vec<Vec<String>> {
        let lost = self.lost_own().into_iter().map(|i| self.class(i).collect::<Vec<_>>());
        let partial = lost.filter(|class| class.len() < self.asked.len());
        let named =
            |class: Vec<usize>| class.iter().map(|i| self.asked[*i].name.to_string()).collect();
        partial.map(named).collect()
    }

    /// Adds recorded losses: each group counts as served, and as lost until one of its
    /// ports is ready. What the Service does not declare any more is forgotten.
    pub fn remember(&mut self, short: &[Vec<String>]) {
        for group in short {
            let place = |name: &String| self.asked.iter().position(|port| *port.name == **name);
            let group: Vec<usize> = group.iter().filter_map(place).collect();
            if group.iter().any(|i| self.asked[*i].ready > 0) {
                continue;
            }
            let with = group.iter().fold(0, |set, i| set | 1 << i);
            for i in group {
                (self.asked[i].served, self.asked[i].with) = (true, with);
            }
        }
    }

    /// What it will be when those that are about to be deleted are gone.
    pub fn without_announced(&self) -> Self {
        let mut left = self.clone();
        let mut gone = 0;
        for port in &mut left.asked {
            let going = std::mem::take(&mut port.announced);
            port.ready = port.ready.saturating_sub(going);
            port.total = port.total.saturating_sub(going);
            gone = gone.max(going);
        }
        left.endpoints = left.endpoints.saturating_sub(gone);
        left
    }

    /// The same, but nothing is announced.
    pub fn unannounced(&self) -> Self {
        let mut seen = self.clone();
        seen.asked.iter_mut().for_each(|port| port.announced = 0);
        seen
    }

    /// Ports that were served by endpoints which all served others too that go on: they went with a
    /// release. Each with one of those others.
    pub fn released(&self) -> Vec<(&str, &str)> {
        let ready = |i: &usize| self.asked[*i].ready > 0;
        let gone = self.asked.iter().filter(|port| port.served && port.ready == 0);
        let beside = |port: &Port| self.beside(port).find(ready);
        gone.filter_map(|port| Some((&*port.name, &*self.asked[beside(port)?].name))).collect()
    }

    /// There are endpoints, and none of them offers an asked port, ready or not.
    pub fn offer_nothing(&self) -> bool {
        self.endpoints > 0 && self.asked.iter().all(|port| port.total == 0)
    }

    /// Names of asked ports that no endpoint offers, ready or not, and that it was never seen to
    /// serve.
    pub fn never_served(&self) -> Vec<&str> {
        let never = self.asked.iter().filter(|port| !port.served && port.total == 0);
        never.map(|port| &*port.name).collect()
    }
}

/// What is short, for a person: nothing where each port that counts has a ready endpoint.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.endpoints == 0 {
            return f.write_str("no endpoints");
        }
        let lost = self.lost_own();
        let lost: Vec<usize> = match lost.is_empty() && self.asked.iter().all(|p| p.ready == 0) {
            // Nothing has been served yet.
            true => (0..self.asked.len()).collect(),
            false => lost,
        };
        if lost.is_empty() {
            return Ok(());
        }
        let (unready, absent): (Vec<&Port>, Vec<&Port>) =
            lost.iter().map(|i| &self.asked[*i]).partition(|port| port.total > 0);
        let mut parts = vec![];
        for port in unready {
            let (total, name) = (port.total, &port.name);
            parts.push(match self.asked.len() {
                1 => format!("0 of {total} endpoints ready"),
                _ => format!("0 of {total} endpoints of port {name} ready"),
            });
        }
        if !absent.is_empty() {
            let names: Vec<&str> = absent.iter().map(|port| &*port.name).collect();
            let endpoints = match self.endpoints {
                1 => "1 endpoint".to_owned(),
                many => format!("{many} endpoints"),
            };
            parts.push(format!("{endpoints}, none offers port {}", names.join(" or ")));
        }
        f.write_str(&parts.join(", "))
    }
}

fn has(set: PortSet, place: usize) -> bool {
    set & 1 << place != 0
}

#[cfg(test)]
#[path = "ports_tests.rs"]
mod tests;
