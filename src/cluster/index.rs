//! The index: facts by object, and from a Service to the objects that name it.

use super::endpoints::{self, SliceFacts};
use super::services::{ServiceFacts, ServiceKind};
use crate::failover::{Declaration, Health, Intent, Problem, SetState};
use crate::resources::ObjectKey;
use std::collections::{BTreeSet, HashMap};

/// A managed object, as small as a decision allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Managed {
    /// What the author asked for, or everything that keeps it from being read.
    pub intent: Result<Intent, Vec<Problem>>,
    /// What was decided last.
    pub state: Option<SetState>,
    /// The version that a decision from these facts must be written to.
    pub resource_version: String,
    pub uid: String,
    /// Seconds since the epoch: of two objects on one apex the older wins.
    pub created: i64,
    pub has_annotations: bool,
    /// Whether the author's weights are recorded already, for these very backends.
    pub authored_recorded: bool,
    /// Services that the object names, read or not.
    services: BTreeSet<String>,
}

impl Managed {
    /// The facts of an object, from its declaration and its metadata.
    pub fn new(declared: &Declaration, metadata: &kube::core::ObjectMeta) -> Self {
        let intent = Intent::parse(declared);
        let authored_recorded =
            intent.as_ref().is_ok_and(|intent| declared.recorded() == Some(intent.authored()));
        let backends = declared.backends.iter().map(|b| b.name.clone());
        Self {
            intent,
            state: declared.state().and_then(|mut state| state.sets.remove("")),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map_or(0, |t| t.0.as_second()),
            has_annotations: metadata.annotations.is_some(),
            authored_recorded,
            services: backends.chain([declared.apex.clone()]).filter(|s| !s.is_empty()).collect(),
        }
    }
}

/// Which kinds of facts are whole: listed since the last interruption of their watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    pub objects: bool,
    pub services: bool,
    pub slices: bool,
}

impl Synced {
    pub fn all(self) -> bool {
        self.objects && self.services && self.slices
    }
}

/// All facts that decisions are made from.
#[derive(Debug, Default)]
pub struct Index {
    pub synced: Synced,
    objects: HashMap<ObjectKey, Managed>,
    services: HashMap<ObjectKey, ServiceFacts>,
    /// By Service, then by the slice's name.
    slices: HashMap<ObjectKey, HashMap<String, SliceFacts>>,
    /// Which Service a slice belonged to when it was seen last: its label may change.
    service_of_slice: HashMap<ObjectKey, ObjectKey>,
    /// From a Service to the objects that name it.
    named_by: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
}

impl Index {
    pub fn object(&self, key: &ObjectKey) -> Option<&Managed> {
        self.objects.get(key)
    }

    pub fn objects(&self) -> impl ExactSizeIterator<Item = (&ObjectKey, &Managed)> {
        self.objects.iter()
    }

    pub fn service(&self, key: &ObjectKey) -> Option<&ServiceFacts> {
        self.services.get(key)
    }

    /// The names of the Services of a namespace.
    pub fn services_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.services.keys().filter(move |key| key.namespace == namespace);
        keys.map(|key| key.name.as_str())
    }

    /// The objects that name a Service, as apex or as backend.
    pub fn objects_naming(&self, service: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.named_by.get(service).into_iter().flatten()
    }

    /// The health of each of an intent's backends, in its order.
    pub fn health(&self, namespace: &str, intent: &Intent) -> Vec<Health> {
        let apex = self.services.get(&ObjectKey::new(namespace, &intent.apex));
        let backends = intent.backends.iter();
        backends.map(|b| self.backend_health(&ObjectKey::new(namespace, &b.name), apex)).collect()
    }

    fn backend_health(&self, backend: &ObjectKey, apex: Option<&ServiceFacts>) -> Health {
        let Some(service) = self.services.get(backend) else { return Health::Missing };
        match &service.kind {
            ServiceKind::ExternalName => Health::ExternalName,
            ServiceKind::Elsewhere(unknown) => Health::Unknown(unknown.clone()),
            ServiceKind::Slices => {
                let ports = apex.map(|apex| service.names_of(apex)).unwrap_or_default();
                let slices = self.slices.get(backend).into_iter().flat_map(HashMap::values);
                let (ready, total) = endpoints::count(slices, &ports);
                Health::Seen { ready, total }
            }
        }
    }

    /// Puts an object in, unless a newer version of it is there. Returns what to decide anew.
    pub fn set_object(&mut self, key: ObjectKey, object: Managed) -> Vec<ObjectKey> {
        let keeps = |there: &Managed| {
            there.uid == object.uid && is_older(&object, there) || *there == object
        };
        if self.objects.get(&key).is_some_and(keeps) {
            return vec![];
        }
        self.unname(&key);
        for service in &object.services {
            self.named_by.entry(key.beside(service)).or_default().insert(key.clone());
        }
        self.objects.insert(key.clone(), object);
        vec![key]
    }

    pub fn remove_object(&mut self, key: &ObjectKey) -> Vec<ObjectKey> {
        self.unname(key);
        self.objects.remove(key).map(|_| key.clone()).into_iter().collect()
    }

    fn unname(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.get(key) else { return };
        for service in &object.services {
            let service = key.beside(service);
            if let Some(objects) = self.named_by.get_mut(&service) {
                objects.remove(key);
                if objects.is_empty() {
                    self.named_by.remove(&service);
                }
            }
        }
    }

    pub fn set_service(&mut self, key: ObjectKey, service: ServiceFacts) -> Vec<ObjectKey> {
        if self.services.get(&key) == Some(&service) {
            return vec![];
        }
        let affected = self.objects_naming(&key).cloned().collect();
        self.services.insert(key, service);
        affected
    }

    pub fn remove_service(&mut self, key: &ObjectKey) -> Vec<ObjectKey> {
        self.services.remove(key);
        self.objects_naming(key).cloned().collect()
    }

    /// Puts a slice in under the Service it belongs to now; no facts take it out.
    pub fn set_slice(
        &mut self,
        slice: ObjectKey,
        service: Option<ObjectKey>,
        facts: Option<SliceFacts>,
    ) -> Vec<ObjectKey> {
        let (Some(service), Some(facts)) = (service, facts) else {
            return self.remove_slice(&slice);
        };
        let mut affected = vec![];
        if self.service_of_slice.get(&slice).is_some_and(|before| *before != service) {
            affected = self.remove_slice(&slice);
        }
        let slices = self.slices.entry(service.clone()).or_default();
        if slices.get(&slice.name) != Some(&facts) {
            slices.insert(slice.name.clone(), facts);
            affected.extend(self.objects_naming(&service).cloned());
        }
        self.service_of_slice.insert(slice, service);
        affected
    }

    pub fn remove_slice(&mut self, slice: &ObjectKey) -> Vec<ObjectKey> {
        let Some(service) = self.service_of_slice.remove(slice) else { return vec![] };
        if let Some(slices) = self.slices.get_mut(&service) {
            slices.remove(&slice.name);
            if slices.is_empty() {
                self.slices.remove(&service);
            }
        }
        self.objects_naming(&service).cloned().collect()
    }

    /// The keys of everything of a kind, to tell after a LIST what has gone.
    pub fn object_keys(&self) -> Vec<ObjectKey> {
        self.objects.keys().cloned().collect()
    }

    pub fn service_keys(&self) -> Vec<ObjectKey> {
        self.services.keys().cloned().collect()
    }

    pub fn slice_keys(&self) -> Vec<ObjectKey> {
        self.service_of_slice.keys().cloned().collect()
    }

    /// Another managed object on the same apex that wins over this one: the older, then the name.
    pub fn winner_over(&self, key: &ObjectKey, apex: &str, created: i64) -> Option<&ObjectKey> {
        let apex_key = key.beside(apex);
        let others = self.objects_naming(&apex_key).filter(|other| *other != key);
        others
            .filter(|other| {
                let Some(object) = self.objects.get(other) else { return false };
                let same_apex = object.intent.as_ref().is_ok_and(|intent| intent.apex == apex);
                same_apex && (object.created, *other) < (created, key)
            })
            .min()
    }
}

/// Whether a version comes before another. Resource versions are numbers that grow, by the API's
/// own word since Kubernetes 1.35; where one is not a number, the newer arrival counts as newer.
fn is_older(object: &Managed, than: &Managed) -> bool {
    let version = |m: &Managed| m.resource_version.parse::<u64>().ok();
    match (version(object), version(than)) {
        (Some(this), Some(there)) => this < there,
        _ => false,
    }
}
