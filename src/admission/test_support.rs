//! A cluster of facts for the tests of admission.

use crate::admission::mutate::{self, Mutation};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::admission::validate::{self, Validation};
use crate::admission::view::FactSource;
use crate::admission::view::{LiveLookups, Lookup, Rules, SeenServices, View};
use crate::engine::{Defaults, Identity, Now};
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds::linkerd::failfast::{Failfast, FailfastTimeout};
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const NAMESPACE: &str = "emojivoto";
pub(crate) const LABEL: &str = "failover.linkerd.io/controlled-by";

#[derive(Debug)]
pub(crate) struct World {
    pub index: Index,
    pub looked_up: LiveLookups,
    pub rules: Rules,
    selector: LabelSelector,
    pub defaults: Defaults,
    me: Identity,
    pub kind: Kind,
    /// The field manager of the request.
    pub manager: Option<&'static str>,
    pub dry_run: bool,
    pub takes_text: bool,
    pub now: Now,
    version: u64,
    /// Whether a look at the index is being taken.
    looking: Cell<bool>,
}

impl World {
    /// Services with so many ready endpoints; every other name is known to be missing.
    pub(crate) fn with(services: &[(&str, usize)]) -> Self {
        let mut world = Self {
            index: Index::default(),
            looked_up: LiveLookups::new(),
            rules: Rules::default(),
            selector: "failover.linkerd.io/controlled-by=linkerd-failover".parse().unwrap(),
            defaults: Defaults::default(),
            me: Identity::new("replica-a"),
            kind: Kind::TrafficSplit,
            manager: None,
            dry_run: false,
            takes_text: false,
            now: Now::at(Timestamp::from_second(1_000_000).unwrap()),
            version: 0,
            looking: Cell::default(),
        };
        world.index.synced = crate::index::synced::Synced::ALL;
        let short = FailfastTimeout { timeout: Duration::from_millis(200), set_in: None };
        world.index.failfast = Failfast::Known(short);
        for (name, ready) in services {
            world.set_ready(name, *ready);
        }
        world
    }

    pub(crate) fn set_ready(&mut self, name: &str, ready: usize) {
        self.service(name, json!({"spec": {"ports": [{"name": "grpc", "port": 8080}]}}));
        let net: u8 = name.bytes().fold(0, |net, byte| net.wrapping_mul(31).wrapping_add(byte));
        let endpoints: Vec<_> =
            (0..ready).map(|i| json!({"addresses": [format!("10.0.{net}.{i}")]})).collect();
        self.slice(name, json!(endpoints));
    }

    /// A Service as it stands in the cluster.
    pub(crate) fn service(&mut self, name: &str, service: Value) {
        let service = ServiceFacts::read(&serde_json::from_value(service).unwrap());
        self.index.set_service(ObjectKey::new(NAMESPACE, name), service);
    }

    /// The endpoints of a Service.
    pub(crate) fn slice(&mut self, name: &str, endpoints: Value) {
        let key = ObjectKey::new(NAMESPACE, name);
        let slice = json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints,
            "ports": [{"name": "grpc"}]});
        let facts =
            SliceFacts::read(&serde_json::from_value(slice).unwrap(), AddressFamilies::default());
        self.version += 1;
        self.index.set_slice(SliceUpdate {
            slice: key.clone(),
            version: self.version,
            service: Some(key),
            facts,
        });
    }

    /// A managed object that stands in the cluster.
    pub(crate) fn manage(&mut self, name: &str, object: &DynamicObject) {
        let managed = ManagedObject::read(self.kind, object, &self.defaults);
        let object = ObjectRef::new(self.kind, ObjectKey::new(NAMESPACE, name));
        self.index.set_object(object, managed);
    }

    pub(crate) fn missing(mut self, names: &[&str]) -> Self {
        for name in names {
            self.looked_up.insert((*name).to_owned(), Lookup::Missing);
        }
        self
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            facts: FactSource::Own(&self.index, &self.looking),
            looked_up: &self.looked_up,
            selector: &self.selector,
            kind: self.kind,
            takes_text: self.takes_text,
            namespace: NAMESPACE,
            rules: &self.rules,
            defaults: self.defaults,
            manager: self.manager,
            dry_run: self.dry_run,
            me: &self.me,
            now: self.now,
            services: SeenServices::default(),
        }
    }
}

/// A managed split with these backends and annotations, as an author sends it.
pub(crate) fn split(backends: &[(&str, Value)], annotations: &[(&str, &str)]) -> DynamicObject {
    let backends: Vec<_> =
        backends.iter().map(|(name, w)| json!({"service": name, "weight": w})).collect();
    let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
    serde_json::from_value(json!({
        "apiVersion": "split.smi-spec.io/v1alpha2",
        "kind": "TrafficSplit",
        "metadata": {
            "name": "emoji", "namespace": NAMESPACE,
            "labels": {LABEL: "linkerd-failover"},
            "annotations": annotations,
        },
        "spec": {"service": "emoji-svc", "backends": backends},
    }))
    .unwrap()
}

/// The object as the API server stores it.
pub(crate) fn stored(mut object: DynamicObject) -> DynamicObject {
    object.metadata.uid = Some("uid".into());
    object.metadata.resource_version = Some("42".into());
    object
}

/// Mutates the object of a review.
pub(crate) fn mutate(
    old: Option<&DynamicObject>,
    new: &DynamicObject,
    view: &View<'_>,
) -> Mutation {
    let (old, new) = (old.map(SentObject::from), SentObject::from(new));
    let read = |object| ReviewedObject::read(view.kind, object);
    mutate::mutate(old.as_ref().map(read).as_ref(), &read(&new), view)
}

/// Validates the object of a review.
pub(crate) fn validate(
    old: Option<&DynamicObject>,
    new: &DynamicObject,
    view: &View<'_>,
) -> Validation {
    let (old, new) = (old.map(SentObject::from), SentObject::from(new));
    let read = |object| ReviewedObject::read(view.kind, object);
    validate::validate(old.as_ref().map(read).as_ref(), &read(&new), view)
}
