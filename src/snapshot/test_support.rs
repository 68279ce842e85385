//! A snapshot of manifests, without a cluster: they enter the index as a LIST of them would.

use crate::admission::view::Rules;
use crate::engine::{Defaults, Now};
use crate::index::cluster_settings::ClusterSettings;
use crate::index::endpoints::AddressFamilies;
use crate::index::managed_object::ManagedObject;
use crate::index::namespace_facts::NamespaceProtection;
use crate::index::order::Arrival;
use crate::index::profile_facts::ProfileFacts;
use crate::index::resource::WatchedResource;
use crate::index::service_facts::ServiceFacts;
use crate::index::store::Index;
use crate::informers::endpoint_slices;
use crate::informers::sources::WatchSettings;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::runtime::options::Installation;
use crate::snapshot::{Area, Parts, Settings, Snapshot};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

/// The namespace of what names none, and that of the program.
pub(crate) const NAMESPACE: &str = "emojivoto";
pub(crate) const OWN_NAMESPACE: &str = "linkerd-failover";

/// The time of every snapshot here.
pub(crate) const NOW: &str = "2026-11-26T03:00:00Z";

/// A snapshot of these manifests, complete, of all namespaces.
pub(crate) fn snapshot(manifests: &[Value]) -> Snapshot {
    let mut snapshot = Snapshot {
        index: Index::default(),
        objects: Default::default(),
        area: Area::All,
        now: Now::at(NOW.parse().unwrap()),
        gaps: vec![],
        braked_since: None,
        is_led: Some(true),
    };
    snapshot.index.now = snapshot.now;
    for resource in WatchedResource::all() {
        snapshot.index.synced.set(resource, true);
        snapshot.index.synced.set_tried(resource);
    }
    for kind in Kind::ALL {
        snapshot.index.set_served(kind, Some(kind.versions()[0]));
    }
    snapshot.index.namespaces_listed(None);
    for manifest in manifests {
        enter(&mut snapshot, manifest);
    }
    snapshot
}

/// Enters a manifest.
fn enter(snapshot: &mut Snapshot, manifest: &Value) {
    let mut manifest = manifest.clone();
    let kind = manifest["kind"].as_str().unwrap_or_default().to_owned();
    let metadata = &mut manifest["metadata"];
    if metadata["namespace"].is_null() && kind != "Namespace" {
        metadata["namespace"] = json!(NAMESPACE);
    }
    if metadata["resourceVersion"].is_null() {
        metadata["resourceVersion"] = json!("1");
    }
    let index = &mut snapshot.index;
    match kind.as_str() {
        "Service" => {
            let service = read(&manifest);
            let facts = ServiceFacts::read(&service);
            index.enter_service(ObjectKey::of(&service), 1, facts, Arrival::Listed);
        }
        "EndpointSlice" => {
            let update = endpoint_slices::read(&read(&manifest), AddressFamilies::default());
            index.enter_slice(update, Arrival::Listed);
        }
        "Namespace" => {
            let namespace: k8s_openapi::api::core::v1::Namespace = read(&manifest);
            index.set_namespace(&namespace.name_any(), NamespaceProtection::read(&namespace));
            if namespace.name_any() == OWN_NAMESPACE {
                index.set_cluster_wide(ClusterSettings::read(&namespace, snapshot.now.wall));
            }
        }
        "ServiceProfile" => {
            let profile: DynamicObject = read(&manifest);
            let facts = ProfileFacts::read(&profile);
            index.enter_profile(ObjectKey::of(&profile), facts, Arrival::Listed);
        }
        _ => {
            let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
            let kind = kind.unwrap_or_else(|| panic!("{manifest}"));
            let object: DynamicObject = read(&manifest);
            let object_ref = ObjectRef::new(kind, ObjectKey::of(&object));
            let managed = ManagedObject::read(kind, &object, &Defaults::default());
            index.enter_object(object_ref.clone(), managed, Arrival::Listed);
            snapshot.objects.insert(object_ref, object);
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(manifest: &Value) -> T {
    serde_json::from_value(manifest.clone()).unwrap_or_else(|error| panic!("{error}: {manifest}"))
}

/// A Service with port 80, and its slice with so many endpoints, the first of them ready.
pub(crate) fn service(name: &str, ready: usize, total: usize) -> [Value; 2] {
    let address = |i| if i < ready { format!("10.0.0.{i}") } else { format!("10.1.0.{i}") };
    let endpoints: Vec<Value> = (0..total)
        .map(|i| {
            json!({"addresses": [format!("{name}-{}", address(i))],
            "conditions": {"ready": i < ready}})
        })
        .collect();
    [
        json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}),
        json!({"kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"port": 80}],
            "endpoints": endpoints, "metadata": {"name": format!("{name}-1"),
            "labels": {"kubernetes.io/service-name": name}}}),
    ]
}

/// The split `emoji` of these backends with their weights, whose apex is the first, with these annotations
/// (without their prefix).
pub(crate) fn split(backends: &[(&str, u32)], annotations: &[(&str, &str)]) -> Value {
    let annotation =
        |(name, value): &(&str, &str)| (format!("failover.linkerd.io/{name}"), json!(value));
    let annotations: serde_json::Map<String, Value> = annotations.iter().map(annotation).collect();
    let backend = |(name, weight): &(&str, u32)| json!({"service": name, "weight": weight});
    json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "emoji", "uid": "u", "annotations": annotations,
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}},
        "spec": {"service": backends[0].0,
            "backends": backends.iter().map(backend).collect::<Vec<_>>()}})
}

/// The state of a split: these backends have the traffic since so many seconds, with more fields.
pub(crate) fn state(active: &[&str], seconds: i64, more: Value) -> String {
    let since = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(seconds);
    let mut set = json!({"active": active, "since": since, "why": "recorded"});
    for (name, value) in more.as_object().into_iter().flatten() {
        set[name] = value.clone();
    }
    json!({"v": 1, "sets": {"": set}, "by": "replica-a", "engine": "0.2.0"}).to_string()
}

/// The settings of an installation as the chart's defaults are.
pub(crate) fn settings() -> Settings {
    Settings {
        installation: Installation {
            name: "linkerd-failover".into(),
            namespace: OWN_NAMESPACE.into(),
        },
        watch: WatchSettings {
            selector: "failover.linkerd.io/controlled-by=linkerd-failover".parse().unwrap(),
            families: AddressFamilies::default(),
            defaults: Defaults::default(),
            namespace: OWN_NAMESPACE.into(),
            namespaces: vec![],
            warns: true,
            writes_profiles: true,
        },
        links: None,
        rules: Some(Rules::default()),
        own_certificates: true,
        profiles_of: Some("cluster.local".into()),
        linkerd_namespace: "linkerd".into(),
        uses_lease: true,
        parts: Parts::default(),
    }
}
