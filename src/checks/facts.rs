//! All that checks follow from.

use crate::checks::access::{Access, Needed};
use crate::checks::outcome::Outcome;
use crate::kinds::Kind;
use crate::snapshot::row::ObjectRow;
use crate::snapshot::{Settings, Snapshot};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotKnown {
    /// Whoever asks may not read it.
    Forbidden,
    Failed(String),
}

/// A fact, as far as it could be read.
pub(crate) type Asked<T> = Result<T, NotKnown>;

/// Everything that was gathered.
#[derive(Debug)]
pub(crate) struct Facts {
    pub now: Timestamp,
    /// The version of the API server: `1.34`.
    pub kubernetes: (u32, u32),
    /// The kinds that can fail over, as the cluster serves them.
    pub kinds: Asked<Vec<ServedKind>>,
    /// What the person may not do, of all that the checks look at.
    pub denied: Vec<Needed>,
    /// The same of an installation.
    pub install_denied: Vec<Access>,
    /// Whether an installation was found, and the settings; the chart's otherwise.
    pub deployment: Option<Deployment>,
    /// Whether Deployments may be read at all.
    pub knows_deployment: bool,
    pub settings: Settings,
    /// Deployments of linkerd-failover 0.1.
    pub predecessors: Asked<Vec<String>>,
    pub pods: Asked<Vec<Pod>>,
    pub lease: Asked<Option<Lease>>,
    /// What the program's ServiceAccount may not do, of all that it needs.
    pub account_denied: Asked<Vec<Access>>,
    /// The webhook's answers to dry runs, or why there is nothing to try them with; none without a webhook.
    pub dry_runs: Option<Result<DryRuns, String>>,
    /// The CA bundles of both webhook configurations, by their names.
    pub bundles: Asked<Vec<(String, Vec<u8>)>>,
    /// What the metrics of each pod tell.
    pub metrics: Vec<(String, Asked<ReplicaMetrics>)>,
    pub snapshot: Asked<Snapshot>,
    /// Of the snapshot, once a check has asked for them.
    pub rows: OnceCell<Vec<ObjectRow>>,
}

/// A kind of failover object in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedKind {
    pub kind: Kind,
    /// The version that is read; none: the cluster does not serve it in such a one.
    pub version: Option<&'static str>,
    /// Where there is none: the versions that it serves.
    pub others: Vec<String>,
}

/// What a replica tells by its metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplicaMetrics {
    /// When the certificate that it serves ends.
    pub certificate_end: Option<Timestamp>,
    /// Whether it sees the endpoints of linked clusters.
    pub reachable: BTreeMap<String, bool>,
}

/// What came of two creations that nothing is stored of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DryRuns {
    /// What was done in both.
    pub access: Access,
    /// Of an object that has to be defaulted: whether it was.
    pub good: DryRun,
    /// Of an object that has to be refused.
    pub bad: DryRun,
}

/// What came of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    /// It would be stored, with a primary that was filled in or without.
    Admitted {
        defaulted: bool,
    },
    /// Our webhook refuses it.
    Refused(String),
    /// Another webhook or a policy refuses it, and ours was perhaps not asked.
    RefusedByOther(String),
    /// The API server could not call a webhook.
    NotCalled(String),
    NotKnown(NotKnown),
}

/// The outcome by a fact; where it may not be read, another check says so.
pub(super) fn by<T>(asked: &Asked<T>, outcome: impl FnOnce(&T) -> Outcome) -> Outcome {
    match asked {
        Ok(fact) => outcome(fact),
        Err(NotKnown::Forbidden) => Outcome::Skipped,
        Err(NotKnown::Failed(why)) => Outcome::Error(format!("not known: {why}")),
    }
}

impl Facts {
    /// Whether the replicas see the endpoints of a linked cluster; none where no metrics tell.
    pub(super) fn is_reached(&self, cluster: &str) -> Option<bool> {
        let each = self.metrics.iter().filter_map(|(_, metrics)| metrics.as_ref().ok());
        each.filter_map(|metrics| metrics.reachable.get(cluster).copied()).max()
    }

    /// The outcome by the snapshot, and by the rows of its objects.
    pub(super) fn by_snapshot(
        &self,
        outcome: impl FnOnce(&Snapshot, &[ObjectRow]) -> Outcome,
    ) -> Outcome {
        by(&self.snapshot, |snapshot| outcome(snapshot, self.rows.get_or_init(|| snapshot.rows())))
    }
}
