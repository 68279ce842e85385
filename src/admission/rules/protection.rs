//! What a seamless protection lacks on an object.

use super::rule::{Check, ObjectReview, Rule};
use crate::admission::namespace_protection;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::{FieldPath, Intent, Problem, ProtectionSetBy, ProtectionSources, annotations};
use crate::kinds::retries::{self, ParentRetries, Retry, RetrySetting};
use crate::kinds::{Kind, route};
use kube::ResourceExt;
use std::collections::BTreeSet;

/// Warns of a split, which has no retries; of a rule without a fallback, which has them too; of retries that
/// may be there and cannot be seen; and of a fallback without its share: once. Of a namespace whose annotation
/// cannot be read it warns at every apply.
pub(super) const RULE: Rule = Rule { name: "protection", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    let Some(intent) = review.intents.first() else { return vec![] };
    let view = review.view;
    let namespace = unreadable_namespace(review, &intent.policy.protection).into_iter();
    let lacking = review.newly_found(|object, intents| lacking(object, intents, view));
    namespace.chain(lacking).collect()
}

fn lacking(object: &ReviewedObject<'_>, intents: &[Intent], view: &View<'_>) -> Vec<Problem> {
    let Some(Intent { policy, .. }) = intents.first() else { return vec![] };
    let sources = &policy.protection;
    if !sources.is_seamless() {
        return vec![];
    }
    let mut warnings: Vec<Problem> = without_share(sources).into_iter().collect();
    match view.kind.retries() {
        [] => warnings.push(without_retries(object, sources, view)),
        ours => {
            warnings.extend(without_fallback(object, view));
            warnings.extend(not_added(object, ours, view));
        }
    }
    warnings
}

fn field() -> FieldPath {
    annotations::field(annotations::PROTECTION)
}

fn unreadable_namespace(review: &ObjectReview<'_>, sources: &ProtectionSources) -> Option<Problem> {
    let (view, namespace) = (review.view, review.view.namespace);
    if sources.set_by() == ProtectionSetBy::Object {
        return None;
    }
    namespace_protection::problem(namespace, view.index().namespace_protection(namespace)?)
}

/// A retry goes to the backends that the request knew when it began.
fn without_share(sources: &ProtectionSources) -> Option<Problem> {
    (sources.warm_standby() == Some(false)).then(|| {
        Problem::warning(annotations::field(annotations::WARM_STANDBY))
            .found(format!("\"false\", beside {}: seamless", annotations::PROTECTION))
            .expected("\"true\", or nothing: without a share for the fallbacks a lost backend is all that a request knows")
            .next(format!("remove {}", annotations::WARM_STANDBY))
    })
}

/// A TrafficSplit has warm standby alone.
fn without_retries(
    object: &ReviewedObject<'_>,
    sources: &ProtectionSources,
    view: &View<'_>,
) -> Problem {
    let name = object.object.name_any();
    let of_route = retries::describe(Kind::HttpRoute.retries());
    Problem::warning(field())
        .found(format!("\"seamless\" on a {}, by {}", view.kind, sources.set_by().describe()))
        .expected(format!(
            "a route, which would get {of_route} too; a {} has warm standby alone, since its ServiceProfile hides Linkerd's retries",
            view.kind
        ))
        .next(format!(
            "print the route that does the same with: kubectl -n {} get {} {name} -o yaml | linkerd-failover migrate -f -",
            view.namespace,
            view.kind.resource(),
        ))
}

/// Retries are per route, not per rule.
fn without_fallback(object: &ReviewedObject<'_>, view: &View<'_>) -> Option<Problem> {
    let declared = &object.declared;
    let failing_over: BTreeSet<&str> =
        declared.failing_over().map(|set| set.name.as_str()).collect();
    let alone = declared
        .sets
        .iter()
        .filter(|set| set.backends.len() < 2 || !failing_over.contains(set.name.as_str()));
    let alone = alone.map(|set| set.path.to_string());
    let rules: Vec<String> = alone.chain(route::rules_without_backends(object.object)).collect();
    (!rules.is_empty()).then(|| {
        Problem::warning(FieldPath::from(view.kind.shape().backends))
            .found(format!("no fallback in {}", rules.join(", ")))
            .expected("one in each rule: Linkerd's retries are per route, so these requests are retried too, with nowhere else to go")
            .next(format!(
                "move such a rule to a route of its own, with {}: standard",
                annotations::PROTECTION
            ))
    })
}

/// Retries are not added where it is not known whether the author has some.
fn not_added(object: &ReviewedObject<'_>, ours: &[Retry], view: &View<'_>) -> Option<Problem> {
    if RetrySetting::of(object.object.annotations()).is_set() {
        return None;
    }
    let ParentRetries::Unknown(service) = view.parent_retries(&object.declared) else {
        return None;
    };
    let each: Vec<String> = ours.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Some(
        Problem::unknown(view.apex_field())
            .found(format!("{service:?}, which cannot be seen"))
            .expected("a Service whose annotations can be read: it may have retries, which ours would replace, so none are added")
            .next(format!(
                "if it has none: kubectl -n {} annotate {} {} {}",
                view.namespace,
                view.kind.resource(),
                object.object.name_any(),
                each.join(" ")
            )),
    )
}
