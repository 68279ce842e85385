//! Conditions that last: a new leader sends them once more, by the ids of the one before.

use crate::support::linked_clusters::*;
use crate::support::notifications::{Answer, TestReceiver, two_replicas};
use crate::support::*;
use anyhow::{Result, ensure};
use jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::time::Duration;
use test_cluster::{Cluster, eventually};

/// The ids have the time rounded to ten minutes: it must not be about to turn.
async fn wait_turned() {
    let left = 600 - Timestamp::now().as_second() % 600;
    if left < 60 {
        tokio::time::sleep(Duration::from_secs(left.unsigned_abs())).await;
    }
}

/// The value by which the cluster's admin bypasses the webhook, as a GitOps tool may.
async fn exempt(cluster: &Cluster) -> Result<String> {
    let me = cluster.kubectl(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    Ok(format!("webhook.exemptUsers[0]={}", me.ok().await?.trim()))
}

/// Puts the weights of the split `emoji` back this often, as soon as they are on its fallback.
async fn undo(splits: &Api<DynamicObject>, times: usize) -> Result<()> {
    let undo = json!({"spec": {"backends": [
        {"service": "emoji-svc", "weight": 1}, {"service": "emoji-svc-west", "weight": 0},
    ]}});
    let params =
        PatchParams { field_manager: Some("argocd-controller".into()), ..PatchParams::default() };
    for _ in 0..times {
        wait_weights(splits, "emoji", &[0.0, 1.0]).await?;
        splits.patch("emoji", &params, &Patch::Merge(&undo)).await?;
    }
    Ok(())
}

fn name(event: &Value) -> &Value {
    &event["data"]["object"]["name"]
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_sent_and_by_a_new_leader_once_more_with_the_same_ids() -> Result<()> {
    let (east, west) = east_and_west().await?;
    let link = link(&east, &west).await?;
    let receiver = TestReceiver::start(Answer::Accept).await?;
    let values = [&exempt(&east).await?, CREDENTIALS, "remoteUnreachableAfter=1s"];
    let installation = two_replicas(&east, &receiver, &values).await?;
    let (workload, _mirror, splits) = emojivoto_with_split(&east).await?;
    // Its fallback is in west, and has no endpoints there.
    workload.deploy("voting", 1).await?;
    workload.discovery_mirror("voting-svc", "west").await?;

    wait_turned().await;
    workload.apply(&manifest("voting", "voting-svc", &["voting-svc-west"])).await?;
    workload.kubectl(["annotate", "ts/emoji", "failover.linkerd.io/paused=true"]).ok().await?;
    workload.scale("emoji", 0).await?;
    let held = receiver.wait("held", 1).await?.remove(0);
    ensure!(held["data"]["cause"] == "paused" && name(&held) == "emoji", "{held}");
    ensure!(held["data"]["sets"][0]["to"] == json!(["emoji-svc-west"]), "{held}");
    let lacking = receiver.wait("no-fallback", 1).await?.remove(0);
    ensure!(name(&lacking) == "voting", "{lacking}");
    let message = lacking["data"]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("voting-svc-west"), "{lacking}");

    // Another leads, and the conditions last.
    let first = leader(&east, &installation).await?;
    first.process().terminate(PATIENCE).await?;
    let second = other(&installation, &first)?;
    for what in ["held", "no-fallback"] {
        let delivered =
            format!("linkerd_failover_notifications_total{{type=\"{what}\",result=\"delivered\"}}");
        wait_metric(&second, &delivered, 1.0).await?;
        receiver.wait(what, 1).await?;
    }

    // The person lets it move, and somebody else does not.
    workload.kubectl(["annotate", "ts/emoji", "failover.linkerd.io/paused-"]).ok().await?;
    undo(&splits, 3).await?;
    let fight = receiver.wait("other-writer", 1).await?.remove(0);
    ensure!(fight["data"]["by"] == "argocd-controller" && fight["data"]["times"] == 2, "{fight}");
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    west.stop_api_server(true).await?;
    let down = receiver.wait("cluster-down", 1).await?.remove(0);
    ensure!(down["data"]["cluster"] == "west", "{down}");
    ensure!(*name(&down) == link.secret().as_str(), "{down}");
    ensure!(down["data"]["object"]["uid"].as_str().is_some_and(|uid| !uid.is_empty()), "{down}");
    eventually("nothing is queued", PATIENCE, || async {
        let metrics = second.get("/metrics").await?;
        ensure!(metric(&metrics, "linkerd_failover_notifications_queued") == Some(0.0));
        Ok(())
    })
    .await
}
