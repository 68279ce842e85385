//! Objects from before the webhook, with what it would refuse today: the fault of one backend is that
//! backend's alone.

use crate::support::*;
use anyhow::{Result, ensure};
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use test_cluster::eventually;

/// A split of `emoji-svc` with these backends and weights, as YAML has them.
fn split(version: &str, name: &str, backends: &[(&str, &str)]) -> String {
    let head = manifest(name, "emoji-svc", &[]).replace("v1alpha2", version);
    let (head, _) = head.split_once("  backends:").unwrap_or_default();
    let backend = |(service, weight): &(&str, &str)| {
        format!("  - service: {service}\n    weight: {weight}\n")
    };
    format!("{head}  backends:\n{}", backends.iter().map(backend).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_split_with_a_faulty_backend_fails_over_among_the_others() -> Result<()> {
    const WEST: &str = "emoji-svc-west";
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    // Each with its weights while the primary is lost, and the field that its Event names.
    let cases = [
        ("v1alpha1", "quantity", [("emoji-svc", "500m"), (WEST, "0")], "backends[0].weight"),
        ("v1alpha1", "text", [("emoji-svc", "\"0.5\""), (WEST, "0")], "backends[0].weight"),
        ("v1alpha2", "fraction", [("emoji-svc", "0.9"), (WEST, "0.1")], "backends[0].weight"),
        ("v1alpha2", "negative", [("emoji-svc", "-1"), (WEST, "0")], "backends[0].weight"),
    ];
    for (version, name, backends, _) in &cases {
        workload.apply(&split(version, name, backends)).await?;
    }
    let foreign = [("emoji-svc", "1"), ("web.other.svc.cluster.local", "0"), (WEST, "0")];
    workload.apply(&split("v1alpha2", "foreign", &foreign)).await?;
    let twice = [("emoji-svc", "1"), (WEST, "0"), ("emoji-svc", "3")];
    workload.apply(&split("v1alpha2", "twice", &twice)).await?;
    let splits = splits(&cluster, "emojivoto");
    let authored = |name: &'static str| {
        let splits = splits.clone();
        async move { Ok::<Value, kube::Error>(splits.get(name).await?.data["spec"].clone()) }
    };
    let quantity = authored("quantity").await?;

    let installation = install(&cluster, 1, &[]).await?;
    for (_, name, _, field) in &cases {
        let note = wait_event(&workload, name, "Unreadable", "Warning").await?;
        assert!(note.contains(field), "{note}");
    }
    let note = wait_event(&workload, "foreign", "Unreadable", "Warning").await?;
    assert!(note.contains("backends[1].service"), "{note}");
    let note = wait_event(&workload, "twice", "Unreadable", "Warning").await?;
    assert!(note.contains("backends[2].service"), "{note}");
    let partly = "linkerd_failover_partly_unreadable_objects";
    wait_metric(&installation.replicas()[0], partly, 6.0).await?;
    assert_eq!(authored("quantity").await?, quantity, "nothing is written before the first flip");

    workload.scale("emoji", 0).await?;
    for (_, name, ..) in &cases {
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
    }
    wait_weights(&splits, "foreign", &[0.0, 0.0, 1.0]).await?;
    wait_weights(&splits, "twice", &[0.0, 1.0, 0.0]).await?;

    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "quantity", &[1.0, 0.0]).await?;
    wait_weights(&splits, "fraction", &[9.0, 0.0]).await?;
    wait_weights(&splits, "negative", &[1.0, 0.0]).await?;
    wait_weights(&splits, "foreign", &[1.0, 0.0, 0.0]).await?;
    wait_weights(&splits, "twice", &[4.0, 0.0, 0.0]).await?;

    // What its author wrote comes back with the label off: as text where the version that it goes
    // through takes text, otherwise as the number that it is.
    for (resource, name, wanted) in [
        ("trafficsplits.v1alpha1.split.smi-spec.io", "quantity", json!("500m")),
        ("trafficsplits.v1alpha2.split.smi-spec.io", "text", json!(0.5)),
    ] {
        let object = format!("{resource}/{name}");
        workload.kubectl(["label", &object, "failover.linkerd.io/controlled-by-"]).ok().await?;
        eventually("what the author wrote is back", PATIENCE, || async {
            let spec = authored(name).await?;
            ensure!(spec["backends"][0]["weight"] == wanted, "{spec}");
            Ok(())
        })
        .await?;
    }
    let label =
        ["label", "trafficsplits.split.smi-spec.io/twice", "failover.linkerd.io/controlled-by-"];
    workload.kubectl(label).ok().await?;
    wait_weights(&splits, "twice", &[1.0, 0.0, 3.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_rule_with_a_backend_that_linkerd_refuses_fails_over_and_one_with_a_single_backend_is_left()
-> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let service =
        |name: &str, port: u16, weight: u32| json!({"name": name, "port": port, "weight": weight});
    let egress = json!({
        "group": "policy.linkerd.io", "kind": "EgressNetwork", "name": "all", "port": 8080, "weight": 0,
    });
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "emoji", "namespace": "emojivoto",
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"},
        },
        "spec": {
            "parentRefs": [{"group": "core", "kind": "Service", "name": "emoji-svc", "port": 8080}],
            "rules": [
                {"name": "api", "backendRefs":
                    [service("emoji-svc", 8080, 1), egress, service("emoji-svc-west", 8080, 0)]},
                {"name": "off", "backendRefs": [service("emoji-svc", 8080, 0)]},
                {"name": "ports", "backendRefs":
                    [service("emoji-svc", 8080, 1), service("emoji-svc-west", 9, 0), service("emoji-svc-west", 8080, 0)]},
            ],
        },
    });
    workload.apply(&route.to_string()).await?;
    let _installation = install_for_routes(&cluster, 1).await?;
    let routes = routes(&cluster, Kind::HttpRoute);
    let note = wait_event(&workload, "emoji", "Unreadable", "Warning").await?;
    assert!(note.contains("spec.rules[0].backendRefs[1]"), "{note}");

    workload.scale("emoji", 0).await?;
    wait_rules(&routes, "emoji", &[vec![0, 0, 1], vec![0], vec![0, 0, 1]]).await?;
    workload.scale("emoji", 1).await?;
    let back = wait_rules(&routes, "emoji", &[vec![1, 0, 0], vec![0], vec![1, 0, 0]]).await?;

    // An edit of the rule that is off is its author's, and is left as well.
    let open = json!([{"op": "replace", "path": "/spec/rules/1/backendRefs/0/weight", "value": 3}]);
    let patch = ["patch", "httproutes.gateway.networking.k8s.io/emoji", "--type=json", "-p"];
    let patch = patch.into_iter().map(str::to_owned).chain([open.to_string()]);
    let patch: Vec<String> = patch.collect();
    workload.kubectl(patch.iter().map(String::as_str)).ok().await?;
    workload.scale("emoji", 0).await?;
    wait_rules(&routes, "emoji", &[vec![0, 0, 1], vec![3], vec![0, 0, 1]]).await?;
    assert_eq!(rule_weights(&back)[1], [0]);
    Ok(())
}
