use super::*;
use crate::engine::{Health, Intent, Now};
use crate::index::remote::reach::{Reach, Transition};
use crate::index::remote::services::Versioned;
use crate::index::slice_table::SliceUpdate;
use crate::kinds::{Kind, ObjectRef};
use crate::simulation::api_server::ApiServer;
use crate::simulation::clock::Clock;
use crate::simulation::manifest::{self, Key, Resource};
use crate::simulation::replica::{Replica, service_facts, slice_update};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(super) const LIMIT: SignedDuration = SignedDuration::from_secs(60);
pub(super) const DISCOVERY: &str = "multicluster.linkerd.io/remote-discovery";
pub(super) const LOCAL: &str = "multicluster.linkerd.io/local-discovery";

/// East: `bb` with slices of its own, its mirror from west, and the federated Service of both.
///
/// What west has enters the index by ways of its own, a LIST at once: only this property has a linked
/// cluster.
pub(super) struct East {
    server: ApiServer<Key, Value>,
    replica: Replica<Value>,
    clock: Clock,
    /// The API server of the linked cluster.
    west: ApiServer<Key, Value>,
}

pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey::new("books", name)
}

pub(super) fn split_bb() -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, key("bb"))
}

/// A slice of a Service that offers a port of this name.
fn slice(service: &str, port: &str, network: &str, ready: usize) -> Value {
    manifest::slice(service, &[port], manifest::ready_endpoints(network, ready))
}

impl East {
    pub(super) fn new() -> Self {
        let resources = [Resource::TrafficSplit, Resource::Service, Resource::EndpointSlice];
        let mut east = Self {
            server: ApiServer::default(),
            replica: Replica::new(&resources),
            clock: Clock::at_second(0),
            west: ApiServer::default(),
        };
        let mirror =
            json!({"labels": {DISCOVERY: "west", "multicluster.linkerd.io/remote-service": "bb"}});
        let federated = json!({"annotations": {DISCOVERY: "bb@west", LOCAL: "bb"}});
        for (name, metadata) in
            [("bb", json!({})), ("bb-west", mirror), ("bb-federated", federated)]
        {
            east.service(name, metadata);
        }
        let split = manifest::split(&[("bb", 1), ("bb-west", 0), ("bb-federated", 0)]);
        east.put(Resource::TrafficSplit, "bb", split);
        east
    }

    pub(super) fn index(&mut self) -> &mut Index {
        &mut self.replica.index
    }

    fn put(&mut self, resource: Resource, name: &str, manifest: Value) -> Vec<ObjectRef> {
        self.server.put(resource.key(key(name)), manifest);
        self.replica.catch_up(&self.server, self.clock.now())
    }

    pub(super) fn service(&mut self, name: &str, metadata: Value) -> Vec<ObjectRef> {
        let mut service = manifest::service(&[("http", 80)]);
        service["metadata"] = metadata;
        self.put(Resource::Service, name, service)
    }

    fn at(&mut self, seconds: i64) {
        self.pass(seconds - self.clock.millis / 1_000);
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.clock.pass(seconds * 1_000);
        self.replica.index.now = self.clock.now();
    }

    pub(super) fn here(&mut self, ready: usize) -> Vec<ObjectRef> {
        self.put(Resource::EndpointSlice, "bb-1", slice("bb", "http", "10.1", ready))
    }

    /// West has a slice, and nobody has been told yet.
    fn west_has(&mut self, name: &str, manifest: Value) -> SliceUpdate {
        let key = Resource::EndpointSlice.key(key(name));
        let version = self.west.put(key.clone(), manifest.clone());
        slice_update(&key, version, &manifest)
    }

    /// The same of its slice of `bb`.
    pub(super) fn west_has_ready(&mut self, ready: usize) -> SliceUpdate {
        self.west_has("bb-x", slice("bb", "http", "10.1", ready))
    }

    pub(super) fn west_lists(&mut self, ready: usize) -> Vec<ObjectRef> {
        let listed = vec![self.west_has_ready(ready)];
        self.index().set_remote_listing("west", &[key("bb")].into(), listed).1
    }

    /// West's watch reports its slice of `bb`.
    pub(super) fn west_reports(&mut self, ready: usize) -> Vec<ObjectRef> {
        let update = self.west_has_ready(ready);
        self.index().set_remote_slice("west", update)
    }

    /// West's slice of `bb` is deleted.
    pub(super) fn west_deletes(&mut self) -> Vec<ObjectRef> {
        let slice = key("bb-x");
        self.west.delete(Resource::EndpointSlice.key(slice.clone()));
        let version = self.west.version();
        self.index().delete_remote_slice("west", &slice, version)
    }

    /// A LIST past west's watch shows so many ready endpoints of `bb`.
    pub(super) fn west_confirms(&mut self, ready: usize) -> Vec<ObjectRef> {
        let listed = vec![self.west_has_ready(ready)];
        let version = self.west.version();
        let Some(ticket) = self.index().remote.ticket("west", &key("bb")) else { return vec![] };
        self.index().confirm_remote_slices("west", &ticket, &key("bb"), listed, version).unwrap()
    }

    /// West's slice of `bb` offers a port of this name.
    fn west_offers(&mut self, port: &str) -> Vec<ObjectRef> {
        let update = self.west_has("bb-x", slice("bb", port, "10.1", 1));
        self.index().set_remote_slice("west", update)
    }

    /// West's own Service `bb` is listed, with one port; or there is none.
    pub(super) fn west_lists_service(&mut self, port: Option<(&str, u16)>) -> Vec<ObjectRef> {
        let listed = port.map(|port| (key("bb"), self.west_has_service(port)));
        self.index().set_remote_services("west", [key("bb")].into(), listed.into_iter().collect())
    }

    fn west_has_service(&mut self, port: (&str, u16)) -> Versioned {
        let (key, service) = (Resource::Service.key(key("bb")), manifest::service(&[port]));
        let version = self.west.put(key.clone(), service.clone());
        (version, service_facts(&key, version, &service))
    }

    /// West's watch reports its own Service `bb`.
    pub(super) fn west_reports_service(&mut self, port: &str) -> Vec<ObjectRef> {
        let versioned = self.west_has_service((port, 80));
        self.index().set_remote_service("west", &key("bb"), versioned)
    }

    pub(super) fn west_deletes_service(&mut self) -> Vec<ObjectRef> {
        self.west.delete(Resource::Service.key(key("bb")));
        let version = self.west.version();
        self.index().delete_remote_service("west", &key("bb"), version)
    }

    fn intent(&self) -> Intent {
        self.replica.index.object(&split_bb()).unwrap().readable()[0].intent.clone()
    }

    /// Of `bb`, `bb-west` and `bb-federated`.
    pub(super) fn health(&self) -> [Health; 3] {
        let now = self.clock.now();
        let health = self.replica.index.health("books", &self.intent(), now);
        health.try_into().unwrap()
    }
}

#[test]
fn a_cluster_is_unknown_until_it_is_linked_and_listed_and_then_it_is_what_it_is() {
    let mut east = East::new();
    east.here(0);
    let [_, mirror, federated] = east.health();
    let west = || "west".to_owned();
    assert_eq!(mirror, Health::Unknown(Unknown::NotLinked { cluster: west() }));
    assert_eq!(federated, mirror);

    east.index().link("west");
    assert_eq!(east.index().requested_of("west"), [key("bb")].into());
    let [_, mirror, _] = east.health();
    assert_eq!(mirror, Health::Unknown(Unknown::NotListed { cluster: west() }));

    assert_eq!(east.west_lists(2), [split_bb()]);
    let [_, mirror, federated] = east.health();
    assert_eq!((mirror, federated), (Health::seen(2, 2), Health::seen(2, 2)));
    // The same address in two clusters is two endpoints.
    east.here(1);
    assert_eq!(east.health(), [Health::seen(1, 1), Health::seen(2, 2), Health::seen(3, 3)]);
    assert_eq!(east.index().identities_of(&key("bb-federated")).len(), 3);

    east.index().unlink("west");
    let [_, mirror, federated] = east.health();
    assert_eq!(mirror, Health::Unknown(Unknown::NotLinked { cluster: west() }));
    // What is known to be ready is.
    assert!(federated.is_ready());
}

#[test]
fn a_cluster_out_of_reach_is_unknown_and_then_down_and_nothing_else_is() {
    let mut east = East::new();
    east.index().link("west");
    east.here(0);
    east.west_lists(2);
    let note =
        |east: &mut East, change: fn(&mut Reach, Now)| east.index().change_reach("west", change);
    east.at(100);
    assert_eq!(note(&mut east, Reach::interrupted).0, None);
    assert!(east.health()[1].is_ready());
    let (transition, affected) = note(&mut east, Reach::failed);
    assert_eq!((transition, affected), (Some(Transition::Unreachable), vec![split_bb()]));
    let since = Timestamp::from_second(100).unwrap();
    let cluster = || "west".to_owned();
    for health in &east.health()[1..] {
        assert_eq!(*health, Health::Unknown(Unknown::Unreachable { cluster: cluster(), since }));
    }
    east.at(160);
    let (transition, affected) = note(&mut east, |reach, now| reach.pass(now, LIMIT));
    assert_eq!((transition, affected), (Some(Transition::Down), vec![split_bb()]));
    for health in &east.health()[1..] {
        assert_eq!(*health, Health::Unreachable { cluster: cluster(), since });
        let words = "cluster west cannot be reached since 1970-01-01T00:01:40Z";
        assert_eq!(health.to_string(), words);
    }
    // Down is no endpoint: what is here counts alone.
    east.here(1);
    assert_eq!(
        east.health()[2],
        Health::Seen { ready: 1, total: 1, peak: 2, announced: None, ports: None }
    );
    east.west_lists(2);
    assert!(east.health()[1].is_ready());
}

#[test]
fn a_cluster_that_answers_is_never_down_by_time_and_says_why_it_is_not_seen() {
    type Change = fn(&mut Reach, Now);
    let changes: [(Change, Transition, &str); 3] = [
        (
            |reach, _| reach.unverified("a CA".into()),
            Transition::Unverified,
            "health unknown, cluster west cannot be verified: a CA",
        ),
        (
            |reach, _| reach.failing("503".into()),
            Transition::Failing,
            "health unknown, cluster west answers with errors: 503",
        ),
        (
            |reach, _| reach.refused("401".into()),
            Transition::Refused,
            "health unknown, no access to cluster west: 401",
        ),
    ];
    for (change, transition, words) in changes {
        let mut east = East::new();
        east.index().link("west");
        east.here(0);
        east.west_lists(2);
        east.at(100);
        assert_eq!(
            east.index().change_reach("west", Reach::failed).0,
            Some(Transition::Unreachable)
        );
        east.at(160);
        let passes = |reach: &mut Reach, now| reach.pass(now, LIMIT);
        assert_eq!(east.index().change_reach("west", passes).0, Some(Transition::Down));
        assert_eq!(east.index().change_reach("west", change), (Some(transition), vec![split_bb()]));
        east.at(1_000_000);
        assert_eq!(east.index().change_reach("west", passes), (None, vec![]));
        for health in &east.health()[1..] {
            assert!(health.is_unknown(), "{health}");
            assert_eq!(health.to_string(), words);
        }
    }
}

#[test]
fn an_event_there_concerns_only_the_objects_that_rest_on_it() {
    let mut east = East::new();
    east.index().link("west");
    east.west_lists(1);
    let update = |service: &str, version| {
        let slice = slice(service, "http", "10.9", 1);
        slice_update(&Resource::EndpointSlice.key(key("x")), version, &slice)
    };
    assert_eq!(east.index().set_remote_slice("west", update("other", 2)), []);
    assert_eq!(east.index().set_remote_slice("west", update("bb", 3)), [split_bb()]);
    assert_eq!(east.index().set_remote_slice("west", update("bb", 3)), []);
    assert_eq!(east.index().set_remote_slice("north", update("bb", 4)), []);
    assert_eq!(east.index().delete_remote_slice("west", &key("x"), 5), [split_bb()]);
    // A federated Service's local member concerns it too.
    east.service("cc", json!({}));
    east.service("bb-federated", json!({"annotations": {LOCAL: "cc"}}));
    let slice = slice("cc", "http", "10.3", 1);
    assert_eq!(east.put(Resource::EndpointSlice, "cc-1", slice), [split_bb()]);
    assert!(east.health()[2].is_ready());
}

#[test]
fn what_nobody_names_is_not_asked_for() {
    let mut east = East::new();
    let revision = east.index().remote.revision();
    let mirror = json!({"labels": {DISCOVERY: "west",
        "multicluster.linkerd.io/remote-service": "unnamed"}});
    east.service("unnamed-west", mirror);
    assert_eq!(east.index().requested_of("west"), [key("bb")].into());
    assert!(east.index().remote.revision() > revision);
    let revision = east.index().remote.revision();
    east.index().remove_object(&split_bb());
    assert!(east.index().requested_of("west").is_empty());
    assert!(east.index().remote.revision() > revision);
}

#[test]
fn a_member_must_offer_the_port_and_be_of_a_kind_that_linkerd_resolves() {
    let mut east = East::new();
    east.index().link("west");
    let listed = vec![east.west_has("x", slice("bb", "admin", "10.1", 1))];
    east.index().set_remote_listing("west", &[key("bb")].into(), listed);
    east.west_lists_service(Some(("http", 80)));
    let Health::Seen { ready, total, .. } = east.health()[1] else { panic!() };
    // It counts for nothing, not as one that is not ready.
    assert_eq!((ready, total), (0, 0));
    assert_eq!(east.health()[1].to_string(), "1 endpoint, none offers port http");
    // A federated Service does not resolve through another one.
    east.service("bb-federated", json!({"annotations": {LOCAL: "bb-west"}}));
    let health = &east.health()[2];
    assert!(!health.is_ready() && !health.is_unknown());
}

#[test]
fn a_member_is_asked_by_the_ports_number_whatever_its_own_service_calls_that() {
    let mut east = East::new();
    east.index().link("west");
    east.here(0);
    east.west_lists(0);
    assert_eq!(east.west_lists_service(Some(("web", 80))), [split_bb()]);
    east.west_offers("web");
    assert_eq!(east.health()[1..], [Health::seen(1, 1), Health::seen(1, 1)]);

    // Another port of the name that the local Service has for this one.
    east.west_offers("http");
    for health in &east.health()[1..] {
        assert!(!health.is_ready() && !health.is_unknown(), "{health}");
    }

    // None of that number, or no Service any more: Linkerd asks the pods themselves for it.
    for port in [Some(("http", 8080)), None] {
        east.at(200);
        east.west_lists_service(port);
        east.at(300);
        let no_such_port = Unknown::no_such_port(&[80].into());
        for health in &east.health()[1..] {
            assert_eq!(*health, Health::Unknown(no_such_port.clone()));
        }
    }
    east.west_lists(0);
    assert!(east.health()[1..].iter().all(|h| !h.is_ready() && !h.is_unknown()));

    // The local member's own Service may call it otherwise too.
    east.put(Resource::Service, "bb", manifest::service(&[("web", 80)]));
    east.put(Resource::EndpointSlice, "bb-1", slice("bb", "web", "10.1", 1));
    assert!(east.health()[2].is_ready());
}

#[test]
fn where_services_there_cannot_be_read_names_are_the_same_and_other_names_are_not_a_loss() {
    let mut east = East::new();
    east.index().link("west");
    east.here(0);
    east.west_lists(0);
    let is_down = |health: &Health| !health.is_ready() && !health.is_unknown();
    assert!(east.health()[1..].iter().all(is_down));
    for refused in [None, Some(false), Some(true)] {
        if let Some(refused) = refused {
            east.west_lists_service(Some(("http", 80)));
            let affected = east.index().doubt_remote_services("west", "403", refused);
            assert_eq!(affected, [split_bb()]);
        }
        east.west_offers("http");
        assert!(east.health()[1..].iter().all(Health::is_ready), "{refused:?}");
        east.west_offers("web");
        for health in &east.health()[1..] {
            assert!(health.is_unknown(), "{health}");
            assert!(health.to_string().contains("may call the port otherwise"), "{health}");
        }
    }
}

#[test]
fn a_member_whose_service_has_just_changed_is_not_down_before_its_slices_follow() {
    let mut east = East::new();
    east.index().link("west");
    east.here(0);
    east.at(100);
    east.west_lists_service(Some(("http", 80)));
    east.west_lists(1);
    assert!(east.health()[1].is_ready());

    assert_eq!(east.west_reports_service("web"), [split_bb()]);
    assert_eq!(east.west_reports_service("web"), []);
    for health in &east.health()[1..] {
        assert!(matches!(health, Health::Unknown(Unknown::Changed { .. })), "{health}");
    }
    east.west_offers("web");
    assert!(east.health()[1..].iter().all(Health::is_ready));

    // Slices that never follow are a loss, five seconds later.
    east.at(200);
    east.west_reports_service("rpc");
    east.at(204);
    assert!(east.health()[1].is_unknown());
    east.at(205);
    assert!(!east.health()[1].is_ready() && !east.health()[1].is_unknown());
    // One that nobody rests on concerns nobody.
    let other = east.west_has_service(("a", 1));
    assert_eq!(east.index().set_remote_service("west", &key("x"), other), []);
}
