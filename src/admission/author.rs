//! Who wrote the fields of a request. Fields that equal ours may still be authored: the applied manifest,
//! the field owners and the request itself decide.

use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::engine::{BySet, Declaration, DeclaredSet, Weights, annotations};
use crate::kinds::retries::RouteRetries;
use crate::kinds::{FIELD_MANAGER, Kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;
use kube::core::DynamicObject;

/// Whether the author of an object named its primaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrimaryNamed {
    Yes,
    /// The author's manifest is known, and does not name them.
    No,
    /// The request repeats the value of the object, and its author may intend it.
    Unclear,
}

/// What is known of the author of a request.
#[derive(Debug)]
pub(crate) struct Author {
    pub primary: PrimaryNamed,
    /// The request has a new manifest of `kubectl apply`.
    pub has_applied: bool,
    /// The request is a server-side apply: nothing but its weights tells what it brings.
    pub is_server_side_apply: bool,
    /// The weights that the author certainly wrote, by set.
    pub weights: BySet<Weights>,
}

impl Author {
    /// The author of an update; `manager` is the field manager of the request, where it has one.
    pub(crate) fn of(
        kind: Kind,
        old: &ReviewedObject<'_>,
        new: &ReviewedObject<'_>,
        manager: Option<&str>,
    ) -> Self {
        let (before, now) = (old.normalized(), new.normalized());
        let applied = new.manifest_applied_over(old);
        let request = ReviewedRequest { kind, old: old.object, new: new.object, manager };
        let is_server_side_apply = request.is_server_side_apply();
        Self {
            primary: request.primary(before, applied, new),
            has_applied: applied.is_some(),
            is_server_side_apply,
            weights: match applied {
                Some(applied) => applied.normalized().live(),
                None if is_server_side_apply || request.replaces_object() => {
                    request.without_echoes(before, now)
                }
                None => BySet::new(),
            },
        }
    }
}

struct ReviewedRequest<'a> {
    kind: Kind,
    old: &'a SentObject,
    new: &'a SentObject,
    manager: Option<&'a str>,
}

impl ReviewedRequest<'_> {
    fn primary(
        &self,
        before: &Declaration,
        applied: Option<&Declaration>,
        new: &ReviewedObject<'_>,
    ) -> PrimaryNamed {
        let Some(named) = self.new.annotations().get(annotations::PRIMARY_SERVICE) else {
            return PrimaryNamed::No;
        };
        let state = before.state();
        let is_ours = state.is_some_and(|state| state.defaulted_primary.as_ref() == Some(named));
        if !is_ours || self.replaces_object() {
            return PrimaryNamed::Yes;
        }
        let in_manifest = new
            .manifest()
            .and_then(|manifest| manifest.annotations.get(annotations::PRIMARY_SERVICE));
        if in_manifest == Some(named) || self.is_owned() {
            return PrimaryNamed::Yes;
        }
        match applied.is_some() || self.is_server_side_apply() {
            true => PrimaryNamed::No,
            false => PrimaryNamed::Unclear,
        }
    }

    /// Whether a manifest replaces the object, as `kubectl replace` does: our annotations are gone. A person
    /// who removes them with kubectl sends our weights with the object.
    fn replaces_object(&self) -> bool {
        if is_edit_by_hand(self.manager) {
            return false;
        }
        let has_record = |object: &DynamicObject| {
            let there = object.annotations();
            [annotations::STATE, annotations::AUTHORED_WEIGHTS]
                .iter()
                .any(|n| there.contains_key(*n))
        };
        has_record(self.old) && !has_record(self.new)
    }

    /// Whether the request is a server-side apply with weights: the API server makes its manager the owner
    /// of their list, which is atomic. An update by the same manager differs only in its own entry.
    fn is_server_side_apply(&self) -> bool {
        let Some(manager) = self.manager.filter(|manager| *manager != FIELD_MANAGER) else {
            return false;
        };
        if !self.new.has_field_owner(|by, operation| (by, operation) == (manager, "Apply")) {
            return false;
        }
        let of = |object: &SentObject, operation: &str| {
            let mut entries = object.managed_fields().iter();
            let is = |e: &&ManagedFieldsEntry| {
                (e.manager.as_deref(), e.operation.as_deref()) == (Some(manager), Some(operation))
                    && e.subresource.is_none()
            };
            entries.find(is).cloned()
        };
        let applies = of(self.new, "Apply");
        applies.is_some_and(|entry| owns(&entry, self.kind.weights_pointer()))
            && of(self.new, "Update") == of(self.old, "Update")
            && !self.only_hands_over()
    }

    /// Whether nothing changes but who owns the fields. So kubectl and Flux hand those of a client-side
    /// apply over to server-side apply, with our weights in the object.
    ///
    /// An apply that takes the weights from another writer looks alike where they are the live ones: the API
    /// server compares before it fills in defaults.
    fn only_hands_over(&self) -> bool {
        let is_gone = |entry: &ManagedFieldsEntry| {
            let of = |e: &ManagedFieldsEntry| (e.manager.clone(), e.operation.clone());
            let manager = entry.manager.as_deref();
            (manager == self.manager || manager.is_some_and(is_client_side_apply))
                && self.new.managed_fields().iter().all(|other| of(other) != of(entry))
        };
        let annotations = |object: &DynamicObject| {
            let mut there = object.annotations().clone();
            there.remove(annotations::LAST_APPLIED);
            there
        };
        self.old.managed_fields().iter().any(is_gone)
            && self.old.data == self.new.data
            && self.old.labels() == self.new.labels()
            && annotations(self.old) == annotations(self.new)
    }

    /// Whether the primary has a field owner: a field that a webhook adds has none.
    fn is_owned(&self) -> bool {
        const PRIMARY: &str = "/f:metadata/f:annotations/f:failover.linkerd.io~1primary-service";
        if !self.new.may_own("f:failover.linkerd.io/primary-service") {
            return false;
        }
        let by_others = |object: &SentObject, operation: &str| {
            let mut entries = object.managed_fields().iter();
            entries.any(|entry| {
                entry.manager.as_deref() != Some(FIELD_MANAGER)
                    && entry.operation.as_deref() == Some(operation)
                    && owns(entry, PRIMARY)
            })
        };
        // The creator of an object from a backup also owns our default in it.
        by_others(self.new, "Apply")
            || by_others(self.new, "Update") && !by_others(self.old, "Update")
    }

    /// The weights of the object, without those that Argo CD, where it ignores differences in them, copies
    /// from the live object.
    fn without_echoes(&self, before: &Declaration, now: &Declaration) -> BySet<Weights> {
        let live: Vec<Weights> = before.sets.iter().map(DeclaredSet::live).collect();
        let argo = self.manager.is_some_and(|manager| manager.starts_with("argocd"));
        let mut weights = now.live();
        weights.retain(|_, weights| !argo || !live.contains(weights));
        weights
    }
}

/// The retries of an object, by who set them; `old` is the object before this request.
pub(crate) fn retries_of(
    kind: Kind,
    old: Option<&ReviewedObject<'_>>,
    object: &ReviewedObject<'_>,
) -> RouteRetries {
    let is_authored = |name| is_annotation_of_author(old, object, name);
    RouteRetries::read(kind.retries(), object.object.annotations(), is_authored)
}

/// Whether an annotation that the webhook may have added stands in the manifest that is applied, or has a field
/// owner: one that a webhook adds has none. A manifest, or an owner, that also has the record of what is added
/// repeats the live object, as a backup does. A manifest that was applied before tells nothing: what it names may
/// have been removed by hand since, and is ours now.
fn is_annotation_of_author(
    old: Option<&ReviewedObject<'_>>,
    object: &ReviewedObject<'_>,
    name: &str,
) -> bool {
    let applied = old.and_then(|old| object.manifest_applied_over(old));
    let in_manifest = applied.is_some_and(|manifest| {
        let written = &manifest.annotations;
        written.contains_key(name) && !written.contains_key(annotations::ADDED)
    });
    let owns_it = |entry: &ManagedFieldsEntry| {
        entry.manager.as_deref() != Some(FIELD_MANAGER)
            && owns(entry, &pointer_to_annotation(name))
            && !owns(entry, &pointer_to_annotation(annotations::ADDED))
    };
    in_manifest
        || object.object.may_own(&format!("f:{name}"))
            && object.object.managed_fields().iter().any(owns_it)
}

/// An annotation, among the fields that a manager owns.
fn pointer_to_annotation(name: &str) -> String {
    format!("/f:metadata/f:annotations/f:{}", name.replace('/', "~1"))
}

/// Whether a field manager is that of a person with kubectl, who changes a part of an object.
pub(crate) fn is_edit_by_hand(manager: Option<&str>) -> bool {
    const EDITS: [&str; 4] = ["kubectl-annotate", "kubectl-edit", "kubectl-label", "kubectl-patch"];
    manager.is_some_and(|manager| EDITS.contains(&manager))
}

/// Whether the fields of a manager are handed over to server-side apply: kubectl's, and what the API server has
/// called what was there before it.
fn is_client_side_apply(manager: &str) -> bool {
    manager.starts_with("kubectl") || manager == "before-first-apply"
}

fn owns(entry: &ManagedFieldsEntry, pointer: &str) -> bool {
    entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer(pointer).is_some())
}

#[cfg(test)]
#[path = "author_tests.rs"]
mod tests;
