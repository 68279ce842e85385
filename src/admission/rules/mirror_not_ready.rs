//! A gateway mirror keeps the gateway's address while its probe fails, and has no endpoints while the
//! remote Service has none.

use super::rule::{Check, Rule, SetReview};
use crate::engine::{Health, Problem};
use crate::index::service_facts::ServiceKind;

/// Warns of a mirror without ready endpoints, with where to look.
pub(super) const RULE: Rule = Rule { name: "mirror_not_ready", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, health, view, .. } = *set;
    let backends = intent.indexed().zip(health);
    backends
        .filter_map(|((i, backend), health)| {
            let Health::Seen { ready: 0, total, .. } = *health else { return None };
            let service = view.index().service(&view.key_of(&backend.name))?.clone();
            let cluster = service.mirrors.as_deref()?;
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
