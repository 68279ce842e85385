//! The annotations and labels of the contract. A new annotation starts with its name here; what it
//! asks for is read in [`Policy`](crate::engine::Policy).

use crate::engine::problem::closest;
use crate::engine::{FieldPath, Problem};
use std::collections::BTreeMap;

/// Every label and annotation of ours begins with this.
pub(crate) const PREFIX: &str = "failover.linkerd.io/";
/// Label that marks a managed object.
pub(crate) const CONTROLLED_BY: &str = "failover.linkerd.io/controlled-by";
/// The preferred backends, comma-separated; defaulted to the first.
pub(crate) const PRIMARY_SERVICE: &str = "failover.linkerd.io/primary-service";
/// Fallbacks in order, one tier each.
pub(crate) const FALLBACK_ORDER: &str = "failover.linkerd.io/fallback-order";
/// What a backend needs to count as ready: `2`, `50%`, or `name=2,other=50%`.
pub(crate) const MIN_READY: &str = "failover.linkerd.io/min-ready";
/// How long a loss must last before traffic leaves.
pub(crate) const FAILOVER_DELAY: &str = "failover.linkerd.io/failover-delay";
/// How long a recovery must last before traffic comes back.
pub(crate) const FAILBACK_DELAY: &str = "failover.linkerd.io/failback-delay";
/// `automatic` or `manual`.
pub(crate) const FAILBACK: &str = "failover.linkerd.io/failback";
/// The time at which a person ended a manual stay.
pub(crate) const FAILBACK_REQUESTED: &str = "failover.linkerd.io/failback-requested";
/// `"true"`: ready fallbacks keep the smallest share.
pub(crate) const WARM_STANDBY: &str = "failover.linkerd.io/warm-standby";
/// Backends that get the traffic whatever their health.
pub(crate) const PIN: &str = "failover.linkerd.io/pin";
/// The time at which the pin ends by itself.
pub(crate) const PIN_UNTIL: &str = "failover.linkerd.io/pin-until";
/// `"true"`: nothing is written.
pub(crate) const PAUSED: &str = "failover.linkerd.io/paused";
/// The author's weights, recorded while ours are in the object.
pub(crate) const AUTHORED_WEIGHTS: &str = "failover.linkerd.io/authored-weights";
/// What was decided last, by whom and why.
pub(crate) const STATE: &str = "failover.linkerd.io/state";

/// On the controller's own namespace. `"true"`: nothing is written in the whole cluster.
pub(crate) const FROZEN: &str = "failover.linkerd.io/frozen";
/// On the controller's own namespace: the time at which a person released the brake.
pub(crate) const BRAKE_RELEASED: &str = "failover.linkerd.io/brake-released";
/// On the Lease: what all replicas know of the brake, as JSON:
/// `{"v":1,"n":4,"since":"…","standing":"…","ended":"…","released":"…","by":"…"}`. `n` grows with
/// each write; it holds since `since`, unless it has `ended`, by the release that is told or because
/// the primaries were back; `standing` is the release that stood there when it began.
pub(crate) const BRAKE: &str = "failover.linkerd.io/brake";

/// What `kubectl apply` leaves behind: the manifest as its author wrote it.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The annotations of a failover object.
const OF_OBJECTS: &[&str] = &[
    PRIMARY_SERVICE,
    FALLBACK_ORDER,
    MIN_READY,
    FAILOVER_DELAY,
    FAILBACK_DELAY,
    FAILBACK,
    FAILBACK_REQUESTED,
    WARM_STANDBY,
    PIN,
    PIN_UNTIL,
    PAUSED,
    AUTHORED_WEIGHTS,
    STATE,
];

/// Warnings about annotations under our prefix that have no effect here, with the nearest name
/// that has.
pub(crate) fn without_effect(annotations: &BTreeMap<String, String>) -> Vec<Problem> {
    let ours = annotations.keys().filter(|name| name.starts_with(PREFIX));
    ours.filter(|name| !OF_OBJECTS.contains(&name.as_str()))
        .map(|name| {
            let problem = Problem::warning(field(name))
                .found(format!("{name:?}"))
                .expected("an annotation of linkerd-failover; this one is ignored");
            if [FROZEN, BRAKE_RELEASED].contains(&name.as_str()) {
                return problem.next("it belongs on the namespace of linkerd-failover");
            }
            if name == BRAKE {
                return problem.next("it is the program's own, on its Lease");
            }
            match closest(name, OF_OBJECTS.iter().copied().chain([CONTROLLED_BY])) {
                Some(CONTROLLED_BY) => problem.next(format!("{CONTROLLED_BY} is a label")),
                Some(near) => problem.next(format!("did you mean {near}?")),
                None => problem,
            }
        })
        .collect()
}

/// The field path of an annotation.
pub(crate) fn field(name: &str) -> FieldPath {
    FieldPath::from("metadata.annotations").key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(name: &str) -> Vec<String> {
        let annotations = BTreeMap::from([(name.to_owned(), String::new())]);
        without_effect(&annotations).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelt_annotation_is_named_with_its_nearest_neighbour() {
        let said = warnings("failover.linkerd.io/primary-servce").join("");
        assert!(said.contains("did you mean failover.linkerd.io/primary-service?"), "{said}");
    }

    #[test]
    fn the_freeze_of_the_cluster_has_no_effect_on_one_object_and_says_where_it_belongs() {
        let said = warnings(FROZEN).join("");
        assert!(said.contains("ignored; it belongs on the namespace"), "{said}");
    }

    #[test]
    fn annotations_of_others_and_ours_in_use_are_not_mentioned() {
        assert!(warnings("example.com/primary-service").is_empty());
        assert!(OF_OBJECTS.iter().all(|name| warnings(name).is_empty()));
    }
}
