//! A word to whoever deletes a Service that failover rests on.

use crate::cluster::Index;
use crate::resources::ObjectKey;

/// An answer has room for so many.
const MOST: usize = 10;

/// One warning for each object that names the Service.
pub fn warnings(service: &ObjectKey, index: &Index) -> Vec<String> {
    let mut warnings: Vec<String> = index
        .objects_naming(service)
        .filter_map(|object| {
            let intent = index.object(object)?.intent.as_ref().ok()?;
            let backend = intent.backends.iter().position(|b| *b.name == *service.name);
            let role = match backend {
                Some(i) if intent.is_primary(i) => "primary",
                Some(_) => "fallback",
                None => "apex",
            };
            let state = index.object(object)?.state.as_ref();
            let active = state.map_or_else(
                || backend.is_some_and(|i| intent.carrying().contains(&i)),
                |state| state.active.iter().any(|name| **name == *service.name),
            );
            let now = if active { ", and its traffic is on it now" } else { "" };
            Some(format!(
                "Service {} is the {role} of TrafficSplit {}{now}: change or delete that object too, or it counts as down",
                service.name, object.name
            ))
        })
        .collect();
    let more = warnings.len().saturating_sub(MOST);
    if more > 0 {
        warnings.truncate(MOST);
        warnings
            .push(format!("and {more} more: kubectl -n {} get trafficsplit", service.namespace));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{NAMESPACE, World, split, stored};
    use super::*;
    use crate::cluster::Managed;
    use crate::resources::traffic_split;
    use serde_json::json;

    #[test]
    fn who_deletes_a_service_hears_of_the_objects_that_name_it() {
        let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]);
        let object = stored(split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]));
        let read = traffic_split::read(&object);
        let managed = Managed::new(&read, &object.metadata, &world.defaults);
        for i in 0..12 {
            world.index.set_object(ObjectKey::new(NAMESPACE, format!("s{i:02}")), managed.clone());
        }
        let said = |name: &str| warnings(&ObjectKey::new(NAMESPACE, name), &world.index);
        assert_eq!(
            said("emoji-svc")[0],
            "Service emoji-svc is the primary of TrafficSplit s00, and its traffic is on it now: change or delete that object too, or it counts as down"
        );
        assert!(said("emoji-svc-west")[0].contains("is the fallback of TrafficSplit s00: change"));
        assert_eq!(said("emoji-svc").len(), MOST + 1);
        assert!(said("emoji-svc")[MOST].starts_with("and 2 more"));
        assert!(said("web-svc").is_empty());
    }
}
