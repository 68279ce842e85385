//! What has to be recorded of the backends that are declared down.

use crate::engine::choice::Choice;
use crate::engine::decision::contains;
use crate::engine::evaluation::Evaluation;
use crate::engine::reason::DecisionReason;
use crate::engine::recorded_down::{RecordedDown, RecordedDowns};
use crate::engine::time::to_the_second;
use crate::engine::{Backend, BackendIndex};

impl Evaluation<'_> {
    /// The records with this choice. One is made when traffic leaves a backend for a declaration; it stays
    /// until traffic may return there, and for a while after that.
    pub(super) fn down_records(&self, choice: &Choice) -> RecordedDowns {
        let none = RecordedDowns::new();
        let before = self.set.map_or(&none, |set| &set.down);
        let is_any_declared = self.known.iter().any(|health| health.declared().is_some());
        if before.is_empty() && !is_any_declared {
            return none;
        }
        let record = |(i, backend): (BackendIndex, &Backend)| {
            let record = self.down_record(i, before.get(&backend.name), choice)?;
            Some((backend.name.clone(), record))
        };
        self.intent.indexed().filter_map(record).collect()
    }

    fn down_record(
        &self,
        i: BackendIndex,
        before: Option<&RecordedDown>,
        choice: &Choice,
    ) -> Option<RecordedDown> {
        let now = to_the_second(self.now.wall);
        let declared = i.of(self.known).and_then(|health| health.declared());
        let is_away = before.is_some_and(RecordedDown::is_away);
        let leaves = contains(&self.before, i) && !contains(&choice.active, i);
        match (declared, before) {
            (Some(declared), _) if !is_away && leaves && !self.birth => {
                Some(RecordedDown::leaves(before, declared.by_person, now))
            }
            (None, Some(before)) if is_away && !self.is_withheld(i, choice) => {
                Some(RecordedDown { returned: Some(now), ..before.clone() })
            }
            _ => before.cloned(),
        }
    }

    /// Whether traffic would be on a backend, were it not for the rules of a failback.
    fn is_withheld(&self, i: BackendIndex, choice: &Choice) -> bool {
        choice.reason != DecisionReason::Pinned
            && !contains(&choice.active, i)
            && contains(&self.best().active, i)
    }
}
