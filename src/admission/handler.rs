//! From a body to an answer: whatever happens inside, the answer carries the request's uid.

use super::review::{self, Request};
use super::{LookedUp, Rules, View, deletion, lookup, mutate, validate};
use crate::cluster::{Index, Shared};
use crate::failover::{Defaults, Identity};
use crate::resources::selector::LabelSelector;
use crate::resources::{ObjectKey, traffic_split};
use crate::telemetry::Metrics;
use futures::FutureExt;
use kube::core::DynamicObject;
use kube::core::admission::AdmissionResponse;
use kube::{Client, ResourceExt};
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Inside the API server's 3 s.
const DEADLINE: Duration = Duration::from_millis(2_500);

/// Which of the webhooks is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Mutate,
    Validate,
    /// Somebody deletes a Service: only a word is said about it.
    ServiceDeletion,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
            Self::ServiceDeletion => "service-deletion",
        }
    }
}

/// Answers reviews.
#[derive(Clone)]
pub struct Handler {
    pub client: Client,
    pub shared: Shared,
    pub selector: Arc<LabelSelector>,
    pub rules: Arc<Rules>,
    pub defaults: Defaults,
    pub me: Identity,
    pub metrics: Arc<Metrics>,
}

impl Handler {
    /// The answer to a body, always an AdmissionReview; `Err` only where no uid can be found, with
    /// a sentence for the client.
    pub async fn answer(&self, operation: Operation, body: &[u8]) -> Result<Value, String> {
        let started = Instant::now();
        let (answer, verdict) = self.judged(operation, body).await;
        self.metrics.admitted(operation.as_str(), verdict, started.elapsed());
        answer
    }

    async fn judged(
        &self,
        operation: Operation,
        body: &[u8],
    ) -> (Result<Value, String>, &'static str) {
        // A mutating webhook that fails leaves the object as it is: the validator speaks.
        let allowed = operation != Operation::Validate;
        let request = match review::parse(body) {
            Ok(request) => request,
            Err(malformed) => {
                let answer = match malformed.uid {
                    Some(uid) => Ok(review::failed(&uid, allowed, &malformed.why)),
                    None => Err(malformed.why),
                };
                return (answer, "malformed");
            }
        };
        let judging = AssertUnwindSafe(self.judge(operation, &request)).catch_unwind();
        let why = match tokio::time::timeout(DEADLINE, judging).await {
            Ok(Ok(response)) => {
                let verdict = if response.allowed { "allowed" } else { "denied" };
                let review = serde_json::to_value(response.into_review());
                return (review.map_err(|error| error.to_string()), verdict);
            }
            Ok(Err(_)) => {
                tracing::error!(object = review::describe(&request), "a handler panicked");
                "an error of its own"
            }
            Err(_) => "it took too long",
        };
        (Ok(review::failed(&request.uid, allowed, why)), "failed")
    }

    async fn judge(&self, operation: Operation, request: &Request) -> AdmissionResponse {
        if operation == Operation::ServiceDeletion {
            return said_of_deletion(request, &self.shared.read());
        }
        let Some(object) = &request.object else { return AdmissionResponse::from(request) };
        let namespace = request.namespace.as_deref().unwrap_or_default();
        let looked_up = self.look_up(namespace, object, request.old_object.as_ref()).await;
        let index = self.shared.read();
        let view = View {
            index: &index,
            looked_up: &looked_up,
            selector: &self.selector,
            namespace,
            rules: &self.rules,
            defaults: &self.defaults,
            me: &self.me,
            now: self.shared.now(),
        };
        let old = request.old_object.as_ref();
        match operation {
            Operation::Mutate => mutated(request, mutate::mutate(old, object, &view)),
            Operation::Validate => validated(request, validate::validate(old, object, &view)),
            Operation::ServiceDeletion => AdmissionResponse::from(request),
        }
    }

    async fn look_up(
        &self,
        namespace: &str,
        new: &DynamicObject,
        old: Option<&DynamicObject>,
    ) -> LookedUp {
        let missing = {
            let index = self.shared.read();
            let mut missing = lookup::missing(&index, namespace, &traffic_split::read(new));
            // The old object's faults are told from new ones: they need the same look.
            if let Some(old) = old {
                missing.extend(lookup::missing(&index, namespace, &traffic_split::read(old)));
            }
            missing
        };
        if missing.is_empty() {
            return LookedUp::new();
        }
        lookup::look_up(&self.client, namespace, missing).await
    }
}

fn said_of_deletion(request: &Request, index: &Index) -> AdmissionResponse {
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

fn mutated(request: &Request, mutation: mutate::Mutation) -> AdmissionResponse {
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

fn validated(request: &Request, verdict: validate::Verdict) -> AdmissionResponse {
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
