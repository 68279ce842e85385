//! Pins, pauses, freezes, delays and warm standbys, as a person uses them.

use crate::support::*;
use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::json;
use test_cluster::{Workload, eventually};

/// Annotates the split; `name-` removes, as kubectl has it.
async fn annotate(workload: &Workload<'_>, annotations: &[&str]) -> Result<String> {
    let prefixed: Vec<String> =
        annotations.iter().map(|a| format!("failover.linkerd.io/{a}")).collect();
    let mut command = vec!["annotate", "--overwrite", "trafficsplit", "emoji"];
    command.extend(prefixed.iter().map(String::as_str));
    let output = workload.kubectl(command).output().await?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(output.stderr)
}

/// Waits until the controller has seen what was written last: a change of another object of the
/// same watch has been acted upon.
async fn wait_state(
    splits: &Api<DynamicObject>,
    what: &str,
    holds: impl Fn(&linkerd_failover::engine::SetState) -> bool,
) -> Result<DynamicObject> {
    eventually(what, PATIENCE, || async {
        let split = splits.get("emoji").await?;
        let state = state(&split).and_then(|mut state| state.sets.remove(""));
        ensure!(state.as_ref().is_some_and(&holds), "{state:?}");
        Ok::<_, anyhow::Error>(split)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_pins_pauses_freezes_and_lets_go_again() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, west, splits) = emojivoto_with_split(&cluster).await?;

    // A pin wins over health, and ends by itself.
    // Without kubectl, which takes a busy machine a good part of that to start.
    let until = Timestamp::now() + SignedDuration::from_secs(20);
    let pin = json!({"metadata": {"annotations": {
        "failover.linkerd.io/pin": "emoji-svc-west",
        "failover.linkerd.io/pin-until": until.to_string(),
    }}});
    splits.patch("emoji", &PatchParams::default(), &Patch::Merge(pin)).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert!(Timestamp::now() >= until, "the pin ended before its time");
    annotate(&workload, &["pin-", "pin-until-"]).await?;

    // A pin to something with nothing ready is allowed, and warned about.
    west.set_empty().await?;
    workload.wait_endpoints("emoji-svc-west", 0).await?;
    eventually("a warning about the pin", PATIENCE, || async {
        let reply = annotate(&workload, &["pin=emoji-svc-west"]).await?;
        annotate(&workload, &["pin-"]).await?;
        ensure!(reply.contains("Warning") && reply.contains("a pin wins over health"), "{reply}");
        Ok(())
    })
    .await?;
    west.set_ready().await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;

    // Paused: nothing is written, edits by hand take effect and count as the author's.
    annotate(&workload, &["paused=true"]).await?;
    workload.scale("emoji", 0).await?;
    let note = wait_event(&workload, "emoji", "FailoverHeld", "Warning").await?;
    assert!(note.contains("should move from emoji-svc to emoji-svc-west"), "{note}");
    assert!(note.contains("this object is paused"), "{note}");
    assert_eq!(weights(&splits.get("emoji").await?), [1.0, 0.0]);
    let by_hand = r#"[{"op":"replace","path":"/spec/backends/0/weight","value":3},
        {"op":"replace","path":"/spec/backends/1/weight","value":7}]"#;
    let patch = ["patch", "trafficsplit", "emoji", "--type=json", "-p", by_hand];
    workload.kubectl(patch).ok().await?;
    assert_eq!(weights(&splits.get("emoji").await?), [3.0, 7.0]);
    annotate(&workload, &["paused-"]).await?;
    wait_weights(&splits, "emoji", &[0.0, 7.0]).await?;
    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[3.0, 0.0]).await?;

    // Frozen: the whole cluster, by one annotation.
    let freeze = ["annotate", "namespace", "linkerd-failover"];
    cluster.kubectl(freeze).args(["failover.linkerd.io/frozen=true"]).ok().await?;
    let installation = &_installation;
    wait_metric_of_all(installation, "linkerd_failover_frozen", 1.0).await?;
    workload.scale("emoji", 0).await?;
    eventually("the freeze is reported", PATIENCE, || async {
        let events = workload.kubectl(["get", "events.events.k8s.io", "-o", "json"]).ok().await?;
        ensure!(events.contains("the cluster is frozen"), "not yet");
        Ok(())
    })
    .await?;
    assert_eq!(weights(&splits.get("emoji").await?), [3.0, 0.0]);
    cluster.kubectl(freeze).args(["failover.linkerd.io/frozen-"]).ok().await?;
    wait_weights(&splits, "emoji", &[0.0, 7.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_stay_outlives_the_recovery_and_ends_by_a_request() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &["warmStandby=true"]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    // The ready fallback keeps the smallest share, by the chart's default.
    wait_weights(&splits, "emoji", &[429_495.0, 1.0]).await?;
    annotate(&workload, &["failback=manual"]).await?;

    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    workload.scale("emoji", 1).await?;
    workload.wait_endpoints("emoji-svc", 1).await?;
    // A restart forgets nothing.
    installation.replicas()[0].restart().await?;
    installation.replicas()[0].wait_ready(PATIENCE).await?;
    wait_webhook(&cluster).await?;
    assert_eq!(weights(&splits.get("emoji").await?), [0.0, 1.0]);
    annotate(&workload, &[&format!("failback-requested={}", Timestamp::now())]).await?;
    wait_weights(&splits, "emoji", &[429_495.0, 1.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_of_a_delay_neither_shortens_nor_restarts_it() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &["failoverDelay=15s"]).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;

    workload.scale("emoji", 0).await?;
    let split = wait_state(&splits, "the loss is recorded", |s| !s.pending.is_empty()).await?;
    let lost = state(&split).unwrap().sets[""].pending["emoji-svc"];
    installation.replicas()[0].restart().await?;
    installation.replicas()[0].wait_ready(PATIENCE).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let left = state(&split).unwrap().sets[""].since;
    let took = lost.duration_until(left);
    // `since` is to the second, downwards. A restarted delay would have ended a restart later,
    // and its new start would have been recorded.
    assert!(took >= SignedDuration::from_secs(14), "left after {took}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brake_holds_a_loss_of_everything_at_once_until_a_person_says_so() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &["brake=30"]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let primaries = ["voting", "web", "smileys", "votes"];
    workload.service_with_slice("backup", 1).await?;
    for primary in primaries {
        workload.service_with_slice(primary, 1).await?;
        workload.apply(&manifest(primary, primary, &["backup"])).await?;
    }
    let splits = splits(&cluster, "emojivoto");
    for primary in primaries {
        wait_weights(&splits, primary, &[1.0, 0.0]).await?;
    }

    // A loss of one, and of all together.
    workload.set_ready("voting", 0).await?;
    wait_weights(&splits, "voting", &[0.0, 1.0]).await?;
    for primary in &primaries[1..] {
        workload.set_ready(primary, 0).await?;
    }
    let reported = eventually("an Event about the brake", PATIENCE, || async {
        let events = workload.kubectl(["get", "events.events.k8s.io", "-o", "json"]).ok().await?;
        ensure!(events.contains("the brake holds"), "not yet");
        Ok(events)
    })
    .await?;
    assert!(reported.contains("brake-released"), "it has the next step");
    let replica = &installation.replicas()[0];
    wait_metric(replica, "linkerd_failover_brake_engaged", 1.0).await?;
    let mut on_primary = 0;
    for primary in primaries {
        on_primary += u32::from(weights(&splits.get(primary).await?) == [1.0, 0.0]);
    }
    assert!(on_primary >= 2, "at most 30% of all may move at once; {on_primary} of 4 stay");

    let release = format!("failover.linkerd.io/brake-released={}", Timestamp::now());
    cluster.kubectl(["annotate", "namespace", "linkerd-failover", &release]).ok().await?;
    for primary in primaries {
        wait_weights(&splits, primary, &[0.0, 1.0]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_holds_for_an_annotation_that_cannot_be_read_and_everything_else_goes_on()
-> Result<()> {
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    // Before the webhook is there to refuse them.
    let bad = [
        ("pin", "nowhere"),
        ("min-ready", "110%"),
        ("failover-delay", "soon"),
        ("fallback-order", "emoji-svc"),
        ("paused", "perhaps"),
        ("authored-weights", "{"),
    ];
    for (name, value) in bad {
        let annotation =
            format!("  annotations:\n    failover.linkerd.io/{name}: '{value}'\n  labels:");
        let split = emoji()
            .replace("name: emoji\n", &format!("name: bad-{name}\n"))
            .replace("  labels:", &annotation);
        workload.apply(&split).await?;
    }
    // A hundred backends, one of them real.
    let many: Vec<String> = (0..98).map(|i| format!("nowhere-{i}")).collect();
    let mut fallbacks = vec!["emoji-svc-west"];
    fallbacks.extend(many.iter().map(String::as_str));
    workload.apply(&manifest("hundred", "emoji-svc", &fallbacks)).await?;
    workload.apply(&emoji()).await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let splits = splits(&cluster, "emojivoto");

    // A Service deleted and recreated, with a slice that has no conditions.
    workload.kubectl(["delete", "service", "emoji-svc"]).ok().await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let mut wanted = vec![0.0; 100];
    wanted[1] = 1.0;
    wait_weights(&splits, "hundred", &wanted).await?;
    for (name, value) in bad {
        let note = wait_event(&workload, &format!("bad-{name}"), "Unreadable", "Warning").await?;
        assert!(note.contains(&format!("failover.linkerd.io/{name}")), "{note}");
        assert!(note.contains(value), "{note}");
        // Whoever wrote something for `paused` wants nothing to move.
        let wanted = if name == "paused" { [1.0, 0.0] } else { [0.0, 1.0] };
        wait_weights(&splits, &format!("bad-{name}"), &wanted).await?;
    }
    workload.kubectl(["apply", "-f", "-"]).stdin(REBORN).ok().await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    Ok(())
}

const REBORN: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: emoji-svc, namespace: emojivoto}
spec: {ports: [{name: grpc, port: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: by-hand
  namespace: emojivoto
  labels: {kubernetes.io/service-name: emoji-svc}
addressType: IPv4
ports: [{name: grpc, port: 8080}]
endpoints:
- addresses: ["10.1.2.3"]
- addresses: ["10.1.2.3"]
"#;
