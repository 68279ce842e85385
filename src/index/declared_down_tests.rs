use super::*;
use crate::engine::{Defaults, Health, Now};
use crate::index::managed_object::ManagedObject;
use crate::index::order::Arrival;
use crate::kinds::Kind;
use crate::kinds::declared_down::DeclaredDown;
use crate::simulation::manifest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn at(second: i64) -> Now {
    Now::at(Timestamp::from_second(second).unwrap())
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn facts(until: &str) -> DownFacts {
    let until = ("failover.linkerd.io/down-until".to_owned(), until.to_owned());
    DownFacts::read(&BTreeMap::from([until])).unwrap()
}

fn set_service(index: &mut Index, name: &str, metadata: Value) -> Vec<ObjectRef> {
    let service = json!({"metadata": metadata, "spec": {}});
    index.set_service(key(name), ServiceFacts::read(&serde_json::from_value(service).unwrap()))
}

/// Splits `one` and `two` of `web` and its mirror of cluster west.
fn index() -> Index {
    let mut index = Index::default();
    let mirror = json!({"labels": {"mirror.linkerd.io/cluster-name": "west"}});
    for (name, metadata) in [("web", json!({})), ("web-west", mirror)] {
        set_service(&mut index, name, metadata);
    }
    let split = serde_json::from_value(manifest::split(&[("web", 1), ("web-west", 0)])).unwrap();
    for name in ["one", "two"] {
        let managed = ManagedObject::read(Kind::TrafficSplit, &split, &Defaults::default());
        let object = ObjectRef::new(Kind::TrafficSplit, key(name));
        index.enter_object(object, managed, Arrival::Watched);
    }
    index
}

/// Which of the two backends are declared down.
fn down(index: &Index, now: Now) -> [bool; 2] {
    let object = ObjectRef::new(Kind::TrafficSplit, key("one"));
    let intent = &index.object(&object).unwrap().readable()[0].intent;
    let health = index.health("ns", intent, now);
    [0, 1].map(|i: usize| matches!(health[i], Health::DeclaredDown(_)))
}

fn west(until: &str) -> (Box<str>, DeclaredCluster) {
    let secret = ObjectKey::new("linkerd-multicluster", "cluster-credentials-west");
    ("west".into(), DeclaredCluster { facts: facts(until), secret, uid: "u".into() })
}

#[test]
fn every_object_that_names_a_declared_service_is_concerned_at_once() {
    let mut index = index();
    let revision = index.declared_revision;
    let until = json!({"annotations": {"failover.linkerd.io/down-until": "1970-01-01T00:01:00Z"}});
    assert_eq!(set_service(&mut index, "web", until.clone()).len(), 2);
    assert_eq!((down(&index, at(59)), down(&index, at(60))), ([true, false], [false; 2]));
    assert!(index.declared_revision > revision);
    assert!(set_service(&mut index, "web", until).is_empty(), "nothing has changed");
    assert_eq!(set_service(&mut index, "web", json!({})).len(), 2);
    assert_eq!(down(&index, at(0)), [false; 2]);
}

#[test]
fn what_cannot_be_read_declares_nothing() {
    let mut index = index();
    let soon = json!({"annotations": {"failover.linkerd.io/down-until": "soon"}});
    set_service(&mut index, "web", soon);
    assert_eq!(down(&index, at(0)), [false; 2]);
    let (service, facts) = index.services_declaring().next().unwrap();
    assert_eq!((service, facts.problems.len()), (&key("web"), 1));
}

#[test]
fn the_secret_of_a_cluster_declares_all_its_services_and_no_other() {
    let mut index = index();
    assert_eq!(index.set_clusters_down([west("1970-01-01T00:01:00Z")]).len(), 2);
    assert_eq!(down(&index, at(0)), [false, true]);
    assert!(index.set_clusters_down([west("1970-01-01T00:01:00Z")]).is_empty());
    assert_eq!(index.set_clusters_down([]).len(), 2);
    assert_eq!(down(&index, at(0)), [false; 2]);
}

#[test]
fn nothing_is_decided_before_it_is_known_which_clusters_are_declared_down() {
    let mut index = index();
    for resource in WatchedResource::all().filter(|one| *one != WatchedResource::Credentials) {
        index.synced.set(resource, true);
        index.synced.set_tried(resource);
    }
    assert!(!index.synced.all());
    assert_eq!(index.set_credentials_tried().len(), 2, "they are decided now");
    assert!(index.synced.all());
    assert!(index.set_credentials_tried().is_empty());
}

#[test]
fn a_federated_service_is_down_with_the_clusters_of_all_its_members() {
    let mut index = index();
    let members = |remote: &str, local: Option<&str>| {
        let remote = ("multicluster.linkerd.io/remote-discovery", Some(remote));
        let local = ("multicluster.linkerd.io/local-discovery", local);
        let annotations: BTreeMap<_, _> =
            [remote, local].into_iter().filter_map(|(name, of)| Some((name, of?))).collect();
        json!({"annotations": annotations})
    };
    index.set_clusters_down([west("1970-01-01T00:01:00Z")]);
    for (metadata, expected) in [
        (members("web@west", None), true),
        (members("web@west,web@north", None), false),
        (members("web@west", Some("web")), false),
    ] {
        set_service(&mut index, "web", metadata);
        assert_eq!(down(&index, at(0))[0], expected);
    }
}

#[test]
fn of_a_service_and_its_cluster_the_longer_declaration_counts() {
    let mut index = index();
    index.set_clusters_down([west("1970-01-01T00:01:00Z")]);
    let mirror = json!({
        "labels": {"mirror.linkerd.io/cluster-name": "west"},
        "annotations": {"failover.linkerd.io/down-until": "1970-01-01T00:02:00Z"},
    });
    set_service(&mut index, "web-west", mirror);
    assert_eq!(down(&index, at(90)), [false, true]);
}

#[test]
fn a_reason_is_shortened_and_kept_on_one_line() {
    let until = at(60).wall;
    let reason = Some(format!("a\nb{}", "x".repeat(1_000)));
    let declared = DeclaredDown { until, reason, by: crate::kinds::declared_down::DownBy::Hand };
    let annotations = declared.to_annotations().into_iter();
    let annotations = annotations.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let facts = DownFacts::read(&annotations.collect()).unwrap();
    let why = facts.holding(at(0).wall).unwrap().why;
    assert!(why.starts_with("by hand: a bx") && why.len() < 300, "{why}");
}

#[test]
fn so_is_the_name_of_who_declares_it() {
    let by =
        json!({"v": 1, "person": format!("jane\n{}", "x".repeat(60_000)), "since": at(0).wall});
    let until = json!({"annotations": {
        "failover.linkerd.io/down-until": "1970-01-01T00:01:00Z",
        "failover.linkerd.io/down-by": by.to_string(),
    }});
    let mut index = index();
    set_service(&mut index, "web", until);
    let (_, facts) = index.services_declaring().next().unwrap();
    let why = facts.holding(at(0).wall).unwrap().why;
    assert!(why.starts_with("by jane x") && why.len() < 300, "{why}");
}

#[test]
fn what_a_person_declares_is_a_persons_also_where_an_alert_declares_it_for_longer() {
    let mut index = index();
    index.set_clusters_down([west("1970-01-01T00:01:00Z")]);
    let alert = json!({"fingerprint": "f", "since": at(0).wall, "until": at(120).wall});
    let mirror = json!({
        "labels": {"mirror.linkerd.io/cluster-name": "west"},
        "annotations": {
            "failover.linkerd.io/down-until": "1970-01-01T00:02:00Z",
            "failover.linkerd.io/down-by": json!({"v": 1, "alerts": [alert]}).to_string(),
        },
    });
    set_service(&mut index, "web-west", mirror);
    let by_person = |second| {
        let service = index.service(&key("web-west")).unwrap();
        index.declared_down(service, at(second).wall).map(|declared| declared.by_person)
    };
    assert_eq!([59, 60, 120].map(by_person), [Some(true), Some(false), None]);
}
