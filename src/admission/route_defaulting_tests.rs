//! Routes that become managed, or are released: the weights that are written.

use crate::admission::route_test_support::{
    backend, failed_over, http_route, mutated, two_rules, validation, warnings, weights, world,
};
use crate::admission::test_support::mutate;
use crate::engine::annotations;
use crate::kinds::Kind;
use kube::ResourceExt;
use serde_json::json;

#[test]
fn a_new_route_is_defaulted_and_every_rule_starts_where_it_can_be_served() {
    let mut world = world();
    let there = mutated(&world, None, &two_rules());
    assert_eq!(there.annotations()[annotations::PRIMARY_SERVICE], "emoji-svc");
    assert_eq!(weights(&there), [vec![9, 0], vec![1, 0], vec![5]]);
    world.set_ready("emoji-svc", 0);
    let there = mutated(&world, None, &two_rules());
    assert_eq!(weights(&there), [vec![0, 1], vec![0, 1], vec![5]]);
    assert_eq!(
        there.annotations()[annotations::AUTHORED_WEIGHTS],
        r##"{"v":1,"sets":{"#0":{"emoji-svc":9,"emoji-svc-west":0},"#1":{"emoji-svc":1,"emoji-svc-west":0}}}"##
    );
    assert_eq!(mutated(&world, None, &there), there, "mutate(mutate(x)) == mutate(x)");
    assert_eq!(validation(&world, None, &there).errors, []);
}

#[test]
fn each_rule_has_its_own_first_backend_as_primary_and_a_note_of_it() {
    let world = world();
    let route = http_route(&[
        ("/canary", json!([backend("web-svc", 1)])),
        ("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])),
        ("/west", json!([backend("emoji-svc-west", 3), backend("emoji-svc", 2)])),
    ]);
    let messages = mutate(None, &route, &world.view()).notes.join("\n");
    assert!(messages.contains("rule #1: failover.linkerd.io/primary-service was not set: the first backend, emoji-svc, is the primary"), "{messages}");
    assert!(messages.contains("rule #2: failover.linkerd.io/primary-service was not set: the first backend, emoji-svc-west, is the primary; emoji-svc gets traffic only without it"), "{messages}");
    let there = mutated(&world, None, &route);
    assert_eq!(weights(&there), [vec![1], vec![1, 0], vec![3, 0]]);
    assert!(!there.annotations().contains_key(annotations::PRIMARY_SERVICE), "none is that of all");
    assert_eq!(mutated(&world, None, &there), there, "called again");
    let primaries = Kind::HttpRoute.read(&there).primaries();
    assert_eq!((&*primaries["#1"][0], &*primaries["#2"][0]), ("emoji-svc", "emoji-svc-west"));
}

#[test]
fn rules_without_a_named_primary_are_left_alone_with_a_warning_each() {
    let mut route = http_route(&[
        ("/", json!([backend("emoji-svc", 1), backend("emoji-svc-west", 0)])),
        ("/web", json!([backend("web-svc", 1), backend("emoji-svc-west", 1)])),
        ("/one", json!([backend("web-svc", 1)])),
    ]);
    let primary = (annotations::PRIMARY_SERVICE.to_owned(), "emoji-svc".to_owned());
    route.metadata.annotations = Some([primary].into());
    let world = world();
    let there = mutated(&world, None, &route);
    assert_eq!(weights(&there)[1..], [vec![1, 1], vec![1]]);
    let messages = warnings(&world, &there);
    let about: Vec<_> = messages.iter().filter(|s| s.contains("is left as it is")).collect();
    assert_eq!(about.len(), 1, "{messages:?}");
    assert!(about[0].starts_with("spec.rules[1].backendRefs: found web-svc, emoji-svc-west, expected a backend that failover.linkerd.io/primary-service names (emoji-svc)"), "{messages:?}");
}

#[test]
fn nothing_but_weights_and_our_annotations_is_touched() {
    let world = world();
    let mut there = mutated(&world, None, &two_rules());
    there.annotations_mut().clear();
    let mut given = two_rules();
    given.metadata.annotations = Some(Default::default());
    assert_eq!(there, given);
}

#[test]
fn no_weights_are_restored_that_would_leave_a_rule_without_any_weight() {
    let mut world = world();
    let old = failed_over(&mut world);
    let mut new = old.clone();
    new.labels_mut().clear();
    // The same edit removes the primary, and the fallback's authored weight is 0.
    new.data["spec"]["rules"][0]["backendRefs"] = json!([backend("emoji-svc-west", 1)]);
    assert_eq!(weights(&mutated(&world, Some(&old), &new)), [vec![1], vec![1, 0], vec![5]]);
}

#[test]
fn removing_the_label_restores_the_authors_weights_of_every_rule() {
    let mut world = world();
    let old = failed_over(&mut world);
    let mut new = old.clone();
    new.labels_mut().clear();
    let mutation = mutate(Some(&old), &new, &world.view());
    assert!(
        mutation.notes[0].contains("emoji-svc gets traffic again and is not ready"),
        "{:?}",
        mutation.notes
    );
    let there = mutated(&world, Some(&old), &new);
    assert_eq!(weights(&there), [vec![9, 0], vec![1, 0], vec![5]]);
    assert_eq!(there.annotations().len(), 0, "{:?}", there.annotations());
}
