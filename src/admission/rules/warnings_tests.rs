//! Warnings of the rules, each with its exact message.

use crate::admission::test_support::{NAMESPACE, World, split, stored, validate};
use crate::index::profile_facts::ProfileFacts;
use crate::kinds::ObjectKey;
use serde_json::json;

const PROFILE: &str = "emoji-svc.emojivoto.svc.cluster.local";

fn profile(authority: &str, annotations: serde_json::Value) -> ProfileFacts {
    ProfileFacts::read(
        &serde_json::from_value(json!({
            "metadata": {"name": PROFILE, "annotations": annotations},
            "spec": {"dstOverrides": [{"authority": authority, "weight": "1"}]},
        }))
        .unwrap(),
    )
}

/// Each warning, with its exact message.
#[test]
fn what_is_legal_and_harmful_is_warned_about_and_never_denied() {
    type Change = fn(&mut World);
    let nothing: Change = |_| {};
    let cases: [(&str, &[&str], Change); 16] = [
        ("all is well", &["emoji-svc", "emoji-svc-west"], nothing),
        ("one backend", &["emoji-svc"], nothing),
        ("nothing ready", &["emoji-svc", "emoji-svc-west"], |world| {
            world.set_ready("emoji-svc", 0);
            world.set_ready("emoji-svc-west", 0);
        }),
        ("gateway down", &["emoji-svc", "emoji-svc-west"], |world| {
            let labels = json!({"mirror.linkerd.io/cluster-name": "west"});
            let ports = json!([{"name": "grpc", "port": 8080}]);
            let mirror = json!({"metadata": {"labels": labels}, "spec": {"ports": ports}});
            world.service("emoji-svc-west", mirror);
            let gateway = json!([{"addresses": ["192.0.2.1"], "conditions": {"ready": false}}]);
            world.slice("emoji-svc-west", gateway);
        }),
        ("remote Service empty", &["emoji-svc", "emoji-svc-west"], |world| {
            let labels = json!({"mirror.linkerd.io/cluster-name": "west"});
            let ports = json!([{"name": "grpc", "port": 8080}]);
            let mirror = json!({"metadata": {"labels": labels}, "spec": {"ports": ports}});
            world.service("emoji-svc-west", mirror);
            world.slice("emoji-svc-west", json!([]));
        }),
        ("a cluster without credentials", &["emoji-svc", "emoji-svc-west"], |world| {
            let discovery = "multicluster.linkerd.io/remote-discovery";
            let labels =
                json!({discovery: "west", "multicluster.linkerd.io/remote-service": "emoji-svc"});
            let ports = json!([{"name": "grpc", "port": 8080}]);
            let mirror = json!({"metadata": {"labels": labels}, "spec": {"ports": ports}});
            world.service("emoji-svc-west", mirror);
        }),
        ("same pods", &["emoji-svc", "emoji-svc-west"], |world| {
            let pod = json!([{"addresses": ["10.9.9.9"]}]);
            world.slice("emoji-svc", pod.clone());
            world.slice("emoji-svc-west", pod);
        }),
        ("an apex of another", &["emoji-svc", "web-svc"], |world| {
            world.set_ready("web-svc", 1);
            let mut other = stored(split(&[("web-svc", json!(1)), ("b", json!(0))], &[]));
            other.data["spec"]["service"] = json!("web-svc");
            world.manage("web", &other);
        }),
        ("no ServiceProfiles", &["emoji-svc", "emoji-svc-west"], |world| {
            world.index.no_profiles = true;
        }),
        ("our profile", &["emoji-svc", "emoji-svc-west"], |world| {
            let ours = profile("emoji-svc-west.emojivoto.svc.cluster.local", json!({}));
            world.index.set_profile(ObjectKey::new(NAMESPACE, PROFILE), ours);
        }),
        ("somebody else's profile", &["emoji-svc", "emoji-svc-west"], |world| {
            let foreign = profile("canary.emojivoto.svc.cluster.local", json!({}));
            world.index.set_profile(ObjectKey::new(NAMESPACE, PROFILE), foreign);
        }),
        ("a profile left alone", &["emoji-svc", "emoji-svc-west"], |world| {
            let skipped = profile(PROFILE, json!({"smi.linkerd.io/skip": "true"}));
            world.index.set_profile(ObjectKey::new(NAMESPACE, PROFILE), skipped);
        }),
        ("written here: no ServiceProfiles", &["emoji-svc", "emoji-svc-west"], |world| {
            world.index.writes_profiles = true;
            world.index.no_profiles = true;
        }),
        ("written here: ours", &["emoji-svc", "emoji-svc-west"], |world| {
            world.index.writes_profiles = true;
            let mark = json!({"v": 1, "split": "emoji", "uid": "u", "created": true, "by": "x"});
            let marks = json!({"smi.linkerd.io/skip": "true",
                "failover.linkerd.io/written-for": mark.to_string()});
            world.index.set_profile(ObjectKey::new(NAMESPACE, PROFILE), profile(PROFILE, marks));
        }),
        ("written here: to be taken over", &["emoji-svc", "emoji-svc-west"], |world| {
            world.index.writes_profiles = true;
            let other = profile("canary.emojivoto.svc.cluster.local", json!({}));
            world.index.set_profile(ObjectKey::new(NAMESPACE, PROFILE), other);
        }),
        ("written here: somebody else's", &["emoji-svc", "emoji-svc-west"], |world| {
            world.index.writes_profiles = true;
            let skipped = profile(PROFILE, json!({"smi.linkerd.io/skip": ""}));
            world.index.set_profile(ObjectKey::new(NAMESPACE, PROFILE), skipped);
        }),
    ];
    let mut warnings_by_case = String::new();
    for (name, backends, change) in cases {
        let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]);
        change(&mut world);
        let backends: Vec<_> =
            backends.iter().enumerate().map(|(i, b)| (*b, json!(u8::from(i == 0)))).collect();
        let validation = validate(None, &split(&backends, &[]), &world.view());
        assert!(validation.errors.is_empty(), "{name}: {validation:?}");
        warnings_by_case.push_str(&format!("{name}\n"));
        for warning in validation.warnings {
            warnings_by_case.push_str(&format!("  {warning}\n"));
        }
    }
    insta::assert_snapshot!(warnings_by_case, @r#"
    all is well
    one backend
      spec.backends: found "emoji-svc" alone, expected a fallback beside it; with one backend there is nowhere to go
    nothing ready
      spec.backends: found emoji-svc: no endpoints, emoji-svc-west: no endpoints, expected a backend with ready endpoints; callers get errors until there is one
    gateway down
      spec.backends[1].service: found "emoji-svc-west", a mirror of cluster west, whose gateway does not answer, expected a mirror with ready endpoints; try: linkerd multicluster gateways
    remote Service empty
      spec.backends[1].service: found "emoji-svc-west", a mirror of cluster west, where it has no ready endpoints, expected a mirror with ready endpoints; look at the Service there
    a cluster without credentials
      spec.backends[1].service: found "emoji-svc-west", whose endpoints cannot be seen, expected a backend whose health is known; health unknown, no credentials for cluster west: link it, or name the namespace of its Secret in remoteClusters.credentialsNamespaces. Until it is known, it keeps traffic that it has, and gets some only while no other is known to be ready
    same pods
      spec.backends[1].service: found "emoji-svc-west", backed by the same pods as the primary, expected a fallback with pods of its own; it is lost together with the primary
    an apex of another
      spec.backends[1].service: found "web-svc", the apex of web, expected a Service that is no apex; Linkerd does not follow it: traffic goes to the endpoints of web-svc itself
    no ServiceProfiles
      spec.service: found a cluster without ServiceProfiles, expected Linkerd with the linkerd-smi extension; nothing carries this object into Linkerd: run linkerd check
    our profile
    somebody else's profile
      spec.service: found the ServiceProfile emoji-svc.emojivoto.svc.cluster.local, expected one that sends traffic to these backends; this one sends it elsewhere; what stands in the profile decides; see who writes it with: kubectl get serviceprofiles.linkerd.io -o yaml --show-managed-fields
    a profile left alone
      spec.service: found the ServiceProfile emoji-svc.emojivoto.svc.cluster.local, expected one that the linkerd-smi adaptor may write; this one says to leave it alone; what stands in the profile decides; see who writes it with: kubectl get serviceprofiles.linkerd.io -o yaml --show-managed-fields
    written here: no ServiceProfiles
      spec.service: found a cluster without ServiceProfiles, expected Linkerd; nothing carries this object into Linkerd: run linkerd check
    written here: ours
    written here: to be taken over
    written here: somebody else's
      spec.service: found the ServiceProfile emoji-svc.emojivoto.svc.cluster.local, expected one that linkerd-failover may write; by smi.linkerd.io/skip somebody else keeps this one for himself; what stands in the profile decides; see who writes it with: kubectl get serviceprofiles.linkerd.io -o yaml --show-managed-fields
    "#);
}

#[test]
fn a_port_that_callers_ask_for_and_no_endpoint_offers_is_named() {
    let mut world = World::with(&[("emoji-svc", 2), ("emoji-svc-west", 1)]);
    let ports = json!([{"name": "grpc", "port": 8080}, {"name": "prom", "port": 8801}]);
    for name in ["emoji-svc", "emoji-svc-west"] {
        world.service(name, json!({"spec": {"ports": ports}}));
    }
    let split = split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]);
    let warnings_in = |world: &World| -> Vec<String> {
        let validation = validate(None, &split, &world.view());
        assert!(validation.errors.is_empty(), "{validation:?}");
        validation.warnings.iter().map(ToString::to_string).collect()
    };
    let warnings = warnings_in(&world);
    assert_eq!(
        warnings[0],
        r#"spec.backends[0].service: found "emoji-svc": 2 of 2 endpoints ready, none offers port prom, expected endpoints that offer every port that callers ask for; it moves no traffic until an endpoint offers it once"#
    );
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let renamed = json!([{"name": "http", "port": 8080}]);
    world.service("emoji-svc", json!({"spec": {"ports": renamed}}));
    let warnings = warnings_in(&world);
    assert_eq!(
        warnings[0],
        r#"spec.backends[0].service: found "emoji-svc": 2 endpoints, none offers port http, expected endpoints that offer every port that callers ask for; name the port as the pods do in the Service's targetPort"#
    );
}
