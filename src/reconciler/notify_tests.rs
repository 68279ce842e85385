use super::*;
use crate::engine::{BySet, Defaults, Identity, Now, SetState, State, annotations};
use crate::index::managed_object::ManagedObject;
use crate::index::store::Index;
use crate::kinds::changed_by::{ChangedBy, Intervention};
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::reconciler::context;
use crate::reconciler::flip::{Occasion, TrafficMove};
use serde_json::{Value, json};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_764_150_000 + second).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A route with two rules, the first of which is on its fallback.
fn route() -> Value {
    let set = |active: &[&str], pinned| SetState {
        active: names(active),
        since: at(0),
        pinned,
        ..SetState::default()
    };
    let sets = BySet::from([
        ("#0".to_owned(), set(&["west"], true)),
        ("#1".to_owned(), set(&["web"], false)),
    ]);
    let state = State::new(&Identity::new("r"), sets).to_annotation();
    let backend = |name: &str| json!({"name": name, "port": 80});
    let rule = || json!({"backendRefs": [backend("web"), backend("west")]});
    json!({"metadata": {"uid": "a-uid", "resourceVersion": "7",
            "annotations": {annotations::PRIMARY_SERVICE: "web", annotations::STATE: state}},
        "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80}],
            "rules": [rule(), rule()]}})
}

/// Makes something of the route.
fn with_route<T>(make: impl FnOnce(&Subject<'_>) -> T) -> T {
    let (mut index, kind) = (Index::default(), Kind::HttpRoute);
    index.set_served(kind, Some("v1"));
    let object = serde_json::from_value(route()).unwrap();
    let managed = ManagedObject::read(kind, &object, &Defaults::default());
    let reference = ObjectRef::new(kind, ObjectKey::new("ns", "web"));
    index.set_object(reference.clone(), managed);
    make(&context::subject(&index, &reference, Now::at(at(100))))
}

fn flip() -> Flip {
    let traffic = TrafficMove {
        apex: "web".into(),
        from: names(&["web"]),
        to: names(&["west"]),
        occasion: Occasion::Change,
        reason: "web: no endpoints".into(),
    };
    let one = SetMove {
        set: "#1".into(),
        traffic,
        on_primary: false,
        lost: names(&["web"]),
        taken_back: false,
        by_person: false,
    };
    Flip::of(vec![one], 2).unwrap()
}

fn set(rule: &str, to: &[&str]) -> SetData {
    SetData { rule: rule.into(), apexes: names(&["web"]), to: names(to), ..SetData::default() }
}

#[test]
fn positions_are_those_of_the_record_rule_by_rule() {
    with_route(|subject| {
        let found = positions(subject);
        let seen: Vec<_> = found.iter().map(|p| (p.set, p.on_primary, p.pinned, p.since)).collect();
        assert_eq!(seen, [("#0", false, true, at(0)), ("#1", true, false, at(0))]);
    });
}

#[test]
fn a_transition_is_described_by_who_made_it_and_by_any_other_as_it_is_found() {
    with_route(|subject| {
        let moved = |made: Option<&str>| {
            let (what, sets) = (NotificationType::Failover, vec![set("#0", &["west"])]);
            let made = made.map(str::to_owned);
            transition(subject, Transition { what, at: at(0), sets, made }, "")
        };
        let (made, found) = (moved(Some("It moved.")), moved(None));
        assert_eq!(made.data.message, "It moved.");
        assert_eq!(
            found.data.message,
            "Rule #0: traffic of web is on west since 2025-11-26T09:40:00Z"
        );
        assert_eq!((made.id(), made.at, made.data.cause), (found.id(), at(0), None));
        assert_eq!((made.about.uid(), &*made.about.key().name), ("a-uid", "web"));
    });
}

#[test]
fn nothing_ready_names_the_health_that_is_known() {
    with_route(|subject| {
        let held = |why| {
            let (what, sets) = (NotificationType::Held, vec![set("#0", &["west"])]);
            transition(subject, Transition { what, at: at(0), sets, made: None }, why).data
        };
        assert_eq!(held("web: no endpoints").cause, Some(HoldCause::NothingReady));
        let stays = "No backend is ready, so traffic stays where it is";
        assert_eq!(held("").message, stays);
        assert_eq!(held("web: no endpoints").message, format!("{stays}: web: no endpoints"));
    });
}

/// Replicas that see the same hold at about the same time send one id, and the brake's time is recorded.
#[test]
fn a_hold_says_who_has_to_act_and_has_one_id_for_all_replicas() {
    let by = ChangedBy::new("alice".into(), Intervention::Pause, at(0), None, Default::default());
    let braked = |since| Hold::Braked { since, namespace: "linkerd-failover".into() };
    with_route(|subject| {
        let of = |hold: &Hold, seen| on_hold(subject, &flip(), hold, at(seen));
        for (hold, cause) in [
            (Hold::paused(Some(&by)), HoldCause::Paused),
            (Hold::frozen(None), HoldCause::Frozen),
            (braked(None), HoldCause::Brake),
        ] {
            let held = of(&hold, 50);
            assert_eq!((held.data.cause, held.at), (Some(cause), at(50)));
            assert_eq!(held.id(), of(&hold, 52).id(), "{hold}");
            assert_ne!(held.id(), of(&hold, 5_000).id(), "{hold}");
        }
        let held = of(&Hold::paused(Some(&by)), 50);
        assert_eq!(
            held.data.message,
            "Rule #1: Traffic of web should move from web to west: web: no endpoints. Nothing is written: this object is paused by alice"
        );
        let moved = SetData { from: names(&["web"]), ..set("#1", &["west"]) };
        assert_eq!(held.data.sets, [moved]);
        let recorded = of(&braked(Some(at(7))), 50);
        assert_eq!((recorded.at, recorded.id()), (at(7), of(&braked(Some(at(7))), 5_000).id()));
    });
}

#[test]
fn a_lost_fallback_names_the_rules_that_it_concerns_and_who_has_their_traffic() {
    with_route(|subject| {
        let why = BySet::from([("#1".to_owned(), "west: no endpoints".to_owned())]);
        let of = |since| without_fallback(subject, at(since), &names(&["#1"]), &why);
        let found = of(50);
        assert_eq!(
            found.data.message,
            "No fallback is ready, so a loss of the primary would move nothing: rule #1: west: no endpoints"
        );
        assert_eq!(found.data.sets.len(), 1);
        assert_eq!((found.data.sets[0].rule.as_str(), found.at), ("#1", at(50)));
        assert_eq!(found.id(), of(53).id());
        assert_ne!(found.id(), of(5_000).id());
    });
}

#[test]
fn a_fight_is_reported_ever_more_seldom() {
    let reported: Vec<u32> = (0..100).filter(|times| is_reported(*times)).collect();
    assert_eq!(reported, [2, 4, 8, 16, 32, 64]);
    with_route(|subject| {
        let found = overwritten(subject, "flagger", 4);
        assert_eq!(
            found.data.message,
            "The weights written here were undone 4 times, last by field manager flagger"
        );
        assert_eq!((found.data.by.as_deref(), found.data.times), (Some("flagger"), Some(4)));
    });
}
