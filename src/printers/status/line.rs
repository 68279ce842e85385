//! What there is to say of an object in one line: of its only set, or of one of several.

use crate::engine::{Health, Problem};
use crate::kinds::changed_by::{ChangedBy, Intervention};
use crate::reconciler::traffic_on::TrafficOn;
use crate::snapshot::NextStep;
use crate::snapshot::row::{BackendRow, ObjectRow, SetRow};

/// A set of an object, or an object that cannot be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusLine<'a> {
    pub(crate) row: &'a ObjectRow,
    pub(crate) set: Option<&'a SetRow>,
}

/// The lines of rows, in their order.
pub(crate) fn lines(rows: &[ObjectRow]) -> impl Iterator<Item = StatusLine<'_>> {
    rows.iter().flat_map(|row| {
        let sets = row.sets.as_deref().unwrap_or_default();
        let unreadable = sets.is_empty().then_some(StatusLine { row, set: None });
        unreadable.into_iter().chain(sets.iter().map(|set| StatusLine { row, set: Some(set) }))
    })
}

impl<'a> StatusLine<'a> {
    /// As kubectl names it, with the set where there are several: `httproute/web[api]`.
    pub(super) fn name(&self) -> String {
        let object = &self.row.object;
        let name = format!("{}/{}", object.kind.as_str().to_lowercase(), object.name());
        match self.set {
            Some(set) if self.row.sets.as_ref().is_ok_and(|sets| sets.len() > 1) => {
                format!("{name}[{}]", set.intent.set)
            }
            _ => name,
        }
    }

    pub(super) fn on(&self) -> TrafficOn {
        self.set.map_or(self.row.on, |set| set.on)
    }

    /// The backends that have the traffic.
    pub(super) fn active(&self) -> String {
        let active: Vec<&str> = self.set.into_iter().flat_map(SetRow::active).collect();
        active.join(",")
    }

    pub(super) fn backends(&self) -> &'a [BackendRow] {
        self.set.map_or(&[], |set| &set.backends)
    }

    /// Ready and total endpoints of each backend.
    pub(super) fn ready(&self) -> String {
        let each = self.backends().iter().map(|b| format!("{}={}", b.name, counts(&b.health)));
        each.collect::<Vec<_>>().join(",")
    }

    pub(super) fn next(&self) -> &'a [NextStep] {
        self.set.map_or(&[], |set| &set.next)
    }

    /// Why traffic is where it is, and which person wants it there; of what cannot be read, the first problem.
    pub(super) fn why(&self) -> String {
        let why = match (&self.row.sets, self.set) {
            (_, Some(set)) => set.why().unwrap_or_default(),
            (Err(problems), None) => first(problems),
            (Ok(_), None) => String::new(),
        };
        let person = self.person().map(ChangedBy::who_and_why).into_iter();
        person.chain([why]).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// The person who keeps traffic where it is by a command.
    fn person(&self) -> Option<&'a ChangedBy> {
        let is_of = |actions: &[Intervention]| {
            let by = self.row.changed_by.as_ref();
            by.filter(|by| actions.contains(&by.action))
        };
        match self.on() {
            TrafficOn::Paused => is_of(&[Intervention::Pause]),
            TrafficOn::Pinned => is_of(&[Intervention::Pin, Intervention::Drill]),
            _ if self.next().iter().any(|step| matches!(step, NextStep::Unfreeze { .. })) => {
                self.row.freeze.as_ref()?.by.as_ref()
            }
            _ => None,
        }
    }

    /// The most urgent is the least: nothing is ready, nothing is known, something is under way.
    pub(super) fn urgency(&self) -> u8 {
        let is_moving = self.next().iter().any(NextStep::is_under_way);
        match self.on() {
            TrafficOn::Held => 0,
            TrafficOn::Unreadable => 1,
            _ if is_moving => 2,
            TrafficOn::Fallback => 3,
            TrafficOn::Pinned => 4,
            TrafficOn::Paused => 5,
            TrafficOn::Primary => 6,
        }
    }
}

/// The first problem, and how many there are beside it.
fn first(problems: &[Problem]) -> String {
    let first = problems.first().map(Problem::to_string).unwrap_or_default();
    match problems.len() {
        0 | 1 => first,
        all => format!("{first} (and {} more)", all - 1),
    }
}

/// `2/3`; what keeps endpoints from being counted, in a word.
pub(super) fn counts(health: &Health) -> String {
    match health {
        Health::Seen { ready, total, .. } => format!("{ready}/{total}"),
        Health::Missing => "missing".to_owned(),
        Health::Impossible { .. } => "impossible".to_owned(),
        Health::ExternalName => "externalname".to_owned(),
        Health::Unreachable { .. } => "unreachable".to_owned(),
        Health::Unknown(_) => "unknown".to_owned(),
        Health::DeclaredDown(down) => format!("down({})", counts(&down.seen)),
    }
}
