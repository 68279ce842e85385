//! Where the traffic of a set belongs once nothing happens any more: `docs/how-it-decides.md`, read naively.

use crate::facts::At;
use crate::model::health::Health;
use crate::model::object::{Backend, FailoverObject, Set};
use crate::model::world::World;
use std::collections::BTreeSet;

/// Where the traffic belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// On these backends and no other.
    On(BTreeSet<String>),
    /// Nothing is ready: wherever it is.
    Anywhere,
    /// It is not the observer's to say, and why.
    Open(&'static str),
}

/// Where the traffic of a set belongs, by what is known at `at`.
pub fn expected(world: &World, object: &FailoverObject, set: &Set, at: At) -> Expected {
    if !object.is_managed || object.is_deleting || world.meddled.contains(&object.key) {
        return Expected::Open("it is not managed, or somebody changes it at the moment");
    }
    if set.backends.len() < 2 || !set.is_readable() {
        return Expected::Open("it has one backend, or a weight that cannot be read");
    }
    if world.is_held(object) {
        return Expected::Open("it is paused, pinned, frozen or held by the brake");
    }
    let recorded = object.state.as_ref().map(|state| &state["sets"][&set.name]);
    let is_recorded = |field: &str, in_it: fn(&serde_json::Value) -> bool| {
        recorded.is_some_and(|recorded| in_it(&recorded[field]))
    };
    if is_recorded("pending", serde_json::Value::is_object) {
        return Expected::Open("a delay runs");
    }
    if is_recorded("down", serde_json::Value::is_object) {
        return Expected::Open("a backend of it is, or was, declared down");
    }
    let Some(tiers) = tiers(object, set) else {
        return Expected::Open("it has a policy that the observer does not read");
    };
    let health: Vec<Health> =
        set.backends.iter().map(|backend| world.health(&backend.service, at)).collect();
    let of = |backend: &Backend| {
        let place = set.backends.iter().position(|other| other.name == backend.name);
        place.map_or(Health::Open("unknown"), |place| health[place])
    };
    let stays = object.policy.is_manual && is_recorded("left", serde_json::Value::is_string);
    if stays && object.policy.is_failback_requested {
        return Expected::Open("a person has asked for the return, at some time");
    }
    let from = if stays { first_active(object, set, &tiers) } else { 0 };
    for tier in &tiers[from..] {
        match in_tier(object, set, tier, of) {
            Some(Ok(ready)) if ready.is_empty() && stays => {
                return Expected::Open(
                    "what traffic stayed on is lost: the best of all may be next",
                );
            }
            Some(Ok(ready)) if ready.is_empty() => {}
            Some(Ok(ready)) => return Expected::On(ready),
            Some(Err(why)) => return Expected::Open(why),
            None => return Expected::Open("it has a policy that the observer does not read"),
        }
    }
    match health.iter().all(|health| health.is_down()) {
        true => Expected::Anywhere,
        false => Expected::Open("no backend has as many endpoints as it needs"),
    }
}

/// The ready backends of a tier; why that is not known; none where its minimum cannot be read.
fn in_tier(
    object: &FailoverObject,
    set: &Set,
    tier: &[&Backend],
    of: impl Fn(&Backend) -> Health,
) -> Option<Result<BTreeSet<String>, &'static str>> {
    let mut ready = BTreeSet::new();
    for backend in tier {
        let is_primary = primaries(object, set).contains(&backend.name);
        let minimum = object.policy.minimum(&backend.name, is_primary)?;
        match of(backend) {
            Health::Open(why) => return Some(Err(why)),
            Health::Ready(endpoints) if endpoints >= minimum => {
                ready.insert(backend.name.clone());
            }
            Health::Ready(_) | Health::Down => {}
        }
    }
    Some(Ok(ready))
}

/// The best tier that the record has traffic on.
fn first_active(object: &FailoverObject, set: &Set, tiers: &[Vec<&Backend>]) -> usize {
    let active = object.recorded_active(&set.name).unwrap_or_default();
    let has = |tier: &Vec<&Backend>| tier.iter().any(|b| active.contains(&b.name.as_str()));
    tiers.iter().position(has).unwrap_or_default()
}

fn primaries(object: &FailoverObject, set: &Set) -> Vec<String> {
    match object.policy.primaries.as_slice() {
        [] => set.backends.first().map(|first| first.name.clone()).into_iter().collect(),
        named => named.to_vec(),
    }
}

/// The backends by preference; none where no primary that is named is among them.
fn tiers<'a>(object: &FailoverObject, set: &'a Set) -> Option<Vec<Vec<&'a Backend>>> {
    let primaries = primaries(object, set);
    let is_in = |names: &[String], backend: &Backend| names.contains(&backend.name);
    let first: Vec<&Backend> = set.backends.iter().filter(|b| is_in(&primaries, b)).collect();
    if first.is_empty() {
        return None;
    }
    let fallbacks = || set.backends.iter().filter(|b| !is_in(&primaries, b));
    let mut tiers = vec![first];
    for name in &object.policy.order {
        tiers.push(fallbacks().filter(|b| b.name == *name).collect());
    }
    tiers.push(fallbacks().filter(|b| !is_in(&object.policy.order, b)).collect());
    tiers.retain(|tier| !tier.is_empty());
    Some(tiers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Side;
    use crate::model::object::tests::split;
    use crate::truth::{Change, Resource, StoredKey};
    use serde_json::{Value, json};
    use std::time::Duration;

    /// A world with these Services and as many ready endpoints, and one object.
    fn on(services: &[(&str, usize)], object: &Value) -> Expected {
        let mut world = World::new("linkerd-failover", "linkerd-failover");
        let change = |resource, name: &str, value: Value| Change {
            revision: 1,
            key: StoredKey::new(resource, "ns", name),
            value: Some(value),
        };
        let at = At(Duration::ZERO);
        for (name, ready) in services {
            let service = json!({ "spec": { "ports": [{ "port": 80 }] } });
            world.change(Side::East, &change(Resource::Service, name, service), at);
            let endpoints: Vec<_> = (0..*ready)
                .map(|n| json!({ "addresses": [format!("10.0.0.{n}")], "conditions": { "ready": true } }))
                .collect();
            let slice = json!({
                "metadata": { "labels": { "kubernetes.io/service-name": name } },
                "addressType": "IPv4", "ports": [{ "port": 80 }], "endpoints": endpoints,
            });
            world.change(Side::East, &change(Resource::Slice, name, slice), at);
        }
        let applied = world.change(Side::East, &change(Resource::Split, "web", object.clone()), at);
        let object = applied.applied.unwrap().after.unwrap();
        expected(&world, &object, &object.sets[0], At(Duration::from_secs(60)))
    }

    fn these(names: &[&str]) -> Expected {
        Expected::On(names.iter().map(|name| (*name).to_owned()).collect())
    }

    const ABC: &[(&str, u64)] = &[("a", 1), ("b", 0), ("c", 0)];

    #[test]
    fn traffic_is_on_the_first_tier_with_a_ready_backend() {
        let plain = split(ABC, &[]);
        assert_eq!(on(&[("a", 1), ("b", 1), ("c", 1)], &plain), these(&["a"]));
        assert_eq!(on(&[("a", 0), ("b", 1), ("c", 1)], &plain), these(&["b", "c"]));
        assert_eq!(on(&[("b", 1)], &plain), these(&["b"]), "a Service that does not exist is down");
        assert_eq!(on(&[("a", 0), ("b", 0)], &plain), Expected::Anywhere);
        let ordered = split(ABC, &[("fallback-order", "c"), ("primary-service", "a")]);
        assert_eq!(on(&[("a", 0), ("b", 1), ("c", 1)], &ordered), these(&["c"]));
        let two = split(ABC, &[("primary-service", "a,b")]);
        assert_eq!(on(&[("a", 1), ("b", 1), ("c", 1)], &two), these(&["a", "b"]));
    }

    #[test]
    fn a_primary_needs_its_minimum_and_a_fallback_one_endpoint() {
        let object = split(ABC, &[("min-ready", "2")]);
        assert_eq!(on(&[("a", 2), ("b", 1)], &object), these(&["a"]));
        assert_eq!(on(&[("a", 1), ("b", 1)], &object), these(&["b"]));
        assert!(
            matches!(on(&[("a", 1)], &object), Expected::Open(_)),
            "the first with any endpoint"
        );
    }

    #[test]
    fn a_manual_stay_lasts_while_its_backend_is_ready() {
        let state = r#"{"v":1,"sets":{"":{"active":["b"],"left":"2026-01-01T00:00:00Z"}}}"#;
        let object =
            split(ABC, &[("failback", "manual"), ("fallback-order", "b,c"), ("state", state)]);
        assert_eq!(on(&[("a", 1), ("b", 1), ("c", 1)], &object), these(&["b"]));
        assert!(matches!(on(&[("a", 1), ("b", 0), ("c", 1)], &object), Expected::Open(_)));
    }

    #[test]
    fn where_a_person_holds_it_or_a_delay_runs_the_observer_says_nothing() {
        let pending =
            r#"{"v":1,"sets":{"":{"active":["a"],"pending":{"a":"2026-01-01T00:00:00Z"}}}}"#;
        for annotation in
            [("paused", "true"), ("pin", "b"), ("min-ready", "50%"), ("state", pending)]
        {
            let object = split(ABC, &[annotation]);
            let expected = on(&[("a", 1), ("b", 1)], &object);
            assert!(matches!(expected, Expected::Open(_)), "{annotation:?} {expected:?}");
        }
    }
}
