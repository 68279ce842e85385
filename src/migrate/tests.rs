//! The command as people see it: manifests in, routes and messages out.

use crate::manifests::documents;
use crate::migrate::output::Outcome;
use crate::migrate::*;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: emoji-svc, namespace: emojivoto}
spec: {ports: [{name: grpc, port: 8080}, {name: dns, port: 53, protocol: UDP}]}
";

fn split(spec: &str) -> String {
    format!(
        "---
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {{name: emoji, namespace: emojivoto}}
spec: {spec}
"
    )
}

const TWO: &str = "{service: emoji-svc, backends: [{service: emoji-svc, weight: 1}, {service: emoji-svc-west, weight: 0}]}";

async fn migrated_as(kind: RouteKind, input: &str, ports: &[u16]) -> Output {
    let input = documents::read("split.yaml", input.as_bytes());
    migrate(input, kind, None, ServicePortLookup::new(ports, None)).await.unwrap()
}

async fn migrated(input: &str, ports: &[u16]) -> Output {
    migrated_as(RouteKind::Http, input, ports).await
}

/// The messages about an input that has to fail without a route.
async fn messages(input: &str) -> String {
    let output = migrated(input, &[8080]).await;
    assert_eq!(output.yaml, "");
    assert!(matches!(output.outcome(), Outcome::Failed { .. }), "{output:?}");
    output.messages.join("\n")
}

#[tokio::test]
async fn a_split_becomes_a_route_for_the_port_of_the_service_beside_it() {
    let output = migrated(&format!("{SERVICE}{}", split(TWO)), &[]).await;
    assert!(output.messages.is_empty() && output.outcome() == Outcome::Migrated, "{output:?}");
    insta::assert_snapshot!(output.yaml, @r#"
    ---
    # In place of TrafficSplit emojivoto/emoji, for port 8080.
    # 1. Apply this. Nothing moves yet: the ServiceProfile of the split takes precedence.
    # 2. Once kubectl -n emojivoto get httproutes.gateway.networking.k8s.io emoji -o yaml says Accepted: kubectl -n emojivoto delete trafficsplits.split.smi-spec.io emoji
    # 3. The route counts when kubectl -n emojivoto get serviceprofiles.linkerd.io -o yaml has no dstOverrides for emoji-svc.
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata:
      name: emoji
      namespace: emojivoto
    spec:
      parentRefs:
      - group: ""
        kind: Service
        name: emoji-svc
        port: 8080
      rules:
      - backendRefs:
        - name: emoji-svc
          port: 8080
          weight: 1
        - name: emoji-svc-west
          port: 8080
          weight: 0
    "#);
}

/// As `kubectl get -o yaml` prints one, in the middle of a failover.
const LIVE: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: split.smi-spec.io/v1alpha1
  kind: TrafficSplit
  metadata:
    name: emoji
    namespace: emojivoto
    labels: {failover.linkerd.io/controlled-by: linkerd-failover}
    annotations:
      failover.linkerd.io/authored-weights: '{"v":1,"sets":{"":{"emoji-svc":5,"emoji-svc-west":0}}}'
      failover.linkerd.io/min-ready: "2"
      failover.linkerd.io/primary-service: emoji-svc
      failover.linkerd.io/state: '{"v":1,"sets":{},"defaultedPrimary":"emoji-svc"}'
      kubectl.kubernetes.io/last-applied-configuration: '{}'
      example.com/asked: "yes"
    managedFields: [{manager: kubectl, operation: Update}]
    ownerReferences: []
    resourceVersion: "12"
    uid: 5f3c9c1e-6f5c-4a7e-9f0c-1f1c9e8d7a6b
  spec:
    service: emoji-svc
    backends: [{service: emoji-svc, weight: 0}, {service: emoji-svc-west, weight: 500m}]
"#;

#[tokio::test]
async fn a_live_split_becomes_routes_with_its_author_s_weights_and_annotations() {
    let output = migrated_as(RouteKind::Grpc, LIVE, &[80, 8080, 80]).await;
    assert!(output.messages.is_empty(), "{output:?}");
    insta::assert_snapshot!(output.yaml, @r#"
    ---
    # In place of TrafficSplit emojivoto/emoji, for port 80 (a route for each of 80, 8080).
    # 1. Apply this. Nothing moves yet: the ServiceProfile of the split takes precedence.
    # 2. Once kubectl -n emojivoto get grpcroutes.gateway.networking.k8s.io emoji-80 -o yaml says Accepted: kubectl -n emojivoto delete trafficsplits.split.smi-spec.io emoji
    # 3. The route counts when kubectl -n emojivoto get serviceprofiles.linkerd.io -o yaml has no dstOverrides for emoji-svc.
    apiVersion: gateway.networking.k8s.io/v1
    kind: GRPCRoute
    metadata:
      name: emoji-80
      namespace: emojivoto
      labels:
        failover.linkerd.io/controlled-by: linkerd-failover
      annotations:
        example.com/asked: "yes"
        failover.linkerd.io/min-ready: "2"
        failover.linkerd.io/primary-service: emoji-svc
    spec:
      parentRefs:
      - group: ""
        kind: Service
        name: emoji-svc
        port: 80
      rules:
      - backendRefs:
        - name: emoji-svc
          port: 80
          weight: 5
        - name: emoji-svc-west
          port: 80
          weight: 0
    ---
    # In place of TrafficSplit emojivoto/emoji, for port 8080 (a route for each of 80, 8080).
    # 1. Apply this. Nothing moves yet: the ServiceProfile of the split takes precedence.
    # 2. Once kubectl -n emojivoto get grpcroutes.gateway.networking.k8s.io emoji-8080 -o yaml says Accepted: kubectl -n emojivoto delete trafficsplits.split.smi-spec.io emoji
    # 3. The route counts when kubectl -n emojivoto get serviceprofiles.linkerd.io -o yaml has no dstOverrides for emoji-svc.
    apiVersion: gateway.networking.k8s.io/v1
    kind: GRPCRoute
    metadata:
      name: emoji-8080
      namespace: emojivoto
      labels:
        failover.linkerd.io/controlled-by: linkerd-failover
      annotations:
        example.com/asked: "yes"
        failover.linkerd.io/min-ready: "2"
        failover.linkerd.io/primary-service: emoji-svc
    spec:
      parentRefs:
      - group: ""
        kind: Service
        name: emoji-svc
        port: 8080
      rules:
      - backendRefs:
        - name: emoji-svc
          port: 8080
          weight: 5
        - name: emoji-svc-west
          port: 8080
          weight: 0
    "#);
}

#[tokio::test]
async fn a_default_that_became_stale_is_the_first_backend() {
    let stale = LIVE
        .replace("\"emoji-svc\"}", "\"gone\"}")
        .replace("service: emoji-svc\n      failover", "service: gone\n      failover");
    let output = migrated(&stale, &[80]).await;
    assert!(output.yaml.contains("primary-service: emoji-svc\n"), "{}", output.yaml);
}

#[tokio::test]
async fn the_author_s_own_primary_is_kept_as_it_is() {
    let own = LIVE.replace("primary-service: emoji-svc", "primary-service: emoji-svc-west");
    let output = migrated(&own, &[80]).await;
    assert!(output.yaml.contains("primary-service: emoji-svc-west\n"), "{}", output.yaml);
}

#[tokio::test]
async fn fractions_become_whole_numbers() {
    let halves = "{service: a, backends: [{service: a, weight: 0.25}, {service: b, weight: 750m}]}";
    let output = migrated(&split(halves), &[80]).await;
    let weights: Vec<_> = output.yaml.lines().filter(|line| line.contains("weight:")).collect();
    assert_eq!(weights, ["      weight: 1", "      weight: 3"]);
}

#[tokio::test]
async fn a_problem_is_reported_with_its_place_and_next_step_and_the_rest_is_printed() {
    let bad = "{service: emoji-svc.emojivoto, backends: [{service: a, weight: -1}, {service: a}]}";
    let zero = "{service: a, backends: [{service: a, weight: 0}]}";
    let odd = "{service: a, backends: [{service: a, weight: 1000001}, {service: b, weight: 1}]}";
    let unknown = "{service: elsewhere, backends: [{service: a, weight: 1}]}";
    let versioned = split(TWO).replace("v1alpha2", "v2");
    let unquoted = split(TWO).replace("metadata: {", "metadata: {annotations: {a: true}, ");
    let input = [
        SERVICE.into(),
        split(bad),
        split(zero),
        split(odd),
        split(unknown),
        versioned,
        unquoted,
        split(TWO),
        split(TWO),
        "---\nkind: [\n".into(),
        "---\nkind: ConfigMap\nmetadata: {name: other}\n".into(),
    ]
    .concat();
    let output = migrated(&input, &[]).await;
    assert_eq!(output.yaml.matches("kind: HTTPRoute").count(), 1);
    assert_eq!(output.outcome(), Outcome::Failed { count: 8, is_unreadable: true });
    insta::assert_snapshot!(output.messages.join("\n"), @r#"
    split.yaml: document 10: found no YAML (unclosed bracket '[' at line 47, column 7), expected a manifest in YAML or JSON; mend it there: kubectl cannot read it either
    split.yaml: document 11: ConfigMap other: skipped, it is no TrafficSplit
    split.yaml: document 2: TrafficSplit emojivoto/emoji: spec.service: found "emoji-svc.emojivoto", expected the bare name of a Service in the object's own namespace
    split.yaml: document 2: TrafficSplit emojivoto/emoji: spec.backends[1].service: found "a" once more, expected each backend once; leave one of the two, with the sum of their weights
    split.yaml: document 2: TrafficSplit emojivoto/emoji: spec.backends[0].weight: found -1, expected a number that is not negative
    split.yaml: document 3: TrafficSplit emojivoto/emoji: spec.backends: found weights that are all 0, expected at least one above 0: of a route without any, proxies keep what they had; give the backend that is to have the traffic the weight 1
    split.yaml: document 4: TrafficSplit emojivoto/emoji: spec.backends: found weights in proportions that need larger numbers, expected proportions of whole numbers of at most 1000000; round the weights
    split.yaml: document 5: TrafficSplit emojivoto/emoji: spec.service: found elsewhere, whose ports are not known, expected a Service of the input or the cluster, for its ports; give --port, or the manifest of the Service too (no cluster is asked)
    split.yaml: document 6: TrafficSplit emojivoto/emoji: apiVersion: found "split.smi-spec.io/v2", expected split.smi-spec.io/v1alpha1 to v1alpha4
    split.yaml: document 7: TrafficSplit emojivoto/emoji: metadata.annotations[a]: found true, expected a text; put it into quotes
    split.yaml: document 9: TrafficSplit emojivoto/emoji: metadata.name: found emoji, which the route of another split has already, expected a name of its own for each route; migrate the two one by one, and rename one of the routes
    "#);
}

#[tokio::test]
async fn a_split_that_no_route_can_express_is_refused() {
    for (spec, expected) in [
        ("{}", "spec.backends: found no backends"),
        ("{service: a}", "spec.backends: found no backends"),
        ("{service: a, backends: 7}", "spec.backends: found 7"),
        ("{service: a, backends: [{service: 7, weight: 1}]}", "spec.backends[0].service: found 7"),
        ("{backends: [{service: a, weight: 1}]}", "spec.service: found nothing"),
        ("{service: a, backends: [{service: a, weight: 1}, {service: a, weight: 1}]}", "once more"),
    ] {
        let messages = messages(&split(spec)).await;
        assert!(messages.contains(expected), "{spec}: {messages}");
    }
    let backends: Vec<_> = (0..17).map(|i| format!("{{service: s{i}, weight: 1}}")).collect();
    let many =
        messages(&split(&format!("{{service: a, backends: [{}]}}", backends.join(",")))).await;
    assert!(many.contains("found 17 backends, expected at most 16"), "{many}");
}

#[tokio::test]
async fn an_invalid_name_reaches_no_command_in_a_comment() {
    let name = r#"{name: "emoji\nkind: Secret", namespace: "a b"}"#;
    let input = split(TWO).replace("{name: emoji, namespace: emojivoto}", name);
    let messages = messages(&input).await;
    assert!(messages.contains(r#"metadata.name: found "emoji\nkind: Secret""#), "{messages}");
    assert!(messages.contains("metadata.namespace: found \"a b\""), "{messages}");
}

#[tokio::test]
async fn a_service_that_cannot_be_a_route_s_parent_is_reported() {
    for (spec, found) in [
        ("{clusterIP: None, ports: [{port: 80}]}", "which is headless"),
        ("{type: ExternalName, externalName: example.com}", "which is of type ExternalName"),
        ("{ports: [{port: 53, protocol: UDP}]}", "which has no TCP port"),
    ] {
        let service = SERVICE.lines().filter(|line| !line.starts_with("spec:"));
        let service = service.collect::<Vec<_>>().join("\n");
        let input = format!("{service}\nspec: {spec}\n{}", split(TWO));
        let output = migrated(&input, &[]).await;
        assert!(output.messages.join("").contains(found), "{spec}: {:?}", output.messages);
    }
}

#[tokio::test]
async fn matches_which_linkerd_ignores_are_a_warning() {
    let spec = TWO.replace(
        "{service: emoji-svc, b",
        "{matches: [{kind: HTTPRouteGroup, name: x}], service: emoji-svc, b",
    );
    let output = migrated(&split(&spec).replace("v1alpha2", "v1alpha4"), &[80]).await;
    assert!(output.messages[0].contains("spec.matches: found 1 of them"), "{:?}", output.messages);
    assert_eq!(output.outcome(), Outcome::Migrated);
}

#[tokio::test]
async fn an_input_without_a_split_is_nothing_to_migrate() {
    assert_eq!(migrated(SERVICE, &[]).await.outcome(), Outcome::Nothing);
}
