//! `plan`: what would be written, as weights before and after.

use crate::checks::report::Colour;
use crate::engine::WriteNeed;
use crate::kinds::one_line::one_line;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::printers::style::sentence;
use crate::printers::table::{Cell, Table};
use crate::snapshot::Assumptions;
use crate::snapshot::NextStep;
use crate::snapshot::assumption::{BackendPlan, SetPlan, Step};

/// The plan of an object under assumptions, as text; before it what holds traffic in the whole cluster.
pub(crate) fn to_text(
    object: &ObjectRef,
    assumed: &Assumptions,
    cluster_holds: &[String],
    sets: &[SetPlan],
) -> String {
    let mut lines = vec![format!("{object}, {}:", assumptions(assumed))];
    lines.extend(cluster_holds.iter().map(|hold| sentence(hold)));
    for set in sets {
        lines.push(String::new());
        if sets.len() > 1 {
            lines.push(format!("Rule {}", set.set));
        }
        lines.extend(set_lines(set));
    }
    let lines: Vec<String> =
        lines.iter().map(|line| one_line(line).trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

fn assumptions(assumed: &Assumptions) -> String {
    let each = |(service, ready): (&ObjectKey, &u32)| match ready {
        0 => format!("{} is down", service.name),
        1 => format!("{} has 1 ready endpoint", service.name),
        more => format!("{} has {more} ready endpoints", service.name),
    };
    let each: Vec<String> = assumed.iter().map(each).collect();
    match each.is_empty() {
        true => "as it is now".to_owned(),
        false => format!("if {}", each.join(" and ")),
    }
}

fn set_lines(set: &SetPlan) -> Vec<String> {
    let table = weights(set).to_lines(Colour::None, None);
    let mut lines: Vec<String> = table.into_iter().map(|line| format!("  {line}")).collect();
    lines.push(outcome(set));
    if let Some(then) = &set.then {
        let (to, why) = (then.active.join(", "), &then.why);
        lines.push(format!("{}: to {to} ({why}).", after_delays(set)));
    }
    // A write is told already.
    let next = set.next.iter().filter(|step| !matches!(step, NextStep::Write { .. }));
    let next: Vec<String> = next.map(NextStep::to_string).collect();
    if !next.is_empty() {
        lines.push(format!("Next: {}.", next.join("; ")));
    }
    lines
}

/// Which delays are waited for: those that there are.
fn after_delays(set: &SetPlan) -> String {
    let named = ["failover-delay", "failback-delay"].into_iter().zip(set.delays);
    let delays = named.filter(|(_, delay)| !delay.is_zero());
    let delays: Vec<String> = delays.map(|(name, delay)| format!("{name} ({delay:#})")).collect();
    match delays.as_slice() {
        [] => "Later".to_owned(),
        [only] => format!("Once {only} is over"),
        several => format!("Once {} are over", several.join(" and ")),
    }
}

/// What would be written at once.
fn outcome(set: &SetPlan) -> String {
    let Step { need, moves, active, why, .. } = &set.now;
    let to = active.join(", ");
    match need {
        _ if set.is_held && *moves => {
            format!("Nothing would be written; otherwise traffic would move to {to} ({why}).")
        }
        _ if set.is_held => {
            format!("Nothing would be written: traffic stays on {to} ({why}).")
        }
        WriteNeed::Nothing => {
            format!("Nothing would be written: traffic stays on {to} ({why}).")
        }
        _ if *moves => format!("Traffic would move to {to} ({why})."),
        WriteNeed::Traffic => {
            format!("Weights would be written, and traffic stays on {to} ({why}).")
        }
        WriteNeed::Record => {
            format!("A record would be written, and traffic stays on {to} ({why}).")
        }
    }
}

fn weights(set: &SetPlan) -> Table {
    let is_held = set.is_held && set.now.moves;
    let mut headings = vec!["BACKEND", "WEIGHT"];
    headings.extend(is_held.then_some("OTHERWISE"));
    headings.extend(set.then.iter().map(|_| "LATER"));
    headings.push("HEALTH");
    let line = |(i, backend): (usize, &BackendPlan)| {
        let after = |step: &Step| step.weights.get(i).copied().unwrap_or(backend.live);
        let is_same = set.now.need == WriteNeed::Nothing || set.is_held;
        let now = if is_same { backend.live } else { after(&set.now) };
        let mut cells = vec![Cell::new(&backend.name), Cell::new(change(backend.live, now))];
        cells.extend(is_held.then(|| Cell::new(change(backend.live, after(&set.now)))));
        cells.extend(set.then.iter().map(|then| Cell::new(change(now, after(then)))));
        let assumed = if backend.is_assumed { " (assumed)" } else { "" };
        cells.push(Cell::new(format!("{}{assumed}", backend.health)));
        cells
    };
    Table { headings, lines: set.backends.iter().enumerate().map(line).collect() }
}

fn change(before: u32, after: u32) -> String {
    if before == after { before.to_string() } else { format!("{before} -> {after}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printers::test_support::{frozen_world, world};
    use crate::snapshot::Snapshot;
    use crate::snapshot::test_support::OWN_NAMESPACE;

    fn plan(name: &str, assumed: &[(&str, u32)]) -> String {
        plan_of(&world().0, name, assumed)
    }

    fn plan_of(snapshot: &Snapshot, name: &str, assumed: &[(&str, u32)]) -> String {
        let object = snapshot.object_refs().into_iter().find(|o| o.name() == name).unwrap();
        let assumed: Assumptions =
            assumed.iter().map(|(name, ready)| (object.beside(name), *ready)).collect();
        let holds = snapshot.cluster_holds(OWN_NAMESPACE);
        to_text(object, &assumed, &holds, &snapshot.plan(object, &assumed).unwrap())
    }

    #[test]
    fn a_plan_has_the_weights_before_and_after_and_why() {
        let plans = [
            plan("calm", &[]),
            plan("calm", &[("emoji-svc", 0), ("emoji-svc-west", 3)]),
            plan("calm", &[("emoji-svc", 0), ("emoji-svc-west", 0)]),
            plan("emoji", &[("emoji-svc", 0)]),
            plan("emoji", &[]),
            plan("hurt", &[]),
            plan("held", &[("down-svc-west", 1)]),
            plan("moved", &[("emoji-svc-west", 0)]),
            plan("sick", &[("sick-svc", 3)]),
            plan("warm", &[("emoji-svc", 0)]),
            plan("web", &[("web-svc", 0)]),
        ];
        insta::assert_snapshot!(plans.join("\n----\n"));
    }

    #[test]
    fn in_a_frozen_cluster_nothing_would_be_written() {
        let frozen = frozen_world();
        let down = [("emoji-svc", 0)];
        let plans = [("calm", &down[..]), ("emoji", &down), ("calm", &[]), ("hurt", &[])]
            .map(|(name, assumed)| plan_of(&frozen, name, assumed));
        insta::assert_snapshot!(plans.join("\n----\n"));
    }
}
