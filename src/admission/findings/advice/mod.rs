//! What to tell an author of a finding: what was found, what is expected, why it matters, and the line that
//! mends it.

mod accrual;
mod failfast;
mod lines;
mod object;
mod retries;
mod timeout;

use super::finding::Finding;
use crate::engine::{FieldPath, Problem};
use crate::kinds::ObjectRef;

/// The advice for a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    pub field: FieldPath,
    pub found: String,
    pub expected: String,
    pub why: String,
    /// To be copied: a command, or a line of a manifest or of values.
    pub line: String,
}

impl Advice {
    /// A warning that has all of it.
    pub(crate) fn into_warning(self) -> Problem {
        let Self { field, found, expected, why, line } = self;
        Problem::warning(field).found(found).expected(expected).next(format!("{why}: {line}"))
    }
}

impl Finding {
    /// What to tell the author of `object`.
    pub(crate) fn advice(&self, object: &ObjectRef) -> Advice {
        match self {
            Self::Split => object::split(object),
            Self::WithoutEffect { service, annotations } => {
                object::without_effect(object, service, annotations)
            }
            Self::Hidden { profile, annotations } => object::hidden(object, profile, annotations),
            Self::NoWarmStandby => object::no_warm_standby(object),
            Self::NoFallback { path, other } => object::no_fallback(object, path, other.as_ref()),
            Self::NoReadyFallback { paths, fallbacks } => {
                object::no_ready(object, paths, fallbacks)
            }
            Self::NoRetries { service } => retries::absent(object, service.as_ref()),
            Self::RetriesForbidden { service, lacking } => {
                retries::forbidden(object, service.as_ref(), lacking.as_deref())
            }
            Self::RetriesUnreadable { service, name, value } => {
                retries::unreadable(object, service.as_ref(), name, value)
            }
            Self::RetriesPartial { service, conditions } => {
                retries::partial(object, service.as_ref(), conditions.as_deref())
            }
            Self::LongFailfast { timeout, set_in } => failfast::long(object, *timeout, *set_in),
            Self::FailfastNotKnown(why) => failfast::not_known(object, why.as_ref()),
            Self::ShortTimeout(short) => timeout::short(object, short),
            Self::NoFailureAccrual { service, advised } => {
                accrual::absent(object, service, *advised)
            }
            Self::AccrualOfBackends { service, backends, advised } => {
                accrual::of_backends(object, service, backends, *advised)
            }
            Self::FailureAccrualUnreadable { service, name, value } => {
                accrual::unreadable(object, service, name, value)
            }
            Self::EarlyProbes(probes) => accrual::early_probes(object, probes),
        }
    }
}
