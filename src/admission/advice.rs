//! What is legal and may not do what its author means: it depends on the time of day, on what is
//! ready or on neighbours, so nothing is denied for it.

use super::View;
use crate::cluster::services::ServiceKind;
use crate::failover::{
    DeclaredBackend, Health, Intent, Problem, Unknown, annotations, to_the_second,
};
use crate::resources::ObjectKey;
use std::collections::BTreeSet;

/// Every piece of advice about an object.
///
/// `before` are the backends that the object had.
pub fn advice(
    key: &ObjectKey,
    created: i64,
    intent: &Intent,
    before: &[DeclaredBackend],
    view: &View<'_>,
) -> Vec<Problem> {
    let health = view.health(intent);
    let mut advice = vec![];
    advice.extend(older_neighbour(key, created, intent, view));
    advice.extend(followed_no_further(key, intent, view));
    advice.extend(readiness(intent, &health));
    advice.extend(unseen(intent, &health));
    advice.extend(mirrors(key, intent, &health, view));
    advice.extend(same_pods(key, intent, view));
    advice.extend(pin(intent, &health, view));
    advice.extend(failback_requested(intent, view));
    advice.extend(profile(key, intent, before, view));
    advice
}

/// Two objects on one apex overwrite each other's routing. The other may go next.
fn older_neighbour(
    key: &ObjectKey,
    created: i64,
    intent: &Intent,
    view: &View<'_>,
) -> Option<Problem> {
    let winner = view.index.winner_over(key, &intent.apex, created)?;
    Some(
        Problem::warning("spec.service")
            .found(format!("{:?}, the apex of {} too", intent.apex, winner.name))
            .expected("one object for an apex")
            .next(format!(
                "they overwrite each other's routing: delete one of the two; {} is the older",
                winner.name
            )),
    )
}

/// Linkerd does not split a second time.
fn followed_no_further(key: &ObjectKey, intent: &Intent, view: &View<'_>) -> Vec<Problem> {
    let other = |name: &str| {
        let service = key.beside(name);
        view.index
            .objects_naming(&service)
            .find(|object| {
                let managed = view.index.object(object);
                let apex = managed.and_then(|m| m.intent.as_ref().ok()).map(|i| i.apex.as_str());
                *object != key && apex == Some(name)
            })
            .cloned()
    };
    let backends = intent.backends.iter().enumerate().filter(|(_, b)| b.name != intent.apex);
    backends
        .filter_map(|(i, backend)| {
            let object = other(&backend.name)?;
            Some(
                Problem::warning(format!("spec.backends[{i}].service"))
                    .found(format!("{:?}, the apex of {}", backend.name, object.name))
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
    let warning = Problem::warning("spec.backends");
    if let [only] = intent.backends.as_slice() {
        return Some(
            warning
                .found(format!("{:?} alone", only.name))
                .expected("a fallback beside it")
                .next("with one backend there is nowhere to go"),
        );
    }
    let none = health.iter().all(|health| !health.is_ready() && !health.is_unknown());
    let told =
        intent.backends.iter().zip(health).map(|(b, health)| format!("{}: {health}", b.name));
    none.then(|| {
        warning
            .found(told.collect::<Vec<_>>().join(", "))
            .expected("a backend with ready endpoints")
            .next("callers get errors until there is one")
    })
}

/// What cannot be seen is no fallback while anything else is known to be ready.
fn unseen(intent: &Intent, health: &[Health]) -> Vec<Problem> {
    let cannot = |health: &Health| match health {
        // Nobody has asked for it before.
        Health::Unknown(Unknown::NotYet | Unknown::NotListed { .. }) => false,
        health => health.is_unknown(),
    };
    let backends = intent.backends.iter().zip(health).enumerate();
    let unseen = backends.filter(|(_, (_, health))| cannot(health));
    unseen
        .map(|(i, (backend, health))| {
            Problem::warning(format!("spec.backends[{i}].service"))
                .found(format!("{:?}, whose endpoints cannot be seen", backend.name))
                .expected("a backend whose health is known")
                .next(format!("{health}. Until it is known, it keeps traffic that it has, and gets some only while no other is known to be ready"))
        })
        .collect()
}

/// A gateway mirror keeps the gateway's address while its probe fails, and has no endpoints while
/// the remote Service has none.
fn mirrors(key: &ObjectKey, intent: &Intent, health: &[Health], view: &View<'_>) -> Vec<Problem> {
    let backends = intent.backends.iter().zip(health).enumerate();
    backends
        .filter_map(|(i, (backend, health))| {
            let service = view.index.service(&key.beside(&backend.name))?;
            let cluster = service.mirrors.as_deref()?;
            let Health::Seen { ready: 0, total, .. } = *health else { return None };
            let gateway = service.kind == ServiceKind::Slices && total > 0;
            let (what, next) = match gateway {
                false => ("where it has no ready endpoints", "look at the Service there"),
                true => ("whose gateway does not answer", "try: linkerd multicluster gateways"),
            };
            Some(
                Problem::warning(format!("spec.backends[{i}].service"))
                    .found(format!("{:?}, a mirror of cluster {cluster}, {what}", backend.name))
                    .expected("a mirror with ready endpoints")
                    .next(next),
            )
        })
        .collect()
}

/// A fallback whose pods all are the primary's too dies with it.
fn same_pods(key: &ObjectKey, intent: &Intent, view: &View<'_>) -> Vec<Problem> {
    let mirrors = |name: &str| {
        view.index.service(&key.beside(name)).is_some_and(|service| service.mirrors.is_some())
    };
    // Mirrors of one cluster share its gateway's address, and nothing else.
    let endpoints = |name: &str| match mirrors(name) {
        true => BTreeSet::new(),
        false => view.index.identities_of(&key.beside(name)),
    };
    let primaries: BTreeSet<u64> = intent.primaries().flat_map(endpoints).collect();
    let fallbacks = (0..intent.backends.len()).filter(|i| !intent.is_primary(*i));
    fallbacks
        .filter(|i| {
            let theirs = endpoints(&intent.backends[*i].name);
            !theirs.is_empty() && theirs.is_subset(&primaries)
        })
        .map(|i| {
            Problem::warning(format!("spec.backends[{i}].service"))
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
    let health = |i: &usize| health.get(*i).unwrap_or(&Health::Missing);
    if pin.backends.iter().map(health).any(|health| health.is_ready() || health.is_unknown()) {
        return None;
    }
    let told = |i: &usize| format!("{} ({})", intent.backends[*i].name, health(i));
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

/// Linkerd reads a split through the ServiceProfile that the linkerd-smi adaptor makes of it.
fn profile(
    key: &ObjectKey,
    intent: &Intent,
    before: &[DeclaredBackend],
    view: &View<'_>,
) -> Option<Problem> {
    let warning = Problem::warning("spec.service");
    if view.index.no_profiles {
        return Some(
            warning
                .found("a cluster without ServiceProfiles")
                .expected("Linkerd with the linkerd-smi extension")
                .next("nothing carries this object into Linkerd: run linkerd check"),
        );
    }
    let (name, profile) = view.index.profile_of(&key.beside(&intent.apex))?;
    // The adaptor follows an edit a while later.
    let before = before.iter().map(|b| b.name.as_str());
    let names = intent.backends.iter().map(|b| b.name.as_str()).chain(before);
    let expected = if profile.skipped {
        "one that the linkerd-smi adaptor may write; this one says to leave it alone"
    } else if profile.is_foreign(&key.namespace, names) {
        "one that sends traffic to these backends; this one sends it elsewhere"
    } else {
        return None;
    };
    Some(
        warning
            .found(format!("the ServiceProfile {name}"))
            .expected(expected)
            .next("what stands in the profile decides; see who writes it with: kubectl get serviceprofile -o yaml --show-managed-fields"),
    )
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
