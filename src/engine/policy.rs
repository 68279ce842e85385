//! What the author wants of a failover beyond its backends: delays, pins, pauses.
//!
//! A new annotation is a field of [`Policy`] and a line of [`Policy::parse`].

use crate::engine::declaration::ByName;
use crate::engine::values::{self, Annotation};
use crate::engine::{
    BackendIndex, Declaration, NamespaceDefault, Problem, Protection, ProtectionSources,
    annotations,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// What applies where an author sets nothing: the chart's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// How long a loss must last before traffic moves.
    pub failover_delay: SignedDuration,
    /// How long a recovery must last before traffic moves.
    pub failback_delay: SignedDuration,
    /// Whether ready fallbacks keep the smallest share.
    pub warm_standby: bool,
    /// How far requests are protected.
    pub protection: Protection,
    /// The same by the annotation of an object's namespace.
    pub namespace_protection: NamespaceDefault,
}

/// Everything an author can ask for by annotations, but for tiers and thresholds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// How long an active backend must be lost before traffic moves. Never negative.
    pub failover_delay: SignedDuration,
    /// How long a better backend must be ready before traffic moves to it. Never negative.
    pub failback_delay: SignedDuration,
    /// Whether traffic stays on a fallback until a person requests the failback.
    pub manual_failback: bool,
    /// When a person last requested it.
    pub failback_requested: Option<Timestamp>,
    /// How far requests are protected, and whether ready fallbacks keep the smallest share.
    pub protection: ProtectionSources,
    /// A pin to backends of this set.
    pub pin: Option<Pin>,
    /// Whether nothing is to be written, until the time beside it.
    pub paused: bool,
    /// When the pause ends by itself.
    pub paused_until: Option<Timestamp>,
}

/// Backends that get the traffic whatever their health.
#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    /// Indices of backends, ascending, at least one.
    pub backends: Vec<BackendIndex>,
    /// When the pin ends by itself.
    pub until: Option<Timestamp>,
}

/// A pin as the author wrote it: for all sets of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NamedPin {
    backends: Vec<String>,
    until: Option<Timestamp>,
}

impl NamedPin {
    pub(super) fn parse(declared: &Declaration, problems: &mut Vec<Problem>) -> Option<Self> {
        let backends = Annotation::of(declared, annotations::PIN).as_backends(declared, problems);
        let until = Annotation::of(declared, annotations::PIN_UNTIL);
        let end = until.as_time(problems);
        let next = "name the backend to pin, or remove this annotation";
        problems.extend(alone(declared, &until, annotations::PIN, next));
        Some(Self { backends: backends?, until: end })
    }

    /// The pin of one set; none where it has no such backend.
    pub(super) fn in_set(&self, by_name: &ByName<'_>) -> Option<Pin> {
        let named = self.backends.iter().flat_map(|name| by_name.get(name));
        let backends: BTreeSet<BackendIndex> = named.collect();
        let pin = Pin { backends: backends.into_iter().collect(), until: self.until };
        (!pin.backends.is_empty()).then_some(pin)
    }
}

/// The problem of an end without what it is the end of.
fn alone(
    declared: &Declaration,
    until: &Annotation<'_>,
    of: &'static str,
    next: &str,
) -> Option<Problem> {
    let is_alone = until.is_there() && !declared.annotations.contains_key(of);
    is_alone.then(|| until.problem().expected(format!("{of} beside it")).next(next))
}

fn end_of_pause(declared: &Declaration, problems: &mut Vec<Problem>) -> Option<Timestamp> {
    let until = Annotation::of(declared, annotations::PAUSED_UNTIL);
    let end = until.as_time(problems);
    let next = "pause the object, or remove this annotation";
    problems.extend(alone(declared, &until, annotations::PAUSED, next));
    end
}

/// What the protection of an object follows from.
fn protection(
    declared: &Declaration,
    defaults: &Defaults,
    problems: &mut Vec<Problem>,
) -> ProtectionSources {
    let read = |name: &'static str| Annotation::of(declared, name);
    ProtectionSources {
        object: read(annotations::PROTECTION).as_one_of(Protection::BY_VALUE, problems),
        namespace: defaults.namespace_protection,
        chart: defaults.protection,
        warm_standby: read(annotations::WARM_STANDBY).as_one_of(values::BOOLEAN, problems),
        chart_warm_standby: defaults.warm_standby,
    }
}

impl Policy {
    /// Everything but the pin, which is for each set to find.
    pub fn parse(declared: &Declaration, defaults: &Defaults, problems: &mut Vec<Problem>) -> Self {
        let read = |name: &'static str| Annotation::of(declared, name);
        let paused = read(annotations::PAUSED);
        Self {
            failover_delay: read(annotations::FAILOVER_DELAY)
                .as_delay(problems)
                .unwrap_or(defaults.failover_delay),
            failback_delay: read(annotations::FAILBACK_DELAY)
                .as_delay(problems)
                .unwrap_or(defaults.failback_delay),
            manual_failback: read(annotations::FAILBACK)
                .as_one_of(&[("automatic", false), ("manual", true)], problems)
                .unwrap_or_default(),
            failback_requested: read(annotations::FAILBACK_REQUESTED).as_time(problems),
            protection: protection(declared, defaults, problems),
            pin: None,
            // Who writes `True` wants nothing written.
            paused: paused
                .as_one_of(values::BOOLEAN, problems)
                .unwrap_or_else(|| paused.is_there()),
            paused_until: end_of_pause(declared, problems),
        }
    }

    /// Whether ready fallbacks keep the smallest share; none where that depends on what is not known.
    pub fn warm_standby(&self) -> Option<bool> {
        self.protection.warm_standby()
    }

    /// Whether nothing is to be written now.
    pub fn paused_at(&self, now: Timestamp) -> bool {
        self.paused && self.paused_until.is_none_or(|until| now < until)
    }

    /// The pin, while it holds.
    pub fn pin_at(&self, now: Timestamp) -> Option<&Pin> {
        self.pin.as_ref().filter(|pin| pin.until.is_none_or(|until| now < until))
    }
}
