//! A replica that follows the simulated API server into its index.

use crate::engine::{Defaults, Now};
use crate::index::endpoints::AddressFamilies;
use crate::index::managed_object::ManagedObject;
use crate::index::order::{Arrival, Order};
use crate::index::profile_facts::ProfileFacts;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::informers::endpoint_slices;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::simulation::api_server::{ApiServer, Stored};
use crate::simulation::manifest::{Content, Key, Resource, served};
use crate::simulation::watch::{Delivery, Watch};
use serde_json::Value;

/// A process: its index, and the one watch of all resources that it follows.
#[derive(Debug)]
pub(crate) struct Replica<T> {
    pub index: Index,
    pub watch: Watch<Key, T>,
    resources: Vec<Resource>,
}

impl<T: Content> Replica<T> {
    pub(crate) fn new(resources: &[Resource]) -> Self {
        let resources = resources.to_vec();
        let mut index = Index::default();
        index.namespaces_listed(None);
        Self { index, watch: Watch::default(), resources }
    }

    /// Takes one step of the watch. Returns the objects that it concerns; none where there is no step.
    pub(crate) fn follow(
        &mut self,
        server: &ApiServer<Key, T>,
        now: Now,
    ) -> Option<Vec<ObjectRef>> {
        self.index.now = now;
        Some(match self.watch.follow(server)? {
            Delivery::Begins => {
                self.begin();
                vec![]
            }
            Delivery::Answered => vec![],
            Delivery::Listed(key, stored) => self.enter(&key, &stored, Arrival::Listed),
            Delivery::Complete(listed) => {
                let known = self.keys();
                let gone = known.iter().filter(|key| !listed.contains(key));
                let affected = gone.flat_map(|key| self.remove(key)).collect();
                for resource in self.resources.clone() {
                    self.order(resource).complete(None);
                }
                affected
            }
            Delivery::Changed(key, stored) => self.enter(&key, &stored, Arrival::Watched),
            Delivery::Deleted((resource, key), version) => {
                match self.order(resource).delete(&key, version) {
                    true => self.remove(&(resource, key)),
                    false => vec![],
                }
            }
        })
    }

    /// Takes every step that there is. Returns the objects that they concern.
    pub(crate) fn catch_up(&mut self, server: &ApiServer<Key, T>, now: Now) -> Vec<ObjectRef> {
        self.index.now = now;
        let mut affected = vec![];
        while let Some(more) = self.follow(server, now) {
            affected.extend(more);
        }
        affected
    }

    /// The watch breaks: nothing that is under way may enter.
    pub(crate) fn break_watch(&mut self) {
        self.watch.end();
        self.begin();
    }

    fn begin(&mut self) {
        for resource in self.resources.clone() {
            self.order(resource).begin(None);
        }
    }

    pub(crate) fn order(&mut self, resource: Resource) -> &mut Order {
        match resource {
            Resource::TrafficSplit => self.index.order_of(Kind::TrafficSplit),
            Resource::Service => &mut self.index.service_order,
            Resource::EndpointSlice => &mut self.index.slices.order,
            Resource::ServiceProfile => &mut self.index.profiles.order,
        }
    }

    /// An object arrives.
    pub(crate) fn enter(
        &mut self,
        key: &Key,
        (version, content): &Stored<T>,
        arrival: Arrival<'_>,
    ) -> Vec<ObjectRef> {
        let (resource, name) = key;
        match resource {
            Resource::TrafficSplit => {
                let split = typed(served(content, key, *version));
                let managed = ManagedObject::read(Kind::TrafficSplit, &split, &Defaults::default());
                self.index.enter_object(split_ref(name), managed, arrival)
            }
            Resource::Service => {
                let facts = service_facts(key, *version, content);
                self.index.enter_service(name.clone(), *version, facts, arrival)
            }
            Resource::EndpointSlice => {
                self.index.enter_slice(slice_update(key, *version, content), arrival)
            }
            Resource::ServiceProfile => {
                let facts = ProfileFacts::read(&typed(served(content, key, *version)));
                self.index.enter_profile(name.clone(), facts, arrival)
            }
        }
    }

    fn remove(&mut self, (resource, key): &Key) -> Vec<ObjectRef> {
        match resource {
            Resource::TrafficSplit => self.index.remove_object(&split_ref(key)),
            Resource::Service => self.index.remove_service(key),
            Resource::EndpointSlice => self.index.remove_slice(key),
            Resource::ServiceProfile => self.index.remove_profile(key),
        }
    }

    /// What is in the index.
    fn keys(&self) -> Vec<Key> {
        let of = |resource: &Resource| {
            let keys: Vec<ObjectKey> = match resource {
                Resource::TrafficSplit => {
                    self.index.objects().map(|(object, _)| object.key.clone()).collect()
                }
                Resource::Service => self.index.service_keys(),
                Resource::EndpointSlice => self.index.slice_keys(),
                Resource::ServiceProfile => self.index.profiles.keys().cloned().collect(),
            };
            keys.into_iter().map(|key| resource.key(key)).collect::<Vec<_>>()
        };
        self.resources.iter().flat_map(of).collect()
    }
}

fn split_ref(key: &ObjectKey) -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, key.clone())
}

/// The facts of a Service, as the informer reads them.
pub(crate) fn service_facts(key: &Key, version: u64, content: &impl Content) -> ServiceFacts {
    ServiceFacts::read(&typed(served(content, key, version)))
}

/// A slice, as the informer reads it.
pub(crate) fn slice_update(key: &Key, version: u64, content: &impl Content) -> SliceUpdate {
    let slice = typed(served(content, key, version));
    endpoint_slices::read(&slice, AddressFamilies::default())
}

fn typed<O: serde::de::DeserializeOwned>(manifest: Value) -> O {
    serde_json::from_value(manifest).unwrap()
}
