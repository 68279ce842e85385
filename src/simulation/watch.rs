//! A watch of the simulated API server: a LIST, then the changes after it, in order, a step at a time.

use crate::simulation::api_server::{ApiServer, Change, Stored};
use std::collections::{BTreeSet, VecDeque};

/// What a watch delivers with one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery<K, T> {
    /// The LIST that begins it is asked for.
    Begins,
    /// The LIST is answered; its items follow.
    Answered,
    Listed(K, Stored<T>),
    /// That was all of the LIST: what has none of these keys is gone.
    Complete(BTreeSet<K>),
    Changed(K, Stored<T>),
    Deleted(K, u64),
}

#[derive(Debug)]
enum Stage<K, T> {
    Ended,
    Began,
    /// What remains of the LIST, all of its keys, its version.
    Lists(VecDeque<(K, Stored<T>)>, BTreeSet<K>, u64),
    /// All changes up to this version are delivered.
    Watches(u64),
}

#[derive(Debug)]
pub(crate) struct Watch<K, T> {
    stage: Stage<K, T>,
    /// Of the API server that answered the LIST.
    incarnation: u32,
    /// Nothing comes through any more, and nobody notices.
    is_stalled: bool,
}

impl<K, T> Default for Watch<K, T> {
    fn default() -> Self {
        Self { stage: Stage::Ended, incarnation: 0, is_stalled: false }
    }
}

impl<K: Clone + Ord, T: Clone> Watch<K, T> {
    /// Takes the next step; none where there is nothing to deliver.
    pub(crate) fn follow(&mut self, server: &ApiServer<K, T>) -> Option<Delivery<K, T>> {
        if self.is_stalled || self.is_cut(server) && matches!(self.stage, Stage::Watches(_)) {
            return None;
        }
        match &mut self.stage {
            Stage::Ended => {
                self.stage = Stage::Began;
                Some(Delivery::Begins)
            }
            Stage::Began => {
                let items = VecDeque::from(server.list());
                let keys = items.iter().map(|(key, _)| key.clone()).collect();
                self.incarnation = server.incarnation();
                self.stage = Stage::Lists(items, keys, server.version());
                Some(Delivery::Answered)
            }
            Stage::Lists(items, keys, at) => {
                if let Some((key, stored)) = items.pop_front() {
                    return Some(Delivery::Listed(key, stored));
                }
                let keys = std::mem::take(keys);
                self.stage = Stage::Watches(*at);
                Some(Delivery::Complete(keys))
            }
            Stage::Watches(delivered) => {
                let (version, Change { key, content }) = server.change_after(*delivered)?;
                *delivered = version;
                Some(match content {
                    Some(content) => Delivery::Changed(key, (version, content)),
                    None => Delivery::Deleted(key, version),
                })
            }
        }
    }

    /// It ends; the next step begins it again.
    pub(crate) fn end(&mut self) {
        self.stage = Stage::Ended;
    }

    /// It delivers nothing until it is resumed.
    pub(crate) fn stall(&mut self) {
        self.is_stalled = true;
    }

    pub(crate) fn resume(&mut self) {
        self.is_stalled = false;
    }

    /// Its LIST is complete, and it has not ended since.
    pub(crate) fn is_synced(&self) -> bool {
        matches!(self.stage, Stage::Watches(_))
    }

    /// Up to which version everything is delivered; none while it is listed, or where the API server
    /// that it comes from is no more.
    pub(crate) fn delivered(&self, server: &ApiServer<K, T>) -> Option<u64> {
        match self.stage {
            Stage::Watches(delivered) if !self.is_cut(server) => Some(delivered),
            _ => None,
        }
    }

    /// The API server that it comes from is no more.
    pub(crate) fn is_cut(&self, server: &ApiServer<K, T>) -> bool {
        let is_connected = matches!(self.stage, Stage::Lists(..) | Stage::Watches(_));
        is_connected && self.incarnation != server.incarnation()
    }
}
