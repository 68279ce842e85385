//! What a person changes by hand, through a real API server and the webhook.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use kube::core::DynamicObject;
use serde_json::json;
use test_cluster::{Cluster, Invocation, Output, eventually};

pub(super) fn run(cluster: &Cluster, line: &str) -> Invocation {
    cluster.sh(&format!("{PROGRAM} {line}"))
}

pub(super) async fn refused(cluster: &Cluster, line: &str) -> Result<Output> {
    let output = run(cluster, line).output().await?;
    ensure!(!output.status.success() && output.stdout.is_empty(), "{line}: {output:?}");
    Ok(output)
}

pub(super) fn value(object: &DynamicObject, name: &str) -> Option<String> {
    object.annotations().get(&format!("failover.linkerd.io/{name}")).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_changes_by_a_command_is_written_with_who_and_why() -> Result<()> {
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
    let as_alice = "--as alice --as-group system:masters";
    let done =
        run(&cluster, &format!("{pin} --for 1h --reason 'game day' {as_alice}")).ok().await?;
    ensure!(done.starts_with("trafficsplit.split.smi-spec.io/emoji pinned to"), "{done}");
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let by = annotation(&split, "changed-by").context("nobody did it")?;
    assert_eq!((&by["action"], &by["reason"]), (&json!("pin"), &json!("game day")));
    assert_eq!(by["person"], json!("alice"));
    let managers = split.metadata.managed_fields.iter().flatten();
    let ours = managers.filter(|m| m.manager.as_deref() == Some("linkerd-failover-cli"));
    let claims: Vec<_> = ours.filter_map(|m| Some(m.fields_v1.as_ref()?.0.to_string())).collect();
    ensure!(claims.len() == 1 && !claims[0].contains("f:spec"), "{claims:?}");
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
    let forced = run(&cluster, &format!("{pin} --force --dry-run=server")).output().await?;
    ensure!(forced.status.success(), "{forced:?}");
    west.set_ready().await?;
    workload.wait_endpoints("emoji-svc-west", 1).await?;

    // A pause holds the traffic, and ends by itself; the Event has the reason.
    run(&cluster, &format!("pause {emoji} --for 15s --reason 'a release'")).ok().await?;
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

    // Several at once: each is reported, and one that fails is no success.
    let both = format!("pause {emoji} ts/nobody --reason \"two\nlines\"");
    let both = run(&cluster, &both).output().await?;
    ensure!(!both.status.success() && both.stdout.contains("/emoji paused"), "{both:?}");
    ensure!(both.stderr.contains("nobody: found no such object"), "{both:?}");
    let by = annotation(&splits.get("emoji").await?, "changed-by").context("nobody did it")?;
    assert_eq!(by["reason"], json!("two lines"));
    run(&cluster, &format!("resume {emoji}")).ok().await?;

    // A freeze is of the whole cluster, and ends by itself too; who and why stand in Events of the Deployment.
    let one = refused(&cluster, "freeze -n emojivoto").await?;
    ensure!(one.stderr.contains("a freeze is of the whole cluster"), "{one:?}");
    run(&cluster, "freeze --reason 'an incident'").ok().await?;
    wait_metric_of_all(&installation, "linkerd_failover_frozen", 1.0).await?;
    wait_cluster_event(&cluster, &["frozen by", ": an incident"]).await?;
    run(&cluster, "freeze --for 3s").ok().await?;
    wait_metric_of_all(&installation, "linkerd_failover_frozen", 0.0).await?;
    run(&cluster, "unfreeze").ok().await?;
    wait_cluster_event(&cluster, &["unfrozen by"]).await?;

    // A denial of whatever the cluster has is shown as kubectl shows it.
    let no_pins = json!({
        "expression": "!('failover.linkerd.io/pin' in object.metadata.?annotations.orValue({}))",
        "reason": "Forbidden",
        "message": "no pins on Fridays",
    });
    deny_by_policy(&cluster, "no-pins", SPLIT_UPDATES, no_pins).await?;
    let denied = eventually("pins are denied", PATIENCE, || async {
        refused(&cluster, &format!("{pin} --dry-run=server")).await
    });
    let denied = denied.await?.stderr;
    ensure!(denied.starts_with("Error from server (Forbidden): "), "{denied}");
    ensure!(denied.contains("'no-pins' denied request: no pins on Fridays"), "{denied}");

    // A person without the right to patch is told so in one line, and nothing is written.
    let other = refused(&cluster, &format!("{pin} --as somebody")).await?;
    let says = |text: &str| other.stderr.contains(text);
    ensure!(says("no right") || says("may list"), "{other:?}");
    assert_eq!(other.stderr.lines().count(), 1, "{other:?}");
    Ok(())
}

/// Waits for the Event of a change for the whole cluster that has these words.
async fn wait_cluster_event(cluster: &Cluster, words: &[&str]) -> Result<()> {
    let events: Api<Event> = Api::namespaced(cluster.client(), "linkerd-failover");
    eventually(&format!("an Event with {words:?}"), PATIENCE, || async {
        let list = events.list(&ListParams::default()).await?;
        let changes =
            list.items.iter().filter(|event| event.reason.as_deref() == Some("ChangedByPerson"));
        let notes: Vec<_> = changes.filter_map(|event| event.note.clone()).collect();
        let has_all = |note: &String| words.iter().all(|word| note.contains(word));
        ensure!(notes.iter().any(has_all), "{notes:?}");
        Ok(())
    })
    .await
}
