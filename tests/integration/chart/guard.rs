//! The deletion guard, on by default: what that changes for who has labelled nothing, by the rendered
//! chart. Which requests the API server then sends is in `deletion_guard/webhook_conditions.rs`.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use test_cluster::Cluster;

const LABEL: &str = "failover.linkerd.io/guard";

/// The documents of the rendered chart, by kind and name.
async fn documents(cluster: &Cluster, values: &[&str]) -> Result<BTreeMap<String, Value>> {
    let mut helm = cluster.helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"]);
    for value in values {
        helm = helm.args(["--set", value]);
    }
    let text = helm.ok().await?;
    let documents = text.split("\n---").filter(|document| document.contains("\nkind: "));
    let read = documents.map(|document| -> Result<(String, Value)> {
        let value: Value = serde_saphyr::from_str(document)?;
        let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let key = format!("{} {}", text("/kind"), text("/metadata/name"));
        Ok((key, value))
    });
    read.collect()
}

/// The chart without the guard, and as it is by default.
async fn without_and_with(cluster: &Cluster) -> Result<[BTreeMap<String, Value>; 2]> {
    Ok([documents(cluster, &["guard.enabled=false"]).await?, documents(cluster, &[]).await?])
}

fn webhooks(documents: &BTreeMap<String, Value>) -> Result<&Vec<Value>> {
    let configuration = documents.get("ValidatingWebhookConfiguration linkerd-failover");
    let webhooks = configuration.and_then(|configuration| configuration["webhooks"].as_array());
    webhooks.context("no validating webhooks")
}

/// Whether a selector matches labels, as Kubernetes has it; none matches everything.
fn selects(selector: &Value, labels: &Map<String, Value>) -> bool {
    let exact = selector["matchLabels"].as_object().into_iter().flatten();
    let mut exact = exact.map(|(key, value)| labels.get(key) == Some(value));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let mut expressions = expressions.map(|expression| {
        let label = labels.get(expression["key"].as_str().unwrap_or_default());
        let values = expression["values"].as_array().map_or(&[][..], Vec::as_slice);
        let is_in = label.is_some_and(|label| values.contains(label));
        match expression["operator"].as_str() {
            Some("In") => is_in,
            Some("NotIn") => !is_in,
            Some("Exists") => label.is_some(),
            Some("DoesNotExist") => label.is_none(),
            other => panic!("{other:?} is no operator"),
        }
    });
    exact.all(|matches| matches) && expressions.all(|matches| matches)
}

/// The webhooks that are asked when a pod is deleted, or with `pods/eviction` evicted.
fn asked<'a>(
    webhooks: &'a [Value],
    resource: &str,
    namespace: &Value,
    pod: &Value,
) -> Vec<&'a str> {
    let (namespace, pod) = (namespace.as_object().unwrap(), pod.as_object().unwrap());
    // An Eviction does not have the labels of its pod.
    let (none, evicts) = (Map::new(), resource == "pods/eviction");
    let object = if evicts { &none } else { pod };
    let is_asked = |webhook: &&Value| {
        let resources = webhook["rules"].as_array().into_iter().flatten();
        let mut resources = resources.filter_map(|rule| rule["resources"].as_array()).flatten();
        resources.any(|one| one == resource)
            && selects(&webhook["namespaceSelector"], namespace)
            && selects(&webhook["objectSelector"], object)
    };
    webhooks.iter().filter(is_asked).filter_map(|webhook| webhook["name"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_about_pods_before_the_label_is_set_and_it_alone_is_enough() -> Result<()> {
    let cluster = bare_cluster().await?;
    let [_, default] = without_and_with(&cluster).await?;
    let webhooks = webhooks(&default)?;
    let namespaced = |more: Value| {
        let mut labels = json!({"kubernetes.io/metadata.name": "emojivoto", "env": "prod"});
        json_patch::merge(&mut labels, &more);
        labels
    };
    let plain = namespaced(json!({"linkerd.io/extension": "viz"}));
    let labelled = namespaced(json!({LABEL: "enabled"}));
    let disabled = namespaced(json!({LABEL: "disabled"}));
    let pod = json!({"app": "emoji", "failover.linkerd.io/controlled-by": "linkerd-failover"});
    let own = json!({"app": "emoji", LABEL: "enabled"});
    let other = json!({"app": "emoji", LABEL: "disabled"});
    let none: &[&str] = &[];
    for (namespace, pod, deleted, evicted) in [
        (&plain, &pod, none, none),
        (&plain, &json!({}), none, none),
        (&plain, &other, none, none),
        (&disabled, &pod, none, none),
        (&plain, &own, &["pods.failover.linkerd.io"][..], none),
        (
            &labelled,
            &pod,
            &["namespaced-pods.failover.linkerd.io"],
            &["evictions.failover.linkerd.io"],
        ),
        (&labelled, &own, &["pods.failover.linkerd.io"], &["evictions.failover.linkerd.io"]),
    ] {
        assert_eq!(asked(webhooks, "pods", namespace, pod), deleted, "{namespace} {pod}");
        assert_eq!(asked(webhooks, "pods/eviction", namespace, pod), evicted, "{namespace} {pod}");
    }
    Ok(())
}

/// Takes away what the guard is, wherever it stands; how much that was.
fn take_guard(documents: &mut BTreeMap<String, Value>) -> Result<Vec<String>> {
    let mut taken = vec![];
    let mut take = |list: Option<&mut Value>, is_guards: fn(&Value) -> bool| -> Result<()> {
        let list = list.and_then(Value::as_array_mut).context("no list")?;
        let (guards, kept): (Vec<_>, Vec<_>) =
            std::mem::take(list).into_iter().partition(is_guards);
        *list = kept;
        taken.extend(guards.into_iter().map(|one: Value| match one["name"].as_str() {
            Some(name) => name.to_owned(),
            None => format!("{} {}", one["verbs"][0], one["resources"][0]).replace('"', ""),
        }));
        Ok(())
    };
    let validating = documents.get_mut("ValidatingWebhookConfiguration linkerd-failover");
    take(validating.and_then(|d| d.pointer_mut("/webhooks")), |webhook| {
        webhook["rules"][0]["resources"][0].as_str().is_some_and(|r| r.starts_with("pods"))
    })?;
    let role = documents.get_mut("ClusterRole linkerd-failover");
    take(role.and_then(|d| d.pointer_mut("/rules")), |rule| {
        ["tokenreviews", "pods"].iter().any(|resource| rule["resources"][0] == *resource)
    })?;
    let pod = documents.get_mut("Deployment linkerd-failover");
    let pod = pod.and_then(|d| d.pointer_mut("/spec/template/spec")).context("no pod")?;
    take(pod.pointer_mut("/containers/0/env"), |variable| {
        let name = variable["name"].as_str().unwrap_or_default();
        name.starts_with("LINKERD_FAILOVER_GUARD") || name == "POD_IP"
    })?;
    for list in ["/volumes", "/containers/0/volumeMounts"] {
        take(pod.pointer_mut(list), |one| one["name"] == "peer-token")?;
    }
    // Nothing else is mounted by default.
    for (at, key) in [("", "volumes"), ("/containers/0", "volumeMounts")] {
        let owner = pod.pointer_mut(at).and_then(Value::as_object_mut).context("no owner")?;
        let removed = owner.remove(key);
        ensure!(removed == Some(json!([])), "{key}: {removed:?}");
    }
    Ok(taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_adds_to_the_chart_what_the_guard_is_and_changes_nothing_else() -> Result<()> {
    let cluster = bare_cluster().await?;
    let [without, mut default] = without_and_with(&cluster).await?;
    let taken = take_guard(&mut default)?;
    assert_eq!(default, without);
    insta::assert_json_snapshot!(taken, @r#"
    [
      "pods.failover.linkerd.io",
      "namespaced-pods.failover.linkerd.io",
      "evictions.failover.linkerd.io",
      "get pods",
      "create tokenreviews",
      "LINKERD_FAILOVER_GUARD",
      "LINKERD_FAILOVER_GUARD_BOUND",
      "LINKERD_FAILOVER_GUARD_ADAPTOR_GRACE",
      "LINKERD_FAILOVER_GUARD_PROPAGATION",
      "POD_IP",
      "peer-token",
      "peer-token"
    ]
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_without_a_webhook_has_no_guard_and_kept_values_go_on_working() -> Result<()>
{
    let cluster = bare_cluster().await?;
    // It was false by default where this was valid: it is no error that nobody has turned it off.
    let off = documents(&cluster, &["webhook.enabled=false", "guard.enabled=false"]).await?;
    assert_eq!(documents(&cluster, &["webhook.enabled=false"]).await?, off);

    // `helm upgrade --reuse-values` keeps the values of a chart that did not have this one.
    let kept = documents(&cluster, &["guard.propagation=null", "guard.bound=120ms"]).await?;
    let pod = &kept["Deployment linkerd-failover"]["spec"]["template"]["spec"]["containers"][0];
    let env = pod["env"].as_array().context("no env")?;
    let is_set = |name: &str| env.iter().any(|variable| variable["name"] == name);
    assert!(
        is_set("LINKERD_FAILOVER_GUARD_BOUND") && !is_set("LINKERD_FAILOVER_GUARD_PROPAGATION")
    );
    Ok(())
}
