//! `explain`: the tiers of an object, the facts, the rule that decided, and what it waits for.

use crate::checks::report::Colour;
use crate::engine::annotations::PREFIX;
use crate::engine::{Decision, DecisionReason, Intent, Policy, ProtectionSources, to_the_second};
use crate::kinds::adapter::InUse;
use crate::kinds::changed_by::ChangedBy;
use crate::kinds::field_writers::FieldWriter;
use crate::kinds::one_line::one_line;
use crate::kinds::retries::IDEMPOTENCE;
use crate::printers::age::age;
use crate::printers::status::tables::in_use;
use crate::printers::style::sentence;
use crate::printers::table::{Cell, Table};
use crate::snapshot::NextStep;
use crate::snapshot::row::{BackendRow, ObjectRow, SetRow};
use jiff::Timestamp;

/// All that is told of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Explained<'a> {
    pub row: &'a ObjectRow,
    /// Who wrote `pin` and `paused`.
    pub writers: &'a [FieldWriter],
    /// What keeps traffic where it is in the whole cluster, with the line that ends it.
    pub cluster_holds: &'a [String],
    /// What it lacks so that no request is lost, with the line that mends it.
    pub missing: &'a [String],
    pub now: Timestamp,
}

/// The explanation, as text.
pub(crate) fn explain(explained: &Explained<'_>) -> String {
    let Explained { row, now, .. } = *explained;
    let mut text = Text::default();
    text.line(format!("{}: {}", row.object, row.on));
    explained.cluster_holds.iter().for_each(|hold| text.line(sentence(hold)));
    match &row.sets {
        Err(problems) => {
            text.line("It cannot be read, and nothing of it is written:");
            text.items(problems);
        }
        Ok(sets) => {
            object(explained, sets, &mut text);
            for set in sets {
                explain_set(set, sets.len() > 1, now, &mut text);
            }
        }
    }
    if !row.faults.is_empty() {
        text.heading("What is wrong with it; it is decided in spite of that");
        text.items(&row.faults);
    }
    protection(explained, &mut text);
    text.0
}

/// Lines of text, without anything that controls a terminal.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: impl AsRef<str>) {
        self.0.push_str(one_line(line.as_ref()).trim_end());
        self.0.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.0.push('\n');
        self.line(heading);
    }

    fn items<T: ToString>(&mut self, items: impl IntoIterator<Item = T>) {
        for item in items {
            self.line(format!("  - {}", item.to_string()));
        }
    }
}

fn object(explained: &Explained<'_>, sets: &[SetRow], text: &mut Text) {
    let row = explained.row;
    let Some(Intent { policy, .. }) = sets.first().map(|set| &set.intent) else { return };
    let apexes = sets.first().map(|set| set.intent.apex()).unwrap_or_default();
    text.line(format!("Clients call {apexes}."));
    match &row.in_use {
        InUse::Yes => {}
        other => text.line(format!("Linkerd routes by it: {}.", in_use(other))),
    }
    if let Some(decider) = &row.decider {
        text.line(format!("Decided last by {} (version {}).", decider.replica, decider.engine));
    }
    text.heading("Policy");
    text.items(policy_lines(policy));
    text.items(sets.iter().find_map(|set| pin(&set.intent, explained.now)));
    text.items(pause(policy, explained.now));
    text.items(row.changed_by.iter().map(|by| by_command(by, explained.now)));
    let others = explained.writers.iter().filter(|writer| !is_by_command(row, writer));
    text.items(others.map(|writer| written(writer, explained.now)));
}

/// A pin; also one that has ended, and is still there.
fn pin(intent: &Intent, now: Timestamp) -> Option<String> {
    let pin = intent.policy.pin.as_ref()?;
    let names: Vec<&str> = pin.backends.iter().map(|i| &*intent.backends[*i].name).collect();
    let holds = intent.policy.pin_at(now).is_some();
    Some(format!("pinned to {}{}", names.join(", "), end(pin.until, holds)))
}

fn pause(policy: &Policy, now: Timestamp) -> Option<String> {
    let holds = policy.paused_at(now);
    let nothing = if holds { ": nothing is written" } else { "" };
    policy.paused.then(|| format!("paused{}{nothing}", end(policy.paused_until, holds)))
}

fn end(until: Option<Timestamp>, holds: bool) -> String {
    match until {
        None => String::new(),
        Some(until) if holds => format!(" until {until}"),
        Some(until) => format!(" until {until}, which is over"),
    }
}

fn by_command(by: &ChangedBy, now: Timestamp) -> String {
    let (done, person, age) = (by.action.done(), &by.person, age(by.at, now));
    let why = by.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{done} by {person} {age} ago{why}")
}

/// Whether a person wrote an annotation by a command of ours: then the program that wrote it tells nothing.
fn is_by_command(row: &ObjectRow, writer: &FieldWriter) -> bool {
    let name = writer.annotation.trim_start_matches(PREFIX);
    row.changed_by.as_ref().is_some_and(|by| by.wrote(name))
}

/// What holds beside the weights.
fn policy_lines(policy: &Policy) -> Vec<String> {
    let sources = &policy.protection;
    let failback = if policy.manual_failback { "manual" } else { "automatic" };
    let mut lines = vec![
        format!(
            "failover after {:#}, failback {failback} after {:#}",
            policy.failover_delay, policy.failback_delay
        ),
        format!("protection {}, warm standby {}", asked(sources), warm(sources)),
    ];
    if let Some(requested) = policy.failback_requested {
        lines.push(format!("failback requested at {requested}"));
    }
    lines
}

fn asked(sources: &ProtectionSources) -> String {
    let by = sources.set_by().describe();
    match sources.protection() {
        Some(protection) => format!("{protection} by {by}"),
        None => format!("not known ({by} could not be read)"),
    }
}

fn warm(sources: &ProtectionSources) -> &'static str {
    match sources.warm_standby() {
        Some(true) => "on",
        Some(false) => "off",
        None => "not known",
    }
}

fn written(writer: &FieldWriter, now: Timestamp) -> String {
    let FieldWriter { annotation, value, manager, at, .. } = writer;
    let at = at.map(|at| format!(", {} ago", age(at, now))).unwrap_or_default();
    format!("{annotation}={value}, written by {manager}{at}")
}

fn explain_set(set: &SetRow, is_one_of_several: bool, now: Timestamp, text: &mut Text) {
    let name = if set.intent.set.is_empty() { "" } else { &*set.intent.set };
    match is_one_of_several {
        true => text.heading(&format!("Rule {name} ({}): {}", set.intent.path, set.on)),
        false => text.heading("Backends"),
    }
    let table = backends(set).to_lines(Colour::None, None);
    table.iter().for_each(|line| text.line(format!("  {line}")));
    text.line("");
    text.line(traffic(set, now));
    text.line(rule(set));
    match set.next.as_slice() {
        [] => text.line("Next: nothing."),
        steps => {
            text.line("Next:");
            text.items(steps.iter().map(|step| waited(step, now)));
        }
    }
}

fn backends(set: &SetRow) -> Table {
    let line = |backend: &BackendRow| {
        let needed = set.intent.backends.iter().find(|b| b.name == backend.name);
        let needed = needed.map(|b| b.min_ready.to_string()).unwrap_or_default();
        let meets =
            backend.meets_minimum.map_or("unknown", |meets| if meets { "yes" } else { "no" });
        vec![
            Cell::new(tier(backend.tier)),
            Cell::new(&backend.name),
            Cell::new(if backend.is_active { "yes" } else { "no" }),
            Cell::new(backend.live.to_string()),
            Cell::new(backend.authored.to_string()),
            Cell::new(needed),
            Cell::new(meets),
            Cell::new(backend.health.to_string()),
        ]
    };
    let mut backends: Vec<&BackendRow> = set.backends.iter().collect();
    backends.sort_by_key(|backend| backend.tier);
    Table {
        headings: vec![
            "TIER", "BACKEND", "ACTIVE", "WEIGHT", "AUTHORED", "NEEDS", "READY", "HEALTH",
        ],
        lines: backends.into_iter().map(line).collect(),
    }
}

fn tier(tier: usize) -> String {
    if tier == 0 { "primary".to_owned() } else { format!("fallback {tier}") }
}

/// Where the traffic is, since when, and why.
fn traffic(set: &SetRow, now: Timestamp) -> String {
    let active: Vec<&str> = set.active().collect();
    let active = if active.is_empty() { "no backend".to_owned() } else { active.join(", ") };
    let Some(state) = &set.state else {
        return format!("Traffic goes to {active}; since when is not recorded.");
    };
    let (since, age) = (to_the_second(state.since), age(state.since, now));
    format!("Traffic goes to {active} since {since} ({age}): {}.", state.why)
}

/// The rule that decides by these facts, in a sentence.
fn rule(set: &SetRow) -> String {
    let Some(decision) = &set.decision else {
        return "Nothing is decided: too little is known.".to_owned();
    };
    let rule = rule_of(decision.reason);
    let facts = decision.explain(&set.intent, &set.health());
    format!("Rule: {rule} Now: {} ({facts}).", names(decision, &set.intent))
}

fn names(decision: &Decision, intent: &Intent) -> String {
    decision.names(intent).join(", ")
}

fn rule_of(reason: DecisionReason) -> &'static str {
    match reason {
        DecisionReason::PrimaryServes => {
            "the first tier, that of the primaries, has a backend that is ready; its ready backends get the traffic."
        }
        DecisionReason::FallbackServes => {
            "no backend of the tiers before is ready, or may be returned to yet; the ready backends of the first tier that has some get the traffic."
        }
        DecisionReason::WaitsForLoss => {
            "the active backends are lost, and traffic stays until that has lasted for the failover-delay."
        }
        DecisionReason::BelowMinimum => {
            "no tier has a backend with as many ready endpoints as it needs; the first with any gets the traffic."
        }
        DecisionReason::NothingCovers => {
            "no other backend serves the lost port and all that are left; traffic stays."
        }
        DecisionReason::OnlyDeclaredDownLeft => {
            "no backend is ready that is not declared down; traffic stays on one that is."
        }
        DecisionReason::OnlyUnknownLeft => {
            "no backend is known to be ready; one whose health cannot be seen may be, and gets the traffic."
        }
        DecisionReason::NothingReady => {
            "no backend is ready; weights stay as they are, since all-zero weights would be worse."
        }
        DecisionReason::Pinned => "a pin wins over health.",
    }
}

fn waited(step: &NextStep, now: Timestamp) -> String {
    match step {
        NextStep::FailoverDelay { .. } | NextStep::FailbackDelay { .. } => {
            let at = step.at(now).map(|at| format!(", at {at}"));
            format!("{step}{}", at.unwrap_or_default())
        }
        // Their text has the time.
        other => other.to_string(),
    }
}

/// What is missing for "no request lost", and what Linkerd's retries mean.
fn protection(explained: &Explained<'_>, text: &mut Text) {
    let sets = explained.row.sets.as_deref().unwrap_or_default();
    let is_seamless = sets.first().is_some_and(|s| s.intent.policy.protection.is_seamless());
    match explained.missing {
        [] if sets.is_empty() => {}
        [] => text.heading("Protection of requests: complete."),
        missing => {
            text.heading("Missing for the protection of requests");
            let of_it = format!("{}: ", explained.row.object);
            text.items(missing.iter().map(|text| text.strip_prefix(&of_it).unwrap_or(text)));
        }
    }
    if is_seamless && !explained.row.object.kind.retries().is_empty() {
        text.line(format!("Linkerd repeats its requests: {IDEMPOTENCE}."));
    }
}

#[cfg(test)]
#[path = "explanation_tests.rs"]
mod tests;
