//! What a person changes by hand, through a real API server and the webhook.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use kube::core::DynamicObject;
use linkerd_failover::kinds::service_profile;
use serde_json::{Value, json};
use test_cluster::{Cluster, Invocation, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_linkerd-failover");

fn run(cluster: &Cluster, line: &str) -> Invocation {
    cluster.sh(&format!("{PROGRAM} {line}"))
}

async fn refused(cluster: &Cluster, line: &str) -> Result<Output> {
    let output = run(cluster, line).output().await?;
    ensure!(!output.status.success() && output.stdout.is_empty(), "{line}: {output:?}");
    Ok(output)
}

fn value(object: &DynamicObject, name: &str) -> Option<String> {
    object.annotations().get(&format!("failover.linkerd.io/{name}")).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_changes_by_a_command_is_written_with_who_and_why_and_a_drill_comes_back()
-> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, west, splits) = emojivoto_with_split(&cluster).await?;
    let emoji = "trafficsplit/emoji -n emojivoto";

    // Pinned, by whom and why, in the annotation and in the Event.
    let pin = format!("pin {emoji} emoji-svc-west");
    let wrong = refused(&cluster, &format!("pin {emoji} emoji-svc-wst")).await?;
    ensure!(wrong.stderr.contains("did you mean emoji-svc-west?"), "{}", wrong.stderr);
    let wrong = wrong.stderr.lines().count();
    assert_eq!(wrong, 1);
    let dry = run(&cluster, &format!("{pin} --dry-run=client")).ok().await?;
    ensure!(dry.contains("pinned to emoji-svc-west (dry run)"), "{dry}");
    let dry = run(&cluster, &format!("{pin} --dry-run=server")).ok().await?;
    ensure!(dry.contains("pinned to emoji-svc-west (server dry run)"), "{dry}");
    assert_eq!(value(&splits.get("emoji").await?, "pin"), None);
    let done = run(&cluster, &format!("{pin} --for 1h --reason 'game day'")).ok().await?;
    ensure!(done.starts_with("trafficsplit.split.smi-spec.io/emoji pinned to"), "{done}");
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let by = annotation(&split, "changed-by").context("nobody did it")?;
    assert_eq!((&by["action"], &by["reason"]), (&json!("pin"), &json!("game day")));
    ensure!(by["person"].as_str().is_some_and(|person| !person.is_empty()), "{by}");
    ensure!(value(&split, "pin-until").is_some(), "it never ends");
    let note = wait_event(&workload, "emoji", "ChangedByPerson", "Normal").await?;
    ensure!(
        note.contains("pinned to emoji-svc-west until") && note.contains(": game day"),
        "{note}"
    );
    // The same person sees it again, and it is let go.
    run(&cluster, &format!("unpin {emoji}")).ok().await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    let again = run(&cluster, &format!("unpin {emoji}")).ok().await?;
    ensure!(again.contains("unchanged"), "{again}");

    // Not to what is not ready, unless that is meant.
    west.set_empty().await?;
    workload.wait_endpoints("emoji-svc-west", 0).await?;
    let refusal = refused(&cluster, &pin).await?;
    ensure!(refusal.stderr.contains("--force"), "{}", refusal.stderr);
    let drill = refused(&cluster, &format!("drill {emoji} --for 5m")).await?;
    ensure!(drill.stderr.contains("no fallback that is ready"), "{}", drill.stderr);
    let forced = run(&cluster, &format!("{pin} --force --dry-run=server")).output().await?;
    ensure!(forced.status.success(), "{forced:?}");
    west.set_ready().await?;
    workload.wait_endpoints("emoji-svc-west", 1).await?;

    // A pause holds the traffic, and ends by itself; the Event has the reason.
    run(&cluster, &format!("pause {emoji} --for 30s --reason 'a release'")).ok().await?;
    let until: Timestamp = value(&splits.get("emoji").await?, "paused-until").unwrap().parse()?;
    workload.scale("emoji", 0).await?;
    let note = wait_event(&workload, "emoji", "FailoverHeld", "Warning").await?;
    ensure!(note.contains("paused until") && note.contains(": a release"), "{note}");
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    ensure!(Timestamp::now() >= until, "the pause ended before its time");
    let failback = refused(&cluster, &format!("failback {emoji}")).await?;
    ensure!(failback.stderr.contains("returns by itself"), "{}", failback.stderr);
    run(&cluster, &format!("resume {emoji}")).ok().await?;
    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;

    // So does a freeze of the cluster.
    run(&cluster, "freeze --reason 'an incident'").ok().await?;
    wait_metric_of_all(&installation, "linkerd_failover_frozen", 1.0).await?;
    run(&cluster, "freeze --for 3s").ok().await?;
    wait_metric_of_all(&installation, "linkerd_failover_frozen", 0.0).await?;
    run(&cluster, "unfreeze").ok().await?;

    // A person without the right to patch is told so in one line, and nothing is written.
    let other = refused(&cluster, &format!("{pin} --as somebody")).await?;
    let says = |text: &str| other.stderr.contains(text);
    ensure!(says("no right") || says("may list"), "{other:?}");
    assert_eq!(other.stderr.lines().count(), 1, "{other:?}");

    // Ctrl-C calls a drill back.
    let out = cluster.folder().join("drill");
    let out = out.display();
    let moved = format!(
        "{PROGRAM} drill {emoji} --for 10m > {out} 2>&1 & pid=$!
        n=0; until grep -q 'traffic moved' {out}; do n=$((n+1)); [ $n -lt 600 ] || break; sleep 0.1; done"
    );
    let interrupted = format!(
        "{moved}; kill -INT $pid; rc=0; wait $pid || rc=$?; cat {out} >&2; cat {out}; exit $rc"
    );
    let report = cluster.sh(&interrupted).ok().await?;
    for line in ["calling the traffic back: interrupted", "had at least 1 ready", "nobody else"] {
        ensure!(report.contains(line), "{line}: {report}");
    }
    let split = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!((value(&split, "pin"), value(&split, "pin-until")), (None, None));

    // A drill whose terminal is killed ends at pin-until.
    let killed = moved.replace("--for 10m", "--for 20s");
    cluster.sh(&format!("{killed}; kill -KILL $pid; cat {out}")).ok().await?;
    let until = value(&splits.get("emoji").await?, "pin-until").context("the pin has gone")?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    ensure!(Timestamp::now() >= until.parse()?, "the pin ended before its time");
    assert_eq!(value(&splits.get("emoji").await?, "pin").as_deref(), Some("emoji-svc-west"));
    Ok(())
}

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
    let installation = install(&cluster, 1, &["serviceProfiles.manage=true"]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    for name in ["web-svc", "web-svc-west"] {
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
    let splits = splits(&cluster, "emojivoto");
    workload.set_ready("web-svc", 0).await?;
    workload.scale("emoji", 0).await?;
    for name in ["emoji", "web"] {
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
    }
    for (profile, name) in [(EMOJI, "emoji-svc"), (WEB, "web-svc")] {
        test_cluster::eventually("the profile follows", PATIENCE, || async {
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
    let emoji = splits.get("emoji").await?;
    assert_eq!(weights(&emoji), [3.0, 1.0]);
    ensure!(emoji.labels().is_empty() && annotation(&emoji, "state").is_none(), "{emoji:?}");

    // All that is left, while no replica runs.
    for replica in installation.replicas() {
        replica.process().terminate(PATIENCE).await?;
    }
    let closed = run(&cluster, "release ts/web -n emojivoto").output().await?;
    ensure!(!closed.status.success() && closed.stderr.contains("no replica runs"), "{closed:?}");
    let piped = format!("{PROGRAM} uninstall | kubectl delete -f -");
    let reply = cluster.sh(&piped).output().await?;
    ensure!(reply.status.success(), "{reply:?}");
    let order: Vec<_> = [
        "webhookconfiguration",
        "web released, without the webhook",
        "serviceprofile emojivoto/web",
    ]
    .map(|part| reply.stderr.find(part))
    .into();
    ensure!(order.iter().all(Option::is_some) && order.is_sorted(), "{reply:?}");
    ensure!(reply.stdout.contains("deployment.apps \"linkerd-failover\" deleted"), "{reply:?}");
    let web = splits.get("web").await?;
    assert_eq!(weights(&web), [3.0, 1.0]);
    let ours = |object: &DynamicObject| {
        let names = object.annotations().keys().chain(object.labels().keys());
        names.filter(|name| name.contains("linkerd.io/")).cloned().collect::<Vec<_>>()
    };
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
    Ok(())
}
