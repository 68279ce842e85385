use super::*;
use crate::engine::Defaults;
use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Order};
use crate::index::resource::WatchedResource;
use crate::index::store::Index;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::telemetry::LastReceived;
use futures::Stream;
use kube::ResourceExt;
use kube::core::{DynamicObject, Status};
use serde_json::json;

/// TrafficSplits, from no API server.
struct Splits;

impl Source for Splits {
    type Object = DynamicObject;

    fn resource(&self) -> WatchedResource {
        WatchedResource::Objects(Kind::TrafficSplit)
    }
    fn apply(
        &self,
        index: &mut Index,
        object: &DynamicObject,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let managed = ManagedObject::read(Kind::TrafficSplit, object, &Defaults::default());
        index.enter_object(reference(&object.name_any()), managed, arrival)
    }
    fn order<'a>(&self, index: &'a mut Index) -> Option<&'a mut Order> {
        Some(index.order_of(Kind::TrafficSplit))
    }
    fn remove(&self, index: &mut Index, key: &ObjectKey) -> Vec<ObjectRef> {
        index.remove_object(&ObjectRef::new(Kind::TrafficSplit, key.clone()))
    }
    fn keys(&self, index: &Index) -> Vec<ObjectKey> {
        index.objects().map(|(object, _)| object.key.clone()).collect()
    }
    fn open(
        &self,
        _: LastReceived,
    ) -> impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send {
        futures::stream::empty()
    }
}

fn reference(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
}

fn split(name: &str, version: u64) -> DynamicObject {
    let split = json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": name, "namespace": "ns", "uid": name,
            "resourceVersion": version.to_string()},
        "spec": {"service": "web", "backends": [{"service": "web", "weight": version}]}});
    serde_json::from_value(split).unwrap()
}

fn reflector(shared: &SharedIndex) -> Reflector<Splits> {
    Reflector { source: Splits, scope: WatchScope::everything(), index: shared.clone() }
}

/// A LIST of these begins a watch.
fn lists(shared: &SharedIndex, splits: &[(&str, u64)]) {
    let (reflector, mut listed) = (reflector(shared), HashSet::new());
    let items = splits.iter().map(|(name, version)| Event::InitApply(split(name, *version)));
    for event in [Event::Init].into_iter().chain(items).chain([Event::InitDone]) {
        reflector.handle(&mut listed, event);
    }
}

fn weight(shared: &SharedIndex, name: &str) -> u32 {
    let index = shared.read();
    index.object(&reference(name)).unwrap().readable()[0].intent.backends[0].live
}

#[test]
fn what_went_while_a_watch_was_broken_is_reported_by_the_next_list() {
    let (shared, mut changes) = SharedIndex::new();
    lists(&shared, &[("a", 1), ("b", 2)]);
    while changes.try_recv().is_ok() {}
    lists(&shared, &[("a", 1)]);
    let mut reported = vec![];
    while let Ok(mut change) = changes.try_recv() {
        reported.append(&mut change.objects);
    }
    assert!(reported.contains(&reference("b")), "{reported:?}");
    assert!(reported.contains(&reference("a")), "{reported:?}");
}

#[test]
fn a_change_of_what_is_synced_is_reported_at_once_though_no_object_changed() {
    let (shared, mut changes) = SharedIndex::new();
    for is_complete in [true, false] {
        shared.update(|index| {
            index.synced.set(WatchedResource::EndpointSlices, is_complete);
            vec![]
        });
        assert_eq!(changes.try_recv().map(|change| change.objects).ok(), Some(vec![]));
        assert!(changes.try_recv().is_err());
    }
}

#[test]
fn a_list_with_lower_versions_replaces_what_was_known_also_where_a_version_recurs() {
    let (shared, _changes) = SharedIndex::new();
    lists(&shared, &[("a", 1_000)]);
    lists(&shared, &[("a", 800)]);
    assert_eq!(weight(&shared, "a"), 800);
    reflector(&shared).handle(&mut HashSet::new(), Event::Apply(split("a", 801)));
    assert_eq!(weight(&shared, "a"), 801);
}

#[test]
fn only_a_status_of_kubernetes_is_forbidden_and_no_answer_means_that_there_is_no_such_kind() {
    let ended = |code, reason: &str| {
        let status = Status::failure("x", reason).with_code(code).boxed();
        Ended::from(watcher::Error::InitialListFailed(kube::Error::Api(status)))
    };
    assert!(matches!(ended(403, "Forbidden"), Ended::Forbidden));
    // A page of HTML, as kube reads it.
    let html = "Failed to parse error data";
    for (code, reason) in [(403, html), (404, html), (404, "NotFound"), (503, html), (500, "")] {
        assert!(matches!(ended(code, reason), Ended::Failed(_)), "{code} {reason}");
    }
}

#[test]
fn a_kind_that_an_api_server_does_not_serve_yet_is_not_gone_and_one_that_stays_away_is() {
    let (shared, _changes) = SharedIndex::new();
    let mut informer =
        Informer::new(Splits, WatchScope::everything(), shared.clone(), WatchMetrics::default());
    let is_synced = || shared.read().synced.has(Splits.resource());
    // It has never been served, and counts as synced.
    informer.end(Ended::NoSuchKind);
    assert!(is_synced());

    lists(&shared, &[("a", 1)]);
    (informer.was_served, informer.missing_since) = (true, None);
    informer.end(Ended::NoSuchKind);
    assert!(!is_synced(), "nothing is written from what may be old");
    assert_eq!(weight(&shared, "a"), 1);

    informer.missing_since = Instant::now().checked_sub(GONE_AFTER);
    informer.end(Ended::NoSuchKind);
    assert!(is_synced());
    assert!(shared.read().object(&reference("a")).is_none());
}
