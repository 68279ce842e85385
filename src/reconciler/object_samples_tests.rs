use super::*;
use crate::engine::{BySet, Defaults, Identity, State, annotations};
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::kinds::{Kind, ObjectKey};
use crate::simulation::manifest::ready_endpoints;
use serde_json::{Value, json};

const NAMESPACE: &str = "emojivoto";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(NAMESPACE, name)
}

/// A cluster with Services of so many ready endpoints each.
fn index(services: &[(&str, usize)]) -> Index {
    let mut index = Index::default();
    for kind in Kind::ALL {
        index.set_served(kind, Some(kind.versions()[0]));
    }
    for (n, (service, ready)) in services.iter().enumerate() {
        let facts = json!({"spec": {"ports": [{"port": 80}]}});
        index
            .set_service(key(service), ServiceFacts::read(&serde_json::from_value(facts).unwrap()));
        let endpoints = ready_endpoints(&format!("10.{n}"), *ready);
        let slice =
            json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints, "ports": [{}]});
        let slice = serde_json::from_value(slice).unwrap();
        let facts = SliceFacts::read(&slice, AddressFamilies::default());
        let (slice, service) = (key(service), Some(key(service)));
        index.set_slice(SliceUpdate { slice, version: 0, service, facts });
    }
    index
}

/// A split of `web` with its fallbacks `west` and `north`, with these weights and annotations.
fn split(weights: [u32; 3], annotations: &Value) -> Value {
    let backend = |(name, weight)| json!({"service": name, "weight": weight});
    let backends: Vec<Value> =
        ["web", "west", "north"].into_iter().zip(weights).map(backend).collect();
    json!({"metadata": {"uid": "u", "annotations": annotations},
        "spec": {"service": "web", "backends": backends}})
}

/// The state of a set, as it stands in the annotation.
fn state(set: SetState) -> Value {
    let state = State::new(&Identity::new("r"), BySet::from([(String::new(), set)]));
    json!({annotations::STATE: state.to_annotation()})
}

fn read(mut index: Index, kind: Kind, object: Value, braked: bool) -> ObjectSample {
    let object = serde_json::from_value(object).unwrap();
    let managed = ManagedObject::read(kind, &object, &Defaults::default());
    let reference = ObjectRef::new(kind, key("web"));
    index.set_object(reference.clone(), managed);
    sample(&index, &reference, braked, Now::at(at(1_000))).unwrap()
}

fn on(services: &[(&str, usize)], weights: [u32; 3], annotations: &Value) -> ObjectSample {
    read(index(services), Kind::TrafficSplit, split(weights, annotations), false)
}

const ALL_READY: &[(&str, usize)] = &[("web", 1), ("west", 1), ("north", 1)];
const WEB_DOWN: &[(&str, usize)] = &[("web", 0), ("west", 2), ("north", 1)];
const ALL_DOWN: &[(&str, usize)] = &[("web", 0), ("west", 0), ("north", 0)];

/// On `west` since the 700th second, after another fallback had the traffic from the 500th on.
fn on_west() -> Value {
    state(SetState {
        active: vec!["west".into()],
        since: at(700),
        left: Some(at(500)),
        ..SetState::default()
    })
}

#[test]
fn an_object_is_where_its_traffic_is_unless_something_keeps_it_there() {
    let none = json!({});
    let annotated = |name: &str, value: &str| json!({format!("failover.linkerd.io/{name}"): value});
    for (services, weights, annotations, expected) in [
        (ALL_READY, [1, 0, 0], &none, TrafficOn::Primary),
        // It is about to move.
        (WEB_DOWN, [1, 0, 0], &none, TrafficOn::Primary),
        (WEB_DOWN, [0, 1, 0], &on_west(), TrafficOn::Fallback),
        (ALL_READY, [0, 1, 0], &on_west(), TrafficOn::Fallback),
        (ALL_DOWN, [0, 1, 0], &on_west(), TrafficOn::Held),
        (ALL_READY, [0, 1, 0], &annotated("pin", "west"), TrafficOn::Pinned),
        (ALL_DOWN, [0, 1, 0], &annotated("paused", "true"), TrafficOn::Paused),
    ] {
        let sample = on(services, weights, annotations);
        assert_eq!(sample.on, expected, "{services:?} {weights:?} {annotations}");
        assert_eq!(sample.on_primary, Some(weights[0] > 0));
    }
}

#[test]
fn a_move_that_is_due_and_not_made_is_held() {
    for (frozen, braked, services, weights, expected) in [
        (true, false, WEB_DOWN, [1, 0, 0], TrafficOn::Held),
        (false, true, WEB_DOWN, [1, 0, 0], TrafficOn::Held),
        // The brake holds nothing that returns, and neither holds what is to stay.
        (false, true, ALL_READY, [0, 1, 0], TrafficOn::Fallback),
        (true, true, ALL_READY, [1, 0, 0], TrafficOn::Primary),
    ] {
        let mut index = index(services);
        index.cluster_wide.frozen = frozen;
        let sample = read(index, Kind::TrafficSplit, split(weights, &json!({})), braked);
        assert_eq!(sample.on, expected, "{frozen} {braked} {weights:?}");
    }
}

#[test]
fn a_stay_on_fallbacks_begins_when_traffic_left_the_primary() {
    assert_eq!(on(WEB_DOWN, [0, 1, 0], &on_west()).since, Some(500));
    let back = SetState { active: vec!["web".into()], since: at(900), ..SetState::default() };
    assert_eq!(on(ALL_READY, [1, 0, 0], &state(back)).since, Some(900));
    assert_eq!(on(ALL_READY, [1, 0, 0], &json!({})).since, None, "nothing is recorded");
    let nothing_ready = SetState {
        active: vec!["web".into()],
        nothing_ready: Some(at(950)),
        ..SetState::default()
    };
    assert_eq!(on(ALL_DOWN, [1, 0, 0], &state(nothing_ready)).since, Some(950));
}

#[test]
fn fallbacks_are_counted_as_far_as_they_are_known() {
    let ready = |services: &[(&str, usize)]| on(services, [1, 0, 0], &json!({})).fallbacks_ready;
    assert_eq!(ready(ALL_READY), Some(2));
    assert_eq!(ready(&[("web", 1), ("west", 0), ("north", 1)]), Some(1));
    assert_eq!(ready(&[("web", 1), ("west", 0)]), Some(0), "north does not exist");
    let min = json!({"failover.linkerd.io/min-ready": "west=2,north=2"});
    assert_eq!(on(ALL_READY, [1, 0, 0], &min).fallbacks_ready, Some(0));
    // In a namespace that is not watched: not known is not down.
    let mut unseen = index(ALL_READY);
    unseen.namespaces = vec!["elsewhere".into()];
    let unseen = read(unseen, Kind::TrafficSplit, split([1, 0, 0], &json!({})), false);
    assert_eq!((unseen.on, unseen.fallbacks_ready), (TrafficOn::Primary, None));
}

#[test]
fn the_share_of_a_warm_standby_is_no_traffic() {
    let warm = |active: &str, weights: [u32; 3]| {
        let by_name = ["web", "west", "north"].map(str::to_owned).into_iter().zip(weights);
        let set = SetState {
            active: vec![active.into()],
            weights: by_name.collect(),
            ..SetState::default()
        };
        on(ALL_READY, weights, &state(set)).backends
    };
    let only =
        |active: &str| ["web", "west", "north"].map(|b| (b.to_owned(), b == active)).to_vec();
    assert_eq!(warm("web", [400_000, 1, 1]), only("web"));
}

#[test]
fn of_a_route_the_rule_that_is_worst_off_counts() {
    let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    let rules = json!([
        {"name": "a", "backendRefs": [backend("web", 1), backend("west", 0)]},
        {"name": "b", "backendRefs": [backend("api", 0), backend("west", 1)]},
        {"name": "c", "backendRefs": [backend("web", 1)]},
    ]);
    let route = json!({
        "metadata":
            {"uid": "u", "annotations": {"failover.linkerd.io/primary-service": "web,api"}},
        "spec": {
            "parentRefs": [{"group": "core", "kind": "Service", "name": "web"}], "rules": rules,
        },
    });
    let services = [("web", 1), ("west", 1), ("api", 0)];
    let sample = read(index(&services), Kind::HttpRoute, route, false);
    assert_eq!((sample.on, sample.on_primary), (TrafficOn::Fallback, Some(false)));
    assert_eq!((sample.kind, sample.fallbacks_ready), ("HTTPRoute", Some(1)));
    let active = [("web".to_owned(), true), ("west".to_owned(), true), ("api".to_owned(), false)];
    assert_eq!(sample.backends, active);
}

#[test]
fn of_what_cannot_be_read_nothing_else_is_known() {
    let garbled = json!({"metadata": {"uid": "u"}, "spec": {"service": "web", "backends": 7}});
    let sample = read(index(ALL_READY), Kind::TrafficSplit, garbled, false);
    assert_eq!((sample.on, sample.on_primary), (TrafficOn::Unreadable, None));
    assert_eq!((sample.since, sample.fallbacks_ready), (None, None));
    assert!(sample.backends.is_empty());
}

#[test]
fn every_object_is_looked_at_whatever_their_number() {
    let (shared, _changes) = SharedIndex::new();
    let object = serde_json::from_value(split([1, 0, 0], &json!({}))).unwrap();
    shared.update(|index| {
        for i in 0..AT_A_TIME * 2 + 1 {
            let managed = ManagedObject::read(Kind::TrafficSplit, &object, &Defaults::default());
            index.set_object(ObjectRef::new(Kind::TrafficSplit, key(&i.to_string())), managed);
        }
        vec![]
    });
    assert_eq!(samples(&shared, false).len(), AT_A_TIME * 2 + 1);
}
