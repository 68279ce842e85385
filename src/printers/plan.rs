//! `plan`: what would be written, as weights before and after.

use crate::checks::report::Colour;
use crate::engine::WriteNeed;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::printers::style::printable;
use crate::printers::table::{Cell, Table};
use crate::snapshot::Assumptions;
use crate::snapshot::NextStep;
use crate::snapshot::assumption::{SetPlan, Step};

/// The plan of an object under assumptions, as text.
pub(crate) fn to_text(object: &ObjectRef, assumed: &Assumptions, sets: &[SetPlan]) -> String {
    let mut lines = vec![format!("{object}, {}:", assumptions(assumed))];
    for set in sets {
        lines.push(String::new());
        if sets.len() > 1 {
            lines.push(format!("Rule {}", set.set));
        }
        lines.extend(set_lines(set));
    }
    let lines: Vec<String> =
        lines.iter().map(|line| printable(line).trim_end().to_owned()).collect();
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
        let [failover, failback] = set.delays;
        lines.push(format!(
            "Once failover-delay ({failover:#}) and failback-delay ({failback:#}) are over: to {}, because {}.",
            then.active.join(", "),
            then.why
        ));
    }
    // A write is told already.
    let next = set.next.iter().filter(|step| !matches!(step, NextStep::Write { .. }));
    let next: Vec<String> = next.map(NextStep::to_string).collect();
    if !next.is_empty() {
        lines.push(format!("Next: {}.", next.join("; ")));
    }
    lines
}

/// What would be written at once.
fn outcome(set: &SetPlan) -> String {
    let Step { need, moves, active, why, .. } = &set.now;
    let to = active.join(", ");
    let stops = set.next.iter().any(|step| {
        matches!(
            step,
            NextStep::Resume { .. } | NextStep::Unfreeze { .. } | NextStep::BrakeRelease { .. }
        )
    });
    match need {
        _ if stops => format!(
            "Nothing would be written; otherwise traffic would move to {to}, because {why}."
        ),
        WriteNeed::Nothing => {
            format!("Nothing would be written: traffic stays on {to}, because {why}.")
        }
        _ if *moves => format!("Traffic would move to {to}, because {why}."),
        WriteNeed::Traffic => {
            format!("Weights would be written, and traffic stays on {to}, because {why}.")
        }
        WriteNeed::Record => {
            format!("A record would be written, and traffic stays on {to}, because {why}.")
        }
    }
}

fn weights(set: &SetPlan) -> Table {
    let mut headings = vec!["BACKEND", "WEIGHT"];
    headings.extend(set.then.iter().map(|_| "LATER"));
    headings.push("HEALTH");
    let line = |(i, backend): (usize, &crate::snapshot::assumption::BackendPlan)| {
        let after = |step: &Step| step.weights.get(i).copied().unwrap_or(backend.live);
        let now = if set.now.need == WriteNeed::Nothing { backend.live } else { after(&set.now) };
        let mut cells = vec![Cell::new(&backend.name), Cell::new(change(backend.live, now))];
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
    use crate::printers::test_support::world;

    fn plan(name: &str, assumed: &[(&str, u32)]) -> String {
        let (snapshot, ..) = world();
        let object = snapshot.object_refs().into_iter().find(|o| o.name() == name).unwrap();
        let assumed: Assumptions =
            assumed.iter().map(|(name, ready)| (object.beside(name), *ready)).collect();
        to_text(object, &assumed, &snapshot.plan(object, &assumed).unwrap())
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
            plan("web", &[("web-svc", 0)]),
        ];
        insta::assert_snapshot!(plans.join("\n----\n"));
    }
}
