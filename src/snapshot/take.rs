//! Takes a snapshot: lists, follows linked clusters until they have answered, and keeps the index.

use crate::engine::{Now, annotations};
use crate::index::managed_object::ManagedObject;
use crate::index::order::Arrival;
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::informers::listing::{Listed, list_all};
use crate::informers::sources::WatchSettings;
use crate::kinds::linkerd::failfast::{self, CONFIG_MAP, Failfast, VALUES};
use crate::kinds::{ObjectRef, get_known};
use crate::leader_election::observed::Observed;
use crate::reconciler::gates::brake::BrakeRecord;
use crate::reconciler::hold::Hold;
use crate::reconciler::traffic_on::Stopped;
use crate::snapshot::area::Area;
use crate::snapshot::freeze::Freeze;
use crate::snapshot::gap::{Gap, is_fatal};
use crate::snapshot::linked;
use crate::snapshot::settings::Settings;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that the controller watches, at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The facts, as the controller's own index has them.
    pub index: Index,
    /// The failover objects themselves, those of other namespaces that backends are in too.
    pub objects: BTreeMap<ObjectRef, DynamicObject>,
    /// What it was taken of.
    pub area: Area,
    pub now: Now,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// Since when the brake holds, by its record in the Lease.
    pub braked_since: Option<Timestamp>,
    /// Whether a replica leads, by the Lease; none where that is not known, or there is none.
    pub is_led: Option<bool>,
}

impl Snapshot {
    /// What keeps moves from being made.
    pub(crate) fn stopped(&self) -> Stopped {
        Stopped { frozen: self.freeze().is_some(), braked: self.braked_since.is_some() }
    }

    /// The freeze of the cluster, while it lasts.
    pub(crate) fn freeze(&self) -> Option<Freeze> {
        Freeze::of(&self.index.cluster_wide, self.now.wall)
    }

    /// What keeps traffic from moving in the whole cluster, each with the line that ends it.
    pub(crate) fn cluster_holds(&self, own_namespace: &str) -> Vec<String> {
        let freeze = self.freeze().map(|freeze| {
            format!("{freeze}: nothing is written; to end it: linkerd-failover unfreeze")
        });
        let braked = self.braked_since.map(|since| {
            let (since, namespace) = (Some(since), own_namespace.to_owned());
            Hold::Braked { since, namespace }.to_string()
        });
        freeze.into_iter().chain(braked).collect()
    }

    /// Enters an object as it is now, which is newer than the rest.
    pub(crate) fn enter(&mut self, settings: &Settings, object: &ObjectRef, found: DynamicObject) {
        let managed = ManagedObject::read(object.kind, &found, &settings.watch.defaults);
        self.index.enter_object(object.clone(), managed, Arrival::Listed);
        self.objects.insert(object.clone(), found);
    }

    /// The managed objects of the area, in the order of their names.
    pub(crate) fn object_refs(&self) -> Vec<&ObjectRef> {
        let all = self.index.objects().map(|(object, _)| object);
        let mut objects: Vec<_> = all.filter(|object| self.area.has(object.namespace())).collect();
        objects.sort_unstable();
        objects
    }
}

/// Lists everything; an error where the API server fails, and a gap where it refuses.
pub(crate) async fn take(
    client: &Client,
    settings: &Settings,
    area: Area,
) -> anyhow::Result<Snapshot> {
    let (shared, _) = SharedIndex::new();
    let namespaces = area.namespaces(settings);
    let mut listed = list(client, settings, namespaces.clone(), &shared).await?;
    // Backends of routes may be in other namespaces.
    let others = named_elsewhere(&shared.read(), &namespaces);
    if !others.is_empty() {
        let more = list(client, settings, others.clone(), &shared).await?;
        listed.objects.extend(more.objects);
        listed.failures.extend(more.failures);
        shared.update(|index| {
            index.namespaces.extend(namespaces);
            vec![]
        });
    }
    let mut gaps: Vec<Gap> = listed.failures.iter().map(Gap::from).collect();
    if let Some(links) = &settings.links {
        gaps.extend(linked::look(client, links, settings.watch.families, &shared).await);
    }
    // They are asked for once: what could not be read is named.
    shared.update(Index::set_credentials_tried);
    let lease = or_gap(lease(client, settings).await, &mut gaps);
    let failfast = or_gap(failfast(client, settings).await, &mut gaps);
    let now = shared.now();
    let mut index = shared.take();
    if let Some(failfast) = failfast {
        index.failfast = failfast;
    }
    gaps.sort();
    gaps.dedup();
    Ok(Snapshot {
        index,
        objects: listed.objects,
        area,
        now,
        gaps,
        braked_since: lease.as_ref().and_then(|lease| braked_since(lease.as_ref())),
        is_led: lease
            .filter(|_| settings.uses_lease)
            .map(|lease| Observed::of(lease.as_ref(), now.wall) == Observed::Led),
    })
}

async fn list(
    client: &Client,
    settings: &Settings,
    namespaces: Vec<String>,
    shared: &SharedIndex,
) -> anyhow::Result<Listed> {
    // Its warnings are what commands show: everything that they need is listed.
    let watch = WatchSettings { namespaces, warns: true, ..settings.watch.clone() };
    let listed = list_all(client, &watch, shared).await;
    match listed.failures.iter().find(|failure| is_fatal(failure)) {
        Some(failure) => anyhow::bail!("{failure}"),
        None => Ok(listed),
    }
}

/// The namespaces, beside these, that objects name Services of. None where all are listed.
fn named_elsewhere(index: &Index, namespaces: &[String]) -> Vec<String> {
    let services = index.objects().flat_map(|(object, managed)| {
        managed.services().into_iter().map(|service| object.beside(service))
    });
    let named: BTreeSet<String> = services.map(|service| service.namespace.to_string()).collect();
    let is_listed = |namespace: &String| namespaces.is_empty() || namespaces.contains(namespace);
    named.into_iter().filter(|namespace| !is_listed(namespace)).collect()
}

fn or_gap<T>(read: Result<T, Gap>, gaps: &mut Vec<Gap>) -> Option<T> {
    read.map_err(|gap| gaps.push(gap)).ok()
}

async fn lease(client: &Client, settings: &Settings) -> Result<Option<Lease>, Gap> {
    let own = &settings.installation;
    let leases: Api<Lease> = Api::namespaced(client.clone(), &own.namespace);
    leases.get_opt(&own.name).await.map_err(|error| {
        let what = format!("Lease {}/{}", own.namespace, own.name);
        unread(&what, &error, "whether the brake holds is not known")
    })
}

fn braked_since(lease: Option<&Lease>) -> Option<Timestamp> {
    let record = lease.and_then(|lease| lease.annotations().get(annotations::BRAKE));
    BrakeRecord::parse(record.map(String::as_str)).holds_since()
}

async fn failfast(client: &Client, settings: &Settings) -> Result<Failfast, Gap> {
    let namespace = &settings.linkerd_namespace;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    match get_known(&maps, CONFIG_MAP).await {
        Ok(Some(map)) => {
            let data = map.data.unwrap_or_default();
            Ok(failfast::read(data.get(VALUES).map(String::as_str)))
        }
        Ok(None) => Ok(Failfast::without_config_map(namespace)),
        Err(error) => {
            let unknown = "the failfast timeout of callers' proxies is not known";
            Err(unread(&format!("ConfigMap {namespace}/{CONFIG_MAP}"), &error, unknown))
        }
    }
}

/// Something that a request did not get.
fn unread(what: &str, error: &kube::Error, unknown: &'static str) -> Gap {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            Gap::forbidden(format!("{what} may not be read"), unknown)
        }
        other => Gap::new(format!("{what} cannot be read: {other}"), unknown),
    }
}
