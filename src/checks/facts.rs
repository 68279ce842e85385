//! All that checks follow from.

use crate::checks::access::Access;
use crate::checks::outcome::Outcome;
use crate::snapshot::row::ObjectRow;
use crate::snapshot::{Settings, Snapshot};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use std::cell::OnceCell;

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
    /// The kinds that can fail over, with the versions in which they are served.
    pub kinds: Asked<Vec<String>>,
    /// What the person may not do, of all that the checks look at.
    pub denied: Vec<Access>,
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
    /// The webhook's answers to dry runs; none where there is nothing to try them with.
    pub dry_runs: Option<DryRuns>,
    /// The CA bundles of both webhook configurations, by their names.
    pub bundles: Asked<Vec<(String, Vec<u8>)>>,
    /// The ends of the certificates that replicas serve, by their pods.
    pub leaves: Asked<Vec<(String, Timestamp)>>,
    pub snapshot: Asked<Snapshot>,
    /// Of the snapshot, once a check has asked for them.
    pub rows: OnceCell<Vec<ObjectRow>>,
}

/// What came of two creations that nothing is stored of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DryRuns {
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
    /// A webhook or a policy refuses it.
    Refused(String),
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
    /// The outcome by the snapshot, and by the rows of its objects.
    pub(super) fn by_snapshot(
        &self,
        outcome: impl FnOnce(&Snapshot, &[ObjectRow]) -> Outcome,
    ) -> Outcome {
        by(&self.snapshot, |snapshot| outcome(snapshot, self.rows.get_or_init(|| snapshot.rows())))
    }
}
