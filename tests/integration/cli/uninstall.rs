//! An uninstall in a failover: what every author wrote comes back, and an installation after it.

use super::by_hand::run;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::Api;
use kube::core::DynamicObject;
use linkerd_failover::kinds::{Kind, service_profile};
use serde_json::{Value, json};
use test_cluster::eventually;

const EMOJI: &str = "emoji-svc.emojivoto.svc.cluster.local";
const WEB: &str = "web-svc.emojivoto.svc.cluster.local";

fn overrides(name: &str, weights: [&str; 2]) -> Value {
    json!([
        {"authority": format!("{name}.emojivoto.svc.cluster.local"), "weight": weights[0]},
        {"authority": format!("{name}-west.emojivoto.svc.cluster.local"), "weight": weights[1]},
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uninstall_in_a_failover_leaves_what_the_authors_wrote_also_where_no_replica_runs()
-> Result<()> {
    let cluster = cluster().await?;
    cluster.install_service_profile_crd().await?;
    cluster.install_gateway_api_crds().await?;
    let installation = install(&cluster, 1, &["serviceProfiles.manage=true"]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    for name in ["web-svc", "web-svc-west", "voting-svc", "voting-svc-west"] {
        workload.service_with_slice(name, 1).await?;
    }
    let api = service_profile::api_resource();
    let profiles: Api<DynamicObject> = Api::namespaced_with(cluster.client(), "emojivoto", &api);
    // A profile of a user, with more in it than weights.
    let users = json!({"apiVersion": "linkerd.io/v1alpha2", "kind": "ServiceProfile",
        "metadata": {"name": WEB, "namespace": "emojivoto", "labels": {"team": "web"}},
        "spec": {"opaquePorts": ["3306"], "dstOverrides": overrides("web-svc", ["3", "1"])}});
    workload.apply(&users.to_string()).await?;
    let heavier =
        |text: String| text.replace("weight: 1", "weight: 3").replace("weight: 0", "weight: 1");
    workload.apply(&heavier(emoji())).await?;
    workload.apply(&heavier(manifest("web", "web-svc", &["web-svc-west"]))).await?;
    // A route with retries of ours.
    let mut voting = route(Kind::HttpRoute, &[("", &["voting-svc", "voting-svc-west"])]);
    voting["metadata"]["annotations"] = json!({"failover.linkerd.io/protection": "seamless"});
    voting["spec"]["parentRefs"][0]["name"] = json!("voting-svc");
    workload.apply(&voting.to_string()).await?;
    let routes = routes(&cluster, Kind::HttpRoute);
    let added = routes.get("emoji").await?;
    ensure!(added.annotations().contains_key("retry.linkerd.io/http"), "{added:?}");
    workload.set_ready("voting-svc", 0).await?;
    let splits = splits(&cluster, "emojivoto");
    workload.set_ready("web-svc", 0).await?;
    workload.scale("emoji", 0).await?;
    for name in ["emoji", "web"] {
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
    }
    wait_rules(&routes, "emoji", &[vec![0, 1]]).await?;
    for (profile, name) in [(EMOJI, "emoji-svc"), (WEB, "web-svc")] {
        eventually("the profile follows", PATIENCE, || async {
            let found = profiles.get(profile).await?.data["spec"]["dstOverrides"].clone();
            ensure!(found == overrides(name, ["0", "1"]), "{found}");
            Ok(())
        })
        .await?;
    }

    // Through the webhook, of one object alone; the traffic is not given to what is not ready in silence.
    let dry = run(&cluster, "release ts/emoji -n emojivoto --dry-run=server").output().await?;
    ensure!(dry.stderr.contains("emoji released (server dry run)"), "{dry:?}");
    ensure!(dry.stderr.contains("Warning: emoji-svc gets traffic again"), "{dry:?}");
    assert_eq!(weights(&splits.get("emoji").await?), [0.0, 1.0]);
    run(&cluster, "release ts/emoji -n emojivoto").ok().await?;
    let released = splits.get("emoji").await?;
    assert_eq!(weights(&released), [3.0, 1.0]);
    assert_eq!(ours(&released), Vec::<String>::new());

    // Whoever applies it server-side from now on meets no claim of ours.
    let theirs = heavier(emoji()).replace("weight: 3", "weight: 5");
    let theirs = theirs.lines().filter(|line| !line.contains("controlled-by")).collect::<Vec<_>>();
    let theirs = theirs.join("\n").replace("  labels:\n", "");
    let apply = workload.kubectl(["apply", "--server-side", "--dry-run=server", "-f", "-"]);
    apply.stdin(theirs).ok().await?;

    // All that is left, while no replica runs. One refuses the write.
    let locked = json!({"expression": "object.metadata.name != 'web'", "message": "web is locked"});
    deny_by_policy(&cluster, "locked", SPLIT_UPDATES, locked).await?;
    eventually("web is locked", PATIENCE, || async {
        let write = workload.kubectl(["annotate", "ts", "web", "x=y", "--dry-run=server"]);
        let reply = write.output().await?;
        ensure!(reply.stderr.contains("web is locked"), "{reply:?}");
        Ok(())
    })
    .await?;
    for replica in installation.replicas() {
        replica.process().terminate(PATIENCE).await?;
    }
    let closed = run(&cluster, "release httproute/emoji -n emojivoto").output().await?;
    ensure!(!closed.status.success() && closed.stderr.contains("no replica runs"), "{closed:?}");
    let dry = run(&cluster, "uninstall --dry-run=client").ok().await?;
    ensure!(dry.lines().all(|line| line.starts_with("# ")) && dry.contains("Deployment"), "{dry}");
    let reply = run(&cluster, "uninstall").output().await?;
    ensure!(!reply.status.success() && reply.stdout.is_empty(), "{reply:?}");
    let order: Vec<_> =
        ["webhookconfiguration", "emojivoto/emoji released, without the webhook", "not everything"]
            .map(|part| reply.stderr.find(part))
            .into();
    ensure!(order.iter().all(Option::is_some) && order.is_sorted(), "{reply:?}");
    ensure!(reply.stderr.contains("denied request: web is locked"), "{reply:?}");
    let released = routes.get("emoji").await?;
    assert_eq!(rule_weights(&released), [[1, 0]]);
    assert_eq!(ours(&released), ["failover.linkerd.io/protection"]);

    // Without its label it is managed no more, and still away: it is named, with the line that mends it.
    cluster.kubectl(["delete", "validatingadmissionpolicybinding", "locked"]).ok().await?;
    eventually("web is not locked", PATIENCE, || async {
        let label = "failover.linkerd.io/controlled-by-";
        workload.kubectl(["label", "ts", "web", label]).ok().await.map(drop)
    })
    .await?;
    let reply = run(&cluster, "uninstall").output().await?;
    ensure!(!reply.status.success() && reply.stdout.is_empty(), "{reply:?}");
    let (_, command) = reply.stderr.split_once("weights back: ").context("no command")?;
    cluster.sh(command.lines().next().unwrap_or_default()).ok().await?;
    // The rest is printed once all is given back. What refused the write before has its profile back too.
    let piped = format!("{PROGRAM} uninstall | kubectl delete -f -");
    let reply = cluster.sh(&piped).output().await?;
    ensure!(reply.status.success(), "{reply:?}");
    ensure!(reply.stdout.contains("deployment.apps \"linkerd-failover\" deleted"), "{reply:?}");
    let web = splits.get("web").await?;
    assert_eq!(weights(&web), [3.0, 1.0]);
    assert_eq!(ours(&web), Vec::<String>::new());
    for (profile, name) in [(EMOJI, "emoji-svc"), (WEB, "web-svc")] {
        let profile = profiles.get(profile).await?;
        assert_eq!(profile.data["spec"]["dstOverrides"], overrides(name, ["3", "1"]));
        assert_eq!(ours(&profile), Vec::<String>::new());
        ensure!(profile.owner_references().is_empty(), "it has an owner");
    }
    assert_eq!(profiles.get(WEB).await?.data["spec"]["opaquePorts"], json!(["3306"]));
    let left = "kubectl get deployment,service,secret,mutatingwebhookconfiguration,clusterrole -A \
                -l linkerd.io/extension=failover -o name";
    assert_eq!(cluster.sh(left).ok().await?.trim(), "");
    // The namespace, and the kind of the splits, are not ours to delete.
    cluster.kubectl(["get", "namespace", "linkerd-failover"]).ok().await?;

    // There it is installed again.
    let install = format!(
        "{PROGRAM} install --image registry.example.com/f:1 | kubectl apply --dry-run=server -f -"
    );
    let reply = cluster.sh(&install).ok().await?;
    ensure!(reply.contains("deployment.apps/linkerd-failover created (server dry run)"), "{reply}");
    Ok(())
}

/// The annotations and labels of Linkerd, and of ours.
fn ours(object: &DynamicObject) -> Vec<String> {
    let names = object.annotations().keys().chain(object.labels().keys());
    names.filter(|name| name.contains("linkerd.io/")).cloned().collect()
}
