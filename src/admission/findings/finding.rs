//! Findings: which there are, and what they follow from.

use super::facts::{HidingProfile, ObjectFacts, ParentFacts, SetFacts, TimeoutPlace};
use crate::engine::FieldPath;
use crate::kinds::ObjectKey;
use crate::kinds::linkerd::failfast::{self, EnvList, Failfast, FailfastTimeout, NotKnown};
use crate::kinds::linkerd::failure_accrual::{self, FailureAccrual};
use crate::kinds::linkerd::retry_policy::RetryPolicy;
use std::time::Duration;

/// Longer than this, callers take it for a failure: many wait no longer than a second.
pub(super) const LONGEST_FAILFAST: Duration = Duration::from_secs(1);

/// What a backend that fails is left alone for at least, where it is advised: well over the failfast timeout, so
/// that it is given up before it is probed.
const ADVISED_MIN_PENALTY: Duration = Duration::from_secs(10);

/// Something that an object lacks so that no request is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is a TrafficSplit: Linkerd follows its ServiceProfile, which has neither retries nor failure
    /// accrual.
    Split,
    /// Annotations for retries or failure accrual on a Service whose traffic a TrafficSplit steers: they do
    /// nothing. One of each, by name.
    WithoutEffect { service: ObjectKey, annotations: Vec<String> },
    /// Linkerd follows this ServiceProfile and not the route; the annotations of the Service for retries or failure
    /// accrual that do nothing for that.
    Hidden { profile: HidingProfile, annotations: Vec<String> },
    /// Where a backend is lost, a request knows no other until the weights have moved.
    NoWarmStandby,
    /// A set with one backend; a fallback that another set of the object has.
    NoFallback { path: FieldPath, other: Option<(ObjectKey, Option<u16>)> },
    /// Sets without a ready fallback, which have the same ones; each with its health.
    NoReadyFallback { paths: Vec<FieldPath>, fallbacks: Vec<(ObjectKey, String)> },
    /// Nothing is repeated; the Service that would have to ask for it, where another has retries already.
    NoRetries { service: Option<ObjectKey> },
    /// The author has set a limit of 0; the Service, where that is not on the object, and the conditions that
    /// are lacking too.
    RetriesForbidden { service: Option<ObjectKey>, lacking: Option<String> },
    /// Linkerd cannot read this annotation, and drops all retries.
    RetriesUnreadable { service: Option<ObjectKey>, name: &'static str, value: String },
    /// What repeats has conditions that a lost backend does not meet, or none.
    RetriesPartial { service: Option<ObjectKey>, conditions: Option<String> },
    /// A request that meets a lost backend waits for this long.
    LongFailfast { timeout: Duration, set_in: Option<EnvList> },
    /// How long it waits is not known; none: nothing has been read yet.
    FailfastNotKnown(Option<NotKnown>),
    /// A request that meets a lost backend reaches its timeout before it would be repeated.
    ShortTimeout(ShortTimeout),
    /// What is ready gets traffic whatever it answers; with the penalty that is advised.
    NoFailureAccrual { service: ObjectKey, advised: Duration },
    /// Backends have failure accrual, and the Service that clients call, from which Linkerd takes it, has none.
    AccrualOfBackends { service: ObjectKey, backends: Vec<ObjectKey>, advised: Duration },
    /// Linkerd cannot read this annotation, and drops all failure accrual.
    FailureAccrualUnreadable { service: ObjectKey, name: &'static str, value: String },
    /// A probe comes before a backend that fails is given up.
    EarlyProbes(EarlyProbes),
}

/// A request timeout that is no longer than the failfast timeout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShortTimeout {
    pub set_on: TimeoutPlace,
    pub timeout: Duration,
    pub failfast: FailfastTimeout,
}

/// Failure accrual whose first penalty is shorter than the failfast timeout, and what is advised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EarlyProbes {
    pub service: ObjectKey,
    pub min_penalty: Duration,
    pub failfast: Duration,
    /// Whether that is the proxies' default, since theirs is not known.
    pub is_assumed: bool,
    pub advised: Duration,
    /// Where the present one is shorter than what is advised.
    pub max_penalty: Option<Duration>,
}

/// Everything that an object lacks, in the order of a response.
pub(crate) fn findings(facts: &ObjectFacts) -> Vec<Finding> {
    let is_split = facts.object.kind.needs_service_profile();
    let mut found = if is_split { of_split(facts) } else { hidden(facts) };
    found.extend((!facts.warm_standby).then_some(Finding::NoWarmStandby));
    found.extend(of_sets(facts));
    if !is_split {
        found.extend(of_retries(facts));
    }
    found.extend(of_failfast(&facts.failfast));
    if !is_split {
        found.extend(short_timeout(facts));
        found.extend(facts.parents.iter().filter_map(|parent| of_accrual(parent, facts)));
    }
    found
}

impl Finding {
    /// Whether it is reported whatever the protection of the object is: annotations that somebody has
    /// set do nothing, or not what they are for.
    pub(crate) fn is_always_reported(&self) -> bool {
        match self {
            Self::WithoutEffect { .. }
            | Self::AccrualOfBackends { .. }
            | Self::FailureAccrualUnreadable { .. }
            | Self::EarlyProbes(_) => true,
            Self::Hidden { annotations, .. } => !annotations.is_empty(),
            _ => false,
        }
    }

    /// Whether it is only that a fact is not known, or follows from one that is not.
    pub(crate) fn is_unknown(&self) -> bool {
        match self {
            Self::FailfastNotKnown(_) => true,
            Self::EarlyProbes(probes) => probes.is_assumed,
            _ => false,
        }
    }
}

fn of_split(facts: &ObjectFacts) -> Vec<Finding> {
    let of_parents = facts.parents.iter().filter_map(|parent| {
        let (service, annotations) = (parent.service.clone(), annotations_of(parent));
        (!annotations.is_empty()).then_some(Finding::WithoutEffect { service, annotations })
    });
    let of_backends = facts.accrual_of_backends.iter().map(|service| Finding::WithoutEffect {
        service: service.clone(),
        annotations: vec![failure_accrual::MODE.to_owned()],
    });
    [Finding::Split].into_iter().chain(of_parents).chain(of_backends).collect()
}

/// Those that a ServiceProfile makes ineffective, one of each.
fn annotations_of(parent: &ParentFacts) -> Vec<String> {
    let set = [
        (parent.retries != RetryPolicy::Absent, "retry.linkerd.io/…"),
        (parent.accrual != FailureAccrual::Absent, failure_accrual::MODE),
    ];
    set.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.to_owned()).collect()
}

fn hidden(facts: &ObjectFacts) -> Vec<Finding> {
    let hidden = facts.parents.iter().filter_map(|parent| {
        let profile = parent.profile.clone()?;
        Some(Finding::Hidden { profile, annotations: annotations_of(parent) })
    });
    hidden.collect()
}

fn of_sets(facts: &ObjectFacts) -> Vec<Finding> {
    let mut found = vec![];
    for set in &facts.sets {
        let path = set.path.clone();
        if set.fallbacks.is_empty() {
            found.push(Finding::NoFallback { path, other: any_fallback(&facts.sets) });
        } else if let Some(down) = none_ready(set) {
            add_none_ready(path, down, &mut found);
        }
    }
    found
}

/// The fallbacks of a set, where none is ready.
fn none_ready(set: &SetFacts) -> Option<Vec<(ObjectKey, String)>> {
    let may_serve = set.fallbacks.iter().any(|f| f.health.is_ready() || f.health.is_unknown());
    let each = || set.fallbacks.iter().map(|f| (f.service.clone(), f.health.to_string()));
    (!may_serve).then(|| each().collect())
}

/// Rules of a route mostly have the same fallbacks: they are reported together.
fn add_none_ready(path: FieldPath, down: Vec<(ObjectKey, String)>, found: &mut Vec<Finding>) {
    let same = found.iter_mut().find_map(|finding| match finding {
        Finding::NoReadyFallback { paths, fallbacks } if *fallbacks == down => Some(paths),
        _ => None,
    });
    match same {
        Some(paths) => paths.push(path),
        None => found.push(Finding::NoReadyFallback { paths: vec![path], fallbacks: down }),
    }
}

/// The shortest timeout that a request may reach before a retry. How callers' proxies fail fast has to be known.
fn short_timeout(facts: &ObjectFacts) -> Option<Finding> {
    let Failfast::Known(failfast) = facts.failfast else { return None };
    let (set_on, timeout) = facts.timeouts.iter().min_by_key(|(_, timeout)| *timeout)?;
    (*timeout <= failfast.timeout).then(|| {
        let set_on = set_on.clone();
        Finding::ShortTimeout(ShortTimeout { set_on, timeout: *timeout, failfast })
    })
}

fn any_fallback(sets: &[SetFacts]) -> Option<(ObjectKey, Option<u16>)> {
    let fallback = sets.iter().flat_map(|set| &set.fallbacks).next()?;
    Some((fallback.service.clone(), fallback.port))
}

/// Linkerd takes the object's own retries, for every set, and those of a Service where the object has none.
fn of_retries(facts: &ObjectFacts) -> Vec<Finding> {
    if facts.retries != RetryPolicy::Absent {
        return lacking(&facts.retries, None).into_iter().collect();
    }
    if facts.parents.iter().all(|parent| parent.retries == RetryPolicy::Absent) {
        return vec![Finding::NoRetries { service: None }];
    }
    let of_services =
        facts.parents.iter().filter_map(|parent| lacking(&parent.retries, Some(&parent.service)));
    of_services.collect()
}

fn lacking(retries: &RetryPolicy, service: Option<&ObjectKey>) -> Option<Finding> {
    let service = service.cloned();
    match retries {
        RetryPolicy::Sufficient => None,
        RetryPolicy::Absent => Some(Finding::NoRetries { service }),
        RetryPolicy::Forbidden { lacking } => {
            Some(Finding::RetriesForbidden { service, lacking: lacking.clone() })
        }
        RetryPolicy::Unreadable { name, value } => {
            Some(Finding::RetriesUnreadable { service, name, value: value.clone() })
        }
        RetryPolicy::Partial(conditions) => {
            Some(Finding::RetriesPartial { service, conditions: conditions.clone() })
        }
    }
}

fn of_failfast(failfast: &Failfast) -> Option<Finding> {
    match failfast {
        Failfast::NotRead => Some(Finding::FailfastNotKnown(None)),
        Failfast::NotKnown(why) => Some(Finding::FailfastNotKnown(Some(why.clone()))),
        Failfast::Known(known) => (known.timeout > LONGEST_FAILFAST)
            .then_some(Finding::LongFailfast { timeout: known.timeout, set_in: known.set_in }),
    }
}

/// The proxies' own, where no other is known.
fn timeout(failfast: &Failfast) -> Duration {
    match failfast {
        Failfast::Known(known) => known.timeout,
        Failfast::NotRead | Failfast::NotKnown(_) => failfast::DEFAULT,
    }
}

fn of_accrual(parent: &ParentFacts, facts: &ObjectFacts) -> Option<Finding> {
    let failfast = timeout(&facts.failfast);
    let is_assumed = !matches!(facts.failfast, Failfast::Known(_));
    let (service, advised) = (parent.service.clone(), min_penalty_for(failfast));
    match &parent.accrual {
        FailureAccrual::Absent if !facts.accrual_of_backends.is_empty() => {
            let backends = facts.accrual_of_backends.clone();
            Some(Finding::AccrualOfBackends { service, backends, advised })
        }
        FailureAccrual::Absent => Some(Finding::NoFailureAccrual { service, advised }),
        FailureAccrual::Unreadable { name, value } => {
            Some(Finding::FailureAccrualUnreadable { service, name, value: value.clone() })
        }
        FailureAccrual::Enabled { min_penalty, .. } if *min_penalty >= failfast => None,
        FailureAccrual::Enabled { min_penalty, max_penalty } => {
            let (min_penalty, longer) = (*min_penalty, advised.saturating_mul(6));
            let max_penalty = (advised > *max_penalty).then_some(longer);
            Some(Finding::EarlyProbes(EarlyProbes {
                service,
                min_penalty,
                failfast,
                is_assumed,
                advised,
                max_penalty,
            }))
        }
    }
}

/// In whole seconds, and never under the timeout.
fn min_penalty_for(failfast: Duration) -> Duration {
    let over = Duration::from_secs(failfast.saturating_mul(3).as_secs());
    ADVISED_MIN_PENALTY.max(over).max(failfast)
}
