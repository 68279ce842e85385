//! The guard away, silent or not believed: deletions go on, and traffic moves after the loss.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use test_cluster::{ApiProxy, Installation, eventually};

/// The webhooks' `timeoutSeconds`, and what a busy machine may need beside it.
const LONGEST: Duration = Duration::from_secs(1 + 9);

/// Deletions go on without the guard, whoever makes them, and traffic follows the loss.
async fn goes_on_without(emoji: &Guarded<'_>, fault: &str) -> Result<()> {
    let cluster = emoji.workload.cluster();
    eventually(&format!("{fault}: the API server goes on without us"), PATIENCE, || async {
        let before = went_on_without(cluster).await?;
        emoji.steady(1).await?;
        let began = Instant::now();
        emoji.delete_each_pod().await?;
        let took = began.elapsed();
        println!("{fault}: the deletion took {took:?}");
        ensure!(took < LONGEST, "{took:?}");
        ensure!(went_on_without(cluster).await? > before, "it was answered");
        Ok(())
    })
    .await?;
    let mark = emoji.steady(1).await?;
    emoji.workload.scale("emoji", 0).await?;
    emoji.not_early(mark).await?;
    emoji.weights(&AWAY).await
}

/// Afterwards all is as before.
async fn guards_again(emoji: &Guarded<'_>, installation: &Installation) -> Result<()> {
    wait_guard(emoji.workload.cluster(), installation).await?;
    let scale = async || emoji.workload.scale("emoji", 0).await;
    emoji.moves_early_from(1, scale).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_webhook_dead_silent_or_not_believed_deletions_go_on_and_traffic_moves_after_them()
-> Result<()> {
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let emoji = guarded_emoji(&cluster, &installation).await?;
    installation.webhook_down()?;
    goes_on_without(&emoji, "dead").await?;
    installation.webhook_up()?;
    guards_again(&emoji, &installation).await?;
    installation.webhook_silent()?;
    goes_on_without(&emoji, "silent").await?;
    installation.webhook_up()?;
    guards_again(&emoji, &installation).await?;

    // The program keeps the CA of its own configuration right: a copy of it shows what a wrong one
    // does.
    let get = ["get", "validatingwebhookconfiguration", "linkerd-failover", "-o", "json"];
    let mut copy: Value = serde_json::from_str(&cluster.kubectl(get).ok().await?)?;
    copy["metadata"] = json!({"name": "copy"});
    let of_guard =
        |webhook: &Value| webhook["rules"][0]["resources"][0].to_string().contains("pods");
    let webhooks = copy["webhooks"].as_array().cloned().unwrap_or_default();
    let (guard, others): (Vec<Value>, Vec<Value>) = webhooks.into_iter().partition(of_guard);
    ensure!(guard.len() == 3, "{guard:?}");
    let patch = json!({ "webhooks": others }).to_string();
    let get = ["patch", "validatingwebhookconfiguration", "linkerd-failover", "--type=merge"];
    cluster.kubectl(get).args(["-p", &patch]).ok().await?;
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()])?.cert.pem();
    copy["webhooks"] = guard.into();
    for webhook in copy["webhooks"].as_array_mut().into_iter().flatten() {
        let bundle = k8s_openapi::ByteString(other.clone().into_bytes());
        webhook["clientConfig"]["caBundle"] = json!(bundle);
    }
    cluster.apply(&copy.to_string()).await?;
    goes_on_without(&emoji, "not believed").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_while_a_deletion_waits_for_it_holds_nothing_up_and_the_standby_flips()
-> Result<()> {
    let cluster = cluster().await?;
    let mut installation = Installation::install(&cluster, guard_options(0, &[])).await?;
    let proxy = ApiProxy::start(&cluster)?;
    // Who starts first leads.
    installation.start_replica_through(&proxy).await?;
    let dead = leader(&cluster, &installation).await?;
    installation.start_replica().await?;
    installation.wait_ready(PATIENCE).await?;
    wait_guard(&cluster, &installation).await?;
    let emoji = guarded_emoji(&cluster, &installation).await?;

    let mark = emoji.steady(1).await?;
    // Its flip does not reach the API server.
    proxy.freeze("/trafficsplits/emoji");
    let began = Instant::now();
    let deleted = async { emoji.delete_each_pod().await.map(|()| began.elapsed()) };
    let (took, killed) = tokio::join!(deleted, async {
        let seen = eventually("a deletion is in flight", Duration::from_secs(2), || async {
            let in_flight = total(&installation, "linkerd_failover_admissions_in_flight").await?;
            ensure!(in_flight > 0.0);
            Ok(())
        });
        println!("killed in between: {}", seen.await.is_ok());
        dead.process().kill()
    });
    killed?;
    let took = took?;
    println!("the deletion took {took:?}");
    ensure!(took < LONGEST, "{took:?}");
    emoji.not_early(mark).await?;
    emoji.workload.scale("emoji", 0).await?;
    emoji.weights(&AWAY).await
}
