//! Warnings about the deletion of a Service that failover objects name.

use crate::index::managed_object::ManagedSet;
use crate::index::store::Index;
use crate::kinds::{ObjectKey, ObjectRef};

/// The most warnings in one response.
const MOST: usize = 10;

/// One warning for each object that names the Service.
pub(crate) fn warnings(service: &ObjectKey, index: &Index) -> Vec<String> {
    let mut dependents =
        index.objects_naming(service).filter_map(|object| Dependent::of(object, service, index));
    let mut warnings: Vec<String> =
        dependents.by_ref().take(MOST).map(|dependent| dependent.warning(service)).collect();
    let more = dependents.count();
    if more > 0 {
        warnings.push(format!("and {more} more"));
    }
    warnings
}

/// An object that names a Service.
struct Dependent<'a> {
    object: &'a ObjectRef,
    role: &'static str,
    /// Whether its traffic is on the Service.
    is_active: bool,
}

impl<'a> Dependent<'a> {
    /// None where only a rule without failover names it.
    fn of(object: &'a ObjectRef, service: &ObjectKey, index: &Index) -> Option<Self> {
        let sets = index.object(object)?.readable();
        let is_it = |name: &String| object.beside(name) == *service;
        let apexes = &sets.first()?.intent.apexes;
        let mut role = apexes.iter().any(is_it).then_some("apex");
        let mut is_active = false;
        for ManagedSet { intent, state, .. } in sets {
            let found = intent.indexed().find(|(_, backend)| is_it(&backend.name));
            let Some((i, _)) = found else { continue };
            role = match (intent.is_primary(i), role) {
                (true, _) | (_, Some("primary")) => Some("primary"),
                _ => Some("fallback"),
            };
            is_active |= state.as_ref().map_or_else(
                || intent.carrying().contains(&i),
                |state| state.active.iter().any(is_it),
            );
        }
        Some(Self { object, role: role?, is_active })
    }

    fn warning(&self, service: &ObjectKey) -> String {
        let Self { object, role, is_active } = *self;
        let now = if is_active { ", and its traffic is on it now" } else { "" };
        let kind = object.kind;
        let name = match object.key.namespace == service.namespace {
            true => object.name().to_owned(),
            false => object.key.to_string(),
        };
        format!(
            "Service {} is the {role} of {kind} {name}{now}: change or delete that object too, or it counts as down",
            service.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::test_support::{NAMESPACE, World, split, stored};
    use serde_json::json;

    #[test]
    fn a_deletion_of_a_service_warns_of_each_object_that_names_it() {
        let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]);
        let object = stored(split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]));
        for i in 0..12 {
            world.manage(&format!("s{i:02}"), &object);
        }
        let warned = |name: &str| warnings(&ObjectKey::new(NAMESPACE, name), &world.index);
        assert_eq!(
            warned("emoji-svc")[0],
            "Service emoji-svc is the primary of TrafficSplit s00, and its traffic is on it now: change or delete that object too, or it counts as down"
        );
        assert!(
            warned("emoji-svc-west")[0].contains("is the fallback of TrafficSplit s00: change")
        );
        assert_eq!(warned("emoji-svc").len(), MOST + 1);
        assert!(warned("emoji-svc")[MOST].starts_with("and 2 more"));
        assert!(warned("web-svc").is_empty());
    }
}
