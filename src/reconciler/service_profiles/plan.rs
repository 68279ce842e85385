//! What a split needs of its ServiceProfile: Linkerd reads that, and not the split.
//!
//! Two questions, both answered from facts alone: how a managed split's weights get into its profile
//! ([`SplitWithProfile::plan`]), and how a profile is restored once its split is gone or is no longer
//! ours ([`restore`]).

use crate::engine::Intent;
use crate::index::managed_object::ManagedObject;
use crate::index::profile_facts::ProfileFacts;
use crate::index::store::Index;
use crate::kinds::selector::LabelSelector;
use crate::kinds::service_profile::{
    LABEL, LABELLED, Mark, Override, SKIP, WRITTEN_FOR, api_resource, host, overrides_json,
    owner_reference, service_of,
};
use crate::kinds::{Edit, ObjectKey, ObjectRef};
use serde_json::{Value, json};
use std::sync::Arc;

/// How ServiceProfiles are written, where they are.
#[derive(Clone, Debug)]
pub(crate) struct ProfileSettings {
    /// The domain in which Linkerd looks for them: a profile of another one is never read.
    pub cluster_domain: String,
    /// This installation, `namespace/name`.
    pub by: String,
    /// Of the managed objects.
    pub selector: LabelSelector,
}

/// A write to a ServiceProfile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProfileWrite {
    pub profile: ObjectKey,
    pub action: Action,
    /// The version that it is decided from; empty where the profile is not there.
    pub resource_version: Box<str>,
    /// The weights that it writes; none where the profile is restored.
    pub weights: Vec<u32>,
}

/// What is asked of the API server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Create(Value),
    Patch(json_patch::Patch),
    /// Of this version only.
    Delete,
}

/// What a split needs of a profile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ProfilePlan {
    Nothing,
    Write(ProfileWrite),
    NotOurs(NotOurs),
}

/// Why a profile is not ours to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOurs {
    #[error(
        "all weights are 0, which Linkerd takes for no split at all: ServiceProfile {profile} is left as it is"
    )]
    AllZero { profile: Arc<str> },
    #[error(
        "ServiceProfile {profile} has the annotation {SKIP} of somebody else and is left as it is: what stands in it decides; take the annotation away, and it is written for this split"
    )]
    OfOthers { profile: Arc<str> },
}

/// What has become of a split that is not among the managed ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum UnmanagedSplit {
    Gone,
    /// There, and somebody else's: its apex, and its weights where all can be read.
    Unmanaged {
        apex: String,
        weights: Option<Vec<(String, u32)>>,
    },
}

/// A managed split, and what is known beside it.
pub(crate) struct SplitWithProfile<'a> {
    pub index: &'a Index,
    pub split: &'a ObjectRef,
    pub managed: &'a ManagedObject,
    pub settings: &'a ProfileSettings,
}

impl SplitWithProfile<'_> {
    /// What it takes for the split's profile to have these weights, one for each of its backends.
    pub(crate) fn plan(&self, weights: &[u32]) -> ProfilePlan {
        let Self { index, split, managed, settings } = self;
        let intent = managed.readable().first().map(|set| &set.intent);
        let Some((intent, apex)) = intent.and_then(|i| Some((i, i.apexes.first()?))) else {
            return ProfilePlan::Nothing;
        };
        let domain = &settings.cluster_domain;
        let key = split.beside(&host(apex, split.namespace(), domain));
        let facts = index.profile(&key);
        match index.winner_over(split, &intent.apexes, managed.created) {
            Some(other) if other.kind.needs_service_profile() => return self.stray(None),
            // Linkerd would follow the profile, and not the older route.
            Some(_) => {
                let ours = facts.filter(|facts| facts.mark.is_some() && self.is_ours(facts));
                return match ours {
                    Some(facts) => ProfilePlan::Write(emptied(&key, facts)),
                    None => self.stray(None),
                };
            }
            None => {}
        }
        let wanted = overrides(intent, weights, split.namespace(), domain);
        match self.fill(&key, facts, &wanted, weights) {
            ProfilePlan::Nothing => self.stray(Some(&key)),
            other => other,
        }
    }

    fn fill(
        &self,
        key: &ObjectKey,
        facts: Option<&ProfileFacts>,
        wanted: &[Override],
        weights: &[u32],
    ) -> ProfilePlan {
        if weights.iter().all(|weight| *weight == 0) {
            return ProfilePlan::NotOurs(NotOurs::AllZero { profile: key.name.clone() });
        }
        if facts.is_some_and(|facts| !self.is_ours(facts)) {
            return ProfilePlan::NotOurs(NotOurs::OfOthers { profile: key.name.clone() });
        }
        let (action, resource_version) = match facts {
            None => {
                let body = created(key, wanted, &self.mark(true), self.owner());
                (Action::Create(body), "".into())
            }
            Some(facts) => match self.patch(facts, wanted) {
                Some(patch) => (Action::Patch(patch), facts.resource_version.clone()),
                None => return ProfilePlan::Nothing,
            },
        };
        let (profile, weights) = (key.clone(), weights.to_vec());
        ProfilePlan::Write(ProfileWrite { profile, action, resource_version, weights })
    }

    /// What it takes for a profile that is there to have these overrides, and our marks.
    fn patch(&self, facts: &ProfileFacts, wanted: &[Override]) -> Option<json_patch::Patch> {
        let owned = facts.owner.as_ref().is_some_and(|owner| *owner.uid == *self.managed.uid);
        let was_created = facts.mark.as_ref().map_or(owned, |mark| mark.created);
        // What others have written into it since must outlive the split.
        let mark = self.mark(was_created && !facts.has_more);
        let right_owner = facts.owner.is_some() == mark.created && (owned || !mark.created);
        let right_mark = facts.mark.as_deref() == Some(&mark);
        let right_overrides = *facts.overrides == *wanted;
        if right_overrides && facts.skipped && right_mark && right_owner {
            return None;
        }
        let mut edit = Edit::guarded_by(&facts.resource_version);
        if !right_overrides {
            set_overrides(&mut edit, facts, wanted);
        }
        if !facts.skipped || !right_mark {
            let set = [(SKIP, "true".to_owned()), (WRITTEN_FOR, mark.to_annotation())];
            edit.annotations(facts.there.annotations, &set[usize::from(facts.skipped)..]);
        }
        if !facts.there.label {
            if !facts.there.labels {
                edit.set(&["metadata", "labels"], json!({}));
            }
            edit.set(&["metadata", "labels", LABEL], json!(LABELLED));
        }
        if !right_owner {
            remove_owner(&mut edit, facts);
            let others = facts.owners - usize::from(facts.owner.is_some());
            match (mark.created, others) {
                (false, _) => {}
                (true, 0) => edit.set(&["metadata", "ownerReferences"], json!([self.owner()])),
                (true, _) => edit.set(&["metadata", "ownerReferences", "-"], self.owner()),
            }
        }
        Some(edit.into_patch())
    }

    fn mark(&self, created: bool) -> Mark {
        Mark::new(self.split.name(), &self.managed.uid, created, &self.settings.by)
    }

    fn owner(&self) -> Value {
        let kind = self.split.kind;
        let version = self.index.served(kind).unwrap_or(kind.versions()[0]);
        let api_version = kind.api_resource(version).api_version;
        owner_reference(&api_version, self.split.name(), &self.managed.uid)
    }

    /// Whether a profile may be written for the split: nobody's, or one that is written here already.
    /// A mark of another installation is somebody else's, unless its split is managed by this one now.
    fn is_ours(&self, facts: &ProfileFacts) -> bool {
        let Some(mark) = &facts.mark else { return !facts.skipped };
        let named = || ObjectRef::new(self.split.kind, self.split.beside(&mark.split));
        mark.by == self.settings.by
            || mark.split == self.split.name()
            || self.index.object(&named()).is_some()
    }

    /// A profile that is written for this split and is not, or no longer, that of its apex.
    fn stray(&self, but: Option<&ObjectKey>) -> ProfilePlan {
        let strays = self.index.profiles_written_for(self.split).filter(|key| Some(*key) != but);
        let mut not_taken = strays.filter(|key| heir(self.index, key, self.settings).is_none());
        let found = not_taken.next().and_then(|key| Some((key, self.index.profile(key)?)));
        match found {
            Some((key, facts)) => ProfilePlan::Write(emptied(key, facts)),
            None => ProfilePlan::Nothing,
        }
    }
}

fn overrides(intent: &Intent, weights: &[u32], namespace: &str, domain: &str) -> Vec<Override> {
    // What is no Service has no authority.
    let backends = intent.backends.iter().zip(weights).filter(|(backend, _)| backend.can_serve());
    backends
        .map(|(backend, weight)| Override {
            authority: host(&backend.name, namespace, domain).into(),
            weight: Some(*weight),
        })
        .collect()
}

fn created(key: &ObjectKey, overrides: &[Override], mark: &Mark, owner: Value) -> Value {
    let resource = api_resource();
    json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": &*key.name,
            "namespace": &*key.namespace,
            "labels": {LABEL: LABELLED},
            "annotations": {SKIP: "true", WRITTEN_FOR: mark.to_annotation()},
            "ownerReferences": [owner],
        },
        "spec": {"dstOverrides": overrides_json(overrides)},
    })
}

/// The managed split whose profile this is by its name: it takes it over.
fn heir<'a>(
    index: &'a Index,
    profile: &ObjectKey,
    settings: &ProfileSettings,
) -> Option<&'a ObjectRef> {
    let service = service_of(&profile.name);
    let name = host(service, &profile.namespace, &settings.cluster_domain);
    // One that was written while the domain was set to another is nobody's.
    (name == *profile.name).then(|| index.first_split_on(&profile.beside(service)))?
}

/// The profile, if any, that is to be restored because this split is not among the managed ones.
pub(crate) fn orphan<'a>(
    index: &'a Index,
    split: &ObjectRef,
    settings: &ProfileSettings,
) -> Option<(&'a ObjectKey, &'a ProfileFacts)> {
    let mut profiles =
        index.profiles_written_for(split).filter_map(|key| Some((key, index.profile(key)?)));
    profiles.find(|(key, facts)| {
        let by_us = facts.mark.as_ref().is_some_and(|mark| mark.by == settings.by);
        by_us && heir(index, key, settings).is_none()
    })
}

/// What it takes for a profile to be as if it had never been written here.
pub(crate) fn restore(
    profile: &ObjectKey,
    facts: &ProfileFacts,
    standing: &UnmanagedSplit,
    settings: &ProfileSettings,
) -> ProfileWrite {
    let (apex, weights) = match standing {
        UnmanagedSplit::Gone => return emptied(profile, facts),
        UnmanagedSplit::Unmanaged { apex, weights } => (apex, weights),
    };
    let namespace = &profile.namespace;
    if *profile.name != *host(apex, namespace, &settings.cluster_domain) {
        return emptied(profile, facts);
    }
    let mut edit = Edit::guarded_by(&facts.resource_version);
    match weights {
        Some(weights) if weights.iter().any(|(_, weight)| *weight > 0) => {
            let overrides: Vec<_> = weights
                .iter()
                .map(|(name, weight)| Override {
                    authority: host(name, namespace, &settings.cluster_domain).into(),
                    weight: Some(*weight),
                })
                .collect();
            set_overrides(&mut edit, facts, &overrides);
        }
        Some(_) => remove_overrides(&mut edit, facts),
        // What cannot be read is for the adaptor to write, or for a person.
        None => {}
    }
    unmarked(profile, facts, edit)
}

/// A profile that is not used any more: one that was made here is deleted, unless others have written into it.
fn emptied(profile: &ObjectKey, facts: &ProfileFacts) -> ProfileWrite {
    if facts.mark.as_ref().is_some_and(|mark| mark.created) && !facts.has_more {
        return ProfileWrite {
            profile: profile.clone(),
            action: Action::Delete,
            resource_version: facts.resource_version.clone(),
            weights: vec![],
        };
    }
    let mut edit = Edit::guarded_by(&facts.resource_version);
    remove_overrides(&mut edit, facts);
    unmarked(profile, facts, edit)
}

fn unmarked(profile: &ObjectKey, facts: &ProfileFacts, mut edit: Edit) -> ProfileWrite {
    edit.remove_annotations([SKIP].into_iter().filter(|_| facts.skipped));
    edit.remove_annotations([WRITTEN_FOR].into_iter().filter(|_| facts.there.mark));
    if facts.there.label {
        edit.remove(&["metadata", "labels", LABEL]);
    }
    remove_owner(&mut edit, facts);
    ProfileWrite {
        profile: profile.clone(),
        action: Action::Patch(edit.into_patch()),
        resource_version: facts.resource_version.clone(),
        weights: vec![],
    }
}

fn set_overrides(edit: &mut Edit, facts: &ProfileFacts, overrides: &[Override]) {
    if !facts.there.spec {
        edit.set(&["spec"], json!({}));
    }
    edit.set(&["spec", "dstOverrides"], overrides_json(overrides));
}

fn remove_overrides(edit: &mut Edit, facts: &ProfileFacts) {
    if facts.there.overrides {
        edit.remove(&["spec", "dstOverrides"]);
    }
}

fn remove_owner(edit: &mut Edit, facts: &ProfileFacts) {
    if let Some(owner) = &facts.owner {
        edit.remove(&["metadata", "ownerReferences", &owner.position.to_string()]);
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
