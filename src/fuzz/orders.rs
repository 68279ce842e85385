//! Services and slices that arrive in two orders: one index, one decision.

use crate::engine::Identity;
use crate::engine::{Defaults, Health};
use crate::fuzz::input::Source;
use crate::fuzz::input::documents::{NAMESPACE, SERVICES};
use crate::fuzz::world::{now, typed};
use crate::index::endpoints::AddressFamilies;
use crate::index::managed_object::ManagedObject;
use crate::index::order::Arrival;
use crate::index::service_facts::ServiceFacts;
use crate::index::store::Index;
use crate::index::synced::Synced;
use crate::informers::endpoint_slices;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::reconciler::context::subject;
use crate::reconciler::plan::{Moves, plan};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What arrives: a version of a Service or of a slice.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Service { name: &'static str, version: u64, manifest: Value },
    Slice { name: &'static str, version: u64, manifest: Value },
}

const SLICES: [&str; 5] = ["s0", "s1", "s2", "s3", "s4"];
const PORTS: [&str; 3] = ["http", "admin", ""];

/// Makes a cluster of an input, and lets it arrive twice.
pub(super) fn run(input: &[u8]) {
    let mut source = Source::new(input);
    let events = events(&mut source);
    let object = split(&mut source);
    let mut other = events.clone();
    for i in (1..other.len()).rev() {
        other.swap(i, source.below(i + 1));
    }
    // What is there already, and what is older, comes once more.
    let mut late = vec![];
    for _ in 0..source.below(4) {
        let Some(again) = events.get(source.below(events.len().max(1))) else { break };
        let older = source.one_in(2);
        late.push(if older { older_than(again, &mut source) } else { again.clone() });
    }
    let mut gone = slice(&mut source);
    // Of another Service: what a Service has had counts, too.
    gone["metadata"]["labels"]["kubernetes.io/service-name"] = json!("elsewhere");
    let (listed, watched) = other.split_at(source.below(other.len() + 1));
    let one = Arrived::listed(&events, &object);
    same(&one, &Arrived::watched(listed, watched, &gone, &late, &object));
    counted(&one, &events);
}

/// What is known and decided once everything has arrived.
#[derive(Debug, PartialEq)]
pub(super) struct Arrived {
    services: BTreeMap<String, String>,
    slices: Vec<(ObjectKey, String)>,
    pub(super) health: BTreeMap<&'static str, Health>,
    decided: String,
}

pub(super) fn same(one: &Arrived, other: &Arrived) {
    assert_eq!(one, other, "the same cluster in two orders");
}

impl Arrived {
    /// Everything comes with the LIST.
    pub(super) fn listed(events: &[Event], object: &Value) -> Self {
        let (index, key) = listed(events, object);
        Self::read(&index, &key)
    }

    /// Something comes with the LIST, the rest by the watch. Meanwhile a slice is made and deleted; and then
    /// late answers arrive, and events once more.
    pub(super) fn watched(
        listed: &[Event],
        watched: &[Event],
        gone: &Value,
        late: &[Event],
        object: &Value,
    ) -> Self {
        let (mut index, key) = self::listed(listed, object);
        let (name, apex) = ("gone", ObjectKey::new(NAMESPACE, "web"));
        let (service_ticket, slice_ticket) = index.service_tickets(&apex);
        let gone = Event::Slice { name, version: 30, manifest: gone.clone() };
        enter(&mut index, &gone, Arrival::Watched);
        for event in watched {
            enter(&mut index, event, Arrival::Watched);
        }
        let deleted = ObjectKey::new(NAMESPACE, name);
        assert!(index.slices.order.delete(&deleted, 31), "a slice that cannot be deleted");
        index.remove_slice(&deleted);
        for (i, event) in late.iter().chain([&gone]).enumerate() {
            let ticket = match event {
                Event::Service { .. } => &service_ticket,
                Event::Slice { .. } => &slice_ticket,
            };
            let by_watch = i % 2 == 0 && i < late.len();
            let arrival = if by_watch { Arrival::Watched } else { Arrival::Answered(ticket) };
            enter(&mut index, event, arrival);
        }
        Self::read(&index, &key)
    }

    fn read(index: &Index, key: &ObjectRef) -> Self {
        let plan = plan(&subject(index, key, now()), None, &Identity::new("a"), Moves::All);
        let health = index.object(key).map(|managed| {
            let sets = managed.readable().iter();
            let each = sets.flat_map(|set| {
                let names = set.intent.backends.iter().map(|b| b.name.clone());
                names.zip(index.health(NAMESPACE, &set.intent, now())).collect::<Vec<_>>()
            });
            let known = |name: &str| SERVICES.into_iter().find(|known| *known == name);
            each.filter_map(|(name, health)| Some((known(&name)?, health))).collect()
        });
        let mut slices: Vec<_> = index.slice_keys();
        slices.sort();
        Self {
            services: index
                .services
                .iter()
                .map(|(key, facts)| (key.to_string(), format!("{facts:?}")))
                .collect(),
            slices: slices
                .into_iter()
                .map(|key| (key.clone(), format!("{:?}", index.slices.get(&key))))
                .collect(),
            health: health.unwrap_or_default(),
            decided: format!(
                "{:?}",
                plan.map(|plan| (plan.write.map(|write| write.patch), plan.wanted))
            ),
        }
    }
}

/// An index with the object, and with what the LISTs have shown.
fn listed(events: &[Event], object: &Value) -> (Index, ObjectRef) {
    let mut index = Index::default();
    (index.synced, index.now) = (Synced::ALL, now());
    index.namespaces_listed(None);
    index.set_served(Kind::TrafficSplit, Some("v1alpha2"));
    let key = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new(NAMESPACE, "split"));
    let managed =
        ManagedObject::read(Kind::TrafficSplit, &typed(object.clone()), &Defaults::default());
    index.enter_object(key.clone(), managed, Arrival::Listed);
    for order in [&mut index.service_order, &mut index.slices.order] {
        order.begin(None);
    }
    for event in events {
        enter(&mut index, event, Arrival::Listed);
    }
    for order in [&mut index.service_order, &mut index.slices.order] {
        order.complete(None);
    }
    (index, key)
}

fn enter(index: &mut Index, event: &Event, arrival: Arrival<'_>) {
    match event {
        Event::Service { name, version, manifest } => {
            let facts = ServiceFacts::read(&typed(manifest.clone()));
            index.enter_service(ObjectKey::new(NAMESPACE, *name), *version, facts, arrival);
        }
        Event::Slice { name, version, manifest } => {
            let mut manifest = manifest.clone();
            manifest["metadata"]["name"] = json!(name);
            manifest["metadata"]["namespace"] = json!(NAMESPACE);
            manifest["metadata"]["resourceVersion"] = json!(version.to_string());
            let update = endpoint_slices::read(&typed(manifest), AddressFamilies::default());
            index.enter_slice(update, arrival);
        }
    }
}

/// A version before this one, with other content.
fn older_than(event: &Event, source: &mut Source<'_>) -> Event {
    match event {
        Event::Service { name, version, .. } => {
            Event::Service { name, version: version - 1, manifest: service(source) }
        }
        Event::Slice { name, version, .. } => {
            Event::Slice { name, version: version - 1, manifest: slice(source) }
        }
    }
}

fn events(source: &mut Source<'_>) -> Vec<Event> {
    let mut events = vec![];
    for (i, name) in SERVICES.into_iter().enumerate() {
        if !source.one_in(8) {
            events.push(Event::Service { name, version: 10 + i as u64, manifest: service(source) });
        }
    }
    for name in SLICES.into_iter().take(source.below(SLICES.len() + 1)) {
        events.push(Event::Slice { name, version: 20, manifest: slice(source) });
    }
    events
}

fn service(source: &mut Source<'_>) -> Value {
    let ports: Vec<Value> = (0..source.below(3))
        .map(|i| json!({"name": PORTS[i], "port": if source.one_in(4) { 80 } else { 8080 + i }}))
        .collect();
    let mut service = json!({"metadata": {}, "spec": {"ports": ports}});
    match source.below(12) {
        0 => service["spec"]["type"] = json!("ExternalName"),
        1 => service["spec"]["clusterIP"] = json!("None"),
        2 => {
            service["metadata"]["labels"] = json!({"mirror.linkerd.io/mirrored-service": "true",
                "mirror.linkerd.io/cluster-name": "west"});
        }
        3 => {
            let until = source.pick(&["2999-01-31T14:30:00Z", "1970-01-01T00:00:00Z", "soon"]);
            service["metadata"]["annotations"] = json!({"failover.linkerd.io/down-until": until});
        }
        _ => {}
    }
    service
}

fn slice(source: &mut Source<'_>) -> Value {
    let endpoints: Vec<Value> = (0..source.below(4)).map(|_| endpoint(source)).collect();
    let ports: Vec<Value> =
        (0..source.below(3)).map(|i| json!({"name": PORTS[i], "port": 1})).collect();
    let service = source.pick(&SERVICES);
    let family = source.pick(&["IPv4", "IPv4", "IPv4", "IPv6", "FQDN"]);
    json!({"addressType": family, "endpoints": endpoints, "ports": ports,
        "metadata": {"labels": {"kubernetes.io/service-name": service}}})
}

fn endpoint(source: &mut Source<'_>) -> Value {
    let mut endpoint = json!({"addresses": [format!("10.0.0.{}", source.below(4))]});
    match source.below(4) {
        0 => endpoint["conditions"] = json!({"ready": source.one_in(2)}),
        1 => {
            endpoint["conditions"] =
                json!({"ready": false, "serving": true, "terminating": source.one_in(2)});
        }
        2 => endpoint["conditions"] = json!({"ready": true}),
        _ => {}
    }
    if source.one_in(2) {
        let kind = source.pick(&["Pod", "Pod", "ExternalWorkload", "Node"]);
        let name = format!("p{}", source.below(3));
        endpoint["targetRef"] = json!({"kind": kind, "namespace": NAMESPACE, "name": name,
            "uid": format!("0189abcd-ef01-4abc-8def-0123456789a{}", source.below(3))});
    }
    endpoint
}

fn split(source: &mut Source<'_>) -> Value {
    let backends: Vec<Value> = SERVICES
        .iter()
        .enumerate()
        .map(|(i, name)| json!({"service": name, "weight": u8::from(i == source.below(2))}))
        .collect();
    let needs = source.pick(&["1", "50%", "2"]);
    json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "split", "namespace": NAMESPACE, "uid": "u", "resourceVersion": "1",
            "annotations": {"failover.linkerd.io/min-ready": needs}},
        "spec": {"service": "web", "backends": backends}})
}

/// The health of each Service by counting its ready endpoints as the documentation says, where there is one
/// port that everything has.
pub(super) fn counted(arrived: &Arrived, events: &[Event]) {
    for (name, health) in &arrived.health {
        let Some(ready) = naive_ready(name, events) else { continue };
        assert_eq!(health.is_ready(), ready, "{name} is {health:?}: {events:?}");
    }
}

/// Whether a Service has a ready endpoint that Linkerd sends to; none where that takes more than counting.
fn naive_ready(name: &str, events: &[Event]) -> Option<bool> {
    let port_of = |service: &str| {
        let of = events.iter().find_map(|event| match event {
            Event::Service { name, manifest, .. } if *name == service => Some(manifest),
            _ => None,
        })?;
        let is_plain = of["metadata"] == json!({}) && of["spec"].get("type").is_none();
        let ports = of["spec"]["ports"].as_array()?;
        let [port] = ports.as_slice() else { return None };
        is_plain.then(|| port.clone())
    };
    // Callers ask a backend for the apex's port.
    let port = port_of(name).filter(|port| Some(port) == port_of("web").as_ref())?;
    let ready = events.iter().any(|event| {
        let Event::Slice { manifest, .. } = event else { return false };
        let of = manifest["metadata"]["labels"]["kubernetes.io/service-name"] == name;
        let ports = manifest["ports"].as_array().into_iter().flatten();
        let offers = ports.clone().any(|offered| offered["name"] == port["name"]);
        let sent_to = |endpoint: &Value| {
            let kind = endpoint.pointer("/targetRef/kind").and_then(Value::as_str);
            let family = manifest["addressType"].as_str();
            let usable = match family {
                Some("IPv4") => true,
                // Those of pods are ignored where IPv6 is off.
                Some("IPv6") => kind != Some("Pod"),
                _ => false,
            };
            usable
                && matches!(kind, None | Some("Pod" | "ExternalWorkload"))
                && endpoint.pointer("/conditions/ready") != Some(&json!(false))
        };
        of && offers && manifest["endpoints"].as_array().into_iter().flatten().any(sent_to)
    });
    Some(ready)
}
