//! Whether a decision has to be written, and how urgently.

use crate::engine::decision::contains;
use crate::engine::state::same_delays;
use crate::engine::{Backend, Decision, DecisionReason, Intent, Previous};

/// How much an object needs the write that makes a decision true of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteNeed {
    /// It is true already.
    Nothing,
    /// Traffic is where it should be; the record, or a fallback's smallest share, is not.
    Record,
    /// Callers wait for it.
    Traffic,
}

/// What an object needs for this decision to be true of it.
///
/// An object whose traffic is where its author put it needs no record until something moves.
pub(crate) fn write_need(
    intent: &Intent,
    previous: Previous<'_>,
    decision: &Decision,
) -> WriteNeed {
    if intent.is_alone() {
        return WriteNeed::Nothing;
    }
    let mut weights = intent.backends.iter().zip(&decision.weights);
    let differs = |(b, weight): (&Backend, &u32)| b.live != *weight;
    let live_differs = weights.any(differs);
    // Weights that the author did not write as whole numbers stay until traffic has to move.
    let Some((state, delays)) = previous.decided() else {
        let to_record = !decision.on_primary(intent)
            || !decision.pending.is_empty()
            || decision.is_short(intent);
        return match live_differs {
            _ if intent.is_normalized && serves_where_it_is(intent, decision) => WriteNeed::Nothing,
            true => WriteNeed::Traffic,
            false if to_record => WriteNeed::Record,
            false => WriteNeed::Nothing,
        };
    };
    let by_others = |b: &Backend| state.weights.get(&b.name) != Some(&b.live);
    if intent.indices(&state.active) != decision.active
        || live_differs && intent.backends.iter().any(by_others)
    {
        return WriteNeed::Traffic;
    }
    let recorded = same_delays(delays, &decision.pending)
        && state.pinned == (decision.reason == DecisionReason::Pinned)
        && state.left.is_some() == decision.left.is_some()
        && state.awaiting_primary == decision.awaiting_primary
        && state.short == decision.short
        && state.down == decision.down
        && intent.indices(&state.left_early) == decision.left_early;
    if live_differs || !recorded { WriteNeed::Record } else { WriteNeed::Nothing }
}

/// Whether traffic can stay: it leaves no primary and nothing that is lost. At most fallbacks have a
/// share that is their author's.
fn serves_where_it_is(intent: &Intent, decision: &Decision) -> bool {
    let leaves_primary =
        decision.before.iter().any(|i| intent.is_primary(*i) && !contains(&decision.active, *i));
    !leaves_primary
        && !decision.rescue
        && decision.on_primary(intent)
        && decision.active.iter().all(|i| intent.backends[*i].live > 0)
}
