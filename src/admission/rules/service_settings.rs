//! Settings of a Service that make its readiness misleading.

use super::rule::{Check, Rule, SetReview};
use crate::engine::Problem;
use crate::index::service_facts::ServiceKind;

/// Warns of a backend that is a headless mirror, publishes addresses that are not ready, or is served
/// on the caller's node only.
pub(super) const RULE: Rule = Rule { name: "service_settings", check: Check::Set(check) };

fn check(set: &SetReview<'_>) -> Vec<Problem> {
    let SetReview { intent, view, .. } = *set;
    let mut warnings = vec![];
    for (i, backend) in intent.indexed() {
        let Some(service) = view.service(&backend.name) else { continue };
        if service.kind != ServiceKind::Slices {
            continue;
        }
        let name = &backend.name;
        let warning = || Problem::warning(view.name_field(intent, i));
        if let Some(cluster) = service.mirrors.as_deref().filter(|_| service.serving.headless) {
            warnings.push(
                warning()
                    .found(format!("{name:?}, a headless mirror of cluster {cluster}"))
                    .expected("a mirror whose endpoints are marked not ready when the gateway there does not answer")
                    .next("its addresses are always ready, so nothing leaves it while they exist: export a Service with a ClusterIP there"),
            );
        }
        if service.serving.publishes_not_ready {
            warnings.push(
                warning()
                    .found(format!("{name:?}, with publishNotReadyAddresses: true"))
                    .expected("a Service that says which of its pods are ready")
                    .next("each of its pods counts as ready, here and for Linkerd, so nothing leaves it until they are gone: use a Service without it beside this one"),
            );
        }
        if service.serving.node_local {
            warnings.push(
                warning()
                    .found(format!("{name:?}, with internalTrafficPolicy: Local"))
                    .expected("Cluster")
                    .next("each proxy sends to endpoints on its own node only: where there are none callers fail, and nothing fails over while another node has some"),
            );
        }
    }
    warnings
}
