//! Answers a review from the request and the index, by the mutator or the validator.

use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::{FactSource, LiveLookups, Rules, SeenServices, View};
use crate::admission::{declared_down, lookup, mutate, service_deletion as deletion, validate};
use crate::engine::{Defaults, Identity};
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey, policy_route};
use crate::telemetry::ReviewPath;
use crate::webhook::answer::{self, AdmissionResponse};
use crate::webhook::response::{ReviewResponse, Reviewer};
use crate::webhook::review::ReviewRequest;
use crate::webhook::size_limit;
use kube::{Client, ResourceExt};
use std::sync::Arc;

/// Reviews by the index.
#[derive(Clone)]
pub(crate) struct Handler {
    pub client: Client,
    pub shared: SharedIndex,
    pub selector: Arc<LabelSelector>,
    pub rules: Arc<Rules>,
    pub defaults: Defaults,
    pub me: Identity,
}

impl Reviewer for Handler {
    fn precheck(&self, webhook: ReviewPath, body: &[u8]) -> Option<ReviewResponse> {
        size_limit::size_denial(body, webhook, &self.selector)
    }

    async fn review(&self, webhook: ReviewPath, request: &ReviewRequest) -> AdmissionResponse {
        if webhook == ReviewPath::ServiceDeletion {
            return review_service_deletion(request, &self.shared.read());
        }
        if webhook == ReviewPath::DeclaredDown {
            return review_declared_down(request, &self.shared);
        }
        let kind = Kind::of(&request.kind.group, &request.kind.kind);
        let (Some(object), Some(kind)) = (&request.object, kind) else {
            return review_unmanaged(webhook, request, &self.selector);
        };
        let new = ReviewedObject::read(kind, object);
        let old = request.old_object.as_ref().map(|old| ReviewedObject::read(kind, old));
        let mut looked_up = self.look_up_missing(request, &new, old.as_ref()).await;
        if webhook == ReviewPath::Mutate {
            let mutation = self.with_view(request, kind, &looked_up, |view| {
                mutate::mutate(old.as_ref(), &new, view)
            });
            return mutated(mutation);
        }
        let validate = |view: &View<'_>| validate::validate(old.as_ref(), &new, view);
        let mut validation = self.with_view(request, kind, &looked_up, validate);
        if !validation.errors.is_empty() {
            self.look_up_rest(request, &new, &mut looked_up).await;
            validation = self.with_view(request, kind, &looked_up, validate);
        }
        validated(request, validation)
    }
}

impl Handler {
    /// Runs a function with a view of the cluster as it is known now.
    fn with_view<T>(
        &self,
        request: &ReviewRequest,
        kind: Kind,
        looked_up: &LiveLookups,
        run: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let namespace_protection = self.shared.read().namespace_default(request.namespace());
        run(&View {
            facts: FactSource::Shared(&self.shared),
            looked_up,
            selector: &self.selector,
            kind,
            takes_text: request.takes_text(),
            namespace: request.namespace(),
            rules: &self.rules,
            defaults: Defaults { namespace_protection, ..self.defaults },
            manager: request.manager(),
            dry_run: request.is_dry_run(),
            me: &self.me,
            now: self.shared.now(),
            services: SeenServices::default(),
        })
    }

    /// Looks up the Services that the cache does not have.
    async fn look_up_missing(
        &self,
        request: &ReviewRequest,
        new: &ReviewedObject<'_>,
        old: Option<&ReviewedObject<'_>>,
    ) -> LiveLookups {
        let namespace = request.namespace();
        // Preexisting faults are compared with new ones: they need the same look-ups.
        let objects: Vec<_> = [Some(new), old].into_iter().flatten().map(|o| &o.declared).collect();
        if lookup::has_all(&self.shared.read(), namespace, &objects) {
            return LiveLookups::new();
        }
        let names = objects.into_iter().flat_map(lookup::named).collect();
        let missing = lookup::missing(&self.shared.read(), namespace, names);
        lookup::look_up(&self.client, namespace, missing).await
    }

    /// Looks up every other Service that the object names, before it is denied: the cache may not have
    /// the last change of one that is applied from the same file.
    async fn look_up_rest(
        &self,
        request: &ReviewRequest,
        new: &ReviewedObject<'_>,
        looked_up: &mut LiveLookups,
    ) {
        let namespace = request.namespace();
        let names = lookup::named(&new.declared);
        let mut names = lookup::watched(&self.shared.read(), namespace, names);
        names.retain(|name| !looked_up.contains_key(name));
        looked_up.extend(lookup::look_up(&self.client, namespace, names).await);
    }
}

fn review_service_deletion(request: &ReviewRequest, index: &Index) -> AdmissionResponse {
    // The request of a deleted collection has no name.
    let of_object = || request.old_object.as_ref().map(|old| old.name_any());
    let name = Some(request.name.clone()).filter(|name| !name.is_empty()).or_else(of_object);
    let service = ObjectKey::new(request.namespace(), name.unwrap_or_default());
    AdmissionResponse::allowed().with_warnings(deletion::warnings(&service, index))
}

fn review_declared_down(request: &ReviewRequest, shared: &SharedIndex) -> AdmissionResponse {
    let annotations = request.object.as_ref().map(|service| service.annotations());
    let annotations = annotations.cloned().unwrap_or_default();
    let service = ObjectKey::new(request.namespace(), &*request.name);
    let now = shared.now();
    let problems = declared_down::problems(&service, &annotations, &shared.read(), now);
    validated(request, problems)
}

/// The response for an object of another kind, whatever its label: at most a warning, and only by the
/// mutating webhook, whose failure denies nothing.
fn review_unmanaged(
    webhook: ReviewPath,
    request: &ReviewRequest,
    selector: &LabelSelector,
) -> AdmissionResponse {
    let is_policy_route = request.kind.group == policy_route::GROUP;
    // The webhook's selector matches the old object too.
    let labelled = request.object.as_ref().filter(|route| {
        webhook == ReviewPath::Mutate && is_policy_route && selector.matches(route.labels())
    });
    let warning = labelled.map(|route| {
        policy_route::not_managed(request.namespace(), &route.name_any(), selector.as_str())
    });
    AdmissionResponse::allowed().with_warnings(warning.into_iter().collect())
}

fn mutated(mutation: mutate::Mutation) -> AdmissionResponse {
    let mut response = AdmissionResponse::allowed();
    for (i, note) in mutation.notes.iter().enumerate() {
        response.audit_annotations.insert(format!("note-{i}"), note.clone());
    }
    let response = response.with_warnings(mutation.notes);
    match mutation.edit.is_empty() {
        true => response,
        false => response.with_patch(&mutation.edit.into_patch()),
    }
}

fn validated(request: &ReviewRequest, validation: validate::Validation) -> AdmissionResponse {
    let warnings = validation.warnings.iter().map(ToString::to_string).collect();
    if validation.errors.is_empty() {
        return AdmissionResponse::allowed().with_warnings(warnings);
    }
    let causes = validation.errors.len();
    tracing::info!(object = request.describe(), causes, "denied");
    answer::deny(request, &validation.errors).with_warnings(warnings)
}
