use super::*;
use crate::engine::{Defaults, Health, Intent, Now};
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::remote::reach::{Reach, Transition};
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::kinds::{Kind, ObjectRef};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const LIMIT: SignedDuration = SignedDuration::from_secs(60);

/// East: `bb` with slices of its own, its mirror from west, and the federated Service of both.
struct East(Index);

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("books", name)
}

fn split_bb() -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, key("bb"))
}

fn facts(net: u8, ready: usize) -> Option<SliceFacts> {
    let endpoints: Vec<_> =
        (0..ready).map(|i| json!({"addresses": [format!("10.{net}.0.{i}")]})).collect();
    let slice = json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints,
        "ports": [{"name": "http"}]});
    SliceFacts::read(&serde_json::from_value(slice).unwrap(), AddressFamilies::default())
}

impl East {
    fn new() -> Self {
        let mut east = Self(Index::default());
        let discovery = "multicluster.linkerd.io/remote-discovery";
        let mirror = json!({"labels": {discovery: "west",
            "multicluster.linkerd.io/remote-service": "bb"}});
        let federated = json!({"annotations": {discovery: "bb@west",
            "multicluster.linkerd.io/local-discovery": "bb"}});
        for (name, metadata) in
            [("bb", json!({})), ("bb-west", mirror), ("bb-federated", federated)]
        {
            east.service(name, metadata);
        }
        let split = json!({
            "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
            "metadata": {"name": "bb", "namespace": "books", "uid": "u", "resourceVersion": "1"},
            "spec": {"service": "bb", "backends": [
                {"service": "bb", "weight": 1}, {"service": "bb-west", "weight": 0},
                {"service": "bb-federated", "weight": 0},
            ]},
        });
        let split = serde_json::from_value(split).unwrap();
        let managed = ManagedObject::read(Kind::TrafficSplit, &split, &Defaults::default());
        east.0.set_object(split_bb(), managed);
        east
    }

    fn service(&mut self, name: &str, metadata: Value) -> Vec<ObjectRef> {
        let service =
            json!({"metadata": metadata, "spec": {"ports": [{"name": "http", "port": 80}]}});
        let service = ServiceFacts::read(&serde_json::from_value(service).unwrap());
        self.0.set_service(key(name), service)
    }

    fn at(&mut self, seconds: i64) {
        self.0.now = Now::at(Timestamp::from_second(seconds).unwrap());
    }

    fn here(&mut self, ready: usize) -> Vec<ObjectRef> {
        let version = self.0.now.wall.as_millisecond() as u64;
        self.0.set_slice(SliceUpdate {
            slice: key("bb-1"),
            version,
            service: Some(key("bb")),
            facts: facts(1, ready),
        })
    }

    fn west_lists(&mut self, ready: usize) -> Vec<ObjectRef> {
        let slice = SliceUpdate {
            slice: key("bb-x"),
            version: 1,
            service: Some(key("bb")),
            facts: facts(1, ready),
        };
        self.0.set_remote_listing("west", &[key("bb")].into(), vec![slice]).1
    }

    fn intent(&self) -> Intent {
        self.0.object(&split_bb()).unwrap().readable()[0].intent.clone()
    }

    /// Of `bb`, `bb-west` and `bb-federated`.
    fn health(&self) -> [Health; 3] {
        let health = self.0.health("books", &self.intent(), self.0.now.steady);
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

    east.0.link("west");
    assert_eq!(east.0.requested_of("west"), [key("bb")].into());
    let [_, mirror, _] = east.health();
    assert_eq!(mirror, Health::Unknown(Unknown::NotListed { cluster: west() }));

    assert_eq!(east.west_lists(2), [split_bb()]);
    let [_, mirror, federated] = east.health();
    assert_eq!((mirror, federated), (Health::seen(2, 2), Health::seen(2, 2)));
    // The same address in two clusters is two endpoints.
    east.here(1);
    assert_eq!(east.health(), [Health::seen(1, 1), Health::seen(2, 2), Health::seen(3, 3)]);
    assert_eq!(east.0.identities_of(&key("bb-federated")).len(), 3);

    east.0.unlink("west");
    let [_, mirror, federated] = east.health();
    assert_eq!(mirror, Health::Unknown(Unknown::NotLinked { cluster: west() }));
    // What is known to be ready is.
    assert!(federated.is_ready());
}

#[test]
fn a_cluster_out_of_reach_is_unknown_and_then_down_and_nothing_else_is() {
    let mut east = East::new();
    east.0.link("west");
    east.here(0);
    east.west_lists(2);
    let note = |east: &mut East, change: fn(&mut Reach, Now)| east.0.change_reach("west", change);
    east.at(100);
    assert_eq!(note(&mut east, Reach::interrupted).0, None);
    assert!(east.health()[1].is_ready());
    let (told, affected) = note(&mut east, Reach::failed);
    assert_eq!((told, affected), (Some(Transition::Unreachable), vec![split_bb()]));
    let since = Timestamp::from_second(100).unwrap();
    let cluster = || "west".to_owned();
    for health in &east.health()[1..] {
        assert_eq!(*health, Health::Unknown(Unknown::Unreachable { cluster: cluster(), since }));
    }
    east.at(160);
    let (told, affected) = note(&mut east, |reach, now| reach.pass(now, LIMIT));
    assert_eq!((told, affected), (Some(Transition::Down), vec![split_bb()]));
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
        east.0.link("west");
        east.here(0);
        east.west_lists(2);
        east.at(100);
        assert_eq!(east.0.change_reach("west", Reach::failed).0, Some(Transition::Unreachable));
        east.at(160);
        let passes = |reach: &mut Reach, now| reach.pass(now, LIMIT);
        assert_eq!(east.0.change_reach("west", passes).0, Some(Transition::Down));
        assert_eq!(east.0.change_reach("west", change), (Some(transition), vec![split_bb()]));
        east.at(1_000_000);
        assert_eq!(east.0.change_reach("west", passes), (None, vec![]));
        for health in &east.health()[1..] {
            assert!(health.is_unknown(), "{health}");
            assert_eq!(health.to_string(), words);
        }
    }
}

#[test]
fn an_event_there_concerns_only_the_objects_that_rest_on_it() {
    let mut east = East::new();
    east.0.link("west");
    east.west_lists(1);
    let told = |service: &str, version, ready| SliceUpdate {
        slice: key("x"),
        version,
        service: Some(key(service)),
        facts: facts(9, ready),
    };
    assert_eq!(east.0.set_remote_slice("west", told("other", 2, 1)), []);
    assert_eq!(east.0.set_remote_slice("west", told("bb", 3, 1)), [split_bb()]);
    assert_eq!(east.0.set_remote_slice("west", told("bb", 3, 1)), []);
    assert_eq!(east.0.set_remote_slice("north", told("bb", 4, 1)), []);
    assert_eq!(east.0.delete_remote_slice("west", &key("x"), 5), [split_bb()]);
    // A federated Service's local member concerns it too.
    east.service("cc", json!({}));
    let local = "multicluster.linkerd.io/local-discovery";
    east.service("bb-federated", json!({"annotations": {local: "cc"}}));
    let slice = east.0.set_slice(SliceUpdate {
        slice: key("cc-1"),
        version: 1,
        service: Some(key("cc")),
        facts: facts(3, 1),
    });
    assert_eq!(slice, [split_bb()]);
    assert!(east.health()[2].is_ready());
}

#[test]
fn what_nobody_names_is_not_asked_for() {
    let mut east = East::new();
    let revision = east.0.remote.revision();
    let mirror = json!({"labels": {"multicluster.linkerd.io/remote-discovery": "west",
        "multicluster.linkerd.io/remote-service": "unnamed"}});
    east.service("unnamed-west", mirror);
    assert_eq!(east.0.requested_of("west"), [key("bb")].into());
    assert!(east.0.remote.revision() > revision);
    let revision = east.0.remote.revision();
    east.0.remove_object(&split_bb());
    assert!(east.0.requested_of("west").is_empty());
    assert!(east.0.remote.revision() > revision);
}

#[test]
fn a_member_must_offer_the_port_and_be_of_a_kind_that_linkerd_resolves() {
    let mut east = East::new();
    east.0.link("west");
    let admin = json!({"addressType": "IPv4", "metadata": {}, "ports": [{"name": "admin"}],
        "endpoints": [{"addresses": ["10.1.1.1"]}]});
    let facts =
        SliceFacts::read(&serde_json::from_value(admin).unwrap(), AddressFamilies::default());
    let slice = SliceUpdate { slice: key("x"), version: 1, service: Some(key("bb")), facts };
    east.0.set_remote_listing("west", &[key("bb")].into(), vec![slice]);
    east.west_lists_service(1, Some(("http", 80)));
    let Health::Seen { ready, total, .. } = east.health()[1] else { panic!() };
    // It counts for nothing, not as one that is not ready.
    assert_eq!((ready, total), (0, 0));
    assert_eq!(east.health()[1].to_string(), "1 endpoint, none offers port http");
    // A federated Service does not resolve through another one.
    let local = "multicluster.linkerd.io/local-discovery";
    east.service("bb-federated", json!({"annotations": {local: "bb-west"}}));
    let health = &east.health()[2];
    assert!(!health.is_ready() && !health.is_unknown());
}

/// A Service with one port, 80 unless another is given.
fn service_with(name: &str, number: u16) -> ServiceFacts {
    let service = json!({"spec": {"ports": [{"name": name, "port": number}]}});
    ServiceFacts::read(&serde_json::from_value(service).unwrap())
}

impl East {
    /// West's slice of `bb` offers a port of this name.
    fn west_offers(&mut self, port: &str, version: u64) -> Vec<ObjectRef> {
        let slice = json!({"addressType": "IPv4", "metadata": {}, "ports": [{"name": port}],
            "endpoints": [{"addresses": ["10.1.1.1"]}]});
        let facts =
            SliceFacts::read(&serde_json::from_value(slice).unwrap(), AddressFamilies::default());
        let told = SliceUpdate { slice: key("bb-x"), version, service: Some(key("bb")), facts };
        self.0.set_remote_slice("west", told)
    }
}

impl East {
    /// West's own Service `bb` is listed, with one port; or there is none.
    fn west_lists_service(&mut self, version: u64, port: Option<(&str, u16)>) -> Vec<ObjectRef> {
        let listed = port.map(|(name, number)| (key("bb"), (version, service_with(name, number))));
        self.0.set_remote_services("west", [key("bb")].into(), listed.into_iter().collect())
    }
}

#[test]
fn a_member_is_asked_by_the_ports_number_whatever_its_own_service_calls_that() {
    let mut east = East::new();
    east.0.link("west");
    east.here(0);
    east.west_lists(0);
    assert_eq!(east.west_lists_service(1, Some(("web", 80))), [split_bb()]);
    east.west_offers("web", 2);
    assert_eq!(east.health()[1..], [Health::seen(1, 1), Health::seen(1, 1)]);

    // Another port of the name that the local Service has for this one.
    east.west_offers("http", 3);
    for health in &east.health()[1..] {
        assert!(!health.is_ready() && !health.is_unknown(), "{health}");
    }

    // None of that number, or no Service any more: Linkerd asks the pods themselves for it.
    for port in [Some(("http", 8080)), None] {
        east.at(200);
        east.west_lists_service(4, port);
        east.at(300);
        let no_such_port = Unknown::no_such_port(&[80].into());
        for health in &east.health()[1..] {
            assert_eq!(*health, Health::Unknown(no_such_port.clone()));
        }
    }
    east.west_lists(0);
    assert!(east.health()[1..].iter().all(|h| !h.is_ready() && !h.is_unknown()));

    // The local member's own Service may call it otherwise too.
    east.0.set_service(key("bb"), service_with("web", 80));
    let web = json!({"addressType": "IPv4", "metadata": {}, "ports": [{"name": "web"}],
        "endpoints": [{"addresses": ["10.1.0.1"]}]});
    let facts = SliceFacts::read(&serde_json::from_value(web).unwrap(), AddressFamilies::default());
    let (slice, service) = (key("bb-1"), Some(key("bb")));
    east.0.set_slice(SliceUpdate { slice, version: 999_999, service, facts });
    assert!(east.health()[2].is_ready());
}

#[test]
fn where_services_there_cannot_be_read_names_are_the_same_and_other_names_are_not_a_loss() {
    let mut east = East::new();
    east.0.link("west");
    east.here(0);
    east.west_lists(0);
    let is_down = |health: &Health| !health.is_ready() && !health.is_unknown();
    assert!(east.health()[1..].iter().all(is_down));
    for (version, refused) in [(10, None), (20, Some(false)), (30, Some(true))] {
        if let Some(refused) = refused {
            east.west_lists_service(1, Some(("http", 80)));
            let told = east.0.doubt_remote_services("west", "403", refused);
            assert_eq!(told, [split_bb()]);
        }
        east.west_offers("http", version);
        assert!(east.health()[1..].iter().all(Health::is_ready), "{version}");
        east.west_offers("web", version + 1);
        for health in &east.health()[1..] {
            assert!(health.is_unknown(), "{health}");
            assert!(health.to_string().contains("may call the port otherwise"), "{health}");
        }
    }
}

#[test]
fn a_member_whose_service_has_just_changed_is_not_down_before_its_slices_follow() {
    let mut east = East::new();
    east.0.link("west");
    east.here(0);
    east.at(100);
    east.west_lists_service(1, Some(("http", 80)));
    east.west_lists(1);
    assert!(east.health()[1].is_ready());

    let renamed = |version| (version, service_with("web", 80));
    assert_eq!(east.0.set_remote_service("west", &key("bb"), renamed(2)), [split_bb()]);
    assert_eq!(east.0.set_remote_service("west", &key("bb"), renamed(3)), []);
    for health in &east.health()[1..] {
        assert!(matches!(health, Health::Unknown(Unknown::Changed { .. })), "{health}");
    }
    east.west_offers("web", 2);
    assert!(east.health()[1..].iter().all(Health::is_ready));

    // Slices that never follow are a loss, five seconds later.
    east.at(200);
    east.0.set_remote_service("west", &key("bb"), (4, service_with("rpc", 80)));
    east.at(204);
    assert!(east.health()[1].is_unknown());
    east.at(205);
    assert!(!east.health()[1].is_ready() && !east.health()[1].is_unknown());
    // One that nobody rests on concerns nobody.
    assert_eq!(east.0.set_remote_service("west", &key("x"), (5, service_with("a", 1))), []);
}

#[derive(Clone, Debug)]
enum Step {
    Link,
    Unlink,
    Lists(usize),
    Slice(usize),
    Gone,
    Confirms(usize),
    Interrupted,
    Failed,
    Refused,
    Here(usize),
    /// West's own Service is listed, with a port of this name.
    ListsService(&'static str),
    SetsService(Option<&'static str>),
    DoubtsServices(bool),
    /// The Service is made anew, with this metadata.
    Service(&'static str, Value),
    Pass(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let discovery = "multicluster.linkerd.io/remote-discovery";
    let local = "multicluster.linkerd.io/local-discovery";
    prop_oneof![
        Just(Step::Link),
        Just(Step::Unlink),
        (0_usize..3).prop_map(Step::Lists),
        (0_usize..3).prop_map(Step::Slice),
        Just(Step::Gone),
        (0_usize..3).prop_map(Step::Confirms),
        Just(Step::Interrupted),
        Just(Step::Failed),
        Just(Step::Refused),
        (0_usize..3).prop_map(Step::Here),
        Just(Step::ListsService("http")),
        Just(Step::ListsService("web")),
        Just(Step::SetsService(Some("web"))),
        Just(Step::SetsService(None)),
        any::<bool>().prop_map(Step::DoubtsServices),
        Just(Step::Service("bb-federated", json!({"annotations": {local: "bb"}}))),
        Just(Step::Service(
            "bb-federated",
            json!({"annotations": {discovery: "bb@west,bb@north"}})
        )),
        Just(Step::Service("bb-west", json!({}))),
        Just(Step::Service("bb", json!({"annotations": {discovery: "bb@west"}}))),
        Just(Step::Service("bb", json!({}))),
        (1_i64..90).prop_map(Step::Pass),
    ]
}

impl East {
    /// Does a step; the objects that are said to be concerned.
    fn take(&mut self, step: Step, version: u64) -> Vec<ObjectRef> {
        let slice = |ready| SliceUpdate {
            slice: key("bb-x"),
            version,
            service: Some(key("bb")),
            facts: facts(1, ready),
        };
        match step {
            Step::Link => self.0.link("west"),
            Step::Unlink => self.0.unlink("west"),
            Step::Lists(ready) => self.west_lists(ready),
            Step::Slice(ready) => self.0.set_remote_slice("west", slice(ready)),
            Step::Gone => self.0.delete_remote_slice("west", &key("bb-x"), version),
            Step::Confirms(ready) => {
                let listed = vec![slice(ready)];
                let Some(ticket) = self.0.remote.ticket("west", &key("bb")) else { return vec![] };
                let asked =
                    self.0.confirm_remote_slices("west", &ticket, &key("bb"), listed, version);
                asked.unwrap()
            }
            Step::Interrupted => self.0.change_reach("west", Reach::interrupted).1,
            Step::Failed => self.0.change_reach("west", Reach::failed).1,
            Step::Refused => self.0.change_reach("west", |reach, _| reach.refused("no".into())).1,
            Step::Here(ready) => {
                let (slice, service) = (key("bb-1"), Some(key("bb")));
                self.0.set_slice(SliceUpdate { slice, version, service, facts: facts(1, ready) })
            }
            Step::ListsService(port) => self.west_lists_service(version, Some((port, 80))),
            Step::DoubtsServices(refused) => {
                self.0.doubt_remote_services("west", "no answer", refused)
            }
            Step::SetsService(port) => {
                let bb = key("bb");
                match port {
                    Some(port) => {
                        let versioned = (version, service_with(port, 80));
                        self.0.set_remote_service("west", &bb, versioned)
                    }
                    None => self.0.delete_remote_service("west", &bb, version),
                }
            }
            Step::Service(name, metadata) => self.service(name, metadata),
            Step::Pass(seconds) => {
                let now = self.0.now.steady.as_second() + seconds;
                self.at(now);
                self.0.change_reach("west", |reach, now| reach.pass(now, LIMIT)).1
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_who_rests_on_what_changed_is_told(
        history in proptest::collection::vec(any_step(), 1..60),
    ) {
        let mut east = East::new();
        for (version, step) in (1_u64..).zip(history) {
            // Peaks fade by time alone, which whoever asks by percentages looks after.
            let seen = |east: &East| east.health().map(|health| match health {
                Health::Seen { ready, total, .. } => Health::seen(ready, total),
                other => other,
            });
            let before = seen(&east);
            let affected = east.take(step.clone(), version);
            // Neither does what time alone ends: whoever hears of it is told until when.
            let awaited = |health: &Health| matches!(health, Health::Unknown(Unknown::Changed { .. }));
            let by_time = matches!(step, Step::Pass(_)) && before.iter().any(awaited);
            if seen(&east) != before && !by_time {
                prop_assert!(affected.contains(&split_bb()), "{step:?}: {:?}", seen(&east));
            }
            prop_assert!(affected.iter().all(|object| *object == split_bb()));
            // What is told is never ready because of a cluster that is not seen.
            let is_seen = east.0.remote.reach("west").is_some_and(Reach::is_seen);
            let rests_there = east.0.service(&key("bb-west")).unwrap().members().len() == 1;
            prop_assert!(is_seen || !rests_there || !east.health()[1].is_ready());
        }
    }
}
