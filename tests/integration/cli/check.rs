//! `linkerd-failover check`, called as `linkerd check` calls it, and read by its field names.

use crate::support::linked_clusters::*;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use test_cluster::{Cluster, Output, Workload, eventually};

/// What `linkerd check` passes on, but for the kubeconfig.
const LINKERDS: [&str; 7] = [
    "check",
    "--as-group=[]",
    "--linkerd-namespace=linkerd",
    "--verbose=false",
    "--proxy=false",
    "--api-addr=",
    "--output=json",
];

/// The results by their descriptions: `success`, or another with its error.
fn results(stdout: &str) -> Result<BTreeMap<String, String>> {
    let report: Value = serde_json::from_str(stdout).with_context(|| stdout.to_owned())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let categories = report["categories"].as_array().context("no categories")?;
    let mut results = BTreeMap::new();
    for check in categories.iter().flat_map(|c| c["checks"].as_array().into_iter().flatten()) {
        let result = text(&check["result"]);
        ensure!((result == "success") == check["error"].is_null(), "{check}");
        ensure!((result == "success") == check["hint"].is_null(), "{check}");
        let result = match result.as_str() {
            "success" => result,
            other => format!("{other}: {}", text(&check["error"])),
        };
        results.insert(text(&check["description"]), result);
    }
    let is_failed = results.values().any(|result| result.starts_with("error"));
    ensure!(report["success"] == json!(!is_failed), "{stdout}");
    Ok(results)
}

async fn check(cluster: &Cluster, more: &[&str]) -> Result<Output> {
    let line = format!("{PROGRAM} {} {}", LINKERDS.join(" "), more.join(" "));
    cluster.sh(&line.replace('[', "\\[").replace(']', "\\]")).output().await
}

async fn checked(cluster: &Cluster, more: &[&str]) -> Result<BTreeMap<String, String>> {
    results(&check(cluster, more).await?.stdout)
}

/// Waits until a check has this result.
async fn wait_result(cluster: &Cluster, description: &str, begins: &str) -> Result<()> {
    eventually(&format!("{description}: {begins}"), PATIENCE, || async {
        let results = checked(cluster, &["--wait=0s"]).await?;
        let result = results.get(description).with_context(|| format!("{results:?}"))?;
        ensure!(result.starts_with(begins), "{result}");
        Ok(())
    })
    .await
}

/// Called as Linkerd calls it, in an environment that has this alone.
fn called(arguments: &[&str], env: &[(&str, &str)]) -> Result<(BTreeMap<String, String>, i32)> {
    let mut command = Command::new(PROGRAM);
    command.args(LINKERDS).args(arguments).env_clear().envs(env.iter().copied());
    let called = command.stdin(Stdio::null()).output()?;
    let results = results(&String::from_utf8(called.stdout)?)?;
    Ok((results, called.status.code().context("ended by a signal")?))
}

/// A kubeconfig with a server and a user.
fn kubeconfig(server: &str, user: &Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    })
    .to_string()
}

/// A user whose credentials a plugin makes.
fn plugin(script: &str) -> Value {
    json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": "/bin/sh", "args": ["-c", script],
    }})
}

#[test]
fn without_a_cluster_there_is_json_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    // It accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("https://{}", silent.local_addr()?);
    let nobody = kubeconfig("https://127.0.0.1:1", &json!({}));
    let text = "users:\n- token: [a_secret";
    let failing = kubeconfig("https://127.0.0.1:1", &plugin("echo a_secret; exit 3"));
    for (name, text, more, begins) in [
        ("nobody", nobody.as_str(), vec![], "the cluster at https://127.0.0.1:1/: found no answer"),
        ("context", &nobody, vec!["--context=other"], "the cluster: found no usable configuration"),
        (
            "groups",
            &nobody,
            vec!["--as-group=[g1]"],
            "the cluster: found no usable configuration (--as-group",
        ),
        ("no YAML", text, vec![], "the cluster: found no usable configuration"),
        ("nothing", "", vec![], "the cluster: found no usable configuration"),
        ("silent", &kubeconfig(&silent, &json!({})), vec![], "the cluster at https://127.0.0.1"),
        (
            "plugin",
            &failing,
            vec![],
            "the cluster: found a credential plugin that failed (exit status: 3), expected credentials",
        ),
        (
            "no server",
            &kubeconfig(":::", &json!({})),
            vec![],
            "the cluster: found no usable configuration",
        ),
        (
            "empty values",
            &nobody,
            vec!["--context=", "--as=", "--namespace="],
            "the cluster at https://127.0.0.1:1/",
        ),
    ] {
        let path = file(name, text)?;
        // What is logged elsewhere is no concern of this command.
        let env = [("KUBECONFIG", path.as_str()), ("RUST_LOG", "trace")];
        let (results, code) = called(&[&more[..], &["--wait=5m0s"]].concat(), &env)?;
        let [(description, result)] = &results.into_iter().collect::<Vec<_>>()[..] else {
            panic!("one check")
        };
        assert_eq!((description.as_str(), code), ("can query the Kubernetes API", 1), "{name}");
        assert!(result.starts_with(&format!("error: {begins}")), "{name}: {result}");
        assert!(!result.contains("a_secret"), "{name}: {result}");
    }
    let (absent, _) = called(&["--kubeconfig=/nowhere"], &[])?;
    assert!(absent["can query the Kubernetes API"].contains("/nowhere"), "{absent:?}");
    let (unreadable, code) = called(&["--wait=soon"], &[])?;
    assert_eq!(code, 2);
    let unreadable = &unreadable["the arguments can be read"];
    assert!(unreadable.contains("'soon' for '--wait"), "{unreadable}");
    Ok(())
}

const OTHER: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: old, namespace: linkerd-failover, labels: {linkerd.io/extension: failover}}
spec:
  replicas: 0
  selector: {matchLabels: {app: old}}
  template:
    metadata: {labels: {app: old}}
    spec: {containers: [{name: old, image: old, args: [--admin-addr=x]}]}
";

#[tokio::test]
async fn linkerd_sees_a_healthy_installation_pass_and_each_fault_fail() -> Result<()> {
    let cluster = cluster().await?;
    cluster.install_service_profile_crd().await?;
    let pre = checked(&cluster, &["--pre"]).await?;
    assert!(pre.values().all(|result| result == "success"), "{pre:?}");
    let bare = checked(&cluster, &["--wait=0s"]).await?;
    assert!(bare["linkerd-failover is installed"].starts_with("error: found no"), "{bare:?}");

    let installation = install(&cluster, 1, &["serviceProfiles.manage=true"]).await?;
    installation.run_pods().await?;
    let (workload, _west, _splits) = emojivoto_with_split(&cluster).await?;
    eventually("everything passes", PATIENCE, || async {
        let called = check(&cluster, &["--wait=60s"]).await?;
        let results = results(&called.stdout)?;
        ensure!(called.status.code() == Some(0), "{results:?}");
        // The pods of this cluster have no metrics of their own.
        let mut others = results.iter().filter(|(_, result)| *result != "success");
        ensure!(
            others.all(|(of, _)| of == "the webhook's certificates are valid for a while"),
            "{results:?}"
        );
        for dry_run in ["the webhook defaults what is created", "the webhook refuses what is wrong"]
        {
            ensure!(results.contains_key(dry_run), "{results:?}");
        }
        Ok(())
    })
    .await?;

    // As somebody without rights: nothing is known, and nothing is right.
    let nobody = check(&cluster, &["--as=nobody", "--wait=0s"]).await?;
    let nobodys = results(&nobody.stdout)?;
    let may_read = &nobodys["you may read what the checks look at"];
    assert!(may_read.starts_with("error: you may not list deployments.apps: which"), "{may_read}");
    assert!(may_read.contains("trafficsplits may not be listed"), "{may_read}");
    assert!(
        !nobodys.iter().any(|(of, result)| of != "you may read what the checks look at"
            && result.starts_with("error")),
        "{nobodys:?}"
    );
    assert_eq!(nobody.status.code(), Some(1), "{nobodys:?}");

    // What people want so: with an end, and without.
    let split = |annotations: &'static [&'static str]| {
        let split = ["annotate", "trafficsplit", "emoji", "--overwrite"];
        workload.kubectl(split.iter().chain(annotations).copied())
    };
    split(&["failover.linkerd.io/paused=true"]).ok().await?;
    wait_result(&cluster, "no object is paused", "error: found TrafficSplit emojivoto/emoji")
        .await?;
    split(&["failover.linkerd.io/paused-until=2999-01-01T00:00:00Z"]).ok().await?;
    wait_result(&cluster, "no object is paused", "warning: found TrafficSplit emojivoto/emoji")
        .await?;
    split(&[
        "failover.linkerd.io/paused-",
        "failover.linkerd.io/paused-until-",
        "failover.linkerd.io/pin=emoji-svc",
    ])
    .ok()
    .await?;
    wait_result(&cluster, "no object is pinned", "error: found TrafficSplit emojivoto/emoji")
        .await?;
    split(&["failover.linkerd.io/pin-"]).ok().await?;
    let frozen = ["annotate", "namespace", "linkerd-failover"];
    cluster.kubectl(frozen).args(["failover.linkerd.io/frozen=true"]).ok().await?;
    wait_result(&cluster, "the cluster is not frozen", "error: found").await?;
    cluster.kubectl(frozen).args(["failover.linkerd.io/frozen-"]).ok().await?;

    // What nobody wants.
    cluster.apply(OTHER).await?;
    wait_result(
        &cluster,
        "linkerd-failover 0.1 is gone",
        "error: found Deployment linkerd-failover/old",
    )
    .await?;
    cluster.kubectl(["delete", "deployment", "old", "-n", "linkerd-failover"]).ok().await?;
    installation.webhook_down()?;
    wait_result(&cluster, "the webhook refuses what is wrong", "error: found that the API server")
        .await?;
    wait_result(&cluster, "the webhook defaults what is created", "error: found").await?;
    installation.webhook_up()?;
    workload.kubectl(["delete", "service", "emoji-svc-west"]).ok().await?;
    wait_result(&cluster, "a fallback of each object is ready", "error: found").await?;
    wait_result(
        &cluster,
        "admission would take all objects",
        "error: TrafficSplit emojivoto/emoji",
    )
    .await?;
    let role = ["delete", "clusterrolebinding", "linkerd-failover"];
    cluster.kubectl(role).ok().await?;
    wait_result(&cluster, "its ServiceAccount has all rights", "error: it may not").await?;

    // No replica runs: nobody mends what is broken.
    for replica in installation.replicas() {
        replica.process().kill()?;
    }
    let unreadable = "failover.linkerd.io/min-ready=none";
    for (line, description, begins) in [
        (
            "delete serviceprofile -n emojivoto --all",
            "a ServiceProfile carries each split",
            "error: TrafficSplit emojivoto/emoji",
        ),
        (
            "patch mutatingwebhookconfiguration linkerd-failover --type=json -p=[{\"op\":\"remove\",\"path\":\"/webhooks/0/clientConfig/caBundle\"}]",
            "the webhook's CA is valid for a while",
            "error: found no CA in MutatingWebhookConfiguration",
        ),
        (
            "delete validatingwebhookconfiguration,mutatingwebhookconfiguration linkerd-failover",
            "the webhook refuses what is wrong",
            "error: found a wrong object admitted",
        ),
        (
            &format!("annotate trafficsplit emoji -n emojivoto {unreadable}"),
            "all objects can be read",
            "error: TrafficSplit emojivoto/emoji: metadata.annotations[failover.linkerd.io/min-ready]",
        ),
        (
            "label deployment linkerd-failover -n linkerd-failover --overwrite app.kubernetes.io/version=9.9.9",
            "all versions are equal",
            "error: found version 9.9.9 in the cluster",
        ),
        (
            "scale deployment linkerd-failover -n linkerd-failover --replicas=0",
            "its replicas are ready",
            "error: found 0 replicas",
        ),
    ] {
        cluster.kubectl(line.split(' ')).ok().await?;
        wait_result(&cluster, description, begins).await?;
    }
    wait_result(&cluster, "one replica leads", "error: found").await
}

#[tokio::test]
async fn replicas_that_become_ready_while_check_waits_are_seen() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let start_pods = async {
        eventually("a first look asks the webhook", PATIENCE, || async {
            let log = std::fs::read_to_string(installation.replicas()[0].process().log())?;
            ensure!(log.contains("/linkerd-failover-check"), "{log}");
            anyhow::Ok(())
        })
        .await?;
        installation.run_pods().await
    };
    let (called, ()) = tokio::try_join!(check(&cluster, &["--wait=60s"]), start_pods)?;
    assert_eq!(results(&called.stdout)?["its replicas are ready"], "success");
    Ok(())
}

#[tokio::test]
async fn a_cluster_with_routes_alone_is_checked_by_them() -> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let installation = install_for_routes(&cluster, 1).await?;
    installation.run_pods().await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_emoji(1).await?;
    workload.deploy("backup", 1).await?;
    let backends: &[&str] = &["emoji-svc", "backup-svc"];
    workload.apply(&route(Kind::HttpRoute, &[("", backends)]).to_string()).await?;
    wait_result(&cluster, "the webhook refuses what is wrong", "success").await?;
    let results = checked(&cluster, &["--wait=30s"]).await?;
    // Linkerd is not there to accept it.
    let unused = &results["Linkerd routes by each route"];
    assert!(unused.starts_with("error: HTTPRoute emojivoto/emoji: found no status"), "{results:?}");
    let faults = results.iter().filter(|(_, result)| result.starts_with("error")).count();
    assert_eq!(faults, 1, "{results:?}");

    cluster.install_service_profile_crd().await?;
    let profile = json!({
        "apiVersion": "linkerd.io/v1alpha2", "kind": "ServiceProfile",
        "metadata": {"name": "emoji-svc.emojivoto.svc.cluster.local", "namespace": "emojivoto"},
        "spec": {"dstOverrides": [
            {"authority": "backup-svc.emojivoto.svc.cluster.local:8080", "weight": "1"},
        ]},
    });
    workload.apply(&profile.to_string()).await?;
    wait_result(&cluster, "no ServiceProfile hides a route", "error: HTTPRoute emojivoto/emoji")
        .await?;
    // A kind in a version that nobody reads.
    cluster.kubectl(["delete", "crd", "grpcroutes.gateway.networking.k8s.io"]).ok().await?;
    cluster
        .apply(&crd("gateway.networking.k8s.io", "v9", "GRPCRoute").replace(
            "\"metadata\":{",
            "\"metadata\":{\"annotations\":{\"api-approved.kubernetes.io\":\"unapproved\"},",
        ))
        .await?;
    wait_result(&cluster, "the cluster has a kind that fails over", "error: found grpcroutes")
        .await?;
    drop(installation);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_clusters_are_looked_into_and_each_reason_not_to_see_them_is_named() -> Result<()> {
    let (east, west) = east_and_west().await?;
    let first = link(&east, &west).await?;
    // Everything that needs rights of its own.
    let values = [
        CREDENTIALS,
        "alerts.enabled=true",
        "alerts.caNamespaces={linkerd-multicluster}",
        "brake=50",
    ];
    let _installation = install(&east, 1, &values).await?;
    let (here, _there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    here.discovery_mirror("emoji-svc", "west").await?;
    here.apply(&split("emoji", &["emoji-svc-west"])).await?;
    let seen = "linked clusters can be seen";
    wait_result(&east, seen, "success").await?;
    wait_result(&east, "its ServiceAccount has all rights", "success").await?;
    let status = east.sh(&format!("{PROGRAM} status -n emojivoto -o json")).ok().await?;
    let status: Value = serde_json::from_str(&status)?;
    let west_of = &status[0]["sets"][0]["backends"][1];
    assert_eq!((&west_of["ready"], &west_of["total"]), (&json!(1), &json!(1)), "{status}");

    // What is not there, what is refused, what does not answer from here.
    first.remove(&east).await?;
    wait_result(&east, seen, "error: found no credentials for cluster west").await?;
    let second = first.rotated(&west).await?;
    first.apply(&east).await?;
    wait_result(&east, seen, "error: found no access to cluster west").await?;
    second.apply(&east).await?;
    wait_result(&east, seen, "success").await?;
    west.stop_api_server(true).await?;
    wait_result(&east, seen, "warning: found no answer of cluster west from here").await?;
    let unread = &checked(&east, &["--wait=0s"]).await?["you may read what the checks look at"];
    assert!(
        unread.starts_with("warning: linked cluster west does not answer from here"),
        "{unread}"
    );
    let roles = ["delete", "rolebinding", "linkerd-failover-links", "-n", "linkerd-multicluster"];
    east.kubectl(roles).ok().await?;
    wait_result(&east, "its ServiceAccount has all rights", "error: it may not list secrets").await
}
