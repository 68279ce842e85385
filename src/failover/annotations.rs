//! The annotations and labels of the contract. A new annotation starts here: its name, and
//! whether this version acts on it.

use super::Problem;
use super::problem::closest;
use std::collections::BTreeMap;

/// Every label and annotation of ours begins with this.
pub const PREFIX: &str = "failover.linkerd.io/";
/// Label that marks a managed object.
pub const CONTROLLED_BY: &str = "failover.linkerd.io/controlled-by";
/// The preferred backend; defaulted to the first.
pub const PRIMARY_SERVICE: &str = "failover.linkerd.io/primary-service";
/// The author's weights, recorded while ours are in the object.
pub const AUTHORED_WEIGHTS: &str = "failover.linkerd.io/authored-weights";
/// What was decided last, by whom and why.
pub const STATE: &str = "failover.linkerd.io/state";

/// What `kubectl apply` leaves behind: the manifest as its author wrote it.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Annotations that this version acts on.
const ACTED_ON: &[&str] = &[PRIMARY_SERVICE, AUTHORED_WEIGHTS, STATE];

/// Annotations of the contract that this version knows but does not act on yet: an author who
/// relies on one must hear it at `kubectl apply`, not during an outage.
const NOT_YET: &[&str] = &[
    "failover.linkerd.io/fallback-order",
    "failover.linkerd.io/min-ready",
    "failover.linkerd.io/failover-delay",
    "failover.linkerd.io/failback-delay",
    "failover.linkerd.io/failback",
    "failover.linkerd.io/failback-requested",
    "failover.linkerd.io/warm-standby",
    "failover.linkerd.io/pin",
    "failover.linkerd.io/pin-until",
    "failover.linkerd.io/paused",
];

/// Warnings about annotations under our prefix that have no effect: unknown ones, with the
/// nearest known name, and known ones that this version does not act on.
pub fn without_effect(annotations: &BTreeMap<String, String>) -> Vec<Problem> {
    let ours = annotations.keys().filter(|name| name.starts_with(PREFIX));
    ours.filter(|name| !ACTED_ON.contains(&name.as_str()))
        .map(|name| {
            let problem = Problem::warning(field(name)).found(format!("{name:?}"));
            if NOT_YET.contains(&name.as_str()) {
                return problem.expected(
                    "an annotation that this version acts on; this one has no effect yet",
                );
            }
            let known = ACTED_ON.iter().chain(NOT_YET).copied().chain([CONTROLLED_BY]);
            let problem =
                problem.expected("an annotation of linkerd-failover; this one is ignored");
            match closest(name, known) {
                Some(CONTROLLED_BY) => problem.next(format!("{CONTROLLED_BY} is a label")),
                Some(near) => problem.next(format!("did you mean {near}?")),
                None => problem,
            }
        })
        .collect()
}

/// The field path of an annotation, as the API server writes one.
pub fn field(name: &str) -> String {
    format!("metadata.annotations[{name}]")
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
    fn an_annotation_of_a_later_version_is_said_to_have_no_effect() {
        let said = warnings("failover.linkerd.io/paused").join("");
        assert!(said.contains("no effect yet"), "{said}");
    }

    #[test]
    fn annotations_of_others_and_ours_in_use_are_not_mentioned() {
        assert!(warnings("example.com/primary-service").is_empty());
        assert!(warnings(PRIMARY_SERVICE).is_empty());
    }
}
