//! The facts of a review, from the index.

use super::facts::{
    FallbackFacts, HidingProfile, ObjectFacts, ParentFacts, SetFacts, TimeoutPlace,
};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::{Declaration, DeclaredSet, Intent, service_of};
use crate::index::service_facts::ServiceFacts;
use crate::kinds::linkerd::failure_accrual::FailureAccrual;
use crate::kinds::linkerd::request_timeout::RequestTimeout;
use crate::kinds::linkerd::retry_policy::{RetryConditions, RetryPolicy};
use crate::kinds::linkerd::{request_timeout, retry_policy};
use crate::kinds::{Kind, ObjectKey, ObjectRef, route};
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::time::Duration;

impl ObjectFacts {
    /// Of an object with these intents; none where it cannot be read.
    pub(crate) fn of_review(
        reviewed: &ReviewedObject<'_>,
        intents: &[Intent],
        view: &View<'_>,
    ) -> Option<Self> {
        let first = intents.first()?;
        let own = reviewed.object.annotations();
        let conditions = RetryConditions::of(view.kind);
        let key = ObjectKey::new(view.namespace, reviewed.object.name_any());
        Some(Self {
            object: ObjectRef::new(view.kind, key),
            // Not known is nothing to be told of the object.
            warm_standby: first.policy.warm_standby() != Some(false),
            retries: retry_policy::read(conditions, |name| own.get(name).map(String::as_str)),
            sets: sets(&reviewed.declared.sets, intents, view),
            parents: first.apexes.iter().filter_map(|apex| parent(apex, view)).collect(),
            accrual_of_backends: accrual_of_backends(&reviewed.declared, &first.apexes, view),
            timeouts: timeouts(reviewed.object, &first.apexes, view),
            failfast: view.index().failfast.clone(),
        })
    }
}

/// Linkerd takes the timeout of the object's annotation, otherwise of each rule, otherwise of the Service.
fn timeouts(
    object: &DynamicObject,
    apexes: &[String],
    view: &View<'_>,
) -> Vec<(TimeoutPlace, Duration)> {
    let own = object.annotations();
    match request_timeout::read(|name| own.get(name).map(String::as_str)) {
        RequestTimeout::After(timeout) => return vec![(TimeoutPlace::Object, timeout)],
        RequestTimeout::None => return of_rules(object).into_iter().flatten().collect(),
        RequestTimeout::Absent => {}
    }
    let rules = of_rules(object);
    let inherits = rules.iter().any(Option::is_none);
    let of_services = apexes.iter().filter(|_| inherits).filter_map(|apex| {
        let facts = view.service(apex)?;
        match request_timeout::read(|name| facts.linkerd.get(name)) {
            RequestTimeout::After(timeout) => {
                Some((TimeoutPlace::Service(view.key_of(apex)), timeout))
            }
            RequestTimeout::None | RequestTimeout::Absent => None,
        }
    });
    rules.into_iter().flatten().chain(of_services).collect()
}

/// Of each rule, where it has one.
fn of_rules(object: &DynamicObject) -> Vec<Option<(TimeoutPlace, Duration)>> {
    let each = route::request_timeouts(object).into_iter();
    each.map(|(path, text)| Some((TimeoutPlace::Rule(path), request_timeout::of_rule(text?)?)))
        .collect()
}

/// Sets that fail over, and those with one backend.
fn sets(declared: &[DeclaredSet], intents: &[Intent], view: &View<'_>) -> Vec<SetFacts> {
    let set = |set: &DeclaredSet| {
        let path = set.path.clone();
        if set.backends.len() == 1 {
            return Some(SetFacts { path, fallbacks: vec![] });
        }
        let intent = intents.iter().find(|intent| intent.set == set.name)?;
        let fallbacks = fallbacks(intent, view);
        (!fallbacks.is_empty()).then_some(SetFacts { path, fallbacks })
    };
    declared.iter().filter_map(set).collect()
}

fn fallbacks(intent: &Intent, view: &View<'_>) -> Vec<FallbackFacts> {
    let backends = intent.indexed().zip(view.health(intent));
    let fallbacks = backends.filter(|((i, _), _)| !intent.is_primary(*i));
    let facts = fallbacks.map(|((_, backend), health)| FallbackFacts {
        service: view.key_of(&backend.name),
        port: backend.port,
        health,
    });
    facts.collect()
}

/// None where the Service cannot be seen.
fn parent(apex: &str, view: &View<'_>) -> Option<ParentFacts> {
    let (service, facts) = (view.key_of(apex), view.service(apex)?);
    Some(ParentFacts {
        retries: retries(view.kind, &facts),
        accrual: facts.failure_accrual(),
        profile: hiding_profile(&service, view),
        service,
    })
}

fn accrual_of_backends(
    declared: &Declaration,
    apexes: &[String],
    view: &View<'_>,
) -> Vec<ObjectKey> {
    let parents: Vec<ObjectKey> = apexes.iter().map(|apex| view.key_of(apex)).collect();
    let mut found: Vec<ObjectKey> = vec![];
    for backend in declared.backends() {
        let key = view.key_of(service_of(&backend.name));
        if parents.contains(&key) || found.contains(&key) {
            continue;
        }
        let asks = |service: &ServiceFacts| {
            service.mirrors.is_none() && service.failure_accrual() != FailureAccrual::Absent
        };
        if view.service(&backend.name).is_some_and(|service| asks(&service)) {
            found.push(key);
        }
    }
    found
}

/// A split has retries of neither kind.
fn retries(kind: Kind, service: &ServiceFacts) -> RetryPolicy {
    let read = |conditions| retry_policy::read(conditions, |name| service.linkerd.get(name));
    match read(RetryConditions::of(kind)) {
        RetryPolicy::Absent if kind.needs_service_profile() => read(RetryConditions::Grpc),
        retries => retries,
    }
}

/// One with routes, or one that sends traffic, takes precedence over a route.
fn hiding_profile(service: &ObjectKey, view: &View<'_>) -> Option<HidingProfile> {
    if view.kind.needs_service_profile() {
        return None;
    }
    let index = view.index();
    let (name, profile) = index.profile_of(service)?;
    // A split's profile has no routes: with them it stays when the split goes.
    let split = || match &profile.mark {
        Some(mark) => Some(ObjectRef::new(Kind::OF_SERVICE_PROFILES, service.beside(&mark.split))),
        None => index.first_split_on(service).cloned(),
    };
    let hides = profile.has_routes || profile.sends();
    hides.then(|| HidingProfile {
        profile: service.beside(name),
        split: (!profile.has_routes).then(split).flatten(),
    })
}
