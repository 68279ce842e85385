//! Answers a review from the request and the index, by the mutator or the validator.

use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::{FactSource, LiveLookups, Rules, View};
use crate::admission::{lookup, mutate, service_deletion as deletion, validate};
use crate::engine::{Defaults, Identity};
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey, policy_route};
use crate::telemetry::ReviewPath;
use crate::webhook::response::{ReviewResponse, Reviewer};
use crate::webhook::review::{self, ReviewRequest};
use crate::webhook::{answer, size_limit};
use kube::core::admission::AdmissionResponse;
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
            return mutated(request, mutation);
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
        run(&View {
            facts: FactSource::Shared(&self.shared),
            looked_up,
            selector: &self.selector,
            kind,
            takes_text: review::takes_text(request),
            namespace: namespace(request),
            rules: &self.rules,
            defaults: &self.defaults,
            manager: review::manager(request),
            me: &self.me,
            now: self.shared.now(),
        })
    }

    /// Looks up the Services that the cache does not have.
    async fn look_up_missing(
        &self,
        request: &ReviewRequest,
        new: &ReviewedObject<'_>,
        old: Option<&ReviewedObject<'_>>,
    ) -> LiveLookups {
        let namespace = namespace(request);
        let missing = {
            let index = self.shared.read();
            let mut missing = lookup::missing(&index, namespace, &new.declared);
            // Preexisting faults are compared with new ones: they need the same look-ups.
            if let Some(old) = old {
                missing.extend(lookup::missing(&index, namespace, &old.declared));
            }
            missing
        };
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
        let namespace = namespace(request);
        let names = lookup::named(&new.declared);
        let mut names = lookup::watched(&self.shared.read(), namespace, names);
        names.retain(|name| !looked_up.contains_key(name));
        looked_up.extend(lookup::look_up(&self.client, namespace, names).await);
    }
}

fn namespace(request: &ReviewRequest) -> &str {
    request.namespace.as_deref().unwrap_or_default()
}

fn review_service_deletion(request: &ReviewRequest, index: &Index) -> AdmissionResponse {
    let mut response = AdmissionResponse::from(request);
    // The request of a deleted collection has no name.
    let of_object = || request.old_object.as_ref().map(ResourceExt::name_any);
    let name = Some(request.name.clone()).filter(|name| !name.is_empty()).or_else(of_object);
    let service = ObjectKey::new(namespace(request), name.unwrap_or_default());
    let warnings = deletion::warnings(&service, index);
    if !warnings.is_empty() {
        response.warnings = Some(warnings);
    }
    response
}

/// The response for an object of another kind, whatever its label: at most a warning, and only by the
/// mutating webhook, whose failure denies nothing.
fn review_unmanaged(
    webhook: ReviewPath,
    request: &ReviewRequest,
    selector: &LabelSelector,
) -> AdmissionResponse {
    let mut response = AdmissionResponse::from(request);
    let is_policy_route = request.kind.group == policy_route::GROUP;
    // The webhook's selector matches the old object too.
    let labelled = request.object.as_ref().filter(|route| {
        webhook == ReviewPath::Mutate && is_policy_route && selector.matches(route.labels())
    });
    response.warnings = labelled.map(|route| {
        vec![policy_route::not_managed(namespace(request), &route.name_any(), selector.as_str())]
    });
    response
}

fn mutated(request: &ReviewRequest, mutation: mutate::Mutation) -> AdmissionResponse {
    let mut response = AdmissionResponse::from(request);
    for (i, note) in mutation.notes.iter().enumerate() {
        response.audit_annotations.insert(format!("note-{i}"), note.clone());
    }
    if !mutation.notes.is_empty() {
        response.warnings = Some(mutation.notes);
    }
    if !mutation.edit.is_empty() {
        let unpatched = response.clone();
        response = response.with_patch(mutation.edit.into_patch()).unwrap_or(unpatched);
    }
    response
}

fn validated(request: &ReviewRequest, validation: validate::Validation) -> AdmissionResponse {
    let mut response = if validation.errors.is_empty() {
        AdmissionResponse::from(request)
    } else {
        tracing::info!(
            object = review::describe(request),
            causes = validation.errors.len(),
            "denied"
        );
        answer::deny(request, &validation.errors)
    };
    if !validation.warnings.is_empty() {
        response.warnings = Some(validation.warnings.iter().map(ToString::to_string).collect());
    }
    response
}
