//! The EndpointSlices of a cluster, by the Service they belong to.

use crate::index::announced_pods::AnnouncedNow;
use crate::index::endpoint_count::EndpointCount;
use crate::index::endpoints::SliceFacts;
use crate::index::order::{Arrival, Freshness, Order, Superseded, Ticket};
use crate::index::service_slices::ServiceSlices;
use crate::kinds::ObjectKey;
use crate::kinds::pods::{PodEndpoint, PodName};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A slice with the Service that it belongs to, and its facts where a proxy uses it.
#[derive(Debug)]
pub(crate) struct SliceUpdate {
    pub slice: ObjectKey,
    pub version: u64,
    pub service: Option<ObjectKey>,
    pub facts: Option<SliceFacts>,
}

/// The slices that each pod is in.
type Pods = HashMap<PodName, Vec<ObjectKey>>;

/// The slices by Service, and the order in which they enter.
#[derive(Debug, Default)]
pub(crate) struct SliceTable {
    by_service: HashMap<ObjectKey, ServiceSlices>,
    /// The Service that each slice belongs to, as last reported: its label may change.
    service_of: HashMap<ObjectKey, ObjectKey>,
    pub(crate) order: Order,
    /// The slices that a pod is in; kept once [`Self::follow_pods`] has asked for it.
    pods: Option<Pods>,
}

impl SliceTable {
    pub(crate) fn of(&self, service: &ObjectKey) -> impl Iterator<Item = &SliceFacts> + Clone {
        self.by_service.get(service).into_iter().flat_map(ServiceSlices::facts)
    }

    /// The endpoints of a Service; `ports` are the names of the asked ones.
    pub(crate) fn count(
        &self,
        service: &ObjectKey,
        ports: &[Option<&str>],
        announced: AnnouncedNow<'_>,
    ) -> EndpointCount {
        let none = ServiceSlices::default();
        self.by_service.get(service).unwrap_or(&none).count(ports, announced)
    }

    /// The facts of a slice.
    pub(crate) fn get(&self, slice: &ObjectKey) -> Option<&SliceFacts> {
        self.by_service.get(self.service_of.get(slice)?)?.get(slice)
    }

    /// A number that changes with what the slices of a Service offer, and with the endpoints that are
    /// ready.
    pub(crate) fn fingerprint(&self, service: &ObjectKey) -> u64 {
        self.of(service).map(SliceFacts::fingerprint).fold(0, u64::wrapping_add)
    }

    /// Whether it is known which slices a pod is in.
    pub(crate) fn follows_pods(&self) -> bool {
        self.pods.is_some()
    }

    /// Keeps which slices a pod is in, from now on.
    pub(crate) fn follow_pods(&mut self) {
        if self.follows_pods() {
            return;
        }
        let mut pods = Some(Pods::default());
        for slice in self.keys() {
            update_pods(&mut pods, slice, None, self.get(slice));
        }
        self.pods = pods;
    }

    /// The endpoints that pods of this name are, with their Service and whether they are ready.
    pub(crate) fn of_pod(
        &self,
        pod: PodName,
    ) -> impl Iterator<Item = (&ObjectKey, PodEndpoint, bool)> {
        let slices = self.pods.as_ref().and_then(|pods| pods.get(&pod)).into_iter().flatten();
        let endpoints = slices.filter_map(|slice| {
            let service = self.service_of.get(slice)?;
            let facts = self.by_service.get(service)?.get(slice)?;
            Some(facts.pods().map(move |(there, ready)| (service, there, ready)))
        });
        endpoints.flatten().filter(move |(_, there, _)| there.name == pod)
    }

    /// Enters a slice, as the watch reports it. Returns the Services that changed.
    pub(crate) fn set(&mut self, update: SliceUpdate) -> BTreeSet<ObjectKey> {
        self.enter(update, Arrival::Watched)
    }

    /// Enters a slice where it is the newest. Returns the Services that changed.
    pub(crate) fn enter(
        &mut self,
        update: SliceUpdate,
        arrival: Arrival<'_>,
    ) -> BTreeSet<ObjectKey> {
        let SliceUpdate { slice, version, service, facts } = update;
        let freshness =
            self.order.enter(&slice, version, service.as_ref().unwrap_or(&slice), arrival);
        match (freshness, service, facts) {
            (Freshness::Stale, ..) => BTreeSet::new(),
            (Freshness::Newest, Some(service), Some(facts)) => self.put(slice, service, facts),
            (Freshness::Newest | Freshness::Deleted, ..) => self.remove(&slice),
        }
    }

    fn put(
        &mut self,
        slice: ObjectKey,
        service: ObjectKey,
        facts: SliceFacts,
    ) -> BTreeSet<ObjectKey> {
        let mut changed = BTreeSet::new();
        if self.service_of.get(&slice).is_some_and(|before| *before != service) {
            changed.append(&mut self.remove(&slice));
        }
        let slices = self.by_service.entry(service.clone()).or_default();
        let before = slices.get(&slice);
        if before != Some(&facts) {
            update_pods(&mut self.pods, &slice, before, Some(&facts));
            slices.set(slice.clone(), facts);
            changed.insert(service.clone());
        }
        self.service_of.insert(slice, service);
        changed
    }

    /// Removes a slice. Returns the Service that changed.
    pub(crate) fn remove(&mut self, slice: &ObjectKey) -> BTreeSet<ObjectKey> {
        let Some(service) = self.service_of.remove(slice) else { return BTreeSet::new() };
        if let Some(slices) = self.by_service.get_mut(&service) {
            let before = slices.remove(slice);
            if slices.is_empty() {
                self.by_service.remove(&service);
            }
            update_pods(&mut self.pods, slice, before.as_ref(), None);
        }
        BTreeSet::from([service])
    }

    /// Replaces all slices by those of the LIST that begins a watch.
    pub(crate) fn replace(&mut self, listed: Vec<SliceUpdate>) {
        let names: HashSet<ObjectKey> = listed.iter().map(|update| update.slice.clone()).collect();
        let there: Vec<_> = self.service_of.keys().filter(|s| !names.contains(*s)).collect();
        for slice in there.into_iter().cloned().collect::<Vec<_>>() {
            self.remove(&slice);
        }
        self.order.begin(None);
        for update in listed {
            self.enter(update, Arrival::Listed);
        }
        self.order.complete(None);
    }

    /// Enters a consistent LIST of a Service's slices, requested with this ticket. Returns the Services that
    /// changed.
    pub(crate) fn confirm(
        &mut self,
        ticket: &Ticket,
        service: &ObjectKey,
        listed: Vec<SliceUpdate>,
        version: u64,
    ) -> Result<BTreeSet<ObjectKey>, Superseded> {
        self.order.check_answer(ticket, service, version)?;
        let names: HashSet<&ObjectKey> = listed.iter().map(|update| &update.slice).collect();
        let there = self.by_service.get(service).into_iter().flat_map(ServiceSlices::names);
        let lacking: Vec<ObjectKey> = there.filter(|s| !names.contains(s)).cloned().collect();
        let mut changed = BTreeSet::new();
        for slice in lacking {
            if self.order.answer_lacks(ticket, &slice, version) {
                changed.append(&mut self.remove(&slice));
            }
        }
        for update in listed {
            changed.append(&mut self.enter(update, Arrival::Answered(ticket)));
        }
        self.order.answer_covers(ticket, service, version);
        Ok(changed)
    }

    /// Removes a slice that the watch reports deleted. Returns the Services that changed.
    pub(crate) fn delete(&mut self, slice: &ObjectKey, version: u64) -> BTreeSet<ObjectKey> {
        if self.order.delete(slice, version) { self.remove(slice) } else { BTreeSet::new() }
    }

    /// Every slice there is.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.service_of.keys()
    }
}

fn names_of_pods(facts: Option<&SliceFacts>) -> impl Iterator<Item = PodName> {
    facts.into_iter().flat_map(SliceFacts::pods).map(|(pod, _)| pod.name)
}

/// Updates the slices of each pod, where they are kept.
fn update_pods(
    pods: &mut Option<Pods>,
    slice: &ObjectKey,
    before: Option<&SliceFacts>,
    now: Option<&SliceFacts>,
) {
    let Some(pods) = pods else { return };
    // Mostly a pod becomes ready, or not.
    if names_of_pods(before).eq(names_of_pods(now)) {
        return;
    }
    for (pod, _) in before.into_iter().flat_map(SliceFacts::pods) {
        if let Some(slices) = pods.get_mut(&pod.name) {
            slices.retain(|there| there != slice);
            if slices.is_empty() {
                pods.remove(&pod.name);
            }
        }
    }
    for (pod, _) in now.into_iter().flat_map(SliceFacts::pods) {
        let slices = pods.entry(pod.name).or_default();
        if !slices.contains(slice) {
            slices.reserve_exact(1);
            slices.push(slice.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::endpoint_count;
    use crate::index::endpoints::AddressFamilies;
    use serde_json::{Value, json};

    fn update(slice: &str, version: u64, service: &str, ready: usize) -> SliceUpdate {
        let endpoint = |i| json!({"addresses": [format!("10.0.0.{i}")]});
        update_with(slice, version, service, (0..ready).map(endpoint).collect())
    }

    fn update_with(slice: &str, version: u64, service: &str, endpoints: Vec<Value>) -> SliceUpdate {
        let facts = json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints});
        let facts = serde_json::from_value(facts).unwrap();
        SliceUpdate {
            slice: ObjectKey::new("ns", slice),
            version,
            service: Some(ObjectKey::new("ns", service)),
            facts: SliceFacts::read(&facts, AddressFamilies::default()),
        }
    }

    fn ready(slices: &SliceTable, service: &str) -> u32 {
        endpoint_count::count(slices.of(&ObjectKey::new("ns", service)), &[], |_| None).ready
    }

    #[test]
    fn what_a_list_has_shown_is_not_undone_by_a_stale_event_of_the_watch() {
        let mut slices = SliceTable::default();
        slices.set(update("bb-1", 10, "bb", 1));
        let service = ObjectKey::new("ns", "bb");
        let ticket = slices.order.ticket(&service);
        assert_eq!(
            slices.confirm(&ticket, &service, vec![update("bb-1", 20, "bb", 0)], 25).unwrap().len(),
            1
        );
        slices.set(update("bb-1", 15, "bb", 1));
        assert_eq!(ready(&slices, "bb"), 0);
        assert_eq!(slices.confirm(&ticket, &service, vec![], 40).unwrap().len(), 1);
        slices.set(update("bb-1", 35, "bb", 1));
        assert_eq!(ready(&slices, "bb"), 0);
        slices.set(update("bb-1", 41, "bb", 1));
        assert_eq!(ready(&slices, "bb"), 1);
        assert!(
            slices
                .confirm(&ticket, &service, vec![update("bb-1", 41, "bb", 1)], 45)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_list_does_not_remove_what_is_newer_than_it() {
        let mut slices = SliceTable::default();
        let service = ObjectKey::new("ns", "bb");
        let ticket = slices.order.ticket(&service);
        slices.set(update("bb-1", 50, "bb", 1));
        slices.confirm(&ticket, &service, vec![], 40).unwrap();
        slices.confirm(&ticket, &service, vec![update("bb-1", 30, "bb", 0)], 40).unwrap();
        assert_eq!(ready(&slices, "bb"), 1);
    }

    #[test]
    fn the_list_that_begins_a_watch_replaces_everything() {
        let mut slices = SliceTable::default();
        slices.set(update("bb-1", 10, "bb", 1));
        slices.set(update("cc-1", 10, "cc", 2));
        slices.replace(vec![update("cc-1", 11, "cc", 1)]);
        assert_eq!((ready(&slices, "bb"), ready(&slices, "cc")), (0, 1));
        // Also with lower numbers: an etcd may have been restored from a snapshot.
        slices.replace(vec![update("cc-1", 4, "cc", 0)]);
        assert_eq!(ready(&slices, "cc"), 0);
        slices.set(update("cc-1", 5, "cc", 3));
        assert_eq!(ready(&slices, "cc"), 3);
    }

    #[test]
    fn a_slice_that_has_moved_to_another_service_counts_there_though_a_list_of_the_first_was_quicker()
     {
        let mut slices = SliceTable::default();
        let service = ObjectKey::new("ns", "bb");
        slices.set(update("s", 10, "bb", 1));
        let ticket = slices.order.ticket(&service);
        slices.confirm(&ticket, &service, vec![], 40).unwrap();
        assert_eq!(slices.set(update("s", 30, "cc", 1)).len(), 1);
        assert_eq!((ready(&slices, "bb"), ready(&slices, "cc")), (0, 1));
    }

    #[test]
    fn a_slice_that_changes_its_service_counts_for_the_new_one_only() {
        let mut slices = SliceTable::default();
        slices.set(update("s", 1, "bb", 1));
        let changed = slices.set(update("s", 2, "cc", 1));
        assert_eq!(changed.len(), 2);
        assert_eq!((ready(&slices, "bb"), ready(&slices, "cc")), (0, 1));
        let no_service = SliceUpdate { service: None, facts: None, ..update("s", 3, "cc", 1) };
        slices.set(no_service);
        assert_eq!(ready(&slices, "cc"), 0);
    }

    #[test]
    fn it_is_known_which_services_a_pod_is_ready_in() {
        let update = |slice: &str, version: u64, service: &str, pods: &[(&str, bool)]| {
            let endpoint = |(i, (name, ready)): (usize, &(&str, bool))| {
                json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {
                    "kind": "Pod", "namespace": "ns", "name": name,
                    "uid": format!("00000000-0000-4000-8000-00000000000{i}"),
                }})
            };
            let endpoints = pods.iter().enumerate().map(endpoint).collect();
            update_with(slice, version, service, endpoints)
        };
        let mut slices = SliceTable::default();
        let ready_in = |slices: &SliceTable, pod: &str| -> Vec<String> {
            let of_pod = slices.of_pod(PodName::new("ns", pod));
            let ready = of_pod.filter(|(_, _, ready)| *ready);
            let names: BTreeSet<String> = ready.map(|(s, ..)| s.name.to_string()).collect();
            names.into_iter().collect()
        };
        slices.set(update("s-1", 1, "bb", &[("a", true), ("b", false)]));
        slices.set(update("s-2", 1, "cc", &[("a", true)]));
        // Asked for once the slices are there.
        assert!(!slices.follows_pods() && ready_in(&slices, "a").is_empty());
        slices.follow_pods();
        assert_eq!(ready_in(&slices, "a"), ["bb", "cc"]);
        assert!(ready_in(&slices, "b").is_empty());
        // Not ready, moved to another Service, gone.
        slices.set(update("s-1", 2, "bb", &[("a", false), ("b", true)]));
        assert_eq!(
            (ready_in(&slices, "a"), ready_in(&slices, "b")),
            (vec!["cc".into()], vec!["bb".into()])
        );
        slices.set(update("s-2", 2, "dd", &[("a", true)]));
        assert_eq!(ready_in(&slices, "a"), ["dd"]);
        slices.remove(&ObjectKey::new("ns", "s-2"));
        slices.replace(vec![]);
        assert_eq!(slices.pods.as_ref().map(HashMap::len), Some(0));
    }
}
