//! Shares: from the backends that are active to a weight for each.

use crate::engine::decision::contains;
use crate::engine::{BackendIndex, Intent};

/// The weights that give the active backends their authored share, or 1 where that is 0, and all
/// others 0; one for each backend, in the author's order.
///
/// Both lists are in ascending order. `warm` are backends that get the smallest share beside them: 1, while the others' weights are
/// scaled up as far as the kind of object allows.
pub(crate) fn weights_for(
    intent: &Intent,
    active: &[BackendIndex],
    warm: &[BackendIndex],
) -> Vec<u32> {
    let warm: Vec<BackendIndex> = warm.iter().copied().filter(|i| !contains(active, *i)).collect();
    let warm_sum = u32::try_from(warm.len()).unwrap_or(u32::MAX);
    let limits = intent.limits;
    let budget = u64::from(limits.sum.saturating_sub(warm_sum)).max(1);
    let share = |i: BackendIndex| u64::from(intent.backends[i].authored.max(1));
    let sum: u64 = active.iter().map(|i| share(*i)).sum();
    let largest = active.iter().map(|i| share(*i)).max().unwrap_or(1);
    let scaled = |share: u64| {
        if sum > budget {
            // The parser lets no such sum through but for backends at 0 that count as 1.
            (share * budget / sum).max(1)
        } else if warm.is_empty() {
            share
        } else {
            // A whole factor keeps the proportions exactly.
            share * (budget / sum.max(1)).min(u64::from(limits.weight) / largest).max(1)
        }
    };
    let weight = |i: BackendIndex| {
        if contains(active, i) {
            u32::try_from(scaled(share(i))).unwrap_or(limits.weight)
        } else {
            u32::from(contains(&warm, i))
        }
    };
    intent.indices_of_all().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::backend_index::at;
    use crate::engine::intent::tests::{declaration, parsed};
    use crate::engine::{MAX_WEIGHT, WeightLimits};
    use proptest::prelude::*;
    use serde_json::json;

    fn split(weights: &[u32]) -> Intent {
        let names: Vec<String> = (0..weights.len()).map(|i| format!("svc-{i}")).collect();
        let backends: Vec<_> =
            names.iter().zip(weights).map(|(name, w)| (name.as_str(), json!(w))).collect();
        parsed(&declaration(&backends, &[])).unwrap()
    }

    #[test]
    fn a_warm_fallback_gets_1_beside_weights_scaled_to_what_linkerd_carries() {
        let intent = split(&[1, 0, 0]);
        assert_eq!(weights_for(&intent, &at(&[0]), &at(&[1])), [429_495, 1, 0]);
        assert_eq!(weights_for(&intent, &at(&[0]), &at(&[1, 2])), [429_494, 1, 1]);
        assert_eq!(weights_for(&intent, &at(&[0]), &at(&[])), [1, 0, 0]);
        let shared = split(&[90, 10, 0]);
        assert_eq!(weights_for(&shared, &at(&[0, 1]), &at(&[2])), [386_460, 42_940, 1]);
    }

    #[test]
    fn a_route_has_1_beside_a_million_and_no_sum_to_keep_within() {
        let mut intent = split(&[1, 0, 0]);
        intent.limits = WeightLimits { weight: 1_000_000, sum: u32::MAX };
        assert_eq!(weights_for(&intent, &at(&[0]), &at(&[1])), [1_000_000, 1, 0]);
        assert_eq!(weights_for(&intent, &at(&[0, 1]), &at(&[2])), [1_000_000, 1_000_000, 1]);
        intent.backends[0].authored = 600_000;
        assert_eq!(weights_for(&intent, &at(&[0]), &at(&[1])), [600_000, 1, 0]);
    }

    #[test]
    fn a_backend_at_0_beside_the_largest_weight_gets_1_within_the_sum() {
        let intent = split(&[429_496, 0, 0]);
        assert_eq!(weights_for(&intent, &at(&[0, 1]), &at(&[])), [429_495, 1, 0]);
        assert_eq!(weights_for(&intent, &at(&[0]), &at(&[2])), [429_495, 0, 1]);
        assert_eq!(weights_for(&intent, &at(&[0]), &at(&[])), [429_496, 0, 0]);
    }

    proptest! {
        #[test]
        fn the_sum_stays_within_what_linkerd_carries_and_proportions_are_kept(
            weights in proptest::collection::vec(0_u32..=MAX_WEIGHT / 8, 2..8),
            active in 1_usize..128,
            warm in 0_usize..128,
        ) {
            let intent = split(&weights);
            let chosen = |mask: usize| -> Vec<usize> {
                (0..weights.len()).filter(|i| mask & (1 << i) != 0).collect()
            };
            let active = chosen(active);
            prop_assume!(!active.is_empty());
            let given = weights_for(&intent, &at(&active), &at(&chosen(warm)));
            prop_assert!(given.iter().map(|w| u64::from(*w)).sum::<u64>() <= u64::from(MAX_WEIGHT));
            for i in &active {
                prop_assert!(given[*i] > 0);
                for j in &active {
                    let share = |i: usize| u64::from(weights[i].max(1));
                    let got = |i: usize| u64::from(given[i]);
                    prop_assert_eq!(got(*i) * share(*j), got(*j) * share(*i));
                }
            }
        }
    }
}
