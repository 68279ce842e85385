//! Ports over time: apps behind one Service that come and go, Services that change, replicas that
//! restart.

use crate::engine::{Decision, Health, Intent, Unknown, remembered};
use crate::index::store::Index;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::simulation::api_server::ApiServer;
use crate::simulation::clock::Clock;
use crate::simulation::controller::Controller;
use crate::simulation::manifest::{self, Key, Resource};
use crate::simulation::replica::Replica;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PORTS: [(&str, u16); 3] = [("web", 80), ("adm", 81), ("log", 82)];

/// An app behind a Service: the ports that its pods offer, and how many are ready and not.
type App = (Vec<&'static str>, usize, usize);

/// A cluster with a split of `shop` and `shop-b`, and two replicas that watch it; the first decides.
pub(super) struct World {
    pub server: ApiServer<Key, Value>,
    replicas: [Replica<Value>; 2],
    pub controller: Controller,
    pub clock: Clock,
    /// Of each Service, its slices by the app's name.
    pub apps: BTreeMap<(&'static str, &'static str), App>,
    annotations: Value,
    /// Who makes the slices.
    made_by: &'static str,
}

pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn split() -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, key("shop"))
}

fn replica() -> Replica<Value> {
    Replica::new(&[Resource::TrafficSplit, Resource::Service, Resource::EndpointSlice])
}

impl World {
    pub(super) fn new(annotations: Value) -> Self {
        let mut world = Self {
            server: ApiServer::default(),
            replicas: [replica(), replica()],
            controller: Controller::default(),
            clock: Clock::at_second(1),
            apps: BTreeMap::new(),
            annotations,
            made_by: "a person",
        };
        world.set_weights(&[1, 0]);
        world.service("shop", &["web", "adm"]);
        world.service("shop-b", &["web", "adm"]);
        world.app("shop-b", "both", (vec!["web", "adm"], 2, 0));
        world
    }

    fn put(&mut self, resource: Resource, name: &str, manifest: Value) {
        self.server.put(resource.key(key(name)), manifest);
        for replica in &mut self.replicas {
            replica.catch_up(&self.server, self.clock.now());
        }
    }

    pub(super) fn service(&mut self, name: &str, declared: &[&str]) {
        let ports = PORTS.into_iter().filter(|(name, _)| declared.contains(name));
        self.put(Resource::Service, name, manifest::service(&ports.collect::<Vec<_>>()));
    }

    /// Port 80 of `shop` has another name now, and there is no other.
    fn rename_port(&mut self) {
        self.put(Resource::Service, "shop", manifest::service(&[("http", 80)]));
    }

    pub(super) fn app(&mut self, service: &'static str, name: &'static str, app: App) {
        let (ports, ready, down) = app.clone();
        self.apps.insert((service, name), app);
        let pod = |i: usize| {
            json!({"addresses": ["10.0.0.1"], "conditions": {"ready": i < ready},
                "targetRef": {"kind": "Pod", "name": format!("{name}-{i}")}})
        };
        let endpoints = (0..ready + down).map(pod).collect();
        let mut slice = manifest::slice(service, &ports, endpoints);
        let labels = &mut slice["metadata"]["labels"];
        labels["endpointslice.kubernetes.io/managed-by"] = json!(self.made_by);
        self.put(Resource::EndpointSlice, &format!("{service}.{name}"), slice);
    }

    fn set_weights(&mut self, weights: &[u32; 2]) {
        let [shop, fallback] = weights.map(u64::from);
        let mut split = manifest::split(&[("shop", shop), ("shop-b", fallback)]);
        split["metadata"]["annotations"] = self.annotations.clone();
        self.put(Resource::TrafficSplit, "shop", split);
    }

    /// The other replica decides from now on.
    pub(super) fn swap(&mut self) {
        self.replicas.swap(0, 1);
        self.controller.restart();
    }

    /// The replica ends and another begins: it lists all that is there.
    pub(super) fn restart(&mut self) {
        self.replicas[0] = replica();
        self.controller.restart();
        self.replicas[0].catch_up(&self.server, self.clock.now());
    }

    /// What the replica that decides knows.
    fn index(&self) -> &Index {
        &self.replicas[0].index
    }

    pub(super) fn intent(&self) -> Intent {
        self.index().object(&split()).unwrap().readable()[0].intent.clone()
    }

    /// As it is in the index.
    fn counted(&self) -> Vec<Health> {
        self.index().health("ns", &self.intent(), self.clock.now())
    }

    /// With what is recorded of lost ports.
    pub(super) fn health(&self) -> Vec<Health> {
        let (health, state) = (self.counted(), self.controller.state.as_ref());
        remembered(&self.intent(), &health, state).into_owned()
    }

    pub(super) fn decide(&self) -> Decision {
        self.controller.decide(&self.intent(), &self.counted(), self.clock.now())
    }

    /// Decides, writes where there is need, and gives the active backends.
    pub(super) fn control(&mut self) -> String {
        let (intent, decision) = (self.intent(), self.decide());
        if self.controller.needs_write(&intent, &decision) {
            let health = self.health();
            self.controller.record(&intent, &health, &decision, self.clock.now());
            self.set_weights(&[decision.weights[0], decision.weights[1]]);
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
    assert_eq!(world.controller.writes, 0);
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
        world.controller.state.as_ref().unwrap().why,
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
    assert_eq!(world.controller.writes, 0);
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
        assert_eq!(world.controller.writes, 0, "{min_ready}");
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
    assert_eq!(world.controller.writes, 0);
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
    let mut world = World::new(json!({"failover.linkerd.io/failback": "manual"}));
    world.service("shop", &["web"]);
    world.app("shop", "a", (vec!["web"], 2, 0));
    world.control();
    world.rename_port();
    assert_eq!(world.control(), "shop");
    assert!(matches!(world.health()[0], Health::Unknown(Unknown::Changed { .. })));
    assert_eq!(world.decide().next.unwrap().as_secs(), 5);
    world.clock.pass(200);
    world.app("shop", "a", (vec!["http"], 2, 0));
    assert_eq!(world.control(), "shop");
    assert!(world.health()[0].is_ready());
    // Again within the minute: no patience is left.
    world.clock.pass(10_000);
    world.service("shop", &["web"]);
    assert_eq!(world.control(), "shop-b");
}

#[test]
fn slices_that_arrive_before_the_service_which_they_follow_are_not_down() {
    for (made_by, active) in [("endpointslice-controller.k8s.io", "shop"), ("a person", "shop-b")] {
        let mut world = World::new(json!({"failover.linkerd.io/failback": "manual"}));
        world.made_by = made_by;
        world.service("shop", &["web"]);
        world.app("shop", "a", (vec!["web"], 2, 0));
        world.control();
        world.app("shop", "a", (vec!["http"], 2, 0));
        assert_eq!(world.control(), active, "by {made_by}");
        world.clock.pass(300);
        world.rename_port();
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
    world.rename_port();
    world.clock.pass(4_999);
    assert_eq!(world.control(), "shop");
    world.clock.pass(1);
    assert_eq!(world.control(), "shop-b");
}

#[test]
fn the_patience_with_a_changed_service_ends_when_a_ready_endpoint_goes() {
    let mut world = World::new(json!({}));
    world.service("shop", &["web"]);
    world.app("shop", "a", (vec!["web"], 2, 0));
    world.control();
    world.rename_port();
    world.app("shop", "a", (vec!["web"], 2, 1));
    assert_eq!(world.control(), "shop", "another pod begins");
    world.app("shop", "a", (vec!["web"], 1, 2));
    assert_eq!(world.control(), "shop-b");
    // Of a Service that has nothing ready there is nothing to wait for.
    let mut world = World::new(json!({}));
    world.service("shop", &["web"]);
    world.app("shop", "a", (vec!["web"], 0, 2));
    world.rename_port();
    assert_eq!(world.control(), "shop-b");
}

#[test]
fn a_service_that_becomes_another_type_is_down_when_its_slices_have_had_time_to_follow() {
    let mut world = World::new(json!({}));
    world.app("shop", "a", (vec!["web", "adm"], 2, 0));
    world.control();
    let mut external = manifest::service(&PORTS[..2]);
    external["spec"]["type"] = json!("ExternalName");
    world.put(Resource::Service, "shop", external);
    assert_eq!(world.control(), "shop");
    world.clock.pass(5_000);
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
