//! What is reported of an object beside its moves: each condition once while it lasts, by the leader.
//! A replica that does not lead reports nothing, and reports it once it leads.

use crate::engine::{BySet, Intent, Readiness};
use crate::index::managed_object::ManagedObject;
use crate::kinds::adapter::InUse;
use crate::reconciler::context::{Context, Subject};
use crate::reconciler::down_conditions::{DownCondition, DownConditions};
use crate::reconciler::gates::stop::Wanted;
use crate::reconciler::hold::Hold;
use crate::reconciler::memory::{Memories, Problem, Readability};
use crate::reconciler::notify;
use crate::reconciler::plan::Plan;
use crate::reconciler::protection;
use crate::reconciler::reports;
use crate::reconciler::short_ports::ShortPort;
use crate::telemetry::NotificationType;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// A change by a person that is older was reported by an earlier leader.
const REPORTED_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// Linkerd takes a moment to accept a new route.
const ACCEPTED_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// Reports what the declaration of an object shows. Returns when to look again.
pub(crate) fn report_declaration(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
) -> Option<Duration> {
    report_change(context, memories, subject);
    report_unreadable(context, memories, subject);
    let look_again = report_not_in_use(context, memories, subject);
    report_without_primary(context, memories, subject);
    report_protection(context, memories, subject);
    look_again
}

/// A person has changed the object by a command.
fn report_change(context: &Context, memories: &mut Memories, subject: &Subject<'_>) {
    let (object, managed) = (subject.object, subject.managed);
    let Some(by) = managed.changed_by.as_deref().filter(|_| subject.leads) else { return };
    let is_new = by.at.duration_until(subject.now.wall) < REPORTED_WITHIN;
    if is_new && memories.entry(object).changed.begins(by.at) {
        tracing::info!(%object, "{by}");
        context.recorder.publish(reports::changed(object, subject, by));
    }
}

fn report_unreadable(context: &Context, memories: &mut Memories, subject: &Subject<'_>) {
    let (object, managed) = (subject.object, subject.managed);
    let (readability, problems) = match &managed.sets {
        Err(problems) => (Readability::Unreadable, problems.as_slice()),
        Ok(_) if managed.faults.is_empty() => (Readability::Readable, &*managed.faults),
        Ok(_) => (Readability::Partly, &*managed.faults),
    };
    let before = memories.get(object).map_or(Readability::Readable, |memory| memory.readability);
    if readability == Readability::Readable && before == Readability::Readable {
        return;
    }
    let causes: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let causes = causes.join("; ");
    let memory = memories.entry(object);
    memory.readability = readability;
    let readable = readability == Readability::Readable;
    let begins = subject.leads && !readable && memory.unreadable.begins(causes.clone());
    if subject.leads && readable {
        memory.unreadable.ends();
    }
    if begins {
        match managed.sets.is_err() {
            true => tracing::warn!(%object, %causes, "cannot be read, left as it is"),
            false => tracing::warn!(%object, %causes, "cannot be read in part"),
        }
        context.recorder.publish(reports::unreadable(object, subject.version(), managed, &causes));
    }
    context.metrics.unreadable.set(memories.unreadable() as i64);
    context.metrics.faulty.set(memories.partly_unreadable() as i64);
}

/// A route that Linkerd has not accepted steers nothing, whatever its weights are.
fn report_not_in_use(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
) -> Option<Duration> {
    let (object, managed) = (subject.object, subject.managed);
    let why: Option<Box<str>> = match &managed.in_use {
        InUse::Yes => None,
        InUse::No(why) => Some(why.clone()),
        InUse::NotSaid => {
            let began = Timestamp::from_second(managed.created).unwrap_or_default();
            let wait = ACCEPTED_WITHIN - began.duration_until(subject.now.wall);
            if wait.is_positive() {
                return Some(wait.try_into().unwrap_or_default());
            }
            Some("no policy controller of Linkerd has accepted it; is its parent a Service with a ClusterIP, and does Linkerd run?".into())
        }
    };
    let reported = memories.get(object).and_then(|memory| memory.not_in_use.last());
    if !subject.leads || reported == why.as_ref() {
        return None;
    }
    match &why {
        Some(why) => {
            tracing::warn!(%object, why, "Linkerd does not route by it");
            context.recorder.publish(reports::not_in_use(object, subject.version(), managed, why));
        }
        None => tracing::info!(%object, "Linkerd routes by it"),
    }
    memories.entry(object).not_in_use.changes(why);
    context.metrics.not_in_use.set(memories.not_in_use() as i64);
    None
}

/// Rules without a primary do not fail over, beside others that do.
fn report_without_primary(context: &Context, memories: &mut Memories, subject: &Subject<'_>) {
    let (object, managed) = (subject.object, subject.managed);
    let rules: Vec<String> = managed.without_primary.iter().map(ToString::to_string).collect();
    let rules = (!rules.is_empty()).then(|| rules.join("; ").into_boxed_str());
    let reported = memories.get(object).and_then(|memory| memory.without_primary.last());
    if !subject.leads || reported == rules.as_ref() {
        return;
    }
    match &rules {
        Some(rules) => {
            tracing::warn!(%object, %rules, "rules without a primary do not fail over");
            let version = subject.version();
            context.recorder.publish(reports::without_primary(object, version, managed, rules));
        }
        None => tracing::info!(%object, "every rule has a primary"),
    }
    memories.entry(object).without_primary.changes(rules);
    context.metrics.without_primary.set(memories.without_primary() as i64);
}

/// The protection of an object is not complete before its next apply.
fn report_protection(context: &Context, memories: &mut Memories, subject: &Subject<'_>) {
    let (object, managed) = (subject.object, subject.managed);
    let lacking = protection::incomplete(subject).map(String::into_boxed_str);
    let reported = memories.get(object).and_then(|memory| memory.protection.last());
    if !subject.leads || reported == lacking.as_ref() {
        return;
    }
    match &lacking {
        Some(lacking) => {
            tracing::warn!(%object, %lacking, "its protection is incomplete");
            let version = subject.version();
            context.recorder.publish(reports::incomplete(object, version, managed, lacking));
        }
        None => tracing::info!(%object, "its protection is complete"),
    }
    memories.entry(object).protection.changes(lacking);
    context.metrics.incomplete.set(memories.incomplete() as i64);
}

/// Reports what the plan for an object shows. Returns when to look again.
pub(crate) fn report_plan(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
    plan: &Plan,
) -> Option<Duration> {
    report_short_ports(context, memories, subject, &plan.short_ports);
    report_down(context, memories, subject, &plan.down);
    let nothing_ready = report_nothing_ready(context, memories, subject, plan);
    let no_fallback = report_no_fallback(context, memories, subject, &plan.without_fallback);
    [nothing_ready, no_fallback].into_iter().flatten().min()
}

/// Ports that backends do not serve.
fn report_short_ports(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
    short: &BTreeSet<ShortPort>,
) {
    let (object, none) = (subject.object, BTreeSet::new());
    let reported = memories.get(object).and_then(|memory| memory.short_ports.last());
    let reported = reported.unwrap_or(&none);
    if !subject.leads || reported == short {
        return;
    }
    let mut new: Vec<String> = short.difference(reported).map(ToString::to_string).collect();
    new.sort_unstable();
    if new.is_empty() {
        tracing::info!(%object, "fewer ports are lacking");
    } else {
        let why = new.join("; ");
        tracing::warn!(%object, why, "a port is not served");
        context.recorder.publish(reports::short(object, subject.index, subject.managed, &why));
    }
    let short = Some(short.clone()).filter(|short| !short.is_empty());
    memories.entry(object).short_ports.changes(short);
    context.metrics.short.set(memories.short_of_ports() as i64);
}

/// Traffic that stays on a backend that is declared down, or off one for longer than is declared.
fn report_down(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
    down: &DownConditions,
) {
    let (object, none) = (subject.object, BTreeSet::new());
    let reported = memories.get(object).and_then(|memory| memory.down.last()).unwrap_or(&none);
    if !subject.leads || reported.iter().eq(down.keys()) {
        return;
    }
    let pin = |backend: &str| reports::pin_command(object, backend);
    let new = down.iter().filter(|(condition, _)| !reported.contains(condition));
    for note in new.map(|(condition, healths)| condition.describe(healths, pin)) {
        tracing::warn!(%object, "{note}");
        context.recorder.publish(reports::declared_down(object, subject, note));
    }
    for ended in reported.iter().filter(|condition| !down.contains_key(condition)) {
        tracing::info!(%object, backend = ended.backend(), "{}", ended.end());
    }
    let lasting: BTreeSet<DownCondition> = down.keys().cloned().collect();
    memories.entry(object).down.changes(Some(lasting).filter(|lasting| !lasting.is_empty()));
    context.metrics.declared_down.kept.set(memories.kept_declared_down() as i64);
    context.metrics.declared_down.prolonged.set(memories.prolonged() as i64);
}

/// Sets that have nothing ready, and when that ends.
fn report_nothing_ready(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
    plan: &Plan,
) -> Option<Duration> {
    let (object, managed) = (subject.object, subject.managed);
    let known = memories.get(object).is_some_and(|memory| !memory.nothing_ready.is_empty());
    if plan.readiness.is_empty() && !known {
        return None;
    }
    let memory = &mut memories.entry(object).nothing_ready;
    let recorded = managed.nothing_ready();
    let before = memory.reported().cloned();
    let change = memory.observe(&plan.readiness, &recorded, subject.leads, subject.now);
    // What is reported is recorded by the next plan.
    let to_record = memory.reported().is_some() && memory.reported() != before.as_ref();
    let lacks = memory.lacks();
    memories.count_nothing_ready(object, lacks);
    let intents: Vec<&Intent> = managed.readable().iter().map(|set| &set.intent).collect();
    let publish = |begins, note| {
        let version = subject.version();
        context.recorder.publish(reports::nothing_ready(object, version, managed, begins, note));
    };
    if !change.begins.is_empty() {
        let why = each_set(&intents, &plan.readiness, &change.begins);
        tracing::warn!(%object, why, "nothing is ready");
        publish(true, format!("No backend is ready, so traffic stays where it is: {why}"));
    }
    if !change.ends.is_empty() {
        let why = each_set(&intents, &plan.readiness, &change.ends);
        tracing::info!(%object, why, "something is ready again");
        publish(false, format!("A backend is ready again: {why}"));
    }
    let next = change.next.or(to_record.then_some(SignedDuration::ZERO));
    next.map(|next| next.try_into().unwrap_or_default())
}

/// Sets whose fallbacks are all down while their traffic needs none.
fn report_no_fallback(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
    without: &BySet<String>,
) -> Option<Duration> {
    let object = subject.object;
    let known = memories.get(object).is_some_and(|memory| !memory.no_fallback.is_empty());
    if !context.notifier.sends(NotificationType::NoFallback) || without.is_empty() && !known {
        return None;
    }
    let memory = &mut memories.entry(object).no_fallback;
    let (due, next) = memory.observe(without, subject.leads, subject.now);
    for (since, sets) in due {
        context.notifier.notify(notify::without_fallback(subject, since, &sets, without));
    }
    next.map(|next| next.try_into().unwrap_or_default())
}

/// The health of the backends of these sets of an object, for a person.
pub(crate) fn each_set_of(
    managed: &ManagedObject,
    readiness: &BySet<(Readiness, String)>,
    sets: &[String],
) -> String {
    let intents: Vec<&Intent> = managed.readable().iter().map(|set| &set.intent).collect();
    each_set(&intents, readiness, sets)
}

/// The health of the backends of these sets, for a person.
fn each_set(
    intents: &[&Intent],
    readiness: &BySet<(Readiness, String)>,
    sets: &[String],
) -> String {
    let why = |set: &String| readiness.get(set).map_or("", |(_, why)| why.as_str());
    // The rules of a route mostly have the same backends.
    if let [first, others @ ..] = sets
        && sets.len() == intents.len()
        && others.iter().all(|set| why(set) == why(first))
    {
        return why(first).to_owned();
    }
    let each: Vec<String> = sets
        .iter()
        .map(|set| match set.as_str() {
            "" => why(set).to_owned(),
            rule => format!("rule {rule}: {}", why(set)),
        })
        .collect();
    each.join("; ")
}

/// Traffic should move and does not, because of a person or until a person agrees.
pub(crate) fn report_hold(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
    wanted: &Wanted,
    hold: Hold,
) {
    let (write, active) = (&wanted.write, &wanted.plan.active);
    let Some(flip) = write.flip() else { return };
    let problem = Problem::OnHold(hold.clone(), active.clone());
    let memory = memories.entry(subject.object);
    // A standby remembers since when, and reports it once it leads.
    let since = memory.on_hold_since(&problem, subject.now.wall);
    if !subject.leads {
        memory.problem.ends();
    } else if memory.problem.begins(problem) {
        tracing::warn!(object = %write.object, "{}; nothing is written: {hold}", flip.due());
        context.recorder.publish(reports::on_hold(write, flip, &hold.to_string()));
        if context.notifier.sends(NotificationType::Held) {
            context.notifier.notify(notify::on_hold(subject, flip, &hold, since));
        }
    }
}

/// Another writer keeps overwriting our weights. A single edit by hand is
/// not reported.
pub(crate) fn report_overwritten(
    context: &Context,
    memories: &mut Memories,
    subject: &Subject<'_>,
    wanted: &Wanted,
    times: u32,
    next: Duration,
) {
    if times <= 1 {
        return;
    }
    let write = &wanted.write;
    let by = subject.managed.owners.other.as_deref().unwrap_or("another writer");
    let problem = Problem::Overwritten { times, by: by.to_owned() };
    if memories.entry(&write.object).problem.begins(problem) {
        context.metrics.undone.inc();
        tracing::warn!(object = %write.object, times, by, ?next, "weights are being undone");
        context.recorder.publish(reports::undone(write, by, times));
        if notify::is_reported(times) && context.notifier.sends(NotificationType::OtherWriter) {
            context.notifier.notify(notify::overwritten(subject, by, times));
        }
    }
}
