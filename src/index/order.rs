//! One order for all that enters the index: whether what arrives of a key may.
//!
//! Versions are compared within one watch only. The LIST that begins a watch takes the place of what
//! was known whatever its numbers: an etcd restored from a snapshot counts on from an older one. What
//! is asked for past the watch, a confirming LIST or a write of our own, takes a [`Ticket`] along: its
//! answer enters only while that very watch goes on, and brings back nothing that the watch has
//! deleted meanwhile.

use crate::kinds::ObjectKey;
use std::collections::HashMap;
use std::sync::Arc;
use thiserror::Error;

/// More deletions are not kept for requests that are under way: their answers do not enter then, and
/// the watch delivers what they would have.
const MOST_DELETED: usize = 10_000;

/// How a state of an object arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrival<'a> {
    /// With the LIST that begins a watch.
    Listed,
    /// With an event of the watch.
    Watched,
    /// As the answer to a request past the watch.
    Answered(&'a Ticket),
}

/// What becomes of what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It is the newest that is known.
    Enters,
    /// It is the newest, and known to have gone since: what there is of the object goes.
    Leaves,
    /// Something newer is known.
    Late,
}

/// A request that is under way past the watch.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    epoch: Arc<()>,
    /// The highest version that was known when it began.
    newest: u64,
}

/// Why the answer to a request does not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Superseded {
    #[error("the watch has been listed anew since it was asked for")]
    ListedSince,
    /// The answer is older than what was known when it was asked for.
    #[error("the resourceVersions have gone back: the watch is listed anew first")]
    WentBack,
}

/// The order of one kind: that of its one watch, or of each namespace's.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Of the whole cluster, where there is one watch.
    cluster: Watch,
    by_namespace: HashMap<Box<str>, Watch>,
}

/// What is known of the versions of one watch.
#[derive(Debug, Default)]
struct Watch {
    /// Another with each LIST that begins it, and with its end. Tickets hold it: while there are any,
    /// deletions are remembered.
    epoch: Arc<()>,
    /// That LIST is not complete yet.
    listing: bool,
    /// The highest version that has entered.
    newest: u64,
    /// Each key's last version.
    versions: HashMap<ObjectKey, u64>,
    /// What the watch has deleted while requests were under way, with the deletion's version.
    deleted: HashMap<ObjectKey, u64>,
    /// Up to which version a LIST past the watch has shown what there is of this name, or of this
    /// Service; until the watch has come that far.
    shown: HashMap<ObjectKey, u64>,
}

impl Order {
    /// The LIST of a watch begins: nothing that is under way enters any more.
    pub(crate) fn begin(&mut self, namespace: Option<&str>) {
        let watch = match namespace {
            None => &mut self.cluster,
            Some(namespace) => self.by_namespace.entry(namespace.into()).or_default(),
        };
        *watch = Watch { listing: true, ..Watch::default() };
    }

    /// The LIST is complete. What was asked for while it was under way may be older than it, and of
    /// another history.
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

    /// A request about an object, past the watch, is about to be made.
    pub(crate) fn ticket(&self, key: &ObjectKey) -> Ticket {
        let watch = self.watch(key);
        Ticket { epoch: watch.epoch.clone(), newest: watch.newest }
    }

    /// Whether a LIST past the watch, of this version, may be taken in.
    pub(crate) fn places(
        &self,
        ticket: &Ticket,
        key: &ObjectKey,
        at: u64,
    ) -> Result<(), Superseded> {
        if !self.watch(key).honours(ticket) {
            Err(Superseded::ListedSince)
        } else if at == 0 || at < ticket.newest {
            Err(Superseded::WentBack)
        } else {
            Ok(())
        }
    }

    /// A state of an object arrives. `of` is what a LIST past the watch would be asked for to have it:
    /// itself, or of a slice the Service that it belongs to.
    pub(crate) fn enter(
        &mut self,
        key: &ObjectKey,
        version: u64,
        of: &ObjectKey,
        arrival: Arrival<'_>,
    ) -> Freshness {
        let watch = self.watch_mut(key);
        match arrival {
            Arrival::Listed => watch.note(key, version),
            Arrival::Watched if watch.is_late(key, version) => return Freshness::Late,
            Arrival::Watched => {
                watch.has_come_to(version);
                if watch.has_gone(key, version, of) {
                    watch.versions.remove(key);
                    return Freshness::Leaves;
                }
                watch.note(key, version);
            }
            Arrival::Answered(ticket) => {
                let late = !watch.honours(ticket)
                    // One without a number has no place.
                    || version == 0
                    || watch.is_late(key, version)
                    || watch.deleted.get(key).is_some_and(|deleted| *deleted >= version)
                    || watch.has_gone(key, version, of);
                if late {
                    return Freshness::Late;
                }
                watch.note(key, version);
            }
        }
        Freshness::Enters
    }

    /// The watch says that an object is gone. Whether it goes: an answer may have shown the next of
    /// that name already.
    pub(crate) fn delete(&mut self, key: &ObjectKey, version: u64) -> bool {
        let watch = self.watch_mut(key);
        watch.has_come_to(version);
        if watch.is_late(key, version) {
            return false;
        }
        watch.newest = watch.newest.max(version);
        watch.versions.remove(key);
        if Arc::strong_count(&watch.epoch) == 1 {
            watch.deleted.clear();
        } else {
            if watch.deleted.len() >= MOST_DELETED {
                watch.deleted.clear();
                watch.epoch = Arc::default();
            }
            watch.deleted.insert(key.clone(), version);
        }
        true
    }

    /// An answer says that at this version an object was not there, or not among those that were
    /// asked for. Whether what is known of it goes.
    pub(crate) fn lack(&mut self, ticket: &Ticket, key: &ObjectKey, at: u64) -> bool {
        let watch = self.watch_mut(key);
        let goes = watch.honours(ticket) && !watch.is_late(key, at);
        if goes {
            watch.versions.remove(key);
        }
        goes
    }

    /// All that there was at this version, of this name or of this Service, has been taken in.
    pub(crate) fn show(&mut self, ticket: &Ticket, of: &ObjectKey, at: u64) {
        let watch = self.watch_mut(of);
        if watch.honours(ticket) {
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
    fn honours(&self, ticket: &Ticket) -> bool {
        !self.listing && Arc::ptr_eq(&self.epoch, &ticket.epoch)
    }

    fn is_late(&self, key: &ObjectKey, version: u64) -> bool {
        self.versions.get(key).is_some_and(|known| *known > version)
    }

    /// Whether a LIST past the watch has shown that this state is past: what that had is known by its
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

    /// The watch reports in order: what a LIST showed of versions before this one, it has reported too.
    fn has_come_to(&mut self, version: u64) {
        if !self.shown.is_empty() {
            self.shown.retain(|_, at| *at >= version);
        }
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
