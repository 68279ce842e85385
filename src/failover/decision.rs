//! The decision: which backends get traffic, and with what weights.

use super::state::to_the_second;
use super::{Health, Intent, SetState, State, Weights};
use jiff::Timestamp;
use std::fmt;

/// What was so before this decision.
#[derive(Clone, Copy, Debug)]
pub enum Previous<'a> {
    /// The object is being created: its weights are a wish, no traffic follows them yet.
    Birth,
    /// Nothing was recorded: the backends that carry traffic are the active ones.
    Live,
    /// What was decided last.
    Decided(&'a SetState),
}

/// Which backends get traffic, why, and the weights that say so.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Indices into [`Intent::backends`], ascending; empty never.
    pub active: Vec<usize>,
    pub because: Because,
    /// A weight for each backend, in the author's order; never all zero.
    pub weights: Vec<u32>,
    /// Since when these are the active backends.
    pub since: Timestamp,
}

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The preferred tier can serve.
    PrimaryServes,
    /// Every tier before this one is down.
    FallbackServes,
    /// Nothing is known to be ready; what cannot be seen may be.
    OnlyUnknownLeft,
    /// Nothing is ready anywhere: what is there stays.
    NothingReady,
}

/// Decides which backends get traffic.
///
/// `health` has an entry for each of `intent.backends`; a missing entry counts as
/// [`Health::Missing`].
pub fn decide(
    intent: &Intent,
    health: &[Health],
    previous: Previous<'_>,
    now: Timestamp,
) -> Decision {
    let health = |i: usize| health.get(i).unwrap_or(&Health::Missing);
    let before = active_before(intent, previous);

    // Not known is not down: what served and cannot be seen still serves.
    let serves = |i: &usize| health(*i).is_ready() || health(*i).is_unknown() && before.contains(i);
    let serving_tier = tier_with(intent, serves);
    let (mut active, because) = if let Some((tier, active)) = serving_tier {
        let because = if tier == 0 { Because::PrimaryServes } else { Because::FallbackServes };
        (active, because)
    } else if let Some((_, active)) = tier_with(intent, |i| health(*i).is_unknown()) {
        (active, Because::OnlyUnknownLeft)
    } else {
        (held(intent, &before, |i| health(i).exists()), Because::NothingReady)
    };
    active.sort_unstable();

    let weights = weights_for(intent, &active);
    let since = match previous {
        Previous::Decided(state) if active == before => state.since,
        _ => to_the_second(now),
    };
    Decision { active, because, weights, since }
}

/// The weights that give the active backends their authored share, or 1 where that is 0, and all
/// others 0; one for each backend, in the author's order.
pub fn weights_for(intent: &Intent, active: &[usize]) -> Vec<u32> {
    let weight = |(i, backend): (usize, &super::Backend)| {
        if active.contains(&i) { backend.authored.max(1) } else { 0 }
    };
    intent.backends.iter().enumerate().map(weight).collect()
}

fn active_before(intent: &Intent, previous: Previous<'_>) -> Vec<usize> {
    let before = match previous {
        Previous::Birth => vec![],
        Previous::Live => intent.carrying(),
        Previous::Decided(state) => intent.indices(&state.active),
    };
    // All zero (as the predecessor left them), or every active backend renamed away.
    if before.is_empty() { intent.tiers.first().cloned().unwrap_or_default() } else { before }
}

/// The first tier that has a backend of this kind, with all of that kind in it.
fn tier_with(intent: &Intent, of_kind: impl Fn(&usize) -> bool) -> Option<(usize, Vec<usize>)> {
    let of_kind =
        |tier: &Vec<usize>| -> Vec<usize> { tier.iter().copied().filter(|i| of_kind(i)).collect() };
    intent.tiers.iter().map(of_kind).enumerate().find(|(_, members)| !members.is_empty())
}

/// What stays active when nothing is ready: what was, unless its Service is gone.
fn held(intent: &Intent, before: &[usize], exists: impl Fn(usize) -> bool) -> Vec<usize> {
    let there: Vec<usize> = before.iter().copied().filter(|i| exists(*i)).collect();
    if !there.is_empty() {
        return there;
    }
    let first_existing = intent.tiers.iter().flatten().copied().find(|i| exists(*i));
    first_existing.map_or_else(|| before.to_vec(), |i| vec![i])
}

impl Decision {
    /// The state to record with these weights.
    pub fn state(&self, intent: &Intent, health: &[Health], by: &str) -> State {
        let weights: Weights = intent
            .backends
            .iter()
            .zip(&self.weights)
            .map(|(backend, weight)| (backend.name.clone(), *weight))
            .collect();
        let mut state = State::new(
            by,
            SetState {
                active: self.names(intent),
                since: self.since,
                why: self.explain(intent, health),
                weights,
            },
        );
        if intent.primary_is_default {
            state.defaulted_primary = intent.primaries().next().map(str::to_owned);
        }
        state
    }

    /// The names of the active backends.
    pub fn names(&self, intent: &Intent) -> Vec<String> {
        self.active.iter().map(|i| intent.backends[*i].name.clone()).collect()
    }

    /// Why, for a person: the rule, and the health that it was applied to.
    pub fn explain(&self, intent: &Intent, health: &[Health]) -> String {
        let told = |backends: &mut dyn Iterator<Item = usize>| {
            let told: Vec<String> = backends
                .map(|i| {
                    let health = health.get(i).unwrap_or(&Health::Missing);
                    format!("{}: {health}", intent.backends[i].name)
                })
                .collect();
            told.join(", ")
        };
        let primaries = intent.tiers.first().into_iter().flatten().copied();
        match self.because {
            Because::PrimaryServes => told(&mut self.active.iter().copied()),
            Because::FallbackServes => told(&mut primaries.chain(self.active.iter().copied())),
            Because::OnlyUnknownLeft | Because::NothingReady => {
                format!("{}, {}", self.because, told(&mut (0..intent.backends.len())))
            }
        }
    }

    /// Whether any preferred backend gets traffic.
    pub fn on_primary(&self, intent: &Intent) -> bool {
        self.active.iter().any(|i| intent.is_primary(*i))
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrimaryServes => "the primary serves",
            Self::FallbackServes => "the primary is down",
            Self::OnlyUnknownLeft => "no backend is known to be ready",
            Self::NothingReady => "no backend is ready, so traffic stays where it is",
        })
    }
}

/// Whether an object has to be written for this decision to be true of it.
///
/// An object whose traffic is where its author put it needs no record until something moves.
pub fn needs_write(intent: &Intent, state: Option<&SetState>, decision: &Decision) -> bool {
    let live_differs =
        intent.backends.iter().zip(&decision.weights).any(|(b, weight)| b.live != *weight);
    live_differs
        || match state {
            Some(state) => intent.indices(&state.active) != decision.active,
            None => !decision.on_primary(intent),
        }
}

#[cfg(test)]
mod tests {
    use super::super::intent::tests::declaration;
    use super::super::{Unknown, annotations};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const READY: Health = Health::Seen { ready: 1, total: 1 };
    const DOWN: Health = Health::Seen { ready: 0, total: 1 };
    const UNSEEN: Health = Health::Unknown(Unknown::Federated);

    fn split(weights: [u32; 3]) -> Intent {
        let [a, b, c] = weights;
        let declared = declaration(&[("a", json!(a)), ("b", json!(b)), ("c", json!(c))], &[]);
        Intent::parse(&declared).unwrap()
    }

    fn was(active: &[&str]) -> SetState {
        SetState {
            active: active.iter().map(|s| (*s).to_owned()).collect(),
            since: Timestamp::UNIX_EPOCH,
            why: String::new(),
            weights: Weights::new(),
        }
    }

    fn at() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    /// The table of rules: health of primary a and fallbacks b and c, what was active, what
    /// becomes active.
    #[test]
    fn the_first_tier_that_can_serve_is_active() {
        let gone = Health::Missing;
        for (health, before, active) in [
            ([READY, READY, READY], vec!["a"], vec![0]),
            ([DOWN, READY, READY], vec!["a"], vec![1, 2]),
            ([DOWN, DOWN, READY], vec!["a"], vec![2]),
            ([READY, READY, READY], vec!["b", "c"], vec![0]),
            // Nothing ready: hold what is there, wherever that is.
            ([DOWN, DOWN, DOWN], vec!["a"], vec![0]),
            ([DOWN, DOWN, DOWN], vec!["b", "c"], vec![1, 2]),
            ([DOWN, DOWN, gone.clone()], vec!["b", "c"], vec![1]),
            ([DOWN, gone.clone(), gone.clone()], vec!["b", "c"], vec![0]),
            ([gone.clone(), gone.clone(), gone.clone()], vec!["b"], vec![1]),
            ([gone.clone(), DOWN, DOWN], vec!["a"], vec![1]),
            // Not known is not down: held if active, otherwise the last resort.
            ([UNSEEN, READY, READY], vec!["a"], vec![0]),
            ([UNSEEN, READY, READY], vec!["b"], vec![1, 2]),
            ([UNSEEN, DOWN, DOWN], vec!["b"], vec![0]),
            ([DOWN, UNSEEN, DOWN], vec!["a"], vec![1]),
            ([DOWN, UNSEEN, READY], vec!["a"], vec![2]),
            ([DOWN, UNSEEN, READY], vec!["b"], vec![1, 2]),
            ([READY, UNSEEN, DOWN], vec!["b"], vec![0]),
        ] {
            let state = was(&before);
            let decision = decide(&split([1, 0, 0]), &health, Previous::Decided(&state), at());
            assert_eq!(decision.active, active, "{health:?} after {before:?}");
        }
    }

    #[test]
    fn at_birth_with_nothing_ready_the_first_tier_is_active_whatever_the_weights_say() {
        let decision = decide(&split([0, 7, 0]), &[DOWN, DOWN, DOWN], Previous::Birth, at());
        assert_eq!(decision.weights, [1, 0, 0]);
    }

    #[test]
    fn all_zero_weights_left_by_the_predecessor_become_the_first_tiers() {
        let decision = decide(&split([0, 0, 0]), &[DOWN, DOWN, DOWN], Previous::Live, at());
        assert_eq!(decision.weights, [1, 0, 0]);
    }

    #[test]
    fn without_a_record_the_backends_that_carry_traffic_are_held() {
        let decision = decide(&split([0, 3, 0]), &[DOWN, DOWN, DOWN], Previous::Live, at());
        assert_eq!(decision.weights, [0, 3, 0]);
    }

    #[test]
    fn an_active_backend_gets_its_authored_weight_or_one() {
        let recorded = r#"{"v":1,"sets":{"":{"a":90,"b":10,"c":0}}}"#;
        let declared = declaration(
            &[("a", json!(90)), ("b", json!(0)), ("c", json!(0))],
            &[(annotations::AUTHORED_WEIGHTS, recorded)],
        );
        let intent = Intent::parse(&declared).unwrap();
        let decision = decide(&intent, &[DOWN, READY, READY], Previous::Live, at());
        assert_eq!(decision.weights, [0, 10, 1]);
    }

    #[test]
    fn since_changes_only_with_the_active_backends() {
        let state = was(&["a"]);
        let stays =
            decide(&split([1, 0, 0]), &[READY, DOWN, DOWN], Previous::Decided(&state), at());
        assert_eq!(stays.since, Timestamp::UNIX_EPOCH);
        let moves =
            decide(&split([1, 0, 0]), &[DOWN, READY, DOWN], Previous::Decided(&state), at());
        assert_eq!(moves.since, at());
    }

    #[test]
    fn an_object_whose_traffic_is_where_its_author_put_it_is_not_written() {
        let intent = split([1, 0, 0]);
        let decision = decide(&intent, &[READY, DOWN, DOWN], Previous::Live, at());
        assert!(!needs_write(&intent, None, &decision));
    }

    fn any_health() -> impl Strategy<Value = Health> {
        prop_oneof![
            Just(READY),
            Just(DOWN),
            Just(UNSEEN),
            Just(Health::Missing),
            Just(Health::ExternalName),
            Just(Health::Seen { ready: 0, total: 0 }),
        ]
    }

    /// A split of up to five backends, and a history of their healths.
    fn any_history() -> impl Strategy<Value = (Intent, Vec<Vec<Health>>)> {
        proptest::collection::vec(0_u32..3, 1..5).prop_flat_map(|weights| {
            let names = ["a", "b", "c", "d", "e"];
            let backends: Vec<_> =
                names.into_iter().zip(&weights).map(|(name, w)| (name, json!(w))).collect();
            let intent = Intent::parse(&declaration(&backends, &[])).unwrap();
            let step = proptest::collection::vec(any_health(), weights.len());
            (Just(intent), proptest::collection::vec(step, 1..30))
        })
    }

    proptest! {
        #[test]
        fn through_any_history_the_rules_of_the_engine_hold((mut intent, history) in any_history()) {
            let mut state: Option<SetState> = None;
            for (i, health) in history.iter().enumerate() {
                let now = Timestamp::from_second(i as i64).unwrap();
                let previous = state.as_ref().map_or(Previous::Live, Previous::Decided);
                let decision = decide(&intent, health, previous, now);

                prop_assert!(decision.weights.iter().any(|w| *w > 0), "all zero");
                let known_ready = |tier: &Vec<usize>| tier.iter().any(|b| health[*b].is_ready());
                let first_ready = intent.tiers.iter().position(known_ready);
                if let Some(first) = first_ready {
                    let down = |b: &&usize| !health[**b].is_ready() && !health[**b].is_unknown();
                    prop_assert!(decision.active.iter().find(down).is_none(), "on a dead backend");
                    let later = |b: &usize| intent.tiers[first + 1..].iter().flatten().any(|l| l == b);
                    prop_assert!(!decision.active.iter().any(later), "past a better tier");
                }
                for (b, backend) in intent.backends.iter().enumerate() {
                    let share = if decision.active.contains(&b) { backend.authored.max(1) } else { 0 };
                    prop_assert_eq!(decision.weights[b], share);
                }

                // What was written is not written again while nothing changes.
                let recorded = decision.state(&intent, health, "a");
                let set = recorded.only_set().unwrap().clone();
                for (backend, weight) in intent.backends.iter_mut().zip(&decision.weights) {
                    backend.live = *weight;
                }
                let again = decide(&intent, health, Previous::Decided(&set), now);
                prop_assert!(!needs_write(&intent, Some(&set), &again));
                state = Some(set);
            }
        }

        #[test]
        fn with_nothing_ready_and_all_there_nothing_moves(
            (intent, _) in any_history(),
            before in proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..5),
        ) {
            let state = was(&before);
            let held = intent.indices(&state.active);
            prop_assume!(!held.is_empty());
            let health = vec![DOWN; intent.backends.len()];
            prop_assert_eq!(decide(&intent, &health, Previous::Decided(&state), at()).active, held);
        }
    }

    #[test]
    fn the_explanation_names_each_backend_and_its_health() {
        let intent = split([1, 0, 0]);
        let health = [DOWN, READY, Health::Missing];
        let decision = decide(&intent, &health, Previous::Live, at());
        assert_eq!(
            decision.explain(&intent, &health),
            "a: 0 of 1 endpoints ready, b: 1 of 1 endpoints ready"
        );
    }
}
