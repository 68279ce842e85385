use super::*;
use crate::engine::Defaults;
use serde_json::json;

fn split(version: usize, backends: &[&str]) -> ManagedObject {
    let backends: Vec<_> =
        backends.iter().map(|name| json!({"service": name, "weight": 1})).collect();
    let split = json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "emoji", "namespace": "ns", "uid": "u",
            "resourceVersion": version.to_string()},
        "spec": {"service": backends[0]["service"], "backends": backends}});
    ManagedObject::read(
        Kind::TrafficSplit,
        &serde_json::from_value(split).unwrap(),
        &Defaults::default(),
    )
}

fn emoji() -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", "emoji"))
}

#[test]
fn nothing_is_kept_of_services_that_no_object_names() {
    let mut index = Index::default();
    for version in 1..=1_000 {
        let fallback = format!("fallback-{version}");
        index.set_object(emoji(), split(version, &["emoji-svc", &fallback]));
    }
    assert_eq!((index.named_by.len(), index.past.len()), (2, 2));
    index.remove_object(&emoji());
    assert_eq!((index.named_by.len(), index.past.len()), (0, 0));
}

#[test]
fn a_service_that_is_still_named_keeps_its_history() {
    let mut index = Index::default();
    index.set_object(emoji(), split(1, &["emoji-svc", "west"]));
    index.past.get_mut(&ObjectKey::new("ns", "emoji-svc")).unwrap().endpoints = [7].into();
    index.set_object(emoji(), split(2, &["emoji-svc", "north"]));
    assert_eq!(index.endpoints_of(&ObjectKey::new("ns", "emoji-svc")), [7]);
}

#[test]
fn the_answer_of_our_own_write_does_not_bring_an_object_back_that_the_watch_has_deleted() {
    let mut index = Index::default();
    index.set_object(emoji(), split(10, &["emoji-svc", "west"]));
    let ticket = index.ticket(&emoji());
    assert!(index.order_of(Kind::TrafficSplit).delete(&emoji().key, 12));
    index.remove_object(&emoji());
    let answer = split(11, &["emoji-svc", "west"]);
    assert_eq!(index.enter_object(emoji(), answer, Arrival::Answered(&ticket)), []);
    assert!(index.object(&emoji()).is_none());
    assert!(index.objects_naming(&ObjectKey::new("ns", "emoji-svc")).next().is_none());
}
