//! Linkerd's values, which have how long callers' proxies wait: there, changed, absent, and out of reach.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use linkerd_failover::kinds::Kind;
use serde_json::json;
use test_cluster::{Cluster, Installation, Workload, eventually};

const KNOWN: &str = "linkerd_failover_linkerd_config_known";
const PROTECTION: &str = "failover.linkerd.io/protection";

/// Linkerd's namespace, with its Role as its chart has it.
async fn linkerd(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(["create", "namespace", "linkerd"]).ok().await?;
    let role = ["create", "role", "ext-namespace-metadata-linkerd-config", "-n", "linkerd"];
    let rules = ["--verb=get", "--resource=configmaps", "--resource-name=linkerd-config"];
    cluster.kubectl(role).args(rules).ok().await?;
    Ok(())
}

/// Linkerd's values, with these variables of its proxies.
async fn set_values(cluster: &Cluster, variables: serde_json::Value) -> Result<()> {
    let values = json!({"clusterDomain": "cluster.local", "proxy": {"additionalEnv": variables}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "linkerd-config", "namespace": "linkerd"},
        "data": {"values": values.to_string()}});
    cluster.apply(&map.to_string()).await?;
    Ok(())
}

/// The warnings at apply of a new route that asks for everything.
async fn warnings(workload: &Workload<'_>) -> Result<String> {
    let mut route = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]);
    route["metadata"]["name"] = json!("new");
    route["metadata"]["annotations"] = json!({PROTECTION: "seamless"});
    let create = workload.kubectl(["create", "--dry-run=server", "-f", "-"]);
    let answer = create.stdin(route.to_string()).output().await?;
    ensure!(answer.status.success(), "{}", answer.stderr);
    Ok(answer.stderr)
}

/// Who may do what an installation takes, but for reading namespaces.
async fn installer(cluster: &Cluster) -> Result<()> {
    let role = ["create", "clusterrole", "installer", "--verb=*"];
    // Helm gets each object of the chart before it creates any.
    let resources = [
        "roles,rolebindings,clusterroles,clusterrolebindings,serviceaccounts,services,secrets",
        "deployments.apps,poddisruptionbudgets.policy,pods",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
    ];
    let resources = resources.map(|some| format!("--resource={some}"));
    cluster.kubectl(role).args(resources).ok().await?;
    let binding = ["create", "clusterrolebinding", "installer", "--clusterrole=installer"];
    cluster.kubectl(binding).args(["--user=installer"]).ok().await?;
    Ok(())
}

/// Whether the chart gives the right, as Helm renders it for an installation by that person.
async fn binds(cluster: &Cluster, values: &[&str]) -> Result<bool> {
    let render = ["template", "linkerd-failover", CHART, "-n", "linkerd-failover"];
    let mut helm = cluster.helm(render).args(["--dry-run=server", "--kube-as-user=installer"]);
    helm = helm.args(["--kube-as-group=system:authenticated"]);
    for value in values {
        helm = helm.args(["--set", value]);
    }
    Ok(helm.ok().await?.contains("name: linkerd-failover-linkerd-config"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_binds_linkerds_role_where_it_is_and_asks_for_no_namespace() -> Result<()> {
    let cluster = bare_cluster().await?;
    installer(&cluster).await?;
    // Linkerd's namespace is not there.
    eventually("the rights of the installer", PATIENCE, || async {
        ensure!(!binds(&cluster, &[]).await?);
        Ok(())
    })
    .await?;
    linkerd(&cluster).await?;
    ensure!(binds(&cluster, &[]).await?, "it is there");
    for none in ["linkerdNamespace=other", "linkerdConfig.read=never", "webhook.enabled=false"] {
        ensure!(!binds(&cluster, &[none]).await?, "{none}");
    }
    Ok(())
}

/// Waits for the Event about the program.
async fn wait_note(cluster: &Cluster, words: &str) -> Result<()> {
    let events: Api<Event> = Api::namespaced(cluster.client(), "linkerd-failover");
    eventually(&format!("an Event has {words:?}"), PATIENCE, || async {
        let all = events.list(&ListParams::default()).await?.items.into_iter();
        let ours = all.filter(|event| event.reason.as_deref() == Some("LinkerdConfigNotKnown"));
        let notes: Vec<String> = ours.filter_map(|event| event.note).collect();
        ensure!(notes.iter().any(|note| note.contains(words)), "{notes:?}");
        Ok(())
    })
    .await
}

async fn wait_warned(workload: &Workload<'_>, words: &str, is_warned: bool) -> Result<String> {
    eventually(&format!("a warning of {words:?}: {is_warned}"), PATIENCE, || async {
        let warnings = warnings(workload).await?;
        ensure!(warnings.contains(words) == is_warned, "{warnings}");
        Ok(warnings)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn linkerds_values_are_read_and_what_keeps_them_from_it_is_reported_with_its_mend()
-> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    linkerd(&cluster).await?;
    set_values(&cluster, json!([])).await?;
    let often =
        ["extraEnv[0].name=LINKERD_FAILOVER_LINKERD_CONFIG_EVERY", "extraEnv[0].value=200ms"];
    let installation = Installation::install(&cluster, options(2, &often)).await?;
    installation.wait_ready(PATIENCE).await?;
    wait_route_webhook(&cluster).await?;
    let (workload, _west) = emojivoto(&cluster).await?;

    // Helm has found the namespace, and bound the program to Linkerd's Role; no more than that.
    wait_metric_of_all(&installation, KNOWN, 1.0).await?;
    ensure!(may(&cluster, &["get", "configmap/linkerd-config", "-n", "linkerd"]).await?);
    for more in [["list", "configmaps", "-n", "linkerd"], ["get", "configmap/x", "-n", "linkerd"]] {
        ensure!(!may(&cluster, &more).await?, "{more:?}");
    }

    // There, and changed. The other line that is due is applied as it stands.
    let warned = wait_warned(&workload, "failfast timeout of 3s in callers' proxies", true).await?;
    let line = line_of(&warned, "kubectl annotate --overwrite service")?;
    workload.kubectl(line).ok().await?;
    wait_warned(&workload, "failure accrual", false).await?;
    let short =
        json!([{"name": "LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT", "value": "200ms"}]);
    set_values(&cluster, short).await?;
    wait_warned(&workload, "failfast", false).await?;

    // Absent: not known, and nothing else stops.
    cluster.kubectl(["delete", "configmap", "linkerd-config", "-n", "linkerd"]).ok().await?;
    wait_metric_of_all(&installation, KNOWN, 0.0).await?;
    wait_warned(&workload, "there is no ConfigMap linkerd-config in namespace linkerd", true)
        .await?;
    set_values(&cluster, json!([])).await?;
    wait_metric_of_all(&installation, KNOWN, 1.0).await?;

    // No right. Of an object that is there and asks for everything the Event is about the program.
    let mut stored = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]);
    stored["metadata"]["annotations"] = json!({PROTECTION: "seamless"});
    workload.apply(&stored.to_string()).await?;
    let binding = ["delete", "rolebinding", "linkerd-failover-linkerd-config", "-n", "linkerd"];
    cluster.kubectl(binding).ok().await?;
    wait_metric_of_all(&installation, KNOWN, 0.0).await?;
    let warned = wait_warned(&workload, "may not read ConfigMap linkerd-config", true).await?;
    wait_note(&cluster, "kubectl create rolebinding").await?;
    cluster.kubectl(line_of(&warned, "kubectl create rolebinding")?).ok().await?;
    wait_metric_of_all(&installation, KNOWN, 1.0).await?;
    wait_warned(&workload, "failfast timeout of 3s in callers' proxies", true).await?;
    Ok(())
}

/// The arguments of the command that a warning ends with.
fn line_of<'a>(warnings: &'a str, command: &str) -> Result<Vec<&'a str>> {
    let line = warnings.lines().find(|line| line.contains(command));
    let (_, line) =
        line.and_then(|line| line.split_once("kubectl ")).with_context(|| warnings.to_owned())?;
    Ok(line.split_whitespace().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_lacks_is_warned_about_once() -> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install_for_routes(&cluster, 1).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let mut manifest = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]);
    // The controller claims the weights that it has moved, until it has recorded that.
    let apply = async |manifest: &serde_json::Value| {
        eventually("the route is applied without a conflict", PATIENCE, || async {
            let apply = workload.kubectl(["apply", "--server-side", "-f", "-"]);
            let answer = apply.stdin(manifest.to_string()).output().await?;
            ensure!(answer.status.success(), "{}", answer.stderr);
            anyhow::Ok(answer.stderr)
        })
        .await
    };
    let lacks = "Service emojivoto/emoji-svc without failure accrual";
    let unasked = apply(&manifest).await?;
    ensure!(!unasked.contains(lacks) && !unasked.contains("failfast"), "{unasked}");
    manifest["metadata"]["annotations"] = json!({PROTECTION: "seamless"});
    let asked = apply(&manifest).await?;
    ensure!(asked.contains(lacks) && asked.contains("failfast timeout is not known"), "{asked}");
    let again = apply(&manifest).await?;
    ensure!(!again.contains(lacks) && !again.contains("failfast"), "{again}");
    manifest["metadata"]["labels"]["team"] = json!("x");
    let edited = apply(&manifest).await?;
    ensure!(!edited.contains(lacks) && !edited.contains("failfast"), "{edited}");
    Ok(())
}
