//! What is legal and may not do what its author means: it depends on the time of day, on what is
//! ready or on neighbours, so nothing is denied for it.

use crate::admission::rules::{grants, service_profile as profile, serving};
use crate::admission::view::View;
use crate::engine::{
    BackendIndex, Declaration, Health, Intent, Problem, Unknown, annotations, service_of,
    to_the_second,
};
use crate::index::service_facts::ServiceKind;
use crate::kinds::route::InUse;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::collections::{BTreeSet, HashSet};

/// Every piece of advice about an object that can be read; `before` is what it declared.
pub(crate) fn advice(
    new: &DynamicObject,
    intents: &[Intent],
    before: Option<&Declaration>,
    view: &View<'_>,
) -> Vec<Problem> {
    let name = ObjectKey::new(view.namespace, new.name_any());
    let object = ObjectRef::new(view.kind, name);
    let Some(first) = intents.first() else { return vec![] };
    let mut advice = vec![];
    advice.extend(neighbour(&object, new, first, view));
    let words = |one: &Problem| (one.found.clone(), one.expected.clone());
    let mut said: HashSet<_> = advice.iter().map(words).collect();
    for intent in intents {
        let health = view.health(intent);
        let mut of_set = vec![];
        of_set.extend(followed_no_further(&object, intent, view));
        of_set.extend(readiness(intent, &health));
        of_set.extend(short(intent, &health, view));
        of_set.extend(unseen(intent, &health, view));
        of_set.extend(mirrors(intent, &health, view));
        of_set.extend(serving::settings(intent, view));
        of_set.extend(serving::loops(intent, view));
        of_set.extend(same_pods(intent, view));
        of_set.extend(pin(intent, &health, view));
        of_set.extend(grants::missing(intent, view));
        // Rules of a route mostly name the same Services.
        of_set.retain(|one| said.insert((one.found.clone(), one.expected.clone())));
        advice.extend(of_set);
    }
    advice.extend(failback_requested(first, view));
    if view.kind.needs_service_profile() {
        advice.extend(profile::carries(first, before, view));
        advice.extend(matches_of(new));
    } else {
        advice.extend(profile::hides(first, view));
        advice.extend(not_in_use(new, view.kind));
    }
    advice
}

/// Of the Service Mesh Interface, and never carried into Linkerd.
fn matches_of(split: &DynamicObject) -> Option<Problem> {
    let matches = split.data.pointer("/spec/matches")?.as_array()?;
    (!matches.is_empty()).then(|| {
        Problem::warning("spec.matches")
            .found("groups of routes")
            .expected("none")
            .next("Linkerd does not follow them: all traffic of the apex is split")
    })
}

/// Two objects on one apex of which only one can steer. The other may go next.
fn neighbour(
    object: &ObjectRef,
    new: &DynamicObject,
    intent: &Intent,
    view: &View<'_>,
) -> Option<Problem> {
    let created = new.creation_timestamp().map_or(i64::MAX, |t| t.0.as_second());
    let index = view.index();
    let (other, is_older) = index.clash(object, &intent.apexes, created)?;
    let same_kind = other.kind == view.kind;
    // Of two splits, or of two routes, the younger is told.
    let of_two = same_kind || ![other.kind, view.kind].contains(&Kind::TrafficSplit);
    if of_two && !is_older {
        return None;
    }
    let shown = match same_kind {
        true => other.name().to_owned(),
        false => format!("{} {}", other.kind, other.name()),
    };
    let clash = match (same_kind, of_two) {
        (true, _) => "they overwrite each other's routing",
        (false, true) => "where both are for one port, Linkerd follows the GRPCRoute alone",
        (false, false) => {
            "Linkerd follows the TrafficSplit for as long as its ServiceProfile sends traffic, and the route after that"
        }
    };
    let older = if is_older { shown.clone() } else { "this one".into() };
    Some(
        Problem::warning(view.apex_field())
            .found(format!("{:?}, the apex of {shown} too", intent.apex()))
            .expected("one object for an apex")
            .next(format!("{clash}: delete one of the two; {older} is the older")),
    )
}

/// A route that Linkerd does not use as it stands.
fn not_in_use(new: &DynamicObject, kind: Kind) -> Option<Problem> {
    let InUse::No(why) = kind.in_use(new) else { return None };
    Some(
        Problem::warning("status.parents").found(why).expected("Accepted and ResolvedRefs").next(
            "until then Linkerd does not route by this object, or answers a part of it with 500",
        ),
    )
}

/// Linkerd does not split a second time.
fn followed_no_further(object: &ObjectRef, intent: &Intent, view: &View<'_>) -> Vec<Problem> {
    let other = |name: &str| {
        let service = view.key_of(name);
        let index = view.index();
        let mut others = index.objects_naming(&service).filter(|other| *other != object);
        let is_apex = |other: &&ObjectRef| {
            let apexes = index.object(other).map(|managed| managed.apexes()).unwrap_or_default();
            apexes.iter().any(|apex| other.beside(apex) == service)
        };
        others.find(is_apex).cloned()
    };
    let apexes: HashSet<&str> = intent.apexes.iter().map(String::as_str).collect();
    let is_apex = |name: &String| apexes.contains(service_of(name));
    let backends = intent.indexed().filter(|(_, b)| !is_apex(&b.name));
    backends
        .filter_map(|(i, backend)| {
            let object = other(&backend.name)?;
            Some(
                Problem::warning(view.name_field(intent, i))
                    .found(format!("{:?}, the apex of {}", backend.name, object.name()))
                    .expected("a Service that is no apex")
                    .next(format!(
                        "Linkerd does not follow it: traffic goes to the endpoints of {} itself",
                        backend.name
                    )),
            )
        })
        .collect()
}

fn readiness(intent: &Intent, health: &[Health]) -> Option<Problem> {
    let warning = Problem::warning(&intent.path);
    if let [only] = intent.backends.as_slice() {
        return Some(
            warning
                .found(format!("{:?} alone", only.name))
                .expected("a fallback beside it")
                .next("with one backend there is nowhere to go"),
        );
    }
    let none = health.iter().all(|health| !health.is_partly_ready() && !health.is_unknown());
    let told =
        intent.backends.iter().zip(health).map(|(b, health)| format!("{}: {health}", b.name));
    none.then(|| {
        warning
            .found(told.collect::<Vec<_>>().join(", "))
            .expected("a backend with ready endpoints")
            .next("callers get errors until there is one")
    })
}

/// Ports that callers ask for and that a backend does not serve.
fn short(intent: &Intent, health: &[Health], view: &View<'_>) -> Vec<Problem> {
    let backends = intent.indexed().zip(health);
    let short = backends.filter_map(|((i, backend), health)| {
        let ports = health.ports()?;
        let next = match (health.is_ready(), health.is_partly_ready()) {
            (true, _) if ports.never_served().is_empty() => return None,
            (true, _) => "it moves no traffic until an endpoint offers it once",
            (false, true) => {
                "it was served before: a backend that serves it and all that is left gets the traffic"
            }
            (false, false) if ports.offer_nothing() => {
                "name the port as the pods do in the Service's targetPort"
            }
            (false, false) => return None,
        };
        let found = format!("{:?}: {health}", backend.name);
        let expected = "endpoints that offer every port that callers ask for";
        Some(Problem::warning(view.name_field(intent, i)).found(found).expected(expected).next(next))
    });
    short.collect()
}

/// What cannot be seen is no fallback while anything else is known to be ready.
fn unseen(intent: &Intent, health: &[Health], view: &View<'_>) -> Vec<Problem> {
    let cannot = |health: &Health| match health {
        // Nobody has asked for it before.
        Health::Unknown(Unknown::NotYet | Unknown::NotListed { .. }) => false,
        // It follows in a moment; and that is told with the ports of Services.
        Health::Unknown(Unknown::Changed { .. } | Unknown::NoSuchPort { .. }) => false,
        health => health.is_unknown(),
    };
    let backends = intent.indexed().zip(health);
    let unseen = backends.filter(|(_, health)| cannot(health));
    unseen
        .map(|((i, backend), health)| {
            Problem::warning(view.name_field(intent, i))
                .found(format!("{:?}, whose endpoints cannot be seen", backend.name))
                .expected("a backend whose health is known")
                .next(format!("{health}. Until it is known, it keeps traffic that it has, and gets some only while no other is known to be ready"))
        })
        .collect()
}

/// A gateway mirror keeps the gateway's address while its probe fails, and has no endpoints while
/// the remote Service has none.
fn mirrors(intent: &Intent, health: &[Health], view: &View<'_>) -> Vec<Problem> {
    let backends = intent.indexed().zip(health);
    backends
        .filter_map(|((i, backend), health)| {
            let service = view.index().service(&view.key_of(&backend.name))?.clone();
            let cluster = service.mirrors.as_deref()?;
            let Health::Seen { ready: 0, total, .. } = *health else { return None };
            let gateway = service.kind == ServiceKind::Slices && total > 0;
            let (what, next) = match gateway {
                false => ("where it has no ready endpoints", "look at the Service there"),
                true => ("whose gateway does not answer", "try: linkerd multicluster gateways"),
            };
            Some(
                Problem::warning(view.name_field(intent, i))
                    .found(format!("{:?}, a mirror of cluster {cluster}, {what}", backend.name))
                    .expected("a mirror with ready endpoints")
                    .next(next),
            )
        })
        .collect()
}

/// A fallback whose pods all are the primary's too dies with it.
fn same_pods(intent: &Intent, view: &View<'_>) -> Vec<Problem> {
    let mirrors = |name: &str| {
        view.index().service(&view.key_of(name)).is_some_and(|service| service.mirrors.is_some())
    };
    // Mirrors of one cluster share its gateway's address, and nothing else.
    let endpoints = |name: &str| match mirrors(name) {
        true => BTreeSet::new(),
        false => view.index().identities_of(&view.key_of(name)),
    };
    let primaries: BTreeSet<u64> = intent.primaries().flat_map(endpoints).collect();
    let fallbacks = intent.indices_of_all().filter(|i| !intent.is_primary(*i));
    fallbacks
        .filter(|i| {
            let theirs = endpoints(&intent.backends[*i].name);
            !theirs.is_empty() && theirs.is_subset(&primaries)
        })
        .map(|i| {
            Problem::warning(view.name_field(intent, i))
                .found(format!(
                    "{:?}, backed by the same pods as the primary",
                    intent.backends[i].name
                ))
                .expected("a fallback with pods of its own")
                .next("it is lost together with the primary")
        })
        .collect()
}

fn pin(intent: &Intent, health: &[Health], view: &View<'_>) -> Option<Problem> {
    let now = view.now.wall;
    let pin = intent.policy.pin.as_ref()?;
    if let Some(until) = pin.until.filter(|until| *until <= now) {
        return Some(
            Problem::warning(annotations::field(annotations::PIN_UNTIL))
                .found(format!("{until}, which is past"))
                .expected(format!("a time after now, {}", to_the_second(now)))
                .next("the pin has ended: health decides"),
        );
    }
    let health = |i: &BackendIndex| i.of(health).unwrap_or(&Health::Missing);
    if pin.backends.iter().map(health).any(|health| health.is_partly_ready() || health.is_unknown())
    {
        return None;
    }
    let told = |i: &BackendIndex| format!("{} ({})", intent.backends[*i].name, health(i));
    Some(
        Problem::warning(annotations::field(annotations::PIN))
            .found(pin.backends.iter().map(told).collect::<Vec<_>>().join(", "))
            .expected("a backend with ready endpoints; a pin wins over health, so callers will get errors")
            .next(format!("remove {} to let health decide", annotations::PIN)),
    )
}

fn failback_requested(intent: &Intent, view: &View<'_>) -> Option<Problem> {
    let (at, now) = (intent.policy.failback_requested?, view.now.wall);
    let warning = Problem::warning(annotations::field(annotations::FAILBACK_REQUESTED));
    if !intent.policy.manual_failback {
        return Some(warning.found("a request").expected(format!(
            "{}: manual beside it; without, traffic returns by itself",
            annotations::FAILBACK
        )));
    }
    (at > now).then(|| {
        warning
            .found(format!("{at}, which is to come"))
            .expected(format!("a time until now, {}", to_the_second(now)))
            .next("traffic returns then, if the primary is ready")
    })
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
