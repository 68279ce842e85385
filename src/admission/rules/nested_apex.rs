//! Linkerd does not split traffic a second time.

use super::rule::{Check, Rule, SetReview};
use crate::engine::{Problem, service_of};
use crate::index::managed_object::ManagedObject;
use crate::kinds::ObjectRef;
use std::collections::HashSet;

/// Warns of a backend that is the apex of another managed object.
pub(super) const RULE: Rule = Rule { name: "nested_apex", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { object, intent, view, .. } = *set;
    let other = |name: &str| {
        let service = view.key_of(name);
        let index = view.index();
        let mut others = index.objects_naming(&service).filter(|other| *other != object);
        let is_apex = |other: &&ObjectRef| {
            let apexes = index.object(other).map(ManagedObject::apexes).unwrap_or_default();
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
