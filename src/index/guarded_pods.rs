//! Pods that traffic rests on, and what becomes of it when they go.

use crate::engine::{AnnouncedPodUids, Now, SteadyTime, flips_early};
use crate::index::announced_pods::{Belief, Recorded, is_kept};
use crate::index::managed_object::{ManagedObject, ManagedSet};
use crate::index::pods::{PodName, PodUid};
use crate::index::remote::members::Member;
use crate::index::store::Index;
use crate::kinds::{ObjectKey, ObjectRef};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// More pods are not recorded in one object: each takes 65 bytes of an annotation.
const MOST_RECORDED: usize = 500;

/// A pod by which Services that managed objects name have a ready endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuardedPod {
    pub uid: PodUid,
    pub namespace: String,
    pub name: String,
    services: BTreeSet<ObjectKey>,
}

impl Index {
    /// From now on it is known which Services a pod is an endpoint of. To be called first.
    pub(crate) fn follow_pods(&mut self) {
        self.slices.follow_pods();
    }

    /// What is known of a pod, if traffic that may be moved before it goes rests on it. The uid is
    /// that of the endpoint where none is given: an Eviction has none.
    pub(crate) fn guarded(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<PodUid>,
        now: Now,
    ) -> Option<GuardedPod> {
        let mut found: Option<GuardedPod> = None;
        let endpoints = self.slices.of_pod(PodName::new(namespace, name));
        for (service, pod, _) in endpoints.filter(|(.., ready)| *ready) {
            let wanted = found.as_ref().map(|found| found.uid).or(uid);
            if wanted.is_some_and(|uid| uid != pod.uid) {
                continue;
            }
            let (namespace, name) = (namespace.to_owned(), name.to_owned());
            let new = GuardedPod { uid: pod.uid, namespace, name, services: BTreeSet::new() };
            found.get_or_insert(new).services.insert(service.clone());
        }
        let found = found?;
        let acts = |object: &ObjectRef| {
            let sets = self.object(object).map(ManagedObject::readable).unwrap_or_default();
            sets.iter().any(|set| flips_early(&set.intent, now))
        };
        let rests = self.resting_on(&found).any(acts);
        rests.then_some(found)
    }

    /// The objects whose traffic may rest on a pod, also through federated Services.
    pub(crate) fn resting_on<'a>(
        &'a self,
        pod: &'a GuardedPod,
    ) -> impl Iterator<Item = &'a ObjectRef> {
        let through = |service| self.remote.resting_here(service).chain([service]);
        pod.services.iter().flat_map(through).flat_map(|service| self.objects_naming(service))
    }

    /// Takes in that a pod is about to be deleted.
    pub(crate) fn depart(&mut self, pod: &GuardedPod) -> Belief {
        self.departures.announce(pod.uid, &pod.name, self.now.steady)
    }

    /// Forgets of pods what is past.
    pub(crate) fn prune_departures(&mut self) {
        self.departures.prune(self.now.steady);
    }

    /// The pods of a backend that are ready.
    fn ready_pods(&self, backend: &ObjectKey) -> Vec<PodUid> {
        let members = self.service(backend).map_or(&[][..], |facts| facts.members());
        let here = members.iter().filter_map(|member| match member {
            Member::Here(name) => Some(backend.beside(name)),
            Member::There { .. } => None,
        });
        let services: Vec<ObjectKey> = here.chain([backend.clone()]).collect();
        let slices = services.iter().flat_map(|service| self.slices.of(service));
        let ready = slices.flat_map(|slice| slice.pods()).filter(|(_, ready)| *ready);
        ready.map(|(pod, _)| pod.uid).collect()
    }

    /// Those of them that are about to be deleted.
    fn leaving_from(&self, backend: &ObjectKey, now: Now) -> Vec<(PodUid, SteadyTime)> {
        let ready = self.ready_pods(backend).into_iter();
        let until = |pod: PodUid| self.departures.until(pod, now.steady);
        ready.filter_map(|pod| Some((pod, until(pod)?))).collect()
    }

    /// Whether a backend still has a ready pod that traffic was moved for before it went.
    pub(crate) fn still_has_one_of(&self, leaving: &Recorded, backend: &ObjectKey) -> bool {
        let recorded = |pod: &PodUid| leaving.iter().any(|(one, _)| one == pod);
        !leaving.is_empty() && self.ready_pods(backend).iter().any(recorded)
    }

    /// What an object records of pods, by the wall clock: where traffic moves ahead of a loss, those
    /// that are about to go, and those that it was moved for lately and that are still there.
    pub(crate) fn leaving_to_record(
        &self,
        object: &ObjectRef,
        managed: &ManagedObject,
        ahead: bool,
        now: Now,
    ) -> AnnouncedPodUids {
        if !ahead && managed.leaving.is_empty() {
            return AnnouncedPodUids::new();
        }
        let backends = managed.readable().iter().flat_map(|set| &set.intent.backends);
        let backends: BTreeSet<ObjectKey> = backends.map(|b| object.beside(&b.name)).collect();
        let there: HashSet<PodUid> = backends.iter().flat_map(|b| self.ready_pods(b)).collect();
        let kept = managed
            .leaving
            .iter()
            .filter(|(pod, until)| there.contains(pod) && is_kept(*until, now.steady));
        let mut leaving: BTreeMap<PodUid, SteadyTime> = kept.copied().collect();
        if ahead {
            leaving.extend(backends.iter().flat_map(|b| self.leaving_from(b, now)));
        }
        while leaving.len() > MOST_RECORDED {
            leaving.pop_last();
        }
        let written = leaving.iter().map(|(pod, until)| (pod.to_string(), *until)).collect();
        now.to_wall(&written)
    }

    /// The pods that traffic leaves before they go, of these backends, for people.
    pub(crate) fn named_leaving(
        &self,
        object: &ObjectRef,
        ahead_of: &[String],
        now: Now,
    ) -> String {
        let leaving = ahead_of.iter().map(|backend| object.beside(backend));
        let leaving: BTreeMap<_, _> = leaving.flat_map(|b| self.leaving_from(&b, now)).collect();
        let named = |uid: &PodUid| match self.departures.name(*uid) {
            Some(name) => name.to_owned(),
            None => format!("with uid {uid}"),
        };
        let mut names: Vec<String> = leaving.keys().map(named).collect();
        names.sort_unstable();
        match names.as_slice() {
            [] => "pods".into(),
            [one] => format!("pod {one}"),
            [one, two] => format!("pods {one} and {two}"),
            [one, two, more @ ..] => format!("pods {one}, {two} and {} more", more.len()),
        }
    }
}

impl ManagedSet {
    /// The backends that traffic has left ahead of an announced loss.
    pub(crate) fn left_early(&self) -> &[String] {
        self.state.as_ref().map_or(&[], |state| &state.left_early)
    }
}
