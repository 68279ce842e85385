//! Ports over histories: apps behind one Service that come and go, Services that change, processes
//! that begin anew.

use crate::engine::{
    Decision, Defaults, Health, Identity, Intent, Now, PendingDelays, Previous, SetState, State,
    Unknown, WriteNeed, decide, remembered, write_need,
};
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PORTS: [(&str, u16); 3] = [("web", 80), ("adm", 81), ("log", 82)];

/// An app behind a Service: the ports that its pods offer, and how many are ready and not.
type App = (Vec<&'static str>, usize, usize);

/// A cluster with a split of `shop` and `shop-b`, a process that watches it and decides, and another
/// that watches it too.
struct World {
    index: Index,
    other: Index,
    services: BTreeMap<&'static str, Value>,
    /// Of each Service, its slices by the app's name.
    apps: BTreeMap<(&'static str, &'static str), App>,
    annotations: Value,
    /// Who makes the slices.
    made_by: &'static str,
    weights: [u64; 2],
    state: Option<SetState>,
    now: i64,
    version: u64,
    writes: usize,
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn split() -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, key("shop"))
}

fn ports(names: &[&str]) -> Value {
    let port = |(name, number): &(&str, u16)| json!({"name": name, "port": number});
    json!(PORTS.iter().filter(|(name, _)| names.contains(name)).map(port).collect::<Vec<_>>())
}

impl World {
    fn new(annotations: Value) -> Self {
        let mut world = Self {
            index: Index::default(),
            other: Index::default(),
            services: BTreeMap::new(),
            apps: BTreeMap::new(),
            annotations,
            made_by: "a person",
            weights: [1, 0],
            state: None,
            now: 1_000,
            version: 1,
            writes: 0,
        };
        world.restart();
        world.service("shop", &["web", "adm"]);
        world.service("shop-b", &["web", "adm"]);
        world.app("shop-b", "both", (vec!["web", "adm"], 2, 0));
        world
    }

    fn now(&self) -> Now {
        Now::at(Timestamp::from_millisecond(self.now).unwrap())
    }

    fn service(&mut self, name: &'static str, declared: &[&str]) {
        self.service_with(name, ports(declared));
    }

    fn service_with(&mut self, name: &'static str, ports: Value) {
        let spec = json!({"spec": {"ports": ports}});
        self.services.insert(name, spec);
        self.tell_service(name);
    }

    fn tell_service(&mut self, name: &'static str) {
        let spec = serde_json::from_value(self.services[name].clone()).unwrap();
        let (facts, now) = (ServiceFacts::read(&spec), self.now());
        for index in [&mut self.index, &mut self.other] {
            index.now = now;
            index.set_service(key(name), facts.clone());
        }
    }

    fn app(&mut self, service: &'static str, name: &'static str, app: App) {
        self.apps.insert((service, name), app);
        self.tell_app(service, name);
    }

    fn tell_app(&mut self, service: &'static str, name: &'static str) {
        let (ports, ready, down) = self.apps[&(service, name)].clone();
        let pod = |i: usize| {
            json!({"addresses": ["10.0.0.1"], "conditions": {"ready": i < ready},
                "targetRef": {"kind": "Pod", "name": format!("{name}-{i}")}})
        };
        let ports: Vec<Value> = ports.iter().map(|name| json!({"name": name})).collect();
        let endpoints: Vec<Value> = (0..ready + down).map(pod).collect();
        let metadata = json!({"labels": {"endpointslice.kubernetes.io/managed-by": self.made_by}});
        let slice = json!({"addressType": "IPv4", "metadata": metadata, "ports": ports,
            "endpoints": endpoints});
        let slice = serde_json::from_value(slice).unwrap();
        self.version += 1;
        let (version, now) = (self.version, self.now());
        for index in [&mut self.index, &mut self.other] {
            index.now = now;
            index.set_slice(SliceUpdate {
                slice: key(&format!("{service}.{name}")),
                version,
                service: Some(key(service)),
                facts: SliceFacts::read(&slice, AddressFamilies::default()),
            });
        }
    }

    /// The other process decides from now on.
    fn swap(&mut self) {
        std::mem::swap(&mut self.index, &mut self.other);
    }

    /// The process ends and another begins: it lists all that is there.
    fn restart(&mut self) {
        self.index = Index::default();
        self.tell_object();
        for name in self.services.keys().copied().collect::<Vec<_>>() {
            self.tell_service(name);
        }
        for (service, name) in self.apps.keys().copied().collect::<Vec<_>>() {
            self.tell_app(service, name);
        }
    }

    fn tell_object(&mut self) {
        let object = json!({
            "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
            "metadata": {"name": "shop", "namespace": "ns", "uid": "u",
                "resourceVersion": self.version.to_string(), "annotations": self.annotations},
            "spec": {"service": "shop", "backends": [
                {"service": "shop", "weight": self.weights[0]},
                {"service": "shop-b", "weight": self.weights[1]},
            ]},
        });
        let object = serde_json::from_value(object).unwrap();
        let now = self.now();
        for index in [&mut self.index, &mut self.other] {
            index.now = now;
            let managed = ManagedObject::read(Kind::TrafficSplit, &object, &Defaults::default());
            index.set_object(split(), managed);
        }
    }

    fn intent(&self) -> Intent {
        self.index.object(&split()).unwrap().readable()[0].intent.clone()
    }

    fn health(&self) -> Vec<Health> {
        let health = self.index.health("ns", &self.intent(), self.now().steady);
        remembered(&self.intent(), &health, self.state.as_ref()).into_owned()
    }

    fn delays(&self) -> PendingDelays {
        self.state.as_ref().map(|state| self.now().to_steady(&state.pending)).unwrap_or_default()
    }

    fn previous<'a>(&'a self, delays: &'a PendingDelays) -> Previous<'a> {
        self.state.as_ref().map_or(Previous::Live, |state| Previous::Decided(state, delays))
    }

    fn decide(&self) -> Decision {
        let health = self.index.health("ns", &self.intent(), self.now().steady);
        let delays = self.delays();
        let previous = self.previous(&delays);
        decide(&self.intent(), &health, previous, self.now())
    }

    /// Decides, writes where there is need, and gives the active backends.
    fn control(&mut self) -> String {
        let (intent, decision) = (self.intent(), self.decide());
        if write_need(&intent, self.previous(&self.delays()), &decision) != WriteNeed::Nothing {
            let state = decision.state(&intent, &self.health(), self.now());
            let state = State::new(&Identity::new("r"), [(String::new(), state)].into());
            self.state = State::parse(&state.to_annotation()).unwrap().sets.remove("");
            self.weights = [decision.weights[0].into(), decision.weights[1].into()];
            self.version += 1;
            self.tell_object();
            self.writes += 1;
        }
        decision.names(&intent).join(",")
    }
}

fn two_apps() -> World {
    let mut world = World::new(json!({}));
    world.app("shop", "a", (vec!["web"], 2, 0));
    world.app("shop", "b", (vec!["adm"], 1, 0));
    world
}

#[test]
fn two_apps_with_a_port_each_behind_one_service_are_ready() {
    let mut world = two_apps();
    assert_eq!(world.control(), "shop");
    assert_eq!(world.writes, 0);
    let health = &world.health()[0];
    assert_eq!(health.to_string(), "1 of 1 endpoints ready");
}

#[test]
fn one_of_two_apps_scaled_to_zero_is_a_loss_that_no_restart_forgets() {
    let mut world = two_apps();
    world.control();
    world.app("shop", "b", (vec!["adm"], 0, 0));
    assert_eq!(world.control(), "shop-b");
    assert_eq!(
        world.state.as_ref().unwrap().why,
        "shop: 2 endpoints, none offers port adm, shop-b: 2 of 2 endpoints ready"
    );
    world.restart();
    assert_eq!(world.control(), "shop-b");
    world.app("shop", "b", (vec!["adm"], 0, 1));
    assert_eq!(world.control(), "shop-b");
    world.app("shop", "b", (vec!["adm"], 1, 0));
    assert_eq!(world.control(), "shop");
    world.restart();
    assert_eq!(world.control(), "shop");
}

#[test]
fn a_port_that_pods_lack_moves_nothing_whether_it_is_old_or_new() {
    let mut world = World::new(json!({}));
    world.app("shop", "a", (vec!["web"], 2, 0));
    assert_eq!(world.control(), "shop");
    world.service("shop", &["web", "adm", "log"]);
    assert_eq!(world.control(), "shop");
    assert_eq!(world.writes, 0);
}

#[test]
fn a_rollout_that_adds_a_port_and_one_that_drops_it_move_nothing_whatever_is_needed() {
    for min_ready in ["1", "3", "60%"] {
        let mut world = World::new(json!({"failover.linkerd.io/min-ready": min_ready}));
        world.app("shop", "old", (vec!["web"], 3, 0));
        for new in 0..=3 {
            world.app("shop", "new", (vec!["web", "adm"], new, 0));
            assert_eq!(world.control(), "shop", "{min_ready}");
            world.app("shop", "old", (vec!["web"], 3 - new, 0));
            assert_eq!(world.control(), "shop", "{min_ready}");
        }
        for new in 0..=3 {
            world.app("shop", "old", (vec!["web"], new, 0));
            world.app("shop", "new", (vec!["web", "adm"], 3 - new, 0));
            assert_eq!(world.control(), "shop", "{min_ready}");
        }
        assert_eq!(world.writes, 0, "{min_ready}");
        // All of it can still be lost.
        world.app("shop", "old", (vec!["web"], 0, 3));
        assert_eq!(world.control(), "shop-b", "{min_ready}");
    }
}

#[test]
fn a_port_that_is_no_longer_declared_is_forgotten_at_once() {
    let mut world = two_apps();
    world.control();
    world.app("shop", "b", (vec!["adm"], 0, 0));
    assert_eq!(world.control(), "shop-b");
    world.service("shop", &["web"]);
    assert_eq!(world.control(), "shop");
    // Declared again it is as one that was never served.
    world.service("shop", &["web", "adm"]);
    assert_eq!(world.control(), "shop");
}

#[test]
fn a_fallback_that_lacks_the_lost_port_is_not_chosen() {
    let mut world = two_apps();
    world.app("shop-b", "both", (vec!["web"], 2, 0));
    world.restart();
    world.control();
    world.app("shop", "b", (vec!["adm"], 0, 0));
    assert_eq!(world.control(), "shop");
    world.restart();
    assert_eq!(world.control(), "shop", "it knows of the loss");
    assert_eq!(world.health()[0].to_string(), "2 endpoints, none offers port adm");
    world.app("shop-b", "both", (vec!["web", "adm"], 2, 0));
    assert_eq!(world.control(), "shop-b");
}

#[test]
fn a_percentage_is_of_those_that_could_serve() {
    let mut world = World::new(json!({"failover.linkerd.io/min-ready": "60%"}));
    world.service("shop", &["web"]);
    world.app("shop", "api", (vec!["web"], 2, 0));
    world.app("shop", "workers", (vec![], 2, 0));
    assert_eq!(world.control(), "shop");
    assert_eq!(world.writes, 0);
    // Of four, two would be enough.
    world.app("shop", "api", (vec!["web"], 1, 1));
    assert_eq!(world.control(), "shop-b");
    world.app("shop", "api", (vec!["web"], 2, 0));
    assert_eq!(world.control(), "shop");
    world.app("shop", "api", (vec!["web"], 0, 0));
    world.control();
    assert_eq!(world.health()[0].to_string(), "2 endpoints, none offers port web");
}

#[test]
fn a_backend_without_the_apexs_port_is_the_last_resort() {
    let mut world = World::new(json!({}));
    world.service("shop", &["web"]);
    world.service("shop-b", &["log"]);
    world.app("shop", "a", (vec!["web"], 1, 0));
    world.app("shop-b", "both", (vec!["log"], 2, 0));
    assert_eq!(world.control(), "shop");
    let unknown = Health::Unknown(Unknown::NoSuchPort { port: "80".into() });
    assert_eq!(world.health()[1], unknown);
    world.app("shop", "a", (vec!["web"], 0, 1));
    assert_eq!(world.control(), "shop-b", "nothing else is left");
    world.app("shop-b", "both", (vec!["log"], 0, 2));
    assert!(!world.health()[1].is_unknown(), "it has nothing ready, whatever its pods listen on");
    assert_eq!(world.control(), "shop-b");
    world.app("shop", "a", (vec!["web"], 1, 0));
    assert_eq!(world.control(), "shop");
}

#[test]
fn a_renamed_port_is_not_down_until_the_slices_have_had_time_to_follow() {
    let renamed = || json!([{"name": "http", "port": 80}]);
    let mut world = World::new(json!({"failover.linkerd.io/failback": "manual"}));
    world.service("shop", &["web"]);
    world.app("shop", "a", (vec!["web"], 2, 0));
    world.control();
    world.service_with("shop", renamed());
    assert_eq!(world.control(), "shop");
    assert!(matches!(world.health()[0], Health::Unknown(Unknown::Changed { .. })));
    assert_eq!(world.decide().next.unwrap().as_secs(), 5);
    world.now += 200;
    world.app("shop", "a", (vec!["http"], 2, 0));
    assert_eq!(world.control(), "shop");
    assert!(world.health()[0].is_ready());
    // Again within the minute: no patience is left.
    world.now += 10_000;
    world.service("shop", &["web"]);
    assert_eq!(world.control(), "shop-b");
}

#[test]
fn slices_that_are_told_before_the_service_which_they_follow_are_not_down() {
    for (made_by, active) in [("endpointslice-controller.k8s.io", "shop"), ("a person", "shop-b")] {
        let mut world = World::new(json!({"failover.linkerd.io/failback": "manual"}));
        world.made_by = made_by;
        world.service("shop", &["web"]);
        world.app("shop", "a", (vec!["web"], 2, 0));
        world.control();
        world.app("shop", "a", (vec!["http"], 2, 0));
        assert_eq!(world.control(), active, "by {made_by}");
        world.now += 300;
        world.service_with("shop", json!([{"name": "http", "port": 80}]));
        assert_eq!(world.control(), active, "by {made_by}");
        // A real loss is none the less seen at once.
        world.app("shop", "a", (vec!["http"], 0, 2));
        assert_eq!(world.control(), "shop-b");
    }
}

#[test]
fn a_rename_that_no_slice_follows_is_a_loss_after_five_seconds() {
    let mut world = World::new(json!({}));
    world.service("shop", &["web"]);
    world.app("shop", "a", (vec!["web"], 2, 0));
    world.control();
    world.service_with("shop", json!([{"name": "http", "port": 80}]));
    world.now += 4_999;
    assert_eq!(world.control(), "shop");
    world.now += 1;
    assert_eq!(world.control(), "shop-b");
}

#[test]
fn the_patience_with_a_changed_service_ends_when_a_ready_endpoint_goes() {
    let mut world = World::new(json!({}));
    world.service("shop", &["web"]);
    world.app("shop", "a", (vec!["web"], 2, 0));
    world.control();
    world.service_with("shop", json!([{"name": "http", "port": 80}]));
    world.app("shop", "a", (vec!["web"], 2, 1));
    assert_eq!(world.control(), "shop", "another pod begins");
    world.app("shop", "a", (vec!["web"], 1, 2));
    assert_eq!(world.control(), "shop-b");
    // Of a Service that has nothing ready there is nothing to wait for.
    let mut world = World::new(json!({}));
    world.service("shop", &["web"]);
    world.app("shop", "a", (vec!["web"], 0, 2));
    world.service_with("shop", json!([{"name": "http", "port": 80}]));
    assert_eq!(world.control(), "shop-b");
}

#[test]
fn a_service_that_becomes_another_type_is_down_when_its_slices_have_had_time_to_follow() {
    let mut world = World::new(json!({}));
    world.app("shop", "a", (vec!["web", "adm"], 2, 0));
    world.control();
    world.services.get_mut("shop").unwrap()["spec"]["type"] = json!("ExternalName");
    world.tell_service("shop");
    assert_eq!(world.control(), "shop");
    world.now += 5_000;
    assert_eq!(world.control(), "shop-b");
}

#[test]
fn two_processes_that_have_seen_different_things_go_by_what_is_recorded() {
    let mut world = two_apps();
    world.control();
    world.app("shop", "b", (vec!["adm"], 0, 0));
    // The one that decides has begun since, and knows of nothing.
    world.restart();
    assert_eq!(world.control(), "shop");
    world.swap();
    assert_eq!(world.control(), "shop-b");
    world.swap();
    assert_eq!(world.control(), "shop-b");
    world.app("shop", "b", (vec!["adm"], 1, 0));
    assert_eq!(world.control(), "shop");
    world.swap();
    assert_eq!(world.control(), "shop");
}

#[derive(Clone, Debug)]
enum Step {
    App {
        service: usize,
        app: usize,
        ports: usize,
        ready: usize,
        down: usize,
    },
    Declare {
        service: usize,
        ports: usize,
    },
    Pass(i64),
    Restart,
    /// The other process leads now.
    Swap,
}

const SETS: [&[&str]; 7] =
    [&["web"], &["adm"], &["web", "adm"], &["log"], &["web", "log"], &["web", "adm", "log"], &[]];
const SERVICES: [&str; 2] = ["shop", "shop-b"];
const APPS: [&str; 3] = ["one", "two", "three"];

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_usize, 0..APPS.len(), 0..SETS.len(), 0..3_usize, 0..2_usize).prop_map(
            |(service, app, ports, ready, down)| Step::App { service, app, ports, ready, down }
        ),
        1 => (0..2_usize, 0..SETS.len() - 1)
            .prop_map(|(service, ports)| Step::Declare { service, ports }),
        2 => (1_i64..20_000).prop_map(Step::Pass),
        2 => Just(Step::Restart),
        2 => Just(Step::Swap),
    ]
}

impl World {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::App { service, app, ports, ready, down } => {
                self.app(SERVICES[service], APPS[app], (SETS[ports].to_vec(), ready, down));
            }
            Step::Declare { service, ports } => self.service(SERVICES[service], SETS[ports]),
            Step::Pass(ms) => self.now += ms,
            Step::Restart => self.restart(),
            Step::Swap => self.swap(),
        }
    }

    /// The ports of the apex that a backend declares and has ready, and whether it has any endpoint.
    fn served(&self, service: &'static str) -> Vec<u64> {
        let numbers = |service: &str| -> Vec<(String, u64)> {
            let ports = self.services[service]["spec"]["ports"].as_array().unwrap();
            let port =
                |p: &Value| (p["name"].as_str().unwrap().to_owned(), p["port"].as_u64().unwrap());
            ports.iter().map(port).collect()
        };
        let asked: Vec<u64> = numbers("shop").into_iter().map(|(_, number)| number).collect();
        let offered = |name: &String| {
            let mut apps = self.apps.iter().filter(|((of, _), _)| *of == service);
            apps.any(|(_, (ports, ready, _))| *ready > 0 && ports.contains(&name.as_str()))
        };
        let own = numbers(service).into_iter();
        let own = own.filter(|(name, number)| asked.contains(number) && offered(name));
        own.map(|(_, number)| number).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn through_any_history_of_ports_no_traffic_goes_where_less_is_served(
        history in proptest::collection::vec(any_step(), 1..80),
    ) {
        let mut world = World::new(json!({}));
        world.control();
        for step in history {
            let before = world.decide().names(&world.intent());
            let changing = |health: &Health| {
                matches!(health, Health::Unknown(Unknown::Changed { .. }))
            };
            let was_changing = world.health().iter().any(changing);
            world.take(&step);
            if matches!(step, Step::Restart) && !was_changing {
                // From what is recorded and what is there.
                let after = world.decide().names(&world.intent());
                prop_assert_eq!(&before, &after, "{:?}", world.health());
            }
            let decision = world.decide();
            let intent = world.intent();
            let after = decision.names(&intent);
            // What a backend serves is never given up for a backend that serves none of it, unless it
            // is a better one that lacks nothing that was seen of it.
            if after != before && after == ["shop-b"] {
                let (shop, fallback) = (world.served("shop"), world.served("shop-b"));
                prop_assert!(shop.iter().all(|port| fallback.contains(port)),
                    "from {shop:?} to {fallback:?} by {step:?}: {:?}", world.health());
                prop_assert!(fallback.len() > shop.len() || fallback.is_empty(),
                    "from {shop:?} to {fallback:?} by {step:?}: {:?}", world.health());
            }
            // Where everything that is asked for is served, the primary has the traffic.
            let unknown = world.health()[0].is_unknown();
            let declared = world.services["shop"]["spec"]["ports"].as_array().unwrap().len();
            if world.served("shop").len() == declared {
                prop_assert!(after == ["shop"] || unknown, "{after:?}: {:?}", world.health());
            }
            // Where nothing is, it has not, as long as the other serves anything.
            if world.served("shop").is_empty() && !world.served("shop-b").is_empty() {
                prop_assert!(after == ["shop-b"] || unknown, "{after:?}: {:?}", world.health());
            }
            world.control();
            let writes = world.writes;
            world.control();
            prop_assert_eq!(world.writes, writes, "comes to rest");
            // Whatever two processes have seen before, they do not take turns; once the patience with a
            // Service that has just changed has ended, of which one that began since knows nothing.
            let mut patient = world.health().iter().any(changing);
            world.swap();
            patient |= world.health().iter().any(changing);
            world.swap();
            world.now += if patient { 5_000 } else { 0 };
            let mut turns = vec![];
            for _ in 0..3 {
                world.swap();
                let other = world.control();
                world.swap();
                turns.push((other, world.control()));
            }
            prop_assert_eq!(&turns[1], &turns[2], "a fight");
            prop_assert_eq!(&turns[1].0, &turns[1].1, "a fight");
        }
    }
}
