//! `status` for programs: JSON and YAML.
//!
//! The keys of linkerd-failover 0.1 (`namespace`, `name`, `status`, `services`) mean what they meant there; the rest
//! is ours, and `v` is its version.

use crate::engine::{Health, Problem};
use crate::kinds::ObjectRef;
use crate::kinds::adapter::InUse;
use crate::kinds::changed_by::{ChangedBy, Intervention};
use crate::snapshot::row::{BackendRow, ObjectRow, SetRow};
use crate::snapshot::{Freeze, NextStep};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// Grows where a key gets another meaning, or goes.
const VERSION: u32 = 1;

/// What is known of an object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectStatus<'a> {
    namespace: &'a str,
    name: &'a str,
    /// Whether a primary has a weight; null where the object cannot be read.
    status: Option<&'static str>,
    /// The backends that have a weight.
    services: Vec<&'a str>,
    v: u32,
    kind: &'static str,
    on: &'static str,
    sets: Vec<SetStatus<'a>>,
    /// What is wrong with it.
    problems: Vec<String>,
    /// Whether Linkerd routes by it; null where Linkerd has not written that.
    in_use: Option<bool>,
    /// The replica that decided last.
    decided_by: Option<DecidedBy<'a>>,
    /// Who changed it last by a command, and why.
    changed_by: Option<Changed<'a>>,
    /// The freeze of the whole cluster; null where it is not frozen.
    frozen: Option<Frozen<'a>>,
}

/// What a person has done by a command, while it is still there.
#[derive(Debug, Serialize)]
struct Changed<'a> {
    person: &'a str,
    action: Intervention,
    at: Timestamp,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Frozen<'a> {
    until: Option<Timestamp>,
    by: Option<Changed<'a>>,
}

#[derive(Debug, Serialize)]
struct DecidedBy<'a> {
    replica: &'a str,
    version: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SetStatus<'a> {
    name: &'a str,
    on: &'static str,
    active: Vec<&'a str>,
    since: Option<Timestamp>,
    why: Option<String>,
    next: Vec<Next>,
    backends: Vec<BackendStatus<'a>>,
}

/// What a set waits for.
#[derive(Debug, Serialize)]
struct Next {
    kind: &'static str,
    /// When that is over by itself.
    at: Option<Timestamp>,
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BackendStatus<'a> {
    name: &'a str,
    /// 0 of a primary.
    tier: usize,
    active: bool,
    weight: u32,
    authored_weight: u32,
    /// Null where endpoints cannot be counted.
    ready: Option<u32>,
    total: Option<u32>,
    meets_minimum: Option<bool>,
    /// Until when it is declared down.
    down_until: Option<Timestamp>,
    health: String,
}

/// An object that is there no more.
#[derive(Debug, Serialize)]
pub(super) struct GoneStatus<'a> {
    namespace: &'a str,
    name: &'a str,
    v: u32,
    kind: &'static str,
    gone: bool,
}

/// All rows as JSON: an array, as 0.1 printed it.
pub(crate) fn to_json(rows: &[ObjectRow], now: Timestamp) -> serde_json::Result<String> {
    let all: Vec<_> = rows.iter().map(|row| ObjectStatus::of(row, now)).collect();
    Ok(without_controls(serde_json::to_string_pretty(&all)?) + "\n")
}

/// A document on one line.
pub(super) fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(without_controls(serde_json::to_string(value)?) + "\n")
}

/// JSON may have DEL and C1 control characters as they are; a terminal obeys the latter.
fn without_controls(json: String) -> String {
    let is_control = |c: char| ('\u{7f}'..='\u{9f}').contains(&c);
    if !json.contains(is_control) {
        return json;
    }
    let mut escaped = String::new();
    for c in json.chars() {
        match is_control(c) {
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => escaped.push(c),
        }
    }
    escaped
}

/// The same as YAML.
pub(crate) fn to_yaml(rows: &[ObjectRow], now: Timestamp) -> anyhow::Result<String> {
    let all: Vec<_> = rows.iter().map(|row| ObjectStatus::of(row, now)).collect();
    yaml(&all)
}

pub(super) fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    // Folded values are correct, but hard to read.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    Ok(serde_saphyr::to_string_with_options(value, options)?)
}

impl<'a> ObjectStatus<'a> {
    pub(super) fn of(row: &'a ObjectRow, now: Timestamp) -> Self {
        let object = &row.object;
        let sets = row.sets.as_deref();
        let problems = row.sets.as_ref().err().into_iter().flatten().chain(&row.faults);
        Self {
            namespace: object.namespace(),
            name: object.name(),
            status: sets.ok().map(status),
            services: services(sets.unwrap_or_default()),
            v: VERSION,
            kind: object.kind.as_str(),
            on: row.on.as_str(),
            sets: sets.unwrap_or_default().iter().map(|set| SetStatus::of(set, now)).collect(),
            problems: problems.map(Problem::to_string).collect(),
            in_use: match row.in_use {
                InUse::Yes => Some(true),
                InUse::No(_) => Some(false),
                InUse::NotSaid => None,
            },
            decided_by: row
                .decider
                .as_ref()
                .map(|decider| DecidedBy { replica: &decider.replica, version: &decider.engine }),
            changed_by: row.changed_by.as_ref().map(Changed::of),
            frozen: row.freeze.as_ref().map(Frozen::of),
        }
    }
}

impl<'a> Changed<'a> {
    fn of(by: &'a ChangedBy) -> Self {
        let ChangedBy { person, action, at, reason, .. } = by;
        Self { person, action: *action, at: *at, reason: reason.as_deref() }
    }
}

impl<'a> Frozen<'a> {
    fn of(freeze: &'a Freeze) -> Self {
        Self { until: freeze.until, by: freeze.by.as_ref().map(Changed::of) }
    }
}

impl<'a> GoneStatus<'a> {
    pub(super) fn of(object: &'a ObjectRef) -> Self {
        let (namespace, name, kind) = (object.namespace(), object.name(), object.kind.as_str());
        Self { namespace, name, v: VERSION, kind, gone: true }
    }
}

/// As 0.1 has it, by weights alone: every set has a primary with a weight. The weight of a backend that is alone
/// means nothing.
fn status(sets: &[SetRow]) -> &'static str {
    let has_primary = |set: &SetRow| {
        set.intent.is_alone() || set.backends.iter().any(|b| b.tier == 0 && b.live > 0)
    };
    if sets.iter().all(has_primary) { "primary" } else { "fallback" }
}

fn services(sets: &[SetRow]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let with_weight = sets.iter().flat_map(|set| &set.backends).filter(|b| b.live > 0);
    with_weight.map(|b| b.name.as_str()).filter(|name| seen.insert(*name)).collect()
}

impl<'a> SetStatus<'a> {
    fn of(set: &'a SetRow, now: Timestamp) -> Self {
        let next =
            |step: &NextStep| Next { kind: step.kind(), at: step.at(now), text: step.to_string() };
        Self {
            name: &set.intent.set,
            on: set.on.as_str(),
            active: set.active().collect(),
            since: set.since(),
            why: set.why(),
            next: set.next.iter().map(next).collect(),
            backends: set.backends.iter().map(BackendStatus::of).collect(),
        }
    }
}

impl<'a> BackendStatus<'a> {
    fn of(backend: &'a BackendRow) -> Self {
        let counts = match backend.health.undeclared() {
            Health::Seen { ready, total, .. } => Some((*ready, *total)),
            _ => None,
        };
        Self {
            name: &backend.name,
            tier: backend.tier,
            active: backend.is_active,
            weight: backend.live,
            authored_weight: backend.authored,
            ready: counts.map(|(ready, _)| ready),
            total: counts.map(|(_, total)| total),
            meets_minimum: backend.meets_minimum,
            down_until: backend.health.declared().map(|down| down.until),
            health: backend.health.to_string(),
        }
    }
}
