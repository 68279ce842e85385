//! The controller of one object with one set of backends: it decides, and records what it writes.

use crate::engine::{
    Decision, Health, Identity, Intent, Now, PendingDelays, Previous, SetState, State, WriteNeed,
    decide, write_need,
};

/// What is recorded in the object, and what the process that decides has observed beside that.
#[derive(Debug, Default)]
pub(crate) struct Controller {
    /// As it is recorded.
    pub state: Option<SetState>,
    /// The delays of the state, by the steady clock.
    recorded: PendingDelays,
    /// The active backends and their delays as the process has observed them; lost with it.
    observed: Option<(Vec<String>, PendingDelays)>,
    pub writes: usize,
}

impl Controller {
    /// The process ends, and another begins: only what is recorded remains.
    pub(crate) fn restart(&mut self) {
        self.observed = None;
    }

    pub(crate) fn decide(&self, intent: &Intent, health: &[Health], now: Now) -> Decision {
        let previous = match (&self.state, &self.observed) {
            (Some(state), Some((active, observed))) if *active == state.active => {
                Previous::Decided(state, observed)
            }
            _ => self.recorded(),
        };
        decide(intent, health, previous, now)
    }

    /// Keeps the delays of a decision in the process.
    pub(crate) fn observe(&mut self, decision: &Decision) {
        if let Some(state) = &self.state {
            self.observed = Some((state.active.clone(), decision.pending.clone()));
        }
    }

    pub(crate) fn needs_write(&self, intent: &Intent, decision: &Decision) -> bool {
        write_need(intent, self.recorded(), decision) != WriteNeed::Nothing
    }

    /// The write has succeeded: the decision is recorded.
    pub(crate) fn record(
        &mut self,
        intent: &Intent,
        health: &[Health],
        decision: &Decision,
        now: Now,
    ) {
        let state = decision.state(intent, health, now);
        let state = State::new(&Identity::new("r"), [(String::new(), state)].into());
        // Through JSON, as it is read back.
        self.state = State::parse(&state.to_annotation()).unwrap().sets.remove("");
        if let Some(state) = &self.state {
            self.recorded = now.to_steady(&state.pending);
        }
        self.writes += 1;
    }

    fn recorded(&self) -> Previous<'_> {
        match &self.state {
            Some(state) => Previous::Decided(state, &self.recorded),
            None => Previous::Live,
        }
    }
}
