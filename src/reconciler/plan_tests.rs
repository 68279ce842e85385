use super::*;
use crate::engine::{Defaults, Now, State, annotations};
use crate::index::change::Noticed;
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds::{FIELD_MANAGER, Kind as Of};
use crate::reconciler::attempts::Attempt;
use crate::reconciler::context::subject;
use crate::reconciler::write::WriteKind;
use kube::core::DynamicObject;
use serde_json::{Value, json};

const NAMESPACE: &str = "emojivoto";

/// A cluster with a route of two rules: both have emoji-svc, the first falls back to west, the
/// second to north.
struct World {
    index: Index,
    route: ObjectRef,
    object: DynamicObject,
}

impl World {
    fn new(annotations: Value) -> Self {
        let mut index = Index::default();
        index.now = at(1);
        index.set_served(Of::HttpRoute, Some("v1"));
        let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
        let object = serde_json::from_value(json!({
            "metadata": {"name": "emoji", "namespace": NAMESPACE, "uid": "u",
                "resourceVersion": "1", "annotations": annotations},
            "spec": {
                "parentRefs": [{"group": "core", "kind": "Service", "name": "emoji-svc"}],
                "rules": [
                    {"backendRefs": [backend("emoji-svc", 9), backend("west", 0)]},
                    {"backendRefs": [backend("web-svc", 1)]},
                    {"name": "api", "backendRefs": [backend("emoji-svc", 1), backend("north", 0)]},
                ],
            },
        }));
        let route = ObjectRef::new(Of::HttpRoute, ObjectKey::new(NAMESPACE, "emoji"));
        let mut world = Self { index, route, object: object.unwrap() };
        for service in ["emoji-svc", "west", "north"] {
            world.index.set_service(ObjectKey::new(NAMESPACE, service), ports());
            world.set_ready(service, 1);
        }
        world.read();
        world
    }

    fn set_ready(&mut self, service: &str, ready: usize) {
        let endpoints: Vec<_> =
            (0..ready).map(|i| json!({"addresses": [format!("{service}-{i}")]})).collect();
        let slice =
            json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints, "ports": [{}]});
        let facts =
            SliceFacts::read(&serde_json::from_value(slice).unwrap(), AddressFamilies::default());
        let key = ObjectKey::new(NAMESPACE, service);
        let slice = key.clone();
        self.index.set_slice(SliceUpdate { slice, version: 0, service: Some(key), facts });
    }

    fn read(&mut self) {
        let managed = ManagedObject::read(Of::HttpRoute, &self.object, &Defaults::default());
        self.index.set_object(self.route.clone(), managed);
    }

    fn plan(&self) -> Plan {
        self.planned(Moves::All)
    }

    fn planned(&self, moves: Moves) -> Plan {
        let me = Identity::new("replica-a");
        plan(&subject(&self.index, &self.route, at(10)), None, &me, moves).unwrap()
    }

    /// Writes what is planned, as the API server would.
    fn write(&mut self) -> Option<Write> {
        let write = self.plan().write?;
        self.apply(&write);
        Some(write)
    }

    fn managed(&self) -> &ManagedObject {
        self.index.object(&self.route).unwrap()
    }

    fn apply(&mut self, write: &Write) {
        let mut json = serde_json::to_value(&self.object).unwrap();
        json_patch::patch(&mut json, &write.patch).unwrap();
        self.object = serde_json::from_value(json).unwrap();
        let version: u32 = write.resource_version.parse().unwrap();
        self.object.metadata.resource_version = Some((version + 1).to_string());
        self.read();
    }

    fn weights(&self) -> Vec<Vec<u64>> {
        let rules = self.object.data["spec"]["rules"].as_array().unwrap();
        let weights = |rule: &Value| {
            let refs = rule["backendRefs"].as_array().unwrap();
            refs.iter().map(|b| b["weight"].as_u64().unwrap()).collect()
        };
        rules.iter().map(weights).collect()
    }
}

fn ports() -> ServiceFacts {
    let facts = json!({"spec": {"ports": [{"port": 80}]}});
    ServiceFacts::read(&serde_json::from_value(facts).unwrap())
}

fn at(seconds: i64) -> Now {
    Now::at(Timestamp::from_second(seconds).unwrap())
}

fn note(write: &Write) -> String {
    let WriteKind::Flip(flip) = &write.kind else { panic!("{:?}", write.kind) };
    flip.made()
}

#[test]
fn a_write_without_an_answer_is_known_to_have_landed_by_the_object_itself() {
    let me = Identity::new("replica-a");
    let mut world = World::new(json!({}));
    world.set_ready("emoji-svc", 0);
    let plan = world.plan();
    let attempt = Attempt {
        write: plan.write.unwrap().into(),
        active: plan.active,
        as_standby: false,
        noticed: Noticed::now(),
    };
    assert_eq!(attempt.has_landed(world.managed(), &me), None);
    let before = world.object.clone();
    world.write().unwrap();
    assert_eq!(attempt.has_landed(world.managed(), &me), Some(true));
    assert_eq!(attempt.has_landed(world.managed(), &Identity::new("other")), Some(false));
    // Somebody else wrote first: it can land no more.
    world.object = before;
    world.object.metadata.resource_version = Some("9".into());
    world.read();
    assert_eq!(attempt.has_landed(world.managed(), &me), Some(false));
}

#[test]
fn all_rules_of_a_route_move_in_one_write_and_the_others_are_not_touched() {
    let mut world = World::new(json!({}));
    assert_eq!(world.plan().write, None);
    world.set_ready("emoji-svc", 0);
    let write = world.write().unwrap();
    assert_eq!(world.weights(), [vec![0, 1], vec![1], vec![0, 1]]);
    assert_eq!(
        note(&write),
        "Rule #0: Traffic of emoji-svc moved from emoji-svc to west: emoji-svc: no endpoints, west: 1 of 1 endpoints ready; \
         Rule api: Traffic of emoji-svc moved from emoji-svc to north: emoji-svc: no endpoints, north: 1 of 1 endpoints ready"
    );
    let record =
        &world.object.metadata.annotations.as_ref().unwrap()[annotations::AUTHORED_WEIGHTS];
    assert_eq!(
        record,
        r##"{"v":1,"sets":{"#0":{"emoji-svc":9,"west":0},"api":{"emoji-svc":1,"north":0}}}"##
    );
    assert_eq!(world.write(), None, "nothing more is needed");
    world.set_ready("emoji-svc", 1);
    world.write().unwrap();
    assert_eq!(world.weights(), [vec![9, 0], vec![1], vec![1, 0]]);
}

#[test]
fn a_rule_whose_fallback_dies_moves_without_the_others() {
    let mut world = World::new(json!({}));
    world.set_ready("emoji-svc", 0);
    world.write().unwrap();
    world.set_ready("north", 0);
    // Nothing is ready for that rule: it holds.
    assert!(world.write().is_none());
    let service = ObjectKey::new(NAMESPACE, "west");
    world.index.remove_service(&service);
    world.index.set_service(ObjectKey::new(NAMESPACE, "north"), ports());
    world.set_ready("north", 1);
    // The first rule's fallback is gone, and nothing else is ready for it: it goes back to what there
    // is. The other stays where it is.
    let plan = world.plan();
    assert_eq!(plan.active.keys().collect::<Vec<_>>(), ["#0"]);
    let asked: Vec<_> = plan.rests_on.iter().map(|service| &*service.name).collect();
    assert_eq!(asked, ["emoji-svc", "west"], "only of what moves");
    world.write().unwrap();
    assert_eq!(world.weights(), [vec![9, 0], vec![1], vec![0, 1]]);
}

#[test]
fn a_standby_rescues_one_rule_and_defers_the_failback_of_another_to_the_leader() {
    let mut world = World::new(json!({}));
    world.set_ready("emoji-svc", 0);
    world.write().unwrap();
    // The primary is back, and so is a wish to return; at the same time the api rule's north dies.
    world.set_ready("emoji-svc", 1);
    world.set_ready("north", 0);
    let plan = world.plan();
    assert!(plan.rescue);
    assert_eq!(plan.active.keys().collect::<Vec<_>>(), ["api"]);
    assert_eq!(plan.wanted.keys().collect::<Vec<_>>(), ["#0", "api"]);
    let write = world.write().unwrap();
    assert!(note(&write).starts_with("Rule api: "), "{}", note(&write));
    assert_eq!(world.weights(), [vec![0, 1], vec![1], vec![1, 0]]);
    let state = &world.object.metadata.annotations.as_ref().unwrap()[annotations::STATE];
    let kept = State::parse(state).unwrap().sets.remove("#0").unwrap();
    assert!(kept.why.starts_with("emoji-svc: no endpoints"), "{kept:?}");
    // What was left alone is no rescue: it is for the leader to bring back.
    assert!(!world.plan().rescue);
    world.write().unwrap();
    assert_eq!(world.weights(), [vec![9, 0], vec![1], vec![1, 0]]);
}

#[test]
fn what_the_brake_holds_of_a_route_holds_nothing_else_of_it() {
    let mut world = World::new(json!({}));
    world.set_ready("emoji-svc", 0);
    let WriteKind::Flip(flip) = world.plan().write.unwrap().kind else { panic!("no flip") };
    assert_eq!(flip.lost().collect::<Vec<_>>(), ["emoji-svc", "emoji-svc"]);
    assert_eq!(world.planned(Moves::NoFailover).write, None);
    world.write().unwrap();
    world.set_ready("emoji-svc", 1);
    world.write().unwrap();
    assert_eq!(world.weights(), [vec![9, 0], vec![1], vec![1, 0]]);
}

#[test]
fn a_warm_fallback_of_a_route_has_1_beside_a_million() {
    let mut world = World::new(json!({"failover.linkerd.io/warm-standby": "true"}));
    world.write().unwrap();
    assert_eq!(world.weights(), [vec![999_999, 1], vec![1], vec![1_000_000, 1]]);
}

#[test]
fn what_the_brake_counts_goes_by_live_weights_whoever_wrote_them() {
    let primaries = json!({"failover.linkerd.io/primary-service": "emoji-svc"});
    let mut world = World::new(primaries);
    assert_eq!(world.plan().position, TrafficPosition::Recovered);
    world.set_ready("emoji-svc", 0);
    assert_eq!(world.plan().position, TrafficPosition::Undecided, "it wants to leave, and has not");
    world.set_ready("west", 0);
    world.set_ready("north", 0);
    assert_eq!(world.plan().position, TrafficPosition::Undecided, "nowhere to go");
    // By another's weights, without a state: since when is not known.
    let backends = &mut world.object.data["spec"]["rules"][2]["backendRefs"];
    (backends[0]["weight"], backends[1]["weight"]) = (json!(0), json!(1));
    world.read();
    assert_eq!(world.plan().position, TrafficPosition::Left(None));
}

#[test]
fn a_pin_is_a_persons_and_no_loss_to_the_brake() {
    let mut world = World::new(json!({"failover.linkerd.io/pin": "west"}));
    world.write().unwrap();
    assert_eq!(world.weights()[0], [0, 1]);
    assert_eq!(world.plan().position, TrafficPosition::Withdrawn);
}

#[test]
fn what_was_reported_of_rules_that_have_nothing_ready_is_recorded_once_and_taken_back() {
    let mut world = World::new(json!({}));
    for service in ["emoji-svc", "north"] {
        world.set_ready(service, 0);
    }
    world.write().unwrap();
    let plan = world.plan();
    assert_eq!(plan.write, None, "it has not been reported yet");
    let (readiness, why) = &plan.readiness["api"];
    assert_eq!(*readiness, Readiness::Nothing);
    assert_eq!(why, "emoji-svc: no endpoints, north: no endpoints");
    assert_eq!(plan.readiness.len(), 1);

    let me = Identity::new("replica-a");
    let mut memory = Memory::default();
    let mut look = |world: &mut World, seconds: i64| {
        let planned = |world: &World, memory: &Memory| {
            super::plan(
                &subject(&world.index, &world.route, at(seconds)),
                Some(memory),
                &me,
                Moves::All,
            )
            .unwrap()
        };
        let (before, recorded) = (planned(world, &memory), world.managed().nothing_ready());
        memory.nothing_ready.observe(&before.readiness, &recorded, true, at(seconds));
        let write = planned(world, &memory).write;
        if let Some(write) = &write {
            world.apply(write);
        }
        write
    };
    assert_eq!(look(&mut world, 20), None);
    let record = look(&mut world, 21).unwrap();
    assert_eq!(record.kind, WriteKind::Record);
    assert_eq!(look(&mut world, 22), None);
    assert_eq!(world.managed().nothing_ready().keys().collect::<Vec<_>>(), ["api"]);
    world.set_ready("north", 1);
    look(&mut world, 23).unwrap();
    look(&mut world, 24);
    assert!(world.managed().nothing_ready().is_empty());
    assert_eq!(look(&mut world, 25), None);
}

#[test]
fn a_record_leaves_spec_alone_and_gives_up_our_claim_on_it() {
    let delay = json!({"failover.linkerd.io/failback-delay": "1h"});
    let mut world = World::new(delay);
    world.set_ready("emoji-svc", 0);
    world.write().unwrap();
    let ours = json!({"manager": FIELD_MANAGER, "operation": "Update", "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:rules": {}}}});
    world.object.metadata.managed_fields = serde_json::from_value(json!([ours])).unwrap();
    world.set_ready("emoji-svc", 1);
    world.read();
    let record = world.write().unwrap();
    assert_eq!(record.kind, WriteKind::Record, "the delay has begun");
    let paths: Vec<_> = record.patch.0.iter().map(|edit| edit.path().to_string()).collect();
    assert_eq!(
        paths,
        [
            "/metadata/resourceVersion",
            "/metadata/managedFields/0/fieldsV1/f:spec",
            "/metadata/annotations/failover.linkerd.io~1state",
        ]
    );
    assert_eq!(world.plan().write, None, "no disclaim is left");
    // Where others took the weights meanwhile, the claim is not there any more.
    assert!(record.is_conflict(409) && record.is_conflict(422) && !record.is_conflict(403));
}

#[test]
fn a_schema_that_refuses_a_flip_is_no_conflict() {
    let mut world = World::new(json!({}));
    world.set_ready("emoji-svc", 0);
    let flip = world.write().unwrap();
    assert!(flip.is_conflict(409) && !flip.is_conflict(422));
}

/// Somebody writes weights past the webhook.
fn edit_past_the_webhook(world: &mut World, by: &str, weights: [u32; 2]) {
    let backends = &mut world.object.data["spec"]["rules"][0]["backendRefs"];
    for (i, weight) in weights.into_iter().enumerate() {
        backends[i]["weight"] = json!(weight);
    }
    let entry = json!({"manager": by, "operation": "Update", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:rules": {}}}});
    world.object.metadata.managed_fields = serde_json::from_value(json!([entry])).unwrap();
    world.read();
}

fn recorded(world: &World) -> Vec<u32> {
    let declared = Of::HttpRoute.read(&world.object);
    declared.recorded().unwrap()["#0"].values().copied().collect()
}

#[test]
fn weights_written_past_the_webhook_are_the_authors_and_undo_no_failover() {
    let mut world = World::new(json!({}));
    world.set_ready("emoji-svc", 0);
    world.write().unwrap();
    // A manifest that is applied again is corrected, and is nothing new.
    edit_past_the_webhook(&mut world, "kubectl-edit", [9, 0]);
    let write = world.write().unwrap();
    assert_eq!((&write.kind, &write.edited), (&WriteKind::Correction, &None));
    // A new one is recorded; traffic does not go to the dead backend.
    edit_past_the_webhook(&mut world, "kubectl-edit", [7, 3]);
    let write = world.write().unwrap();
    assert!(write.edited.unwrap().starts_with("kubectl-edit wrote weights past the webhook"));
    assert_eq!((world.weights()[0].clone(), recorded(&world)), (vec![0, 3], vec![7, 3]));
    assert_eq!(world.plan().write, None, "it comes to rest");
    // One that undoes nothing stands as it is.
    edit_past_the_webhook(&mut world, "kubectl-edit", [0, 5]);
    let write = world.write().unwrap();
    assert_eq!((&write.kind, write.edited.is_some()), (&WriteKind::Record, true));
    assert_eq!((world.weights()[0].clone(), recorded(&world)), (vec![0, 5], vec![7, 5]));
    assert_eq!(world.plan().write, None);
    // And counts when traffic returns.
    world.set_ready("emoji-svc", 1);
    world.write().unwrap();
    assert_eq!(world.weights()[0], [7, 0]);
    edit_past_the_webhook(&mut world, "kubectl-edit", [8, 0]);
    world.write().unwrap();
    assert_eq!((world.weights()[0].clone(), recorded(&world)), (vec![8, 0], vec![8, 5]));
}

#[test]
fn what_the_predecessor_writes_beside_us_and_what_nobody_owns_is_no_authors() {
    let mut world = World::new(json!({}));
    world.set_ready("emoji-svc", 0);
    world.write().unwrap();
    edit_past_the_webhook(&mut world, "failover.linkerd.io", [0, 4]);
    assert_eq!(world.plan().write.unwrap().edited, None);
    world.object.metadata.managed_fields = None;
    world.read();
    let write = world.write().unwrap();
    assert_eq!((&write.kind, &write.edited), (&WriteKind::Correction, &None));
    assert_eq!((world.weights()[0].clone(), recorded(&world)), (vec![0, 1], vec![9, 0]));
}

#[test]
fn weights_set_by_hand_while_paused_are_no_loss_to_the_brake() {
    let mut world = World::new(json!({"failover.linkerd.io/paused": "true"}));
    let backends = &mut world.object.data["spec"]["rules"][2]["backendRefs"];
    (backends[0]["weight"], backends[1]["weight"]) = (json!(0), json!(1));
    world.read();
    assert_eq!(world.plan().position, TrafficPosition::Withdrawn);
}

#[test]
fn a_list_is_asked_for_all_that_a_move_rests_on_the_apex_and_the_tiers_passed_over_too() {
    let split = ObjectRef::new(Of::TrafficSplit, ObjectKey::new(NAMESPACE, "s"));
    let object = json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "s", "namespace": NAMESPACE, "uid": "u", "resourceVersion": "1",
            "annotations": {"failover.linkerd.io/fallback-order": "b,c,d"}},
        "spec": {"service": "web", "backends": [{"service": "a", "weight": 1},
            {"service": "b", "weight": 0}, {"service": "c", "weight": 0},
            {"service": "d", "weight": 0}]}});
    let mut index = Index::default();
    index.set_served(split.kind, Some("v1alpha2"));
    for service in ["web", "a", "b", "c", "d"] {
        index.set_service(ObjectKey::new(NAMESPACE, service), ports());
    }
    let slice = json!({"addressType": "IPv4", "metadata": {}, "ports": [{}],
        "endpoints": [{"addresses": ["10.0.0.1"]}]});
    let facts =
        SliceFacts::read(&serde_json::from_value(slice).unwrap(), AddressFamilies::default());
    let c = ObjectKey::new(NAMESPACE, "c");
    index.set_slice(SliceUpdate { slice: c.clone(), version: 1, service: Some(c), facts });
    let object = serde_json::from_value(object).unwrap();
    index.set_object(split.clone(), ManagedObject::read(split.kind, &object, &Defaults::default()));
    let me = Identity::new("replica-a");
    let plan = plan(&subject(&index, &split, at(1)), None, &me, Moves::All).unwrap();
    assert_eq!(plan.active[""], ["c"]);
    let asked: Vec<_> = plan.rests_on.iter().map(|service| &*service.name).collect();
    assert_eq!(asked, ["a", "b", "c", "web"]);
}

/// With emoji-svc declared down until the second 60: by an alert, or by hand.
fn declared_down(by_alert: bool) -> World {
    let mut world = World::new(json!({}));
    let mut annotations = json!({"failover.linkerd.io/down-until": "1970-01-01T00:01:00Z"});
    if by_alert {
        let alert = json!({"fingerprint": "f", "since": "1970-01-01T00:00:01Z", "until": "1970-01-01T00:01:00Z"});
        let by = json!({"v": 1, "alerts": [alert]}).to_string();
        annotations["failover.linkerd.io/down-by"] = json!(by);
    }
    let service =
        json!({"metadata": {"annotations": annotations}, "spec": {"ports": [{"port": 80}]}});
    let facts = ServiceFacts::read(&serde_json::from_value(service).unwrap());
    world.index.set_service(ObjectKey::new(NAMESPACE, "emoji-svc"), facts);
    world
}

#[test]
fn every_rule_leaves_a_service_that_is_declared_down_in_one_write_and_says_who_declares_it() {
    let mut world = declared_down(false);
    let write = world.write().unwrap();
    assert_eq!(world.weights(), [vec![0, 1], vec![1], vec![0, 1]]);
    let note = note(&write);
    assert!(
        note.contains("emoji-svc: declared down until 1970-01-01T00:01:00Z (by hand), 1 of 1"),
        "{note}"
    );
    assert_eq!(world.plan().next, Some(SignedDuration::from_secs(50)));
    assert_eq!(world.plan().write, None, "and nothing more is to be written");
}

#[test]
fn the_brake_counts_what_an_alert_declares_and_not_what_a_person_does() {
    for (by_alert, counted, before, after) in [
        (true, true, TrafficPosition::Undecided, TrafficPosition::Left(Some(at(10).wall))),
        (false, false, TrafficPosition::Withdrawn, TrafficPosition::Withdrawn),
    ] {
        let mut world = declared_down(by_alert);
        assert_eq!(world.plan().position, before);
        let write = world.write().unwrap();
        assert!(write.leaves_primary());
        assert_eq!(write.is_unasked_loss(), counted);
        assert_eq!(world.plan().position, after);
    }
}

#[test]
fn while_the_brake_holds_what_a_person_declares_moves_and_what_an_alert_does_not() {
    let moves = |by_alert| declared_down(by_alert).planned(Moves::NoFailover).write.is_some();
    assert!(moves(false) && !moves(true));
}

#[test]
fn a_standby_has_no_plan_for_what_is_declared_down() {
    let planned = |world: &World, leads, now| {
        let subject = Subject { leads, ..subject(&world.index, &world.route, now) };
        plan(&subject, None, &Identity::new("replica-b"), Moves::All).unwrap().write
    };
    let mut world = declared_down(false);
    assert_eq!(planned(&world, false, at(10)), None, "it does not leave");
    world.write();
    // Its time is over.
    assert!(planned(&world, true, at(60)).is_some());
    assert_eq!(planned(&world, false, at(60)), None, "it does not return");
}
