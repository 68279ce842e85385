//! Flip before the loss: what is to be lost is announced, and by the resource versions of one etcd
//! the weights move first.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::{Result, ensure};

#[tokio::test(flavor = "multi_thread")]
async fn scaled_to_zero_the_weights_move_before_the_last_endpoint_goes_fifty_times_of_fifty()
-> Result<()> {
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let emoji = guarded_emoji(&cluster, &installation).await?;
    let late_before = emoji.late().await?;
    for round in 0..50 {
        let replicas = [1, 3, 10][round % 3];
        emoji.moves_early_from(replicas, async || emoji.workload.scale("emoji", 0).await).await?;
        // Nobody takes it back.
        emoji.workload.wait_endpoints("emoji-svc", 0).await?;
        emoji.weights(&AWAY).await?;
    }
    for verdict in ["flipped", "no_flip", "unconcerned", "too_late", "bound", "no_judge"] {
        println!("{verdict}: {}", verdicts(&installation, verdict).await?);
    }

    let mut forwarded = 0.0;
    for replica in installation.replicas() {
        let metrics = replica.get("/metrics").await?;
        let asked = sum_of_metric(&metrics, "linkerd_failover_guard_deletions_total");
        ensure!(asked > 0.0, "{} has reviewed no deletion", replica.name());
        println!("{} has reviewed {asked}", replica.name());
        forwarded += sum_of_metric(&metrics, "linkerd_failover_guard_forwarded_total");
    }
    ensure!(forwarded > 0.0, "no deletion was forwarded to the leader");
    // Were it not, every second deletion would be late.
    let late = emoji.late().await? - late_before;
    ensure!(late <= 25.0, "{late} deletions were late");
    ensure!(total(&installation, "linkerd_failover_guard_delayed_total").await? >= 50.0);
    ensure!(total(&installation, "linkerd_failover_guard_taken_back_total").await? == 0.0);
    let note = wait_event(&emoji.workload, "emoji", "Failover", "Warning").await?;
    let early = "moved from emoji-svc to emoji-svc-west, ahead of the deletion of pod";
    ensure!(note.contains(early), "{note}");
    Ok(())
}
