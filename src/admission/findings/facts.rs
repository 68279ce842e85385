//! All that findings follow from.

use crate::engine::{FieldPath, Health};
use crate::kinds::linkerd::failfast::Failfast;
use crate::kinds::linkerd::failure_accrual::FailureAccrual;
use crate::kinds::linkerd::retry_policy::RetryPolicy;
use crate::kinds::{ObjectKey, ObjectRef};
use std::time::Duration;

/// A failover object, the Services around it, and Linkerd.
#[derive(Clone, Debug)]
pub(crate) struct ObjectFacts {
    pub object: ObjectRef,
    /// Whether ready fallbacks keep the smallest share.
    pub warm_standby: bool,
    /// The retries of the object itself.
    pub retries: RetryPolicy,
    /// In the author's order.
    pub sets: Vec<SetFacts>,
    /// The Services that clients call. Linkerd takes failure accrual from them, and retries where the object
    /// has none.
    pub parents: Vec<ParentFacts>,
    /// Backends that clients do not call by this object, with failure accrual of their own: Linkerd does not take
    /// it from there. Without mirrors, which have the annotations of the Service that they stand for.
    pub accrual_of_backends: Vec<ObjectKey>,
    /// The timeouts of its requests, by where they are set.
    pub timeouts: Vec<(TimeoutPlace, Duration)>,
    /// Of callers' proxies.
    pub failfast: Failfast,
}

/// Where a request timeout is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimeoutPlace {
    /// By the annotation of the object.
    Object,
    /// In this rule.
    Rule(FieldPath),
    /// By the annotation of a Service that clients call.
    Service(ObjectKey),
}

/// The backends that share one traffic.
#[derive(Clone, Debug)]
pub(crate) struct SetFacts {
    /// Its list of backends.
    pub path: FieldPath,
    /// Its backends but for the primaries.
    pub fallbacks: Vec<FallbackFacts>,
}

#[derive(Clone, Debug)]
pub(crate) struct FallbackFacts {
    pub service: ObjectKey,
    /// The port that the object names.
    pub port: Option<u16>,
    pub health: Health,
}

/// A Service that clients call.
#[derive(Clone, Debug)]
pub(crate) struct ParentFacts {
    pub service: ObjectKey,
    /// For routes of the object's kind.
    pub retries: RetryPolicy,
    pub accrual: FailureAccrual,
    /// The ServiceProfile that Linkerd follows in the place of a route.
    pub profile: Option<HidingProfile>,
}

/// A ServiceProfile that takes precedence over a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HidingProfile {
    pub profile: ObjectKey,
    /// The TrafficSplit that it is made of, where that is known.
    pub split: Option<ObjectRef>,
}
