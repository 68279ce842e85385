//! Notifications reach a receiver that fails first, each once by its id, also where the leader is killed.

use crate::support::notifications::{Answer, TestReceiver, two_replicas};
use crate::support::*;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use test_cluster::eventually;

fn to(event: &Value) -> &Value {
    &event["data"]["sets"][0]["to"]
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_arrive_once_each_from_a_receiver_that_fails_first_and_a_leader_that_is_killed()
-> Result<()> {
    let cluster = cluster().await?;
    let receiver = TestReceiver::start(Answer::Fail).await?;
    let installation = two_replicas(&cluster, &receiver, &[]).await?;
    wait_webhook(&cluster).await?;
    let (workload, west, splits) = emojivoto_with_split(&cluster).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    let first = leader(&cluster, &installation).await?;

    // A receiver that answers 500, then not at all: traffic moves all the same.
    workload.scale("emoji", 0).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let failed = async |wanted: usize| {
        eventually("attempts fail", PATIENCE, || async {
            ensure!(receiver.failed() >= wanted, "{}", receiver.failed());
            Ok(())
        })
        .await
    };
    failed(1).await?;
    receiver.answer(Answer::Hang);
    failed(receiver.failed() + 1).await?;
    ensure!(receiver.accepted("failover").is_empty());
    wait_metric(&first, "linkerd_failover_notifications_failing", 1.0).await?;
    wait_metric(&first, "linkerd_failover_notifications_queued", 1.0).await?;

    // The leader is killed with the notification in its queue: the next one sends it.
    first.process().kill()?;
    let second = other(&installation, &first)?;
    receiver.answer(Answer::Accept);
    let failover = receiver.wait("failover", 1).await?.remove(0);
    ensure!(*to(&failover) == json!(["emoji-svc-west"]), "{failover}");
    let uid = split.metadata.uid.context("no uid")?;
    ensure!(failover["data"]["object"]["uid"] == uid.as_str(), "{failover}");
    ensure!(failover["subject"] == "namespaces/emojivoto/trafficsplits/emoji", "{failover}");
    wait_metric(&second, "linkerd_failover_notifications_queued", 0.0).await?;

    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    let back = receiver.wait("return", 1).await?.remove(0);
    ensure!(*to(&back) == json!(["emoji-svc"]), "{back}");
    ensure!(back["data"]["sets"][0]["from"] == json!(["emoji-svc-west"]), "{back}");

    // Nothing is ready anywhere.
    west.set_empty().await?;
    workload.scale("emoji", 0).await?;
    let held = receiver.wait("held", 1).await?.remove(0);
    ensure!(held["data"]["cause"] == "nothing-ready", "{held}");
    let message = held["data"]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("emoji-svc: 0 of") || message.contains("no endpoints"), "{held}");

    // Another leads once more, and sends again what is recent: with the same ids.
    first.restart().await?;
    first.wait_ready(PATIENCE).await?;
    second.process().terminate(PATIENCE).await?;
    ensure!(leader(&cluster, &installation).await?.name() == first.name());
    let delivered = "linkerd_failover_notifications_total{type=\"held\",result=\"delivered\"}";
    wait_metric(&first, delivered, 1.0).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for what in ["failover", "return", "held"] {
        receiver.wait(what, 1).await?;
    }
    Ok(())
}
