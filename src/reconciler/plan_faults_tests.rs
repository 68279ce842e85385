//! Plans for objects with faults that were stored before they could be refused.

use super::*;
use crate::engine::{Defaults, Now, annotations};
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds::Kind as Of;
use crate::reconciler::context::subject;
use kube::core::DynamicObject;
use serde_json::{Value, json};

const NAMESPACE: &str = "emojivoto";
const FOREIGN: &str = "web.other.svc.cluster.local";

struct World {
    index: Index,
    kind: Of,
    object: DynamicObject,
}

impl World {
    fn new(kind: Of, spec: &Value) -> Self {
        let mut index = Index::default();
        index.now = Now::at(Timestamp::from_second(1).unwrap());
        index.set_served(kind, Some(kind.versions()[0]));
        let object = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": NAMESPACE, "uid": "u", "resourceVersion": "1"},
            "spec": spec,
        }));
        let mut world = Self { index, kind, object: object.unwrap() };
        for service in ["web", "web-b", "web-c"] {
            let ports = json!({"spec": {"ports": [
                {"name": "http", "port": 80}, {"name": "grpc", "port": 81},
            ]}});
            let facts = ServiceFacts::read(&serde_json::from_value(ports).unwrap());
            world.index.set_service(ObjectKey::new(NAMESPACE, service), facts);
            world.set_ready(service, 1);
        }
        world.read();
        world
    }

    /// A split with these backends.
    fn split(backends: &[(&str, Value)]) -> Self {
        let backends: Vec<_> =
            backends.iter().map(|(name, w)| json!({"service": name, "weight": w})).collect();
        Self::new(Of::TrafficSplit, &json!({"service": "web", "backends": backends}))
    }

    /// A route whose rules have these.
    fn route(rules: &[Value]) -> Self {
        let rules: Vec<_> = rules.iter().map(|refs| json!({"backendRefs": refs})).collect();
        let parents = json!([{"group": "core", "kind": "Service", "name": "web"}]);
        Self::new(Of::HttpRoute, &json!({"parentRefs": parents, "rules": rules}))
    }

    fn set_ready(&mut self, service: &str, ready: usize) {
        let endpoints: Vec<_> =
            (0..ready).map(|i| json!({"addresses": [format!("{service}-{i}")]})).collect();
        let slice = json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints,
            "ports": [{"name": "http"}, {"name": "grpc"}]});
        let facts =
            SliceFacts::read(&serde_json::from_value(slice).unwrap(), AddressFamilies::default());
        let slice = ObjectKey::new(NAMESPACE, service);
        let update = SliceUpdate { slice: slice.clone(), version: 0, service: Some(slice), facts };
        self.index.set_slice(update);
    }

    fn key(&self) -> ObjectRef {
        ObjectRef::new(self.kind, ObjectKey::new(NAMESPACE, "web"))
    }

    fn read(&mut self) {
        let managed = ManagedObject::read(self.kind, &self.object, &Defaults::default());
        self.index.set_object(self.key(), managed);
    }

    /// Writes what is planned, as the API server would; whether anything is.
    fn write(&mut self) -> bool {
        let me = Identity::new("replica-a");
        let now = Now::at(Timestamp::from_second(10).unwrap());
        let plan = plan(&subject(&self.index, &self.key(), now), None, &me, Moves::All).unwrap();
        let Some(write) = plan.write else { return false };
        let mut json = serde_json::to_value(&self.object).unwrap();
        json_patch::patch(&mut json, &write.patch).unwrap();
        self.object = serde_json::from_value(json).unwrap();
        let version: u32 = write.resource_version.parse().unwrap();
        self.object.metadata.resource_version = Some((version + 1).to_string());
        self.read();
        true
    }

    fn weights(&self) -> Vec<Value> {
        let spec = &self.object.data["spec"];
        let rules = spec["rules"].as_array().cloned().unwrap_or_default();
        let lists = rules.iter().map(|rule| &rule["backendRefs"]).chain([&spec["backends"]]);
        let backends = lists.filter_map(Value::as_array).flatten();
        backends.map(|backend| backend["weight"].clone()).collect()
    }

    fn faults(&self) -> Vec<String> {
        let managed = self.index.object(&self.key()).unwrap();
        managed.faults.iter().map(|problem| problem.field.to_string()).collect()
    }
}

#[test]
fn a_stored_split_with_one_bad_backend_fails_over() {
    for (backends, faults, lost) in [
        (
            vec![("web", json!("900m")), ("web-b", json!("0.5"))],
            vec!["spec.backends[0].weight", "spec.backends[1].weight"],
            vec![json!(0), json!(5)],
        ),
        (
            vec![("web", json!(1)), ("web-b", json!(-1))],
            vec!["spec.backends[1].weight"],
            vec![json!(0), json!(1)],
        ),
        (
            vec![("web", json!(1)), (FOREIGN, json!(0)), ("web-b", json!(0))],
            vec!["spec.backends[1].service"],
            vec![json!(0), json!(0), json!(1)],
        ),
        (
            vec![("web", json!(1)), ("web-b", json!(0)), ("web", json!(2))],
            vec!["spec.backends[2].service"],
            vec![json!(0), json!(1), json!(0)],
        ),
    ] {
        let mut world = World::split(&backends);
        let before: Vec<_> = backends.iter().map(|(_, weight)| weight.clone()).collect();
        assert_eq!(world.faults(), faults);
        assert!(!world.write(), "live weights are left until traffic moves: {before:?}");
        world.set_ready("web", 0);
        assert!(world.write());
        assert_eq!(world.weights(), lost, "{before:?}");
        assert!(!world.write(), "nothing more is needed");
        world.set_ready("web", 1);
        assert!(world.write());
        let back = world.weights();
        assert!(back[0].as_u64().unwrap() > 0, "{back:?}");
        assert!(back[1..].iter().all(|weight| *weight == json!(0)), "{back:?}");
    }
}

#[test]
fn what_its_author_wrote_is_recorded_at_the_first_flip() {
    let mut world = World::split(&[("web", json!("900m")), ("web-b", json!(0.1))]);
    world.set_ready("web", 0);
    world.write();
    let annotations = world.object.metadata.annotations.as_ref().unwrap();
    assert_eq!(
        annotations[annotations::AUTHORED_WEIGHTS],
        r#"{"v":1,"sets":{"":{"web":9,"web-b":1}},"written":{"":{"web":["900m"],"web-b":[0.1]}}}"#
    );
    world.set_ready("web", 1);
    world.write();
    assert_eq!(world.weights(), [json!(9), json!(0)]);
}

#[test]
fn a_primary_that_can_be_no_service_is_left_for_a_ready_fallback_and_never_given_weight() {
    let mut world = World::split(&[(FOREIGN, json!(1)), ("web-b", json!(0))]);
    assert!(world.write());
    assert_eq!(world.weights(), [json!(0), json!(1)]);
    world.set_ready("web-b", 0);
    assert!(!world.write(), "{:?}", world.weights());
}

#[test]
fn what_is_no_service_in_a_stored_route_is_never_ready_and_the_others_fail_over() {
    let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    for bad in [
        json!({"group": "policy.linkerd.io", "kind": "EgressNetwork", "name": "all", "port": 443}),
        json!({"kind": "Bucket", "name": "web-b", "port": 80, "weight": 3}),
        json!({"name": "web-b", "weight": 0}),
        json!({"name": "Web_B", "port": 80, "weight": 0}),
        json!({"name": "other/web-b", "port": 80, "weight": 0}),
        json!({"port": 80, "weight": 0}),
    ] {
        let refs = json!([backend("web", 1), bad, backend("web-c", 0)]);
        let mut world = World::route(&[refs]);
        assert!(!world.faults().is_empty(), "{bad}");
        world.set_ready("web", 0);
        assert!(world.write());
        assert_eq!(world.weights(), [json!(0), json!(0), json!(1)], "{bad}");
        world.set_ready("web", 1);
        world.write();
        assert_eq!(world.weights(), [json!(1), json!(0), json!(0)], "{bad}");
    }
}

#[test]
fn a_rule_with_one_backend_is_not_written_by_a_flip() {
    let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    let mut world = World::route(&[
        json!([backend("web", 1), backend("web-b", 0)]),
        json!([backend("web", 0)]),
        json!([backend("web", 0), backend("web", 0)]),
    ]);
    assert!(!world.write());
    world.set_ready("web", 0);
    assert!(world.write());
    let weights = [0, 1, 0, 0, 0].map(|weight| json!(weight));
    assert_eq!(world.weights(), weights);
    let annotations = world.object.metadata.annotations.clone().unwrap();
    let record = &annotations[annotations::AUTHORED_WEIGHTS];
    assert_eq!(record, r##"{"v":1,"sets":{"#0":{"web":1,"web-b":0}}}"##);
    assert!(!world.write());
}

#[test]
fn a_service_with_two_ports_in_a_rule_fails_over_between_them_and_others() {
    let backend =
        |name: &str, port: u16, weight: u32| json!({"name": name, "port": port, "weight": weight});
    let refs = json!([backend("web", 80, 1), backend("web", 81, 0), backend("web-b", 80, 0)]);
    let mut world = World::route(&[refs]);
    assert_eq!(world.faults(), [""; 0]);
    let only_grpc = json!({"addressType": "IPv4", "metadata": {},
        "endpoints": [{"addresses": ["web-0"]}], "ports": [{"name": "grpc"}]});
    let facts =
        SliceFacts::read(&serde_json::from_value(only_grpc).unwrap(), AddressFamilies::default());
    let slice = ObjectKey::new(NAMESPACE, "web");
    let update = SliceUpdate { slice: slice.clone(), version: 0, service: Some(slice), facts };
    world.index.set_slice(update);
    assert!(world.write());
    assert_eq!(world.weights(), [json!(0), json!(1), json!(1)]);
}
