use super::*;
use crate::engine::backend_index::at;
use crate::engine::{BySet, Defaults, Intent};
use crate::engine::{
    DeclaredBackend, Identity, MAX_WEIGHT, ParsedWeight, Problem, annotations, authored,
    defaulted_primary,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

fn backend(name: &str, weight: u32) -> DeclaredBackend {
    DeclaredBackend {
        name: name.into(),
        weight: ParsedWeight::parse(Some(&json!(weight)), 0, MAX_WEIGHT),
        port: None,
        ..DeclaredBackend::default()
    }
}

/// A route whose rules have these backends.
fn route(rules: &[&[(&str, u32)]]) -> Declaration {
    let set = |(i, backends): (usize, &&[(&str, u32)])| DeclaredSet {
        name: format!("#{i}"),
        backends: backends.iter().map(|(name, weight)| backend(name, *weight)).collect(),
        ..DeclaredSet::default()
    };
    Declaration {
        apexes: vec!["web".into()],
        sets: rules.iter().enumerate().map(set).collect(),
        ..Declaration::default()
    }
}

fn with_state(mut declared: Declaration, sets: &[(&str, SetState)]) -> Declaration {
    let sets = sets.iter().map(|(name, set)| ((*name).to_owned(), set.clone())).collect();
    let state = State::new(&Identity::new("r"), sets).to_annotation();
    declared.annotations.insert(annotations::STATE.into(), state);
    declared
}

fn known(active: &str, primary: &str, first: Option<&str>) -> SetState {
    SetState {
        active: vec![active.into()],
        primary: Some(primary.into()),
        first: first.map(Into::into),
        ..SetState::default()
    }
}

fn primaries(declared: &Declaration) -> Vec<String> {
    declared
        .primaries()
        .into_iter()
        .map(|(set, names)| format!("{set}={}", names.join("+")))
        .collect()
}

fn parsed(declared: &Declaration) -> Result<Vec<Intent>, Vec<Problem>> {
    Intent::parse(declared, &Defaults::default())
}

#[test]
fn a_rule_that_does_not_fail_over_does_not_begin_to_by_the_default_of_another() {
    // Half of the requests of the second rule go to a canary, or it is closed.
    let canary: &[(&str, u32)] = &[("web", 1), ("web-canary", 1)];
    let closed: &[(&str, u32)] = &[("web", 0), ("web-west", 0)];
    let failing_over = [("#0", known("web", "web", Some("web")))];
    // The first rule fails over, or has nowhere to go: such a rule is not recorded.
    let over: &[(&str, u32)] = &[("web", 1), ("web-b", 0)];
    let alone: &[(&str, u32)] = &[("web", 1)];
    for (first, states, second) in [
        (over, failing_over.as_slice(), canary),
        (over, &failing_over, closed),
        (alone, &[], canary),
        (alone, &[], closed),
    ] {
        let sent = route(&[first, second]);
        assert_eq!(primaries(&sent), ["#0=web"]);
        let mut recorded = with_state(sent, states);
        let mut state = recorded.state().cloned().unwrap();
        state.defaulted_primary = Some("web".into());
        recorded.annotations.insert(annotations::STATE.into(), state.to_annotation());
        recorded.annotations.insert(annotations::PRIMARY_SERVICE.into(), "web".into());
        assert_eq!(primaries(&recorded), ["#0=web"]);
    }
}

#[test]
fn where_the_author_names_none_each_rule_prefers_its_own() {
    // Another header matched before all others: what it names is nobody else's primary.
    let canary = route(&[&[("web-canary", 1)], &[("web", 1), ("web-b", 0)]]);
    assert_eq!(primaries(&canary), ["#0=web-canary", "#1=web"]);
    let intents = parsed(&canary).unwrap();
    assert_eq!(defaulted_primary(&intents).as_deref(), Some("web"), "one backend does not speak");
    // The one with weight, where the first has none: an upgrade moves nothing.
    assert_eq!(
        primaries(&route(&[&[("a", 1), ("b", 0)], &[("c", 0), ("d", 2)]])),
        ["#0=a", "#1=d"]
    );
    // What failed over until now may be in the middle of it: the author's weights are recorded.
    let rules: &[&[(&str, u32)]] =
        &[&[("a", 1), ("b", 0)], &[("a", 0), ("c", 1)], &[("c", 0), ("a", 1)]];
    let mut lost = route(rules);
    let record = r##"{"v":1,"sets":{"#0":{"a":1,"b":0},"#1":{"a":1,"c":0}}}"##;
    lost.annotations.insert(annotations::AUTHORED_WEIGHTS.into(), record.into());
    assert_eq!(primaries(&lost), ["#0=a", "#1=a", "#2=a"]);
    // Without a record its author has moved it, and it stays there.
    assert_eq!(primaries(&route(rules)), ["#0=a", "#1=c", "#2=a"]);
    assert_eq!(primaries(&route(&[&[("web", 0), ("web-b", 1)]])), ["#0=web-b"]);
    // Two backends with weight that did not fail over until now: ambiguous.
    let half = route(&[&[("a", 1), ("b", 0)], &[("web-v2", 50), ("web-v1", 50)]]);
    assert_eq!(primaries(&half), ["#0=a"]);
    assert_eq!(half.without_primary().map(|s| &*s.name).collect::<Vec<_>>(), ["#1"]);
}

#[test]
fn an_upgrade_moves_nothing_of_a_rule_that_shares_traffic_or_is_closed_and_has_no_record() {
    // The first backend of all is in it, and nothing tells that it ever failed over.
    let half = route(&[&[("web-v2", 50), ("web-v1", 50)]]);
    assert_eq!(primaries(&half), [""; 0]);
    let problems = parsed(&half).unwrap_err();
    assert!(problems[0].to_string().contains("web-v1 with weight 50, web-v2 with weight 50"));
    let closed = route(&[&[("a", 1), ("b", 0)], &[("a", 0), ("b", 0)]]);
    assert_eq!(primaries(&closed), ["#0=a"]);
    let closed = route(&[&[("a", 0), ("b", 0)]]);
    let problems = parsed(&closed).unwrap_err();
    assert!(problems[0].to_string().contains("found no backend with weight"), "{problems:?}");
    // What is recorded did.
    let mut recorded = route(&[&[("a", 50), ("b", 50)]]);
    let record = r##"{"v":1,"sets":{"#0":{"a":50,"b":50}}}"##;
    recorded.annotations.insert(annotations::AUTHORED_WEIGHTS.into(), record.into());
    assert_eq!(primaries(&recorded), ["#0=a"]);
    // What can have no traffic shares none.
    let mut egress = route(&[&[("a", 1), ("all", 1), ("b", 0)]]);
    egress.sets[0].backends[1].fault = Some(Fault::NoService("of another kind".into()));
    assert_eq!(primaries(&egress), ["#0=a"]);
}

#[test]
fn rules_have_a_default_together_only_where_it_is_that_of_all() {
    let same = parsed(&route(&[&[("a", 1), ("b", 0)], &[("a", 1), ("c", 0)]])).unwrap();
    assert_eq!(defaulted_primary(&same).as_deref(), Some("a"));
    let differ = parsed(&route(&[&[("a", 1), ("b", 0)], &[("b", 1), ("a", 0)]])).unwrap();
    assert_eq!(defaulted_primary(&differ), None);
    assert_eq!(authored(&differ).len(), 2);
}

#[test]
fn the_default_follows_the_first_backend_but_never_in_a_failover() {
    let turned = || route(&[&[("b", 0), ("a", 1)]]);
    for (state, expected, why) in [
        (known("a", "a", None), "b", "another is first now"),
        (known("b", "a", None), "a", "traffic is off it"),
        (known("a", "a", Some("b")), "a", "it came back, and nothing was edited since"),
        (known("b", "a", Some("b")), "a", "off it, and edited before"),
        (known("b", "gone", None), "b", "it is no backend any more"),
        (SetState::default(), "b", "nothing is remembered"),
    ] {
        let declared = with_state(turned(), &[("#0", state)]);
        assert_eq!(primaries(&declared), [format!("#0={expected}")], "{why}");
    }
}

#[test]
fn a_default_in_fallback_order_is_refused_only_where_it_is_never_a_fallback() {
    let mut declared = route(&[&[("a", 1), ("b", 0)], &[("b", 1), ("a", 0)]]);
    declared.annotations.insert(annotations::FALLBACK_ORDER.into(), "a,b".into());
    let intents = parsed(&declared).unwrap();
    assert_eq!(
        (&intents[0].tiers, &intents[1].tiers),
        (&vec![at(&[0]), at(&[1])], &vec![at(&[0]), at(&[1])])
    );
    let mut always = route(&[&[("a", 1), ("b", 0)], &[("a", 1), ("c", 0)]]);
    always.annotations.insert(annotations::FALLBACK_ORDER.into(), "a".into());
    assert!(parsed(&always).unwrap_err()[0].to_string().contains("fallbacks only; a is a primary"));
}

#[test]
fn a_rule_that_is_held_for_what_it_says_stays_managed_while_another_is_recorded() {
    let mut declared = route(&[&[("web", 0), ("web-b", 1)], &[("api", 1), ("api-b", 0)]]);
    declared.sets[0].backends[1].fault = Some(Fault::NoService("it names no port".into()));
    declared.sets[0].unreadable = vec![Problem::error("spec.rules[0].backendRefs[1].port")];
    assert_eq!(primaries(&declared), ["#0=web", "#1=api"]);
    // What the controller writes: the weights of both, and the decision on the one that can be read.
    let record = r##"{"v":1,"sets":{"#0":{"web":0,"web-b":1},"#1":{"api":1,"api-b":0}}}"##;
    let mut recorded = with_state(declared, &[("#1", known("api", "api", Some("api")))]);
    recorded.annotations.insert(annotations::AUTHORED_WEIGHTS.into(), record.into());
    assert_eq!(primaries(&recorded), ["#0=web", "#1=api"]);
}

#[test]
fn a_rule_that_names_its_one_backend_twice_is_read_as_before_once_another_is_recorded() {
    let mut declared = route(&[&[("web", 1), ("web", 2)], &[("api", 1), ("api-b", 0)]]);
    declared.sets[0].unreadable = vec![Problem::error("spec.rules[0].backendRefs[1].port")];
    assert_eq!(primaries(&declared), ["#0=web+web", "#1=api"]);
    let recorded = with_state(declared, &[("#1", known("api", "api", Some("api")))]);
    assert_eq!(primaries(&recorded), ["#0=web+web", "#1=api"]);
}

#[test]
fn what_cannot_be_read_and_was_left_alone_until_now_stays_so() {
    let mut declared = route(&[&[("a", 1), ("b", 0)], &[("c", 1), ("d", 0)]]);
    declared.sets[1].backends[1].weight = ParsedWeight::Unreadable("\"900m\"".into());
    assert_eq!(parsed(&declared).map(|intents| intents.len()), Ok(1));
}

type Rules = Vec<Vec<(&'static str, u32)>>;

fn any_rules() -> impl Strategy<Value = Rules> {
    let names = proptest::sample::subsequence(vec!["a", "b", "c", "d"], 1..=4).prop_shuffle();
    let rule = names.prop_flat_map(|names| {
        let weights = proptest::collection::vec(0_u32..3, names.len());
        weights.prop_map(move |weights| names.iter().copied().zip(weights).collect())
    });
    proptest::collection::vec(rule, 1..5)
}

proptest! {
    /// Whatever the rules and whatever is remembered: a primary is a backend of its own rule, what
    /// traffic is off stays one, and what is recorded of a decision says the same again.
    #[test]
    fn the_default_of_a_rule_depends_on_that_rule_alone(
        rules in any_rules(),
        remembered in proptest::collection::vec(("[a-d]", "[a-d]", proptest::option::of("[a-d]")), 4),
    ) {
        let rules: Vec<&[(&str, u32)]> = rules.iter().map(Vec::as_slice).collect();
        let declared = route(&rules);
        let states: Vec<(String, SetState)> = remembered
            .iter()
            .enumerate()
            .map(|(i, (active, primary, first))| (format!("#{i}"), known(active, primary, first.as_deref())))
            .collect();
        let states: Vec<(&str, SetState)> = states.iter().map(|(n, s)| (n.as_str(), s.clone())).collect();
        let declared = with_state(declared, &states);
        let primaries = declared.primaries();
        prop_assert!(!parsed(&declared).unwrap().is_empty(), "at least one is read");
        for (set, (_, state)) in declared.sets.iter().zip(&states) {
            let Some(primary) = primaries.get(&set.name).map(|names| &names[0]) else { continue };
            prop_assert!(set.has(primary));
            let was = state.primary.as_ref().unwrap();
            if set.backends.len() > 1 && set.has(was) && !state.active.contains(was) {
                prop_assert_eq!(primary, was);
            }
        }
        // Decided by this, and read again.
        let again: BySet<SetState> = parsed(&declared)
            .unwrap()
            .iter()
            .map(|intent| {
                let active = intent.primaries().map(str::to_owned).collect();
                let set = SetState { active, since: Timestamp::UNIX_EPOCH, ..SetState::default() };
                (intent.set.clone(), set.remembering(intent))
            })
            .collect();
        let again: Vec<(&str, SetState)> = again.iter().map(|(n, s)| (n.as_str(), s.clone())).collect();
        prop_assert_eq!(with_state(declared, &again).primaries(), primaries);
    }
}

#[test]
fn of_a_route_the_rules_with_a_primary_fail_over_and_of_a_split_the_one_set() {
    let names = |declared: &Declaration| -> Vec<String> {
        declared.failing_over().map(|set| set.name.clone()).collect()
    };
    let rules = route(&[&[("a", 1), ("b", 0)], &[("c", 1), ("d", 1)], &[("e", 1), ("f", 0)]]);
    assert_eq!(names(&rules), ["#0", "#2"]);
    let mut split = route(&[&[("a", 1), ("b", 1)]]);
    split.sets[0].name = String::new();
    assert_eq!(names(&split), [""]);
}

#[test]
fn a_rule_with_one_backend_has_a_default_only_where_it_is_the_first_of_all() {
    let alone = route(&[&[("a", 1), ("b", 0)], &[("c", 1)]]);
    assert_eq!(primaries(&alone), ["#0=a"]);
    assert_eq!(primaries(&route(&[&[("c", 1)], &[("a", 1), ("b", 0)]])), ["#0=c", "#1=a"]);
}

#[test]
fn the_default_that_an_earlier_version_recorded_for_all_rules_holds_where_a_rule_has_it() {
    let mut declared = route(&[&[("a", 1), ("b", 0)], &[("c", 1), ("d", 0)]]);
    let mut state = State::new(&Identity::new("r"), BySet::new());
    state.defaulted_primary = Some("b".into());
    declared.annotations.insert(annotations::STATE.into(), state.to_annotation());
    assert_eq!(primaries(&declared), ["#0=b", "#1=c"]);
}

#[test]
fn a_rule_that_failed_over_under_an_earlier_version_keeps_the_primary_that_all_rules_had() {
    // The first backend of all is in the rule, and not the first there.
    for (has_state, recorded, live, expected) in [
        (true, Some([0, 0, 1]), [1, 0, 0], "a"),
        (false, Some([0, 0, 1]), [1, 0, 0], "c"),
        (true, Some([1, 0, 0]), [0, 0, 1], "x"),
        (true, None, [0, 0, 1], "c"),
        (true, Some([0, 0, 0]), [0, 0, 1], "x"),
        (true, Some([1, 0, 1]), [0, 1, 0], "x"),
    ] {
        let [x, a, c] = live;
        let mut declared = route(&[&[("a", 1), ("b", 0)], &[("x", x), ("a", a), ("c", c)]]);
        if let Some([x, a, c]) = recorded {
            let record = format!(r##"{{"v":1,"sets":{{"#1":{{"x":{x},"a":{a},"c":{c}}}}}}}"##);
            declared.annotations.insert(annotations::AUTHORED_WEIGHTS.into(), record);
        }
        if has_state {
            declared = with_state(declared, &[]);
        }
        let expected = ["#0=a".to_owned(), format!("#1={expected}")];
        assert_eq!(primaries(&declared), expected, "{has_state} {recorded:?} {live:?}");
    }
}

#[test]
fn where_the_author_names_the_primaries_no_rule_is_ambiguous() {
    let mut half = route(&[&[("a", 1), ("b", 0)], &[("web-v2", 50), ("web-v1", 50)]]);
    half.annotations.insert(annotations::PRIMARY_SERVICE.into(), "a".into());
    assert_eq!(half.without_primary().count(), 0);
}
