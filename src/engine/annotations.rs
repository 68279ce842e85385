//! The annotations and labels of the contract, in one table.
//!
//! A new annotation is a row of [`ALL`] and, where an author asks for something by it, a field of
//! [`Policy`](crate::engine::Policy) with the line that reads it. Tests compare the table of
//! `docs/annotations.md` and the CEL of the optional ValidatingAdmissionPolicy with these rows.

use crate::engine::problem::closest;
use crate::engine::{FieldPath, Problem};
use std::collections::BTreeMap;

/// The prefix of every label and annotation of this program.
pub(crate) const PREFIX: &str = "failover.linkerd.io/";
/// Label that marks a managed object.
pub(crate) const CONTROLLED_BY: &str = "failover.linkerd.io/controlled-by";
/// `kubectl apply` records in it the manifest as its author wrote it.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An annotation of the contract.
#[cfg_attr(not(test), expect(dead_code, reason = "tests compare the documentation with the table"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnnotationInfo {
    /// With the prefix.
    pub name: &'static str,
    /// Where it has an effect.
    pub place: Place,
    /// Who writes it.
    pub writer: Writer,
    /// How its value is written.
    pub syntax: Syntax,
    /// What applies without it, where it has a default of its own.
    pub default: Option<&'static str>,
    /// The optional ValidatingAdmissionPolicy checks it too, while no replica runs.
    pub in_policy: bool,
    /// What it is for.
    pub meaning: &'static str,
}

/// Where an annotation has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A failover object.
    FailoverObject,
    /// The namespace of the program.
    OwnNamespace,
    /// The Lease of the program.
    Lease,
    /// A ServiceProfile that is written for a split.
    ServiceProfile,
    /// A Service, or the credentials Secret of a linked cluster.
    Service,
}

/// Who writes an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The author of an object, or whoever operates the cluster.
    Author,
    /// This program.
    Program,
}

/// How the value of an annotation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Names of backends, with commas between.
    Backends,
    /// `2`, `50%`, or one per backend: `name=2,other=50%`.
    Thresholds,
    /// `90s`, `1h30m`.
    Delay,
    /// One of these values.
    OneOf(&'static [&'static str]),
    /// An RFC 3339 time.
    Time,
    /// A sentence for people.
    Text,
    /// What the program records for itself.
    Record,
}

impl Syntax {
    const BOOLEAN: Self = Self::OneOf(&["true", "false"]);
}

/// Declares each row with a constant for its name.
macro_rules! annotations {
    ($($(#[doc = $meaning:literal])+ $constant:ident = $name:literal
        { $place:ident, $writer:ident, $syntax:expr, default: $default:expr, in_policy: $in_policy:literal }
    )+) => {
        $($(#[doc = $meaning])+ pub(crate) const $constant: &str = concat!("failover.linkerd.io/", $name);)+

        /// Every annotation of ours.
        pub(crate) const ALL: &[AnnotationInfo] = &[$(AnnotationInfo {
            name: $constant,
            place: Place::$place,
            writer: Writer::$writer,
            syntax: $syntax,
            default: $default,
            in_policy: $in_policy,
            meaning: concat!($($meaning),+),
        }),+];
    };
}

annotations! {
    /// The preferred backends; defaulted to the first.
    PRIMARY_SERVICE = "primary-service" { FailoverObject, Author, Syntax::Backends, default: None, in_policy: true }
    /// Fallbacks in order, one tier each.
    FALLBACK_ORDER = "fallback-order" { FailoverObject, Author, Syntax::Backends, default: None, in_policy: true }
    /// What a backend needs to count as ready.
    MIN_READY = "min-ready" { FailoverObject, Author, Syntax::Thresholds, default: Some("1"), in_policy: true }
    /// How long a loss must last before traffic leaves.
    FAILOVER_DELAY = "failover-delay" { FailoverObject, Author, Syntax::Delay, default: Some("0s"), in_policy: true }
    /// How long a recovery must last before traffic comes back.
    FAILBACK_DELAY = "failback-delay" { FailoverObject, Author, Syntax::Delay, default: Some("0s"), in_policy: true }
    /// Whether traffic comes back by itself.
    FAILBACK = "failback" { FailoverObject, Author, Syntax::OneOf(&["automatic", "manual"]), default: Some("automatic"), in_policy: true }
    /// The time at which a person ended a manual stay.
    FAILBACK_REQUESTED = "failback-requested" { FailoverObject, Author, Syntax::Time, default: None, in_policy: false }
    /// Whether ready fallbacks keep the smallest share.
    WARM_STANDBY = "warm-standby" { FailoverObject, Author, Syntax::BOOLEAN, default: Some("false"), in_policy: true }
    /// How far requests are protected when a backend is lost; on a namespace, for its objects that say nothing.
    PROTECTION = "protection" { FailoverObject, Author, Syntax::OneOf(&["standard", "seamless"]), default: Some("standard"), in_policy: true }
    /// Backends that get the traffic whatever their health.
    PIN = "pin" { FailoverObject, Author, Syntax::Backends, default: None, in_policy: true }
    /// The time at which the pin ends by itself.
    PIN_UNTIL = "pin-until" { FailoverObject, Author, Syntax::Time, default: None, in_policy: true }
    /// Whether nothing is written.
    PAUSED = "paused" { FailoverObject, Author, Syntax::BOOLEAN, default: Some("false"), in_policy: true }
    /// The time at which the pause ends by itself.
    PAUSED_UNTIL = "paused-until" { FailoverObject, Author, Syntax::Time, default: None, in_policy: true }
    /// The author's weights, recorded while ours are in the object.
    AUTHORED_WEIGHTS = "authored-weights" { FailoverObject, Program, Syntax::Record, default: None, in_policy: false }
    /// Annotations of Linkerd that the webhook added for `protection`: `name=value`, with commas between.
    ADDED = "added" { FailoverObject, Program, Syntax::Record, default: None, in_policy: false }
    /// Who changed the object last by a command, and why, as JSON; `set` is what the command wrote, and without
    /// that in the object the record is out of date:
    /// `{"v":1,"person":"…","action":"pin","at":"…","reason":"…","set":{"pin":"…","pin-until":null}}`.
    /// On the own namespace it is about `frozen`.
    CHANGED_BY = "changed-by" { FailoverObject, Program, Syntax::Record, default: None, in_policy: false }
    /// What was decided last, by whom and why.
    STATE = "state" { FailoverObject, Program, Syntax::Record, default: None, in_policy: false }
    /// The time until which a Service counts as down, whatever its endpoints are.
    DOWN_UNTIL = "down-until" { Service, Author, Syntax::Time, default: None, in_policy: false }
    /// Why it does, for people.
    DOWN_REASON = "down-reason" { Service, Author, Syntax::Text, default: None, in_policy: false }
    /// Who set `down-until`, as JSON, where this program did: `{"v":1,"person":"…","since":"…"}` or
    /// `{"v":1,"alerts":[{"fingerprint":"…","since":"…","until":"…"}]}`.
    DOWN_BY = "down-by" { Service, Program, Syntax::Record, default: None, in_policy: false }
    /// Whether nothing is written in the whole cluster.
    FROZEN = "frozen" { OwnNamespace, Author, Syntax::BOOLEAN, default: None, in_policy: false }
    /// The time at which the freeze ends by itself.
    FROZEN_UNTIL = "frozen-until" { OwnNamespace, Author, Syntax::Time, default: None, in_policy: false }
    /// The time at which a person released the brake.
    BRAKE_RELEASED = "brake-released" { OwnNamespace, Author, Syntax::Time, default: None, in_policy: false }
    /// What all replicas know of the brake, as JSON:
    /// `{"v":1,"n":4,"since":"…","standing":"…","ended":"…","released":"…","by":"…"}`. `n` grows with
    /// each write; the brake holds since `since`, unless it has `ended`, by the release in `released` or
    /// because the primaries were back; `standing` is the release that stood there when it began.
    BRAKE = "brake" { Lease, Program, Syntax::Record, default: None, in_policy: false }
    /// The address at which the other replicas find the leader.
    JUDGE = "judge" { Lease, Program, Syntax::Record, default: None, in_policy: false }
    /// The namespaces that a release manages, with commas between, or every one.
    MANAGES = "manages" { Lease, Program, Syntax::Record, default: None, in_policy: false }
    /// For which split a ServiceProfile is written, and by whom.
    WRITTEN_FOR = "written-for" { ServiceProfile, Program, Syntax::Record, default: None, in_policy: false }
}

/// The row of an annotation.
pub(crate) fn info(name: &str) -> Option<&'static AnnotationInfo> {
    ALL.iter().find(|info| info.name == name)
}

/// The annotations that an author writes as a list, which may be long.
pub(crate) fn lists() -> impl Iterator<Item = &'static str> {
    let is_list = |info: &&AnnotationInfo| {
        info.writer == Writer::Author
            && matches!(info.syntax, Syntax::Backends | Syntax::Thresholds)
    };
    ALL.iter().filter(is_list).map(|info| info.name)
}

fn of_objects() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|info| info.place == Place::FailoverObject).map(|info| info.name)
}

/// Warnings about annotations under our prefix that have no effect here, with the nearest name
/// that has.
pub(crate) fn without_effect(annotations: &BTreeMap<String, String>) -> Vec<Problem> {
    let ours = annotations.keys().filter(|name| name.starts_with(PREFIX));
    ours.filter_map(|name| {
        let problem = Problem::warning(field(name))
            .found(format!("{name:?}"))
            .expected("an annotation of linkerd-failover; this one is ignored");
        let place = info(name).map(|info| info.place);
        Some(match place {
            Some(Place::FailoverObject) => return None,
            Some(Place::OwnNamespace) => {
                problem.next("it belongs on the namespace of linkerd-failover")
            }
            Some(Place::Lease) => problem.next("it is the program's own, on its Lease"),
            Some(Place::ServiceProfile) => {
                problem.next("it is the program's own, on a ServiceProfile")
            }
            Some(Place::Service) => problem.next("it belongs on a Service"),
            None => match closest(name, of_objects().chain([CONTROLLED_BY])) {
                Some(CONTROLLED_BY) => problem.next(format!("{CONTROLLED_BY} is a label")),
                Some(near) => problem.next(format!("did you mean {near}?")),
                None => problem,
            },
        })
    })
    .collect()
}

/// The field path of an annotation.
pub(crate) fn field(name: &str) -> FieldPath {
    FieldPath::from("metadata.annotations").key(name)
}

#[cfg(test)]
#[path = "annotations_tests.rs"]
mod tests;
