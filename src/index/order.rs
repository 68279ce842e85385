//! The order in which facts enter the index: whether a fact that arrives is the newest of its key.
//!
//! Versions are compared within one watch only. The LIST that begins a watch replaces what was known,
//! whatever its numbers: an etcd restored from a snapshot counts on from an older one. A request past the
//! watch, a confirming LIST or a write of our own, has a [`Ticket`]: its answer enters only during the same
//! watch, and brings back nothing that the watch has deleted meanwhile.

use crate::kinds::ObjectKey;
use std::collections::HashMap;
use std::sync::Arc;
use thiserror::Error;

/// The most deletions that are kept for requests under way. Beyond it their answers do not enter, and the
/// watch delivers the same.
const MOST_DELETED: usize = 10_000;

/// How a fact arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrival<'a> {
    /// With the LIST that begins a watch.
    Listed,
    /// With an event of the watch.
    Watched,
    /// As the answer to a request past the watch.
    Answered(&'a Ticket),
}

/// How a fact that arrives compares with what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It is the newest that is known, and enters.
    Newest,
    /// It is the newest of an object that is known to be deleted since: the object is removed.
    Deleted,
    /// Something newer is known: it does not enter.
    Stale,
}

/// A request that is under way past the watch.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    epoch: Arc<()>,
    /// The highest version that was known when it began.
    newest: u64,
}

/// Why the answer to a request past the watch does not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Superseded {
    #[error("the watch has begun again since the request")]
    ListedSince,
    /// The answer is older than what was known at the request.
    #[error("the resourceVersions have gone back: the watch has to begin again first")]
    WentBack,
}

/// The order of one kind: that of its one watch, or of each namespace's.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Of the cluster, where there is one watch.
    cluster: Watch,
    by_namespace: HashMap<Box<str>, Watch>,
}

/// What is known of the versions of one watch.
#[derive(Debug, Default)]
struct Watch {
    /// Another with each LIST that begins it, and with its end. Tickets share it: while there are any,
    /// deletions are kept.
    epoch: Arc<()>,
    /// That LIST is not complete yet.
    listing: bool,
    /// The highest version that has entered.
    newest: u64,
    /// Each key's last version.
    versions: HashMap<ObjectKey, u64>,
    /// The keys that were deleted while requests were under way, with the last version that is known to be
    /// past.
    deleted: HashMap<ObjectKey, u64>,
    /// The version up to which a LIST past the watch has shown all of a name, or of a Service; until the
    /// watch has reached it.
    shown: HashMap<ObjectKey, u64>,
}

impl Order {
    /// Begins the LIST of a watch: the answers to requests under way do not enter any more.
    pub(crate) fn begin(&mut self, namespace: Option<&str>) {
        let watch = match namespace {
            None => &mut self.cluster,
            Some(namespace) => self.by_namespace.entry(namespace.into()).or_default(),
        };
        *watch = Watch { listing: true, ..Watch::default() };
    }

    /// Completes that LIST. The answers to requests during it do not enter either: they may be older, and
    /// of another history.
    pub(crate) fn complete(&mut self, namespace: Option<&str>) {
        let watch = match namespace {
            None => Some(&mut self.cluster),
            Some(namespace) => self.by_namespace.get_mut(namespace),
        };
        if let Some(watch) = watch {
            watch.epoch = Arc::default();
            watch.listing = false;
        }
    }

    /// A ticket for a request about an object, past the watch.
    pub(crate) fn ticket(&self, key: &ObjectKey) -> Ticket {
        let watch = self.watch(key);
        Ticket { epoch: watch.epoch.clone(), newest: watch.newest }
    }

    /// Whether a LIST past the watch, of this version, may enter.
    pub(crate) fn check_answer(
        &self,
        ticket: &Ticket,
        key: &ObjectKey,
        at: u64,
    ) -> Result<(), Superseded> {
        if !self.watch(key).is_valid(ticket) {
            Err(Superseded::ListedSince)
        } else if at == 0 || at < ticket.newest {
            Err(Superseded::WentBack)
        } else {
            Ok(())
        }
    }

    /// Compares a fact that arrives, and records it where it is the newest. `of` is the subject of the LIST
    /// past the watch that has it: the object itself, or the Service of a slice.
    pub(crate) fn enter(
        &mut self,
        key: &ObjectKey,
        version: u64,
        of: &ObjectKey,
        arrival: Arrival<'_>,
    ) -> Freshness {
        let watch = self.watch_mut(key);
        let freshness = match arrival {
            Arrival::Listed => Freshness::Newest,
            Arrival::Watched => watch.freshness_of_event(key, version, of),
            Arrival::Answered(ticket) if watch.takes_answer(ticket, key, version, of) => {
                Freshness::Newest
            }
            Arrival::Answered(_) => Freshness::Stale,
        };
        match freshness {
            Freshness::Newest => watch.note(key, version),
            Freshness::Deleted => watch.note_deleted(key, version),
            Freshness::Stale => {}
        }
        freshness
    }

    /// Records that the watch reports an object deleted. Returns whether it is to be removed: an answer may
    /// have shown the next of that name already.
    pub(crate) fn delete(&mut self, key: &ObjectKey, version: u64) -> bool {
        let watch = self.watch_mut(key);
        watch.advance_to(version);
        if watch.is_stale(key, version) {
            return false;
        }
        watch.note_deleted(key, version);
        true
    }

    /// Records that an answer of this version does not have an object. Returns whether the object is to be
    /// removed.
    pub(crate) fn answer_lacks(&mut self, ticket: &Ticket, key: &ObjectKey, at: u64) -> bool {
        let watch = self.watch_mut(key);
        let is_removed = watch.is_valid(ticket) && !watch.is_stale(key, at);
        if let Some(known) = watch.versions.get(key).copied().filter(|_| is_removed) {
            // Not as of `at`: a slice may have moved to another Service before it.
            watch.note_deleted(key, known);
        }
        is_removed
    }

    /// Records that an answer of this version, with all of a name or of a Service, has entered.
    pub(crate) fn answer_covers(&mut self, ticket: &Ticket, of: &ObjectKey, at: u64) {
        let watch = self.watch_mut(of);
        if watch.is_valid(ticket) {
            let shown = watch.shown.entry(of.clone()).or_default();
            *shown = at.max(*shown);
        }
    }

    fn watch(&self, key: &ObjectKey) -> &Watch {
        self.by_namespace.get(&*key.namespace).unwrap_or(&self.cluster)
    }

    fn watch_mut(&mut self, key: &ObjectKey) -> &mut Watch {
        self.by_namespace.get_mut(&*key.namespace).unwrap_or(&mut self.cluster)
    }
}

impl Watch {
    fn is_valid(&self, ticket: &Ticket) -> bool {
        !self.listing && Arc::ptr_eq(&self.epoch, &ticket.epoch)
    }

    fn freshness_of_event(&mut self, key: &ObjectKey, version: u64, of: &ObjectKey) -> Freshness {
        if self.is_stale(key, version) {
            return Freshness::Stale;
        }
        self.advance_to(version);
        if self.has_gone(key, version, of) { Freshness::Deleted } else { Freshness::Newest }
    }

    /// Whether the answer to a request past the watch is the newest of its key. Without a number it has no
    /// place in the order.
    fn takes_answer(&self, ticket: &Ticket, key: &ObjectKey, version: u64, of: &ObjectKey) -> bool {
        self.is_valid(ticket)
            && version != 0
            && !self.is_stale(key, version)
            && self.deleted.get(key).is_none_or(|deleted| *deleted < version)
            && !self.has_gone(key, version, of)
    }

    fn is_stale(&self, key: &ObjectKey, version: u64) -> bool {
        self.versions.get(key).is_some_and(|known| *known > version)
    }

    /// Whether a LIST past the watch has shown that this fact is past: what the LIST had is known by its
    /// version.
    fn has_gone(&self, key: &ObjectKey, version: u64, of: &ObjectKey) -> bool {
        self.shown.get(of).is_some_and(|at| *at >= version)
            && self.versions.get(key) != Some(&version)
    }

    fn note(&mut self, key: &ObjectKey, version: u64) {
        self.newest = self.newest.max(version);
        match self.versions.get_mut(key) {
            Some(known) => *known = version,
            None => drop(self.versions.insert(key.clone(), version)),
        }
    }

    /// Records that an object is deleted, as of this version at the latest. While requests are under way it
    /// is kept, so that none of their answers brings it back.
    fn note_deleted(&mut self, key: &ObjectKey, version: u64) {
        self.newest = self.newest.max(version);
        self.versions.remove(key);
        if Arc::strong_count(&self.epoch) == 1 {
            self.deleted.clear();
            return;
        }
        if self.deleted.len() >= MOST_DELETED {
            self.deleted.clear();
            self.epoch = Arc::default();
        }
        self.deleted.insert(key.clone(), version);
    }

    /// Records that the watch has reached a version. It reports in order, so it has reported what a LIST of
    /// an earlier version has shown.
    fn advance_to(&mut self, version: u64) {
        if !self.shown.is_empty() {
            self.shown.retain(|_, at| *at >= version);
        }
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
