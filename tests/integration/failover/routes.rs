//! HTTPRoute and GRPCRoute: failover rule by rule, by the same engine.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use linkerd_failover::engine::State;
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use test_cluster::{Cluster, Installation, Workload, eventually};

/// The Events of a reason about an object.
async fn wait_note(workload: &Workload<'_>, about: &str, reason: &str) -> Result<String> {
    wait_event(workload, about, reason, "Warning").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_with_the_primary_fails_over_and_comes_back() -> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install_for_routes(&cluster, 2).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.deploy("web", 1).await?;
    for kind in [Kind::HttpRoute, Kind::GrpcRoute] {
        let routes = routes(&cluster, kind);
        let both: &[&str] = &["emoji-svc", "emoji-svc-west"];
        let manifest = route(kind, &[("", both), ("web", &["web-svc"]), ("api", both)]);
        workload.apply(&manifest.to_string()).await?;
        let rules =
            |primary: u64| vec![vec![primary, 1 - primary], vec![1], vec![primary, 1 - primary]];
        let born = wait_rules(&routes, "emoji", &rules(1)).await?;
        assert_eq!(annotation(&born, "primary-service").unwrap(), "emoji-svc");

        workload.scale("emoji", 0).await?;
        let failed_over = wait_rules(&routes, "emoji", &rules(0)).await?;
        let state = failed_over.metadata.annotations.as_ref().context("annotations")?;
        let state = State::parse(&state["failover.linkerd.io/state"]).context("state")?;
        assert_eq!(state.sets.keys().collect::<Vec<_>>(), ["#0", "api"]);
        let note = wait_note(&workload, "emoji", "Failover").await?;
        assert!(note.contains("moved from emoji-svc to emoji-svc-west"), "{note}");

        // The authored manifest again, by every way that people use: traffic stays.
        let authored = manifest.to_string();
        for how in [
            vec!["apply", "-f", "-"],
            vec!["apply", "--server-side", "--force-conflicts", "-f", "-"],
            vec!["replace", "-f", "-"],
        ] {
            workload.kubectl(how).stdin(&authored).ok().await?;
            assert_eq!(rule_weights(&routes.get("emoji").await?), rules(0));
        }
        let diff = workload.kubectl(["diff", "--server-side", "--force-conflicts", "-f", "-"]);
        let diff = diff.stdin(&authored).output().await?;
        assert!(diff.status.success(), "no difference is shown: {}", diff.stdout);

        workload.scale("emoji", 1).await?;
        wait_rules(&routes, "emoji", &rules(1)).await?;
        // Without its label it is its author's again.
        let resource = format!("{}/emoji", kind.plural());
        workload.scale("emoji", 0).await?;
        wait_rules(&routes, "emoji", &rules(0)).await?;
        let unlabel = ["label", &resource, "failover.linkerd.io/controlled-by-"];
        let reply = workload.kubectl(unlabel).output().await?;
        assert!(reply.stderr.contains("gets traffic again and is not ready"), "{}", reply.stderr);
        assert_eq!(rule_weights(&routes.get("emoji").await?), rules(1));
        workload.kubectl(["delete", &resource]).ok().await?;
        workload.scale("emoji", 1).await?;
        workload.wait_endpoints("emoji-svc", 1).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_are_absent_are_picked_up_when_they_come_and_forgotten_when_they_go()
-> Result<()> {
    let cluster = bare_cluster().await?;
    // Neither kind is there: ready all the same, and nothing is logged that sounds like a fault.
    let installation = Installation::install(&cluster, options(1, &[])).await?;
    installation.wait_ready(PATIENCE).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let metrics = installation.replicas()[0].get("/metrics").await?;
    assert_eq!(metric(&metrics, "linkerd_failover_managed_objects"), Some(0.0));

    cluster.install_gateway_api_crds().await?;
    wait_route_webhook(&cluster).await?;
    let manifest = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]).to_string();
    let http = routes(&cluster, Kind::HttpRoute);
    workload.apply(&manifest).await?;
    workload.scale("emoji", 0).await?;
    wait_rules(&http, "emoji", &[vec![0, 1]]).await?;

    cluster.install_traffic_split_crd().await?;
    workload.apply(&emoji().replace("emoji\n", "split\n")).await?;
    workload.scale("emoji", 1).await?;
    wait_rules(&http, "emoji", &[vec![1, 0]]).await?;
    wait_weights(&splits(&cluster, "emojivoto"), "split", &[1.0, 0.0]).await?;

    let before_removal = std::fs::read_to_string(installation.replicas()[0].process().log())?;
    // Routes go, splits go on.
    cluster.remove_gateway_api_crds().await?;
    eventually("the route is forgotten", PATIENCE, || async {
        let metrics = installation.replicas()[0].get("/metrics").await?;
        ensure!(metric(&metrics, "linkerd_failover_managed_objects") == Some(1.0));
        Ok(())
    })
    .await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits(&cluster, "emojivoto"), "split", &[0.0, 1.0]).await?;
    cluster.install_gateway_api_crds().await?;
    wait_route_webhook(&cluster).await?;
    workload.apply(&manifest).await?;
    let born = wait_rules(&http, "emoji", &[vec![0, 1]]).await?;
    assert!(annotation(&born, "state").is_some(), "its weights started as the decision");

    // A watch of a kind that is taken away is cut off, which is not quiet; what is absent is.
    assert!(before_removal.contains("no httproutes in this cluster"), "{before_removal}");
    // That no policy controller has accepted the route is true here, and logged after a minute.
    let loud = |line: &&str| {
        (line.contains("WARN") || line.contains("ERROR")) && !line.contains("does not route by it")
    };
    assert_eq!(before_removal.lines().find(loud), None);
    Ok(())
}

/// Linkerd's policy controller, as far as a route's status goes.
async fn set_status(routes: &Api<DynamicObject>, conditions: Value) -> Result<()> {
    let status = json!({"status": {"parents": [{
        "controllerName": "linkerd.io/policy-controller",
        "parentRef": {"group": "core", "kind": "Service", "name": "emoji-svc", "namespace": "emojivoto"},
        "conditions": conditions,
    }]}});
    routes.patch_status("emoji", &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

fn condition(kind: &str, status: bool, reason: &str) -> Value {
    let status = if status { "True" } else { "False" };
    json!({"type": kind, "status": status, "reason": reason, "message": "",
        "lastTransitionTime": "2026-11-21T03:10:05Z"})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_linkerd_refuses_or_does_not_use_is_reported_and_a_refused_write_lands_later()
-> Result<()> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    wait_route_webhook(&cluster).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let http = routes(&cluster, Kind::HttpRoute);
    let manifest = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]).to_string();
    workload.apply(&manifest).await?;

    set_status(&http, json!([condition("Accepted", true, "Accepted")])).await?;
    set_status(
        &http,
        json!([
            condition("Accepted", true, "Accepted"),
            condition("ResolvedRefs", false, "BackendNotFound")
        ]),
    )
    .await?;
    let note = wait_note(&workload, "emoji", "RouteNotInUse").await?;
    assert!(note.contains("for emoji-svc, ResolvedRefs is False: BackendNotFound"), "{note}");
    let apply = workload.kubectl(["annotate", "httproute/emoji", "x=y"]).output().await?;
    assert!(apply.stderr.contains("ResolvedRefs is False"), "{}", apply.stderr);

    // A split on the same apex: the younger is warned about.
    let split = named("split");
    let reply = workload.kubectl(["apply", "-f", "-"]).stdin(split).output().await?;
    assert!(reply.stderr.contains("the apex of HTTPRoute emoji too"), "{}", reply.stderr);

    // Linkerd's own webhook is down: the flip is refused until it is back.
    refuse_updates(&workload, ("gateway.networking.k8s.io", "httproutes"), "emoji").await?;
    workload.scale("emoji", 0).await?;
    let note = wait_note(&workload, "emoji", "FailoverRefused").await?;
    assert!(note.contains(OTHER_WEBHOOK), "{note}");
    assert_eq!(rule_weights(&http.get("emoji").await?), [vec![1, 0]]);
    accept_updates(&cluster).await?;
    wait_rules(&http, "emoji", &[vec![0, 1]]).await?;
    Ok(())
}

/// A route with every field that the API has for one, in sixteen rules.
fn large() -> Value {
    let headers = |name: &str| {
        json!({"set": [{"name": name, "value": "a b,\"c\""}], "add": [{"name": "x-add", "value": "ü"}],
            "remove": ["x-gone"]})
    };
    // What a rule and a backend may both have; a redirect and a rewrite exclude each other.
    let filters = |redirects: bool| {
        let to = json!({"group": "", "kind": "Service", "namespace": "emojivoto", "name": "web-svc", "port": 8080});
        let cors = json!({"allowCredentials": true, "allowHeaders": ["x-a"], "allowMethods": ["GET"],
            "allowOrigins": ["https://example.com"], "exposeHeaders": ["x-b"], "maxAge": 60});
        let path = json!({"type": "ReplaceFullPath", "replaceFullPath": "/v2"});
        let prefix = json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"});
        let mut filters = vec![
            json!({"type": "RequestHeaderModifier", "requestHeaderModifier": headers("x-1")}),
            json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": headers("x-2")}),
            json!({"type": "RequestMirror", "requestMirror": {"backendRef": to, "percent": 7}}),
            json!({"type": "RequestMirror", "requestMirror":
                {"backendRef": to, "fraction": {"numerator": 1, "denominator": 1000}}}),
            json!({"type": "CORS", "cors": cors}),
            json!({"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "F", "name": "f"}}),
        ];
        if redirects {
            for path in [path, prefix] {
                filters.push(json!({"type": "RequestRedirect", "requestRedirect": {"scheme": "https",
                    "hostname": "other.example.com", "port": 8443, "statusCode": 302, "path": path}}));
            }
        } else {
            for path in [path, prefix] {
                filters.push(json!({"type": "URLRewrite", "urlRewrite":
                    {"hostname": "rewritten.example.com", "path": path}}));
            }
        }
        filters
    };
    // Of those that may stand once in a list, each stands in another rule.
    let some = |filters: Vec<Value>, nth: usize| -> Vec<Value> {
        let once = filters.iter().filter(|f| f["type"] != "RequestMirror").nth(nth % 6).cloned();
        let mirrors = filters.into_iter().filter(|f| f["type"] == "RequestMirror");
        mirrors.chain(once).collect()
    };
    let rule = |i: usize| {
        let primary = json!({"group": "", "kind": "Service", "name": "emoji-svc",
            "namespace": "emojivoto", "port": 8080, "weight": 900_000 + i,
            "filters": some(filters(i >= 7), i)});
        let fallback = json!({"name": "emoji-svc-west", "port": 8080, "weight": 1_000_000});
        json!({
            "name": format!("rule-{i}"),
            "matches": [{
                "path": {"type": "PathPrefix", "value": format!("/api/{i}")},
                "headers": [{"type": "RegularExpression", "name": "x-user", "value": "^[a-z]+\\d$"}],
                "queryParams": [{"type": "Exact", "name": "q", "value": "1"}],
                "method": "GET",
            }],
            "filters": some(filters(false), i),
            "backendRefs": [primary, fallback],
            "timeouts": {"request": "10s", "backendRequest": "1s500ms"},
        })
    };
    let mut rules: Vec<_> = (0..14).map(rule).collect();
    let redirect = |nth: usize| {
        json!({"matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
        "filters": [filters(true)[nth]]})
    };
    rules.extend([redirect(6), redirect(7)]);
    let mut route = route(Kind::HttpRoute, &[]);
    route["metadata"]["name"] = json!("large");
    route["metadata"]["annotations"] = json!({"example.com/note": "kept, with \"quotes\" and ü"});
    route["metadata"]["labels"]["example.com/team"] = json!("emoji");
    route["metadata"]["finalizers"] = json!(["example.com/keeps"]);
    route["spec"]["hostnames"] = json!(["emoji.example.com", "*.emoji.example.com"]);
    route["spec"]["parentRefs"][0]["namespace"] = json!("emojivoto");
    route["spec"]["parentRefs"][0]["sectionName"] = json!("grpc");
    route["spec"]["rules"] = json!(rules);
    route
}

/// The leaves of a schema that an object does not have: `spec.rules[].name`.
fn absent(schema: &Value, there: &[&Value], path: &str) -> Vec<String> {
    if let Some(properties) = schema["properties"].as_object() {
        let absent_in = |(name, schema): (&String, &Value)| {
            let there: Vec<_> = there.iter().filter_map(|value| value.get(name)).collect();
            absent(schema, &there, &format!("{path}.{name}"))
        };
        return properties.iter().flat_map(absent_in).collect();
    }
    if schema["items"].is_object() {
        let there: Vec<_> = there.iter().filter_map(|value| value.as_array()).flatten().collect();
        return absent(&schema["items"], &there, &format!("{path}[]"));
    }
    if there.is_empty() { vec![path.to_owned()] } else { vec![] }
}

/// What the API has for a route, and [`large`] has not.
async fn fields_left_out(cluster: &Cluster) -> Result<Vec<String>> {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.gateway.networking.k8s.io";
    let definition: Value = serde_json::from_str(&cluster.get_raw(path).await?)?;
    let versions = definition["spec"]["versions"].as_array().context("versions")?;
    let v1 = versions.iter().find(|version| version["name"] == "v1").context("v1")?;
    let schema = &v1["schema"]["openAPIV3Schema"]["properties"]["spec"];
    Ok(absent(schema, &[&large()["spec"]], "spec"))
}

/// Everything of an object, as the API server writes it, but for what every write changes and for
/// what is ours: weights, annotations, field owners.
async fn but_for_ours(cluster: &Cluster) -> Result<String> {
    let path = "/apis/gateway.networking.k8s.io/v1/namespaces/emojivoto/httproutes/large";
    let mut object: Value = serde_json::from_str(&cluster.get_raw(path).await?)?;
    let metadata = object["metadata"].as_object_mut().context("metadata")?;
    for changing in ["resourceVersion", "generation", "managedFields"] {
        metadata.remove(changing);
    }
    let annotations = metadata["annotations"].as_object_mut().context("annotations")?;
    annotations.retain(|name, _| !name.starts_with("failover.linkerd.io/"));
    for rule in object["spec"]["rules"].as_array_mut().context("rules")? {
        for backend in rule["backendRefs"].as_array_mut().into_iter().flatten() {
            backend.as_object_mut().context("backend")?.remove("weight");
        }
    }
    Ok(object.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_with_every_field_survives_a_hundred_flips_but_for_its_weights() -> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install_for_routes(&cluster, 1).await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    for service in ["emoji-svc", "emoji-svc-west", "web-svc"] {
        workload.service_with_slice(service, 1).await?;
    }
    let http = routes(&cluster, Kind::HttpRoute);
    workload.apply(&large().to_string()).await?;
    let weights = |on_primary: bool| -> Vec<Vec<u64>> {
        let rule = |i: u64| match on_primary {
            true => vec![900_000 + i, 0],
            false => vec![0, 1_000_000],
        };
        (0..14).map(rule).chain([vec![], vec![]]).collect()
    };
    assert_eq!(fields_left_out(&cluster).await?, Vec::<String>::new());
    // The author gives the fallback a weight, which it has while it is active.
    let born = wait_rules(&http, "large", &weights(true)).await?;
    let before = but_for_ours(&cluster).await?;
    assert_eq!(rule_weights(&born), weights(true));
    for flip in 0..100 {
        let on_primary = flip % 2 == 1;
        workload.set_ready("emoji-svc", usize::from(on_primary)).await?;
        wait_rules(&http, "large", &weights(on_primary)).await?;
    }
    assert_eq!(but_for_ours(&cluster).await?, before);
    // Taken off our hands, it is as its author wrote it.
    let unlabel = ["label", "httproute/large", "failover.linkerd.io/controlled-by-"];
    workload.kubectl(unlabel).ok().await?;
    let authored = rule_weights(&serde_json::from_value(large())?);
    assert_eq!(rule_weights(&http.get("large").await?), authored);
    let finalizers =
        ["patch", "httproute/large", "-p", r#"{"metadata":{"finalizers":null}}"#, "--type=merge"];
    workload.kubectl(finalizers).ok().await?;
    Ok(())
}
