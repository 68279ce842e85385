//! The pods that traffic depends on, and the records of those that are announced.

use crate::engine::{AnnouncedPodUids, Now, SteadyTime, flips_early};
use crate::index::announced_pods::{AnnounceResult, RecordedPods, is_current};
use crate::index::endpoints::SliceFacts;
use crate::index::managed_object::{ManagedObject, ManagedSet};
use crate::index::remote::members::Member;
use crate::index::store::Index;
use crate::kinds::pods::{PodName, PodUid};
use crate::kinds::{ObjectKey, ObjectRef};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The most pods that are recorded in one object: each takes 65 bytes of an annotation.
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
    /// Whether it is known which Services a pod is an endpoint of.
    pub(crate) fn follows_pods(&self) -> bool {
        self.slices.follows_pods()
    }

    /// Keeps which Services a pod is an endpoint of, from now on.
    pub(crate) fn follow_pods(&mut self) {
        self.slices.follow_pods();
    }

    /// Whether all pods of a namespace are guarded.
    pub(crate) fn is_guarded_namespace(&self, name: &str) -> bool {
        self.guarded_namespaces.contains(name)
    }

    /// The namespaces whose pods are all guarded.
    pub(crate) fn guarded_namespaces(&self) -> impl Iterator<Item = &str> {
        self.guarded_namespaces.iter().map(|name| &**name)
    }

    /// Replaces whether all pods of a namespace are guarded.
    pub(crate) fn set_guarded_namespace(&mut self, name: &str, is_guarded: bool) {
        if is_guarded {
            self.guarded_namespaces.insert(name.into());
        } else {
            self.guarded_namespaces.remove(name);
        }
    }

    /// The facts of a pod that traffic which may flip early depends on. The uid is that of the endpoint
    /// where none is given: an Eviction has none.
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
        let is_depended_on = self.depending_on(&found).any(acts);
        is_depended_on.then_some(found)
    }

    /// The objects whose traffic may depend on a pod, also through federated Services.
    pub(crate) fn depending_on<'a>(
        &'a self,
        pod: &'a GuardedPod,
    ) -> impl Iterator<Item = &'a ObjectRef> {
        let through = |service| self.remote.federated_over(service).chain([service]);
        pod.services.iter().flat_map(through).flat_map(|service| self.objects_naming(service))
    }

    /// Adds a pod that is about to be deleted.
    pub(crate) fn announce_pod(&mut self, pod: &GuardedPod) -> AnnounceResult {
        self.announced_pods.announce(pod.uid, &pod.name, self.now.steady)
    }

    /// Removes the pods whose announcements have no effect any more.
    pub(crate) fn prune_announced_pods(&mut self) {
        self.announced_pods.prune(self.now.steady);
    }

    /// The pods of a backend that are ready.
    fn ready_pods(&self, backend: &ObjectKey) -> Vec<PodUid> {
        let members = self.service(backend).map_or(&[][..], |facts| facts.members());
        let here = members.iter().filter_map(|member| match member {
            Member::Local(name) => Some(backend.beside(name)),
            Member::Remote { .. } => None,
        });
        let services: Vec<ObjectKey> = here.chain([backend.clone()]).collect();
        let slices = services.iter().flat_map(|service| self.slices.of(service));
        let ready = slices.flat_map(SliceFacts::pods).filter(|(_, ready)| *ready);
        ready.map(|(pod, _)| pod.uid).collect()
    }

    /// Those of them that are announced, and until when.
    fn announced_of(&self, backend: &ObjectKey, now: Now) -> Vec<(PodUid, SteadyTime)> {
        let ready = self.ready_pods(backend).into_iter();
        let until = |pod: PodUid| self.announced_pods.until(pod, now.steady);
        ready.filter_map(|pod| Some((pod, until(pod)?))).collect()
    }

    /// Whether a backend still has a ready pod of these: an early flip was made for them.
    pub(crate) fn still_has_one_of(&self, recorded: &RecordedPods, backend: &ObjectKey) -> bool {
        let is_recorded = |pod: &PodUid| recorded.iter().any(|(one, _)| one == pod);
        !recorded.is_empty() && self.ready_pods(backend).iter().any(is_recorded)
    }

    /// The pods that an object records, by the wall clock: with an early flip those that are announced,
    /// and those that one was made for lately and that are still there.
    pub(crate) fn pods_to_record(
        &self,
        object: &ObjectRef,
        managed: &ManagedObject,
        is_early: bool,
        now: Now,
    ) -> AnnouncedPodUids {
        if !is_early && managed.recorded_pods.is_empty() {
            return AnnouncedPodUids::new();
        }
        let backends = managed.readable().iter().flat_map(|set| &set.intent.backends);
        let backends: BTreeSet<ObjectKey> = backends.map(|b| object.beside(&b.name)).collect();
        let there: HashSet<PodUid> = backends.iter().flat_map(|b| self.ready_pods(b)).collect();
        let kept = managed
            .recorded_pods
            .iter()
            .filter(|(pod, until)| there.contains(pod) && is_current(*until, now.steady));
        let mut recorded: BTreeMap<PodUid, SteadyTime> = kept.copied().collect();
        if is_early {
            recorded.extend(backends.iter().flat_map(|b| self.announced_of(b, now)));
        }
        while recorded.len() > MOST_RECORDED {
            recorded.pop_last();
        }
        let written = recorded.iter().map(|(pod, until)| (pod.to_string(), *until)).collect();
        now.to_wall(&written)
    }

    /// The announced pods of these backends, for people.
    pub(crate) fn describe_announced(
        &self,
        object: &ObjectRef,
        backends: &[String],
        now: Now,
    ) -> String {
        let backends = backends.iter().map(|backend| object.beside(backend));
        let announced: BTreeMap<_, _> = backends.flat_map(|b| self.announced_of(&b, now)).collect();
        let named = |uid: &PodUid| match self.announced_pods.name(*uid) {
            Some(name) => name.to_owned(),
            None => format!("with uid {uid}"),
        };
        let mut names: Vec<String> = announced.keys().map(named).collect();
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
    /// The backends that are left early.
    pub(crate) fn left_early(&self) -> &[String] {
        self.state.as_ref().map_or(&[], |state| &state.left_early)
    }
}
