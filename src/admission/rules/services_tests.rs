use super::*;
use crate::admission::test_support::{World, split, validate};
use serde_json::{Value, json};

fn world() -> World {
    let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1)]).missing(&[
        "emoji-svc-wset",
        "nowhere",
        "web-west",
        "web-north",
    ]);
    world.service("external", json!({"spec": {"type": "ExternalName", "externalName": "x.y"}}));
    let ports = |ports: Value| json!({"spec": {"ports": ports}});
    world.service("other-port", ports(json!([{"name": "http", "port": 80}, {"port": 81}])));
    world.service("no-port", ports(json!([])));
    world
}

/// Each rule about Services, with its exact message.
#[test]
fn services_that_failover_cannot_work_with_are_refused() {
    let mut errors_by_case = String::new();
    for name in [
        "emoji-svc-wset",
        "nowhere",
        "external",
        "other-port",
        "no-port",
        "emoji-svc-west.emojivoto",
        "emoji-svc-west.emojivoto.svc.cluster.local",
        "other/emoji-svc-west",
        "Emoji",
        "-",
    ] {
        let object = split(&[("emoji-svc", json!(1)), (name, json!(0))], &[]);
        let validation = validate(None, &object, &world().view());
        errors_by_case.push_str(&format!("{name}\n"));
        for error in validation.errors {
            errors_by_case.push_str(&format!("  {error}\n"));
        }
    }
    insta::assert_snapshot!(errors_by_case, @r#"
    emoji-svc-wset
      spec.backends[1].service: found "emoji-svc-wset", which does not exist, expected a Service in namespace emojivoto; did you mean emoji-svc-west?
    nowhere
      spec.backends[1].service: found "nowhere", which does not exist, expected a Service in namespace emojivoto; create it first, or in the same file before this object
    external
      spec.backends[1].service: found "external", an ExternalName Service, expected a Service with endpoints; Linkerd does not follow an ExternalName: point a Service without selector and an EndpointSlice at the address instead
    other-port
      spec.backends[1].service: found "other-port" with ports 80 (http), 81, expected the ports of the apex emoji-svc: port 8080 (grpc); clients call port 8080 (grpc), and Linkerd would take that as the pods' own port: add it to other-port
    no-port
      spec.backends[1].service: found "no-port" with no ports, expected the ports of the apex emoji-svc: port 8080 (grpc); clients call port 8080 (grpc), and Linkerd would take that as the pods' own port: add it to no-port
    emoji-svc-west.emojivoto
      spec.backends[1].service: found "emoji-svc-west.emojivoto", expected the bare name of a Service in the object's own namespace; write emoji-svc-west if it is in this namespace; a Service of another one cannot be named: make one here, or mirror it
    emoji-svc-west.emojivoto.svc.cluster.local
      spec.backends[1].service: found "emoji-svc-west.emojivoto.svc.cluster.local", expected the bare name of a Service in the object's own namespace; write emoji-svc-west if it is in this namespace; a Service of another one cannot be named: make one here, or mirror it
    other/emoji-svc-west
      spec.backends[1].service: found "other/emoji-svc-west", expected the bare name of a Service in the object's own namespace; write emoji-svc-west if it is in this namespace; a Service of another one cannot be named: make one here, or mirror it
    Emoji
      spec.backends[1].service: found "Emoji", expected the bare name of a Service in the object's own namespace; lower-case letters, digits and '-', at most 63 of them
    -
      spec.backends[1].service: found "-", expected the bare name of a Service in the object's own namespace; lower-case letters, digits and '-', at most 63 of them
    "#);
}

#[test]
fn an_apex_with_several_ports_of_which_some_are_there_is_a_warning() {
    let mut world = world();
    let apex = json!({"spec": {"ports": [{"name": "http", "port": 80}, {"name": "m", "port": 9}]}});
    world.service("emoji-svc", apex);
    let object = split(&[("emoji-svc", json!(1)), ("other-port", json!(0))], &[]);
    let validation = validate(None, &object, &world.view());
    assert!(validation.errors.is_empty(), "{validation:?}");
    let warning = validation.warnings[0].to_string();
    assert!(warning.contains("clients call port 9 (m)"), "{warning}");
}

#[test]
fn the_apex_by_a_name_with_dots_is_refused_too() {
    let mut object = split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]);
    object.data["spec"]["service"] = json!("emoji-svc.emojivoto");
    let validation = validate(None, &object, &world().view());
    assert_eq!(validation.errors[0].field, "spec.service");
}

#[test]
fn a_missing_service_is_only_a_warning_where_the_option_is_set() {
    let mut world = world();
    world.rules.missing_backends = MissingBackends::Warn;
    let object = split(&[("emoji-svc", json!(1)), ("nowhere", json!(0))], &[]);
    let validation = validate(None, &object, &world.view());
    assert!(validation.errors.is_empty());
    assert!(validation.warnings[0].to_string().contains("\"nowhere\", which does not exist"));
}

/// East is rebuilt while west is down: its mirrors come later.
#[test]
fn a_missing_mirror_of_a_linked_cluster_is_only_a_warning() {
    let mut world = world();
    world.rules.linked_clusters = vec!["north".into()];
    let validated = |world: &World, name: &str| {
        let object = split(&[("emoji-svc", json!(1)), (name, json!(0))], &[]);
        let validation = validate(None, &object, &world.view());
        (validation.errors.len(), validation.warnings.first().map(ToString::to_string))
    };
    let (errors, warning) = validated(&world, "web-north");
    assert_eq!(errors, 0);
    assert!(warning.unwrap().contains("it looks like a mirror of cluster north"));
    assert_eq!(validated(&world, "web-west").0, 1);
    // An existing mirror shows that its cluster is linked.
    let labels = json!({"mirror.linkerd.io/cluster-name": "west"});
    world.service("emoji-svc-west", json!({"metadata": {"labels": labels}}));
    assert_eq!(validated(&world, "web-west").0, 0);
}
