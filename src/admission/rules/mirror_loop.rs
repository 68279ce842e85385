//! A linked cluster that falls back to this one returns traffic to its origin.

use super::rule::{Check, Rule, SetReview};
use crate::engine::Problem;
use crate::index::service_facts::{ServiceFacts, ServiceKind};
use crate::kinds::ObjectKey;
use std::cell::LazyCell;
use std::collections::HashSet;
use std::rc::Rc;

/// Warns of a mirror through the gateway of a cluster that mirrors this one's Service as well: where it
/// falls back to that, requests go round while both are lost.
///
/// Failover objects there are not readable: that cluster permits us to read Services only.
pub(super) const RULE: Rule = Rule { name: "mirror_loop", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, view, .. } = *set;
    let gateway = |name: &str| -> Option<Rc<ServiceFacts>> {
        view.service(name).filter(|service| service.kind == ServiceKind::Slices)
    };
    let is_ours = |name: &&String| gateway(name).is_some_and(|service| service.mirrors.is_none());
    let names = || intent.apexes.iter().chain(intent.backends.iter().map(|b| &b.name));
    let ours: LazyCell<HashSet<ObjectKey>, _> =
        LazyCell::new(|| names().filter(is_ours).map(|name| view.key_of(name)).collect());
    let mut warnings = vec![];
    for (i, backend) in intent.indexed() {
        let mirror = gateway(&backend.name);
        let Some(cluster) = mirror.as_ref().and_then(|mirror| mirror.mirrors.as_deref()) else {
            continue;
        };
        let ours = &*ours;
        let index = view.index();
        let theirs = index.remote.mirrors_of(cluster).filter(|mirror| {
            // A cluster that is known here by that name is a third one.
            let is_third = || {
                *mirror.cluster != *cluster
                    && index.mirrored_clusters().any(|known| *known == *mirror.cluster)
            };
            ours.contains(&mirror.of) && !is_third()
        });
        let Some(back) = theirs.min_by_key(|mirror| &mirror.service) else { continue };
        let name = &back.service.name;
        warnings.push(
            Problem::warning(view.name_field(intent, i))
                .found(format!("{:?}, a mirror through the gateway of cluster {cluster}, where {name} mirrors {} of cluster {}", backend.name, back.of.name, back.cluster))
                .expected("a cluster that does not fall back to this one")
                .next(format!("if an object there falls back to {name}, which cannot be seen from here, and {} is this cluster, requests go round while both are lost, until a gateway answers 508: let one of the two do without, or use pod-to-pod mirrors", back.cluster)),
        );
    }
    warnings
}
