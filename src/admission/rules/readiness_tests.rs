//! Warnings about Services whose readiness is not what it seems.

use crate::admission::test_support::{NAMESPACE, World, split, validate};
use crate::index::remote::mirrors::RemoteMirror;
use crate::kinds::ObjectKey;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The warnings about a split with these fallbacks.
fn warnings(world: &World, fallbacks: &[&str]) -> String {
    let names = ["emoji-svc"].into_iter().chain(fallbacks.iter().copied());
    let backends: Vec<_> =
        names.enumerate().map(|(i, name)| (name, json!(u8::from(i == 0)))).collect();
    let validation = validate(None, &split(&backends, &[]), &world.view());
    assert!(validation.errors.is_empty(), "{validation:?}");
    validation.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

fn world() -> World {
    World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)])
}

fn service(mirrors: bool, spec: Value) -> Value {
    let mut spec = spec;
    spec["ports"] = json!([{"name": "grpc", "port": 8080}]);
    let labels = json!({"mirror.linkerd.io/mirrored-service": "true",
        "mirror.linkerd.io/cluster-name": "west"});
    json!({"metadata": {"labels": if mirrors { labels } else { json!({}) }}, "spec": spec})
}

#[test]
fn a_setting_that_makes_readiness_misleading_is_warned_about() {
    let mut world = world();
    world.service("emoji-svc", service(false, json!({"clusterIP": "None"})));
    assert_eq!(warnings(&world, &["emoji-svc-west"]), "", "headless alone is as any other");
    let both = json!({"internalTrafficPolicy": "Local", "publishNotReadyAddresses": true});
    world.service("emoji-svc", service(false, both));
    world.service("emoji-svc-west", service(true, json!({"clusterIP": "None"})));
    insta::assert_snapshot!(warnings(&world, &["emoji-svc-west"]), @r#"
    spec.backends[0].service: found "emoji-svc", with publishNotReadyAddresses: true, expected a Service that says which of its pods are ready; each of its pods counts as ready, here and for Linkerd, so nothing leaves it until they are gone: use a Service without it beside this one
    spec.backends[0].service: found "emoji-svc", with internalTrafficPolicy: Local, expected Cluster; each proxy sends to endpoints on its own node only: where there are none callers fail, and nothing fails over while another node has some
    spec.backends[1].service: found "emoji-svc-west", a headless mirror of cluster west, expected a mirror whose endpoints are marked not ready when the gateway there does not answer; its addresses are always ready, so nothing leaves it while they exist: export a Service with a ClusterIP there
    "#);
    let usual = json!({"internalTrafficPolicy": "Cluster", "publishNotReadyAddresses": false});
    world.service("emoji-svc", service(false, usual));
    world.service("emoji-svc-west", service(true, json!({"clusterIP": "10.0.0.1"})));
    assert_eq!(warnings(&world, &["emoji-svc-west"]), "");
}

fn mirrored_there(world: &mut World, of: &str, cluster: &str) {
    let key = ObjectKey::new(NAMESPACE, format!("{of}-{cluster}"));
    let of = ObjectKey::new(NAMESPACE, of);
    let mirror = RemoteMirror { service: key.clone(), of, cluster: cluster.into() };
    world.index.link("west");
    world.index.remote.set_mirrors_of("west", HashMap::from([(key, mirror)]));
}

#[test]
fn a_mirror_of_a_cluster_that_mirrors_us_may_send_it_all_back() {
    let mut world = world();
    world.service("emoji-svc-west", service(true, json!({})));
    mirrored_there(&mut world, "emoji-svc", "east");
    insta::assert_snapshot!(warnings(&world, &["emoji-svc-west"]), @r#"spec.backends[1].service: found "emoji-svc-west", a mirror through the gateway of cluster west, where emoji-svc-east mirrors emoji-svc of cluster east, expected a cluster that does not fall back to this one; if an object there falls back to emoji-svc-east, which cannot be seen from here, and east is this cluster, requests go round while both are lost, until a gateway answers 508: let one of the two do without, or use pod-to-pod mirrors"#);

    mirrored_there(&mut world, "web-svc", "east");
    assert_eq!(warnings(&world, &["emoji-svc-west"]), "", "of another Service");
    mirrored_there(&mut world, "emoji-svc", "north");
    let mut north = service(true, json!({}));
    north["metadata"]["labels"]["mirror.linkerd.io/cluster-name"] = json!("north");
    world.service("emoji-svc-north", north);
    assert_eq!(warnings(&world, &["emoji-svc-west"]), "", "of a third cluster");
    mirrored_there(&mut world, "emoji-svc", "east");
    let mut to_pods = service(true, json!({}));
    to_pods["metadata"]["labels"]["multicluster.linkerd.io/remote-discovery"] = json!("west");
    to_pods["metadata"]["labels"]["multicluster.linkerd.io/remote-service"] = json!("emoji-svc");
    world.service("emoji-svc-west", to_pods);
    let warnings = warnings(&world, &["emoji-svc-west"]);
    assert!(!warnings.contains("go round"), "those lead to pods: {warnings}");
}
