//! Where the traffic of an object is not what a declaration alone would make of it: it stays on a backend that is
//! declared down, or off one for longer than is declared.

use crate::engine::{
    BackendIndex, DOWN_AGAIN, Decision, DecisionReason, DownBasis, Health, Intent, each_health,
    to_the_second,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// One such condition of a backend. Without what comes and goes while it lasts: a report is repeated when it
/// changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DownCondition {
    /// It is declared down and has the traffic: no other backend is ready.
    KeepsTraffic { backend: String },
    /// It was declared down again soon after its return, and stays away until then.
    StaysAway { backend: String, until: Timestamp },
}

/// The conditions of an object, each with the health of the backends of its set, for people.
pub(crate) type DownConditions = BTreeMap<DownCondition, String>;

/// Those of a set.
pub(crate) fn of_set(intent: &Intent, health: &[Health], decision: &Decision) -> DownConditions {
    let condition = |i: BackendIndex| {
        let declared = i.of(health).and_then(Health::declared)?;
        let backend = intent.backends[i].name.clone();
        let is_active = decision.active.contains(&i);
        if is_active && decision.reason == DecisionReason::OnlyDeclaredDownLeft {
            return Some(DownCondition::KeepsTraffic { backend });
        }
        // The move itself says until when. Until it is made, that is later each time.
        let is_away = !is_active && !decision.before.contains(&i);
        (is_away && declared.basis == DownBasis::Prolonged)
            .then(|| DownCondition::StaysAway { backend, until: to_the_second(declared.until) })
    };
    let conditions = intent.indices_of_all().filter_map(condition);
    conditions.map(|condition| (condition, each_health(intent, health))).collect()
}

impl DownCondition {
    pub(crate) fn backend(&self) -> &str {
        match self {
            Self::KeepsTraffic { backend } | Self::StaysAway { backend, .. } => backend,
        }
    }

    /// What its end is, for logs.
    pub(crate) fn end(&self) -> &'static str {
        match self {
            Self::KeepsTraffic { .. } => {
                "traffic no longer stays on a backend that is declared down"
            }
            Self::StaysAway { .. } => "traffic no longer stays off for longer than is declared",
        }
    }

    /// The sentence about it. `pin` is the command that pins the object to a backend.
    pub(crate) fn describe(&self, healths: &str, pin: impl Fn(&str) -> String) -> String {
        match self {
            Self::KeepsTraffic { backend } => format!(
                "Traffic stays on {backend}, which counts as declared down, because no other backend is ready: {healths}"
            ),
            Self::StaysAway { backend, until } => format!(
                "Traffic stays off {backend} until {until} because it was {DOWN_AGAIN}, whatever is declared now: it stays away for twice as long each time. It returns at once by: {}",
                pin(backend)
            ),
        }
    }
}

#[cfg(test)]
#[path = "down_conditions_tests.rs"]
mod tests;
