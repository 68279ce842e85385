//! All that the observer knows: what is stored in both clusters, and what the other half has said.

use crate::facts::{At, Fact, FaultId, Side};
use crate::model::health::Health;
use crate::model::object::{FailoverObject, ServiceName};
use crate::model::services::Services;
use crate::model::writer::{Writer, writer};
use crate::truth::{Change, Resource, StoredKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For how long a Service with other ports, or another selector, is not held to be down: the program takes five
/// seconds at most.
pub const FOLLOWS: Duration = Duration::from_secs(6);
/// For how long after a declaration of `down-until` the Service may be taken to be down or not: it may be renewed,
/// be prolonged, and the clocks of replicas may be skewed.
const DECLARED: Duration = Duration::from_secs(120);
/// The same by the clock on the wall, of what has a time in it.
const MARGIN: SignedDuration = SignedDuration::from_secs(120);
/// For how long after a linked cluster was out of reach its Services may be unknown, or down.
const REMOTE: Duration = Duration::from_secs(10);

/// What a change of a failover object was.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Where in the order of all changes.
    pub revision: u64,
    /// The object before; none where it is new.
    pub before: Option<FailoverObject>,
    /// The object now; none where it is gone.
    pub after: Option<FailoverObject>,
    /// Who wrote it.
    pub writer: Writer,
}

/// What is known of one replica.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// Whether its process runs.
    pub runs: bool,
    /// Which one that is: the end of the one before it may be told later than its start.
    pub pid: u32,
    /// Since when it has been answered by the API server of the east, without a break.
    pub answered_since: Option<At>,
    /// The same of the west.
    pub west_since: Option<At>,
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The value of the label of managed objects.
    pub selector: String,
    /// The namespace of the program.
    pub own_namespace: String,
    /// The failover objects of the east.
    pub objects: BTreeMap<StoredKey, FailoverObject>,
    stored: BTreeMap<StoredKey, Value>,
    east: Services,
    west: Services,
    /// The replicas that have ever run.
    pub replicas: BTreeMap<String, Replica>,
    /// The faults that are made now.
    pub faults: BTreeMap<FaultId, (&'static str, String)>,
    /// How many have begun.
    pub faults_begun: usize,
    /// Who holds the Lease.
    pub leader: String,
    /// Since when the brake has held, or when it ended: then objects may be moved late.
    pub is_braked: bool,
    /// A person has frozen the cluster.
    pub is_frozen: bool,
    /// Objects that others than their authors change at the moment.
    pub meddled: BTreeSet<StoredKey>,
    /// The last fault is over.
    pub quiet_since: Option<At>,
    /// The labels are off.
    pub labels_off: Option<At>,
    /// What authors declared, set by set in their order: the names of backends and their weights.
    pub authored: BTreeMap<StoredKey, Vec<Vec<(String, u64)>>>,
    by_service: BTreeMap<ServiceName, BTreeSet<StoredKey>>,
    /// How much of the CPU that they asked for the processes get that a flip needs; none is all of it.
    pub pace: Option<f64>,
    wall: Timestamp,
    remote_disturbed: Option<At>,
}

/// What follows from a change for failover objects.
#[derive(Clone, Debug, Default)]
pub struct Consequence {
    /// Those that rest on what changed.
    pub concerned: BTreeSet<StoredKey>,
    /// All do.
    pub concerns_all: bool,
    /// It was a failover object itself.
    pub applied: Option<Applied>,
}

impl World {
    /// Of an installation whose selector has this value, in this namespace.
    pub fn new(selector: &str, own_namespace: &str) -> Self {
        Self { selector: selector.into(), own_namespace: own_namespace.into(), ..Self::default() }
    }

    /// The clock on the wall goes on.
    pub fn advance(&mut self, wall: Timestamp) {
        self.wall = wall;
    }

    /// The clock on the wall.
    pub fn wall(&self) -> Timestamp {
        self.wall
    }

    /// Takes in a change. Returns what follows from it.
    pub fn change(&mut self, side: Side, change: &Change, at: At) -> Consequence {
        let services = if side == Side::East { &mut self.east } else { &mut self.west };
        let service = services.apply(change, at);
        let mut consequence = Consequence::default();
        if let Some(service) = service {
            for name in self.known_as(side, &service) {
                consequence
                    .concerned
                    .extend(self.by_service.get(&name).into_iter().flatten().cloned());
            }
        }
        if side == Side::West {
            return consequence;
        }
        let held = (self.is_braked, self.is_frozen);
        match change.key.resource {
            Resource::Lease => self.read_lease(change),
            Resource::Namespace => self.read_namespace(change),
            resource if resource.is_failover_object() => {
                consequence.concerned.insert(change.key.clone());
                consequence.applied = self.change_object(change);
            }
            _ => {}
        }
        consequence.concerns_all = held != (self.is_braked, self.is_frozen);
        consequence
    }

    /// The Services of the east that stand for one of a cluster.
    fn known_as(&self, side: Side, service: &ServiceName) -> Vec<ServiceName> {
        match side {
            Side::East => vec![service.clone()],
            Side::West => self.east.that_stand_for(service).cloned().collect(),
        }
    }

    fn change_object(&mut self, change: &Change) -> Option<Applied> {
        let key = &change.key;
        let stored_before = match &change.value {
            Some(now) => self.stored.insert(key.clone(), now.clone()),
            None => self.stored.remove(key),
        };
        let after = change.value.as_ref().map(|now| FailoverObject::read(key, now, &self.selector));
        let writer = change
            .value
            .as_ref()
            .map_or(Writer::Unknown, |now| writer(stored_before.as_ref(), now));
        let before = match &after {
            Some(after) => self.objects.insert(key.clone(), after.clone()),
            None => self.objects.remove(key),
        };
        for object in before.iter().chain(&after) {
            for backend in object.sets.iter().flat_map(|set| &set.backends) {
                self.by_service.entry(backend.service.clone()).or_default().insert(key.clone());
            }
        }
        let is_same = before.as_ref().zip(after.as_ref()).is_some_and(|(a, b)| a.uid == b.uid);
        let before = before.filter(|_| is_same || after.is_none());
        Some(Applied { revision: change.revision, before, after, writer })
    }

    fn read_lease(&mut self, change: &Change) {
        if change.key.namespace != self.own_namespace {
            return;
        }
        let Some(lease) = &change.value else { return };
        self.leader = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        let brake = lease["metadata"]["annotations"]["failover.linkerd.io/brake"].as_str();
        let brake: Value =
            brake.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        self.is_braked = brake["since"].is_string() && brake["ended"].is_null();
    }

    fn read_namespace(&mut self, change: &Change) {
        if change.key.name == self.own_namespace {
            let stored = change.value.as_ref().unwrap_or(&Value::Null);
            self.is_frozen =
                stored["metadata"]["annotations"]["failover.linkerd.io/frozen"] == "true";
        }
    }

    /// Takes in what the other half says.
    pub fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::FaultBegan { id, family, target, .. } => {
                self.faults.insert(*id, (family, target.clone()));
                self.faults_begun += 1;
            }
            Fact::FaultEnded { id, .. } => {
                self.faults.remove(id);
            }
            Fact::ReplicaStarted { replica, pid, .. } => {
                let started = Replica { runs: true, pid: *pid, ..Replica::default() };
                self.replicas.insert(replica.clone(), started);
            }
            Fact::ReplicaExited { replica, pid, .. } => {
                let ended = self.replicas.get_mut(replica).filter(|known| known.pid == *pid);
                if let Some(known) = ended {
                    *known = Replica::default();
                }
            }
            Fact::Reachability { replica, cluster, answered, at } => {
                let known = self.replicas.entry(replica.clone()).or_default();
                let since = match cluster {
                    Side::East => &mut known.answered_since,
                    Side::West => &mut known.west_since,
                };
                *since = answered.then(|| since.unwrap_or(*at));
                if *cluster == Side::West && !answered {
                    self.remote_disturbed = Some(*at);
                }
            }
            Fact::Pace { share, .. } => self.pace = Some(*share),
            Fact::Meddled { object, .. } => {
                self.meddled.insert(key_of(object));
            }
            Fact::Restored { object, .. } => {
                self.meddled.remove(&key_of(object));
            }
            Fact::WorldQuiet { at } => self.quiet_since = Some(*at),
            Fact::LabelsOff { at } => self.labels_off = Some(*at),
            Fact::Declared { .. } | Fact::DeletionAsked { .. } | Fact::DeletionAnswered { .. } => {}
        }
    }

    /// What is known of a Service, at `at`.
    pub fn health(&self, name: &ServiceName, at: At) -> Health {
        let Some(service) = self.east.get(name) else { return Health::Down };
        let lately = |since: Option<At>, span| since.is_some_and(|since| at.0 < since.0 + span);
        if service.is_declared_down(self.wall, MARGIN) {
            return Health::Open("it is, or was, declared down");
        }
        if lately(service.declared.filter(|_| service.down_until.is_some()), DECLARED) {
            return Health::Open("it was declared down");
        }
        if lately(service.changed, FOLLOWS) {
            return Health::Open("its ports, its selector or its type have just changed");
        }
        if service.is_open {
            return Health::Open("its endpoints are counted in several clusters, or port by port");
        }
        let (services, name) = match &service.remote {
            None => (&self.east, name.clone()),
            Some(remote) => {
                let is_seen =
                    self.replicas.values().filter(|r| r.runs).all(|r| r.west_since.is_some());
                if !is_seen || lately(self.remote_disturbed, REMOTE) {
                    return Health::Open("its cluster is, or was, out of reach");
                }
                (&self.west, (name.0.clone(), remote.clone()))
            }
        };
        match services.ready(&name) {
            None => Health::Open(
                "endpoints of an address family or with ports that are not counted here",
            ),
            Some(0) => Health::Down,
            Some(_) if services.is_leaving(&name) => Health::Open("a pod of it is being deleted"),
            Some(ready) => Health::Ready(ready),
        }
    }

    /// Whether a person, or the whole cluster, holds the traffic of an object.
    pub fn is_held(&self, object: &FailoverObject) -> bool {
        self.is_frozen || self.is_braked || object.policy.is_by_hand(self.wall, MARGIN)
    }

    /// Whether one replica has been answered by the API server without a break since then.
    pub fn answered_since(&self, since: At) -> bool {
        self.replicas.values().any(|r| r.runs && r.answered_since.is_some_and(|from| from <= since))
    }

    /// Whether any replica is answered now, and since when the one that has been for longest.
    pub fn longest_answered(&self) -> Option<At> {
        self.replicas.values().filter(|r| r.runs).filter_map(|r| r.answered_since).min()
    }
}

/// The key of an object that the other half names.
pub fn key_of(object: &crate::facts::ObjectId) -> StoredKey {
    use crate::facts::ObjectKind;
    let resource = match object.kind {
        ObjectKind::TrafficSplit => Resource::Split,
        ObjectKind::HttpRoute => Resource::HttpRoute,
        ObjectKind::GrpcRoute => Resource::GrpcRoute,
    };
    StoredKey::new(resource, &object.namespace, &object.name)
}
