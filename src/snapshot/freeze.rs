//! A freeze of the whole cluster, and who made it.

use crate::index::cluster_settings::ClusterSettings;
use crate::kinds::changed_by::{ChangedBy, Intervention};
use jiff::Timestamp;
use std::fmt;

/// The cluster is frozen: nothing is written, in no namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Freeze {
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Who made it, where a command did.
    pub by: Option<ChangedBy>,
}

impl Freeze {
    /// By the settings on the own namespace, while it lasts.
    pub(super) fn of(settings: &ClusterSettings, now: Timestamp) -> Option<Self> {
        let holds = settings.frozen && settings.ended_at(now).is_none();
        let by = settings.changed_by.as_ref().filter(|by| by.action == Intervention::Freeze);
        holds.then(|| Self { until: settings.frozen_until, by: by.cloned() })
    }
}

/// `the cluster is frozen until 2026-11-26T03:30:00Z by alice: an incident`.
impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.by, self.until) {
            (Some(by), _) => write!(f, "the cluster is {by}"),
            (None, Some(until)) => write!(f, "the cluster is frozen until {until}"),
            (None, None) => f.write_str("the cluster is frozen"),
        }
    }
}
