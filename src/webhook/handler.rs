//! The judgement of a review: what the mutator and the validator say of it.

use crate::admission::view::FactSource;
use crate::admission::view::{LiveLookups, Rules, View};
use crate::admission::{lookup, mutate, service_deletion as deletion, validate};
use crate::engine::{Defaults, Identity};
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey, policy_route};
use crate::webhook::outline;
use crate::webhook::response::{ReviewResponse, Reviewer};
use crate::webhook::review::{self, ReviewRequest};
use kube::core::DynamicObject;
use kube::core::admission::AdmissionResponse;
use kube::{Client, ResourceExt};
use std::sync::Arc;

/// Which of the webhooks is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Mutate,
    Validate,
    /// Somebody deletes a Service: only a word is said about it.
    ServiceDeletion,
}

impl Operation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
            Self::ServiceDeletion => "service-deletion",
        }
    }
}

/// Judges by the caches.
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
    fn glance(&self, operation: Operation, body: &[u8]) -> Option<ReviewResponse> {
        outline::refusal(body, operation, &self.selector)
    }

    async fn judge(&self, operation: Operation, request: &ReviewRequest) -> AdmissionResponse {
        if operation == Operation::ServiceDeletion {
            return said_of_deletion(request, &self.shared.read());
        }
        let kind = Kind::of(&request.kind.group, &request.kind.kind);
        let (Some(object), Some(kind)) = (&request.object, kind) else {
            return said_of_others(operation, request, &self.selector);
        };
        let namespace = request.namespace.as_deref().unwrap_or_default();
        let old = request.old_object.as_ref();
        let mut looked_up = self.look_up(kind, namespace, object, old).await;
        if operation == Operation::Mutate {
            let view = |view: &View<'_>| mutated(request, mutate::mutate(old, object, view));
            return self.with_view(request, kind, &looked_up, view);
        }
        let judged = |view: &View<'_>| validate::validate(old, object, view);
        let mut verdict = self.with_view(request, kind, &looked_up, judged);
        if !verdict.errors.is_empty() {
            // Nobody is refused by a cache alone: the Services may have changed a moment ago, in the
            // same file perhaps.
            let names = lookup::named(&kind.read(object));
            let mut names = lookup::watched(&self.shared.read(), namespace, names);
            names.retain(|name| !looked_up.contains_key(name));
            looked_up.extend(lookup::look_up(&self.client, namespace, names).await);
            verdict = self.with_view(request, kind, &looked_up, judged);
        }
        validated(request, verdict)
    }
}

impl Handler {
    /// What a look at the cluster, as it is known now, says.
    fn with_view<T>(
        &self,
        request: &ReviewRequest,
        kind: Kind,
        looked_up: &LiveLookups,
        look: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        look(&View {
            facts: FactSource::Shared(&self.shared),
            looked_up,
            selector: &self.selector,
            kind,
            takes_text: review::takes_text(request),
            namespace: request.namespace.as_deref().unwrap_or_default(),
            rules: &self.rules,
            defaults: &self.defaults,
            manager: review::manager(request),
            me: &self.me,
            now: self.shared.now(),
        })
    }

    async fn look_up(
        &self,
        kind: Kind,
        namespace: &str,
        new: &DynamicObject,
        old: Option<&DynamicObject>,
    ) -> LiveLookups {
        let missing = {
            let index = self.shared.read();
            let mut missing = lookup::missing(&index, namespace, &kind.read(new));
            // The old object's faults are told from new ones: they need the same look.
            if let Some(old) = old {
                missing.extend(lookup::missing(&index, namespace, &kind.read(old)));
            }
            missing
        };
        if missing.is_empty() {
            return LiveLookups::new();
        }
        lookup::look_up(&self.client, namespace, missing).await
    }
}

fn said_of_deletion(request: &ReviewRequest, index: &Index) -> AdmissionResponse {
    let mut answer = AdmissionResponse::from(request);
    let namespace = request.namespace.as_deref().unwrap_or_default();
    // The request of a deleted collection has no name.
    let of_object = || request.old_object.as_ref().map(ResourceExt::name_any);
    let name = Some(request.name.clone()).filter(|name| !name.is_empty()).or_else(of_object);
    let service = ObjectKey::new(namespace, name.unwrap_or_default());
    let warnings = deletion::warnings(&service, index);
    if !warnings.is_empty() {
        answer.warnings = Some(warnings);
    }
    answer
}

/// What is said of an object that is not failed over, whatever its label: only a word, and by the
/// mutator, which nobody is refused for where it does not answer.
fn said_of_others(
    operation: Operation,
    request: &ReviewRequest,
    selector: &LabelSelector,
) -> AdmissionResponse {
    let mut answer = AdmissionResponse::from(request);
    let is_policy_route = request.kind.group == policy_route::GROUP;
    // The webhook's selector matches the old object too.
    let labelled = request.object.as_ref().filter(|route| {
        operation == Operation::Mutate && is_policy_route && selector.matches(route.labels())
    });
    answer.warnings = labelled.map(|route| {
        let namespace = request.namespace.as_deref().unwrap_or_default();
        vec![policy_route::not_managed(namespace, &route.name_any(), selector.as_str())]
    });
    answer
}

fn mutated(request: &ReviewRequest, mutation: mutate::Mutation) -> AdmissionResponse {
    let mut answer = AdmissionResponse::from(request);
    for (i, said) in mutation.said.iter().enumerate() {
        answer.audit_annotations.insert(format!("note-{i}"), said.clone());
    }
    if !mutation.said.is_empty() {
        answer.warnings = Some(mutation.said);
    }
    if mutation.edit.is_empty() {
        return answer;
    }
    let untouched = answer.clone();
    answer.with_patch(mutation.edit.into_patch()).unwrap_or(untouched)
}

fn validated(request: &ReviewRequest, verdict: validate::Validation) -> AdmissionResponse {
    let mut answer = if verdict.errors.is_empty() {
        AdmissionResponse::from(request)
    } else {
        tracing::info!(object = review::describe(request), causes = verdict.errors.len(), "denied");
        review::deny(request, &verdict.errors)
    };
    if !verdict.warnings.is_empty() {
        answer.warnings = Some(verdict.warnings.iter().map(ToString::to_string).collect());
    }
    answer
}
