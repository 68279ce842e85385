//! Services and their endpoints, of one cluster.

use crate::facts::At;
use crate::model::object::ServiceName;
use crate::model::policy::PREFIX;
use crate::truth::{Change, Resource, StoredKey};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A Service says by this label, and a federated one by this annotation, that its endpoints are elsewhere.
const REMOTE: &str = "multicluster.linkerd.io/remote-discovery";
const REMOTE_SERVICE: &str = "multicluster.linkerd.io/remote-service";

/// A Service as it is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// What the counting of endpoints follows from: ports, selector, type.
    shape: Value,
    /// `down-until`, as it is written.
    pub down_until: Option<String>,
    /// The Service of a linked cluster that it stands for.
    pub remote: Option<String>,
    /// A federated one, or one with another mechanism that is not followed.
    pub is_open: bool,
    /// When its shape changed last.
    pub changed: Option<At>,
    /// When `down-until` was last another one, or present.
    pub declared: Option<At>,
}

impl Service {
    fn read(stored: &Value) -> Self {
        let (metadata, spec) = (&stored["metadata"], &stored["spec"]);
        let is_remote = metadata["labels"][REMOTE].is_string();
        Self {
            shape: serde_json::json!([spec["ports"], spec["selector"], spec["type"]]),
            down_until: metadata["annotations"][format!("{PREFIX}down-until")]
                .as_str()
                .map(str::to_owned),
            remote: is_remote
                .then(|| metadata["labels"][REMOTE_SERVICE].as_str().map(str::to_owned))
                .flatten(),
            is_open: metadata["annotations"][REMOTE].is_string()
                || spec["ports"].as_array().is_none_or(|ports| ports.len() != 1),
            changed: None,
            declared: None,
        }
    }

    /// Whether what it declares runs at `now`, or ended at most `margin` ago. What cannot be read is absent.
    pub fn is_declared_down(&self, now: Timestamp, margin: jiff::SignedDuration) -> bool {
        let until = self.down_until.as_deref().and_then(|until| until.parse::<Timestamp>().ok());
        until.is_some_and(|until| until + margin > now)
    }
}

/// One EndpointSlice: its Service, and its endpoints by who they are.
#[derive(Clone, Debug)]
struct Slice {
    service: ServiceName,
    ready: BTreeSet<String>,
    /// Endpoints of an address family that Linkerd may not use, or with several ports.
    is_open: bool,
}

/// The Services of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Services {
    services: BTreeMap<ServiceName, Service>,
    slices: BTreeMap<StoredKey, Slice>,
    by_service: BTreeMap<ServiceName, BTreeSet<StoredKey>>,
    /// Pods that are being deleted, by uid.
    leaving: BTreeSet<String>,
}

impl Services {
    /// Takes in a change. Returns the Service whose endpoints or declarations may be others now.
    pub fn apply(&mut self, change: &Change, at: At) -> Option<ServiceName> {
        let key = &change.key;
        match key.resource {
            Resource::Service => {
                let name = (key.namespace.clone(), key.name.clone());
                let before = self.services.remove(&name);
                if let Some(stored) = &change.value {
                    let mut now = Service::read(stored);
                    let same = before.as_ref().is_some_and(|before| before.shape == now.shape);
                    now.changed =
                        if same { before.as_ref().and_then(|b| b.changed) } else { Some(at) };
                    let same =
                        before.as_ref().is_some_and(|before| before.down_until == now.down_until);
                    now.declared = if same { before.and_then(|b| b.declared) } else { Some(at) };
                    self.services.insert(name.clone(), now);
                }
                Some(name)
            }
            Resource::Slice => {
                let before = self.slices.remove(key);
                if let Some(before) = &before
                    && let Some(of) = self.by_service.get_mut(&before.service)
                {
                    of.remove(key);
                }
                let Some(slice) = change.value.as_ref().and_then(|stored| Slice::read(key, stored))
                else {
                    return before.map(|slice| slice.service);
                };
                let service = slice.service.clone();
                self.by_service.entry(service.clone()).or_default().insert(key.clone());
                self.slices.insert(key.clone(), slice);
                Some(service)
            }
            Resource::Pod => {
                let uid = |stored: &Value| stored["metadata"]["uid"].as_str().map(str::to_owned);
                let stored = change.value.as_ref()?;
                if stored["metadata"]["deletionTimestamp"].is_string() {
                    self.leaving.extend(uid(stored));
                }
                None
            }
            _ => None,
        }
    }

    /// A Service, where there is one.
    pub fn get(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name)
    }

    /// The Services that stand for this one of another cluster.
    pub fn that_stand_for(&self, other: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        let stands = |(name, service): &(&ServiceName, &Service)| {
            name.0 == other.0 && service.remote.as_ref() == Some(&other.1)
        };
        self.services.iter().filter(stands).map(|(name, _)| name)
    }

    /// Its ready endpoints, each counted once; none where a slice of it is not the observer's to read.
    pub fn ready(&self, name: &ServiceName) -> Option<usize> {
        let keys = self.by_service.get(name).into_iter().flatten();
        let slices: Vec<&Slice> = keys.filter_map(|key| self.slices.get(key)).collect();
        if slices.iter().any(|slice| slice.is_open) {
            return None;
        }
        Some(slices.iter().flat_map(|slice| &slice.ready).collect::<BTreeSet<_>>().len())
    }

    /// Whether one of its ready endpoints is a pod that is being deleted.
    pub fn is_leaving(&self, name: &ServiceName) -> bool {
        let keys = self.by_service.get(name).into_iter().flatten();
        let mut ready = keys.filter_map(|key| self.slices.get(key)).flat_map(|slice| &slice.ready);
        ready.any(|endpoint| self.leaving.contains(endpoint))
    }
}

impl Slice {
    fn read(key: &StoredKey, stored: &Value) -> Option<Self> {
        let service = stored["metadata"]["labels"]["kubernetes.io/service-name"].as_str()?;
        let endpoints = stored["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
        let has_port = stored["ports"].as_array().is_some_and(|ports| !ports.is_empty());
        let is_ready = |endpoint: &&Value| endpoint["conditions"]["ready"] != false;
        let who = |endpoint: &Value| {
            let target = endpoint["targetRef"]["uid"].as_str();
            target.or(endpoint["addresses"][0].as_str()).unwrap_or_default().to_owned()
        };
        let ready = endpoints.iter().filter(is_ready).map(who).filter(|_| has_port).collect();
        Some(Self {
            service: (key.namespace.clone(), service.to_owned()),
            ready,
            is_open: stored["addressType"] != "IPv4"
                || stored["ports"].as_array().is_some_and(|ports| ports.len() > 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn slice(name: &str, endpoints: &[(&str, Option<bool>)]) -> Change {
        let endpoints: Vec<_> = endpoints
            .iter()
            .map(|(address, ready)| json!({ "addresses": [address], "conditions": { "ready": ready } }))
            .collect();
        Change {
            revision: 1,
            key: StoredKey::new(Resource::Slice, "ns", name),
            value: Some(json!({
                "metadata": { "labels": { "kubernetes.io/service-name": "web" } },
                "addressType": "IPv4", "ports": [{ "name": "http" }], "endpoints": endpoints,
            })),
        }
    }

    fn web() -> ServiceName {
        ("ns".into(), "web".into())
    }

    #[test]
    fn an_endpoint_counts_once_in_whichever_slices_it_stands_and_is_ready_unless_it_is_not() {
        let mut services = Services::default();
        let at = At(Duration::ZERO);
        services.apply(&slice("one", &[("10.0.0.1", Some(true)), ("10.0.0.2", None)]), at);
        services.apply(&slice("two", &[("10.0.0.2", Some(true)), ("10.0.0.3", Some(false))]), at);
        assert_eq!(services.ready(&web()), Some(2));
        services.apply(&Change { value: None, ..slice("one", &[]) }, at);
        assert_eq!(services.ready(&web()), Some(1));
        assert_eq!(services.ready(&("ns".into(), "other".into())), Some(0), "no slice at all");
    }

    #[test]
    fn the_shape_of_a_service_has_changed_only_where_what_is_counted_follows_from_it() {
        let mut services = Services::default();
        let service = |port: u16, annotation: &str| Change {
            revision: 1,
            key: StoredKey::new(Resource::Service, "ns", "web"),
            value: Some(json!({
                "metadata": { "annotations": { "failover.linkerd.io/down-until": annotation } },
                "spec": { "ports": [{ "port": port }] },
            })),
        };
        let at = |second| At(Duration::from_secs(second));
        services.apply(&service(80, "x"), at(1));
        services.apply(&service(80, "2026-01-01T00:00:00Z"), at(2));
        let web = services.get(&web()).unwrap();
        assert_eq!((web.changed, web.declared), (Some(at(1)), Some(at(2))));
        let margin = jiff::SignedDuration::from_secs(5);
        assert!(web.is_declared_down("2026-01-01T00:00:04Z".parse().unwrap(), margin));
        assert!(!web.is_declared_down("2026-01-01T00:00:06Z".parse().unwrap(), margin));
    }
}
