//! Weights that an author has written past the webhook.

use crate::engine::{BySet, Declaration, DeclaredSet, State, Weights};

/// The author's weights where somebody else has written weights since ours: those that are neither
/// what we wrote last nor what is recorded are new. None where nothing is.
///
/// A manifest that is applied again only repeats the record; it is corrected like any weight that would
/// undo a failover.
pub(crate) fn external_edit(declared: &Declaration, state: &State) -> Option<BySet<Weights>> {
    let recorded = declared.recorded()?;
    let mut authored = recorded.clone();
    for set in &declared.sets {
        let (Some(of_set), Some(before)) = (state.sets.get(&set.name), recorded.get(&set.name))
        else {
            continue;
        };
        authored.insert(set.name.clone(), edited_set(set, &of_set.weights, before));
    }
    (authored != *recorded).then_some(authored)
}

fn edited_set(set: &DeclaredSet, written: &Weights, recorded: &Weights) -> Weights {
    let live = set.live();
    // What we wrote is there: nobody has edited it.
    if written.iter().all(|(name, weight)| live.get(name).is_none_or(|live| live == weight)) {
        return recorded.clone();
    }
    let mut authored = recorded.clone();
    for (name, weight) in live {
        if written.get(&name) != Some(&weight) && recorded.get(&name) != Some(&weight) {
            authored.insert(name, weight);
        }
    }
    authored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::intent::tests::declaration;
    use crate::engine::{AuthoredWeights, Identity, SetState, annotations};
    use proptest::prelude::*;
    use serde_json::json;

    fn weights(pairs: &[(&str, u32)]) -> Weights {
        pairs.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
    }

    /// Two backends with these live weights, what was written last, and what is recorded.
    fn after(live: [u32; 2], written: [u32; 2], recorded: [u32; 2]) -> Option<Weights> {
        let of = |[a, b]: [u32; 2]| weights(&[("a", a), ("b", b)]);
        let record = AuthoredWeights::new([(String::new(), of(recorded))].into()).to_annotation();
        let declared = declaration(
            &[("a", json!(live[0])), ("b", json!(live[1]))],
            &[(annotations::AUTHORED_WEIGHTS, &record)],
        );
        let set = SetState { weights: of(written), ..SetState::default() };
        let state = State::new(&Identity::new("r"), [(String::new(), set)].into());
        external_edit(&declared, &state).map(|mut sets| sets.remove("").unwrap())
    }

    #[test]
    fn what_is_neither_ours_nor_recorded_is_the_authors_new_weight() {
        let of = |a, b| Some(weights(&[("a", a), ("b", b)]));
        for (live, written, recorded, expected, why) in [
            ([90, 10], [90, 10], [90, 10], None, "nothing was written"),
            ([50, 50], [90, 10], [90, 10], of(50, 50), "new shares"),
            ([5, 0], [1, 0], [1, 0], of(5, 0), "one of them"),
            ([1, 0], [0, 1], [1, 0], None, "the manifest again, in a failover"),
            ([0, 7], [0, 1], [1, 0], of(1, 7), "of the fallback, in a failover"),
            ([7, 3], [0, 1], [1, 0], of(7, 3), "a new manifest, in a failover"),
            ([0, 1], [0, 1], [9, 0], None, "ours stand"),
        ] {
            assert_eq!(after(live, written, recorded), expected, "{why}");
        }
    }

    proptest! {
        /// An edit that is recorded is no edit a second time, and what we write never is one.
        #[test]
        fn an_edit_is_reported_once(
            live in any::<[u8; 2]>(), written in any::<[u8; 2]>(), recorded in any::<[u8; 2]>(),
        ) {
            let [live, written, recorded] = [live, written, recorded].map(|w| w.map(u32::from));
            prop_assert_eq!(after(written, written, recorded), None);
            if let Some(edit) = after(live, written, recorded) {
                prop_assert_eq!(after(live, written, [edit["a"], edit["b"]]), None);
            }
        }
    }
}
