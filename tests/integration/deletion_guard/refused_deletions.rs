//! Losses that are announced and do not come, and what comes of those that do.

use crate::support::deletion_guard::*;
use crate::support::*;
use anyhow::{Result, ensure};
use serde_json::json;
use std::time::Duration;
use test_cluster::{Installation, eventually};

/// What the program believes an announcement for, and a good part more.
const BELIEVED: Duration = Duration::from_secs(90);

const TAKEN_BACK: &str = "linkerd_failover_guard_taken_back_total";

/// Waits until traffic is back, however long that was to take.
async fn wait_back(emoji: &Guarded<'_>, mark: u64) -> Result<()> {
    eventually("traffic has gone back", BELIEVED, || async {
        let moves = emoji.since(mark).await?.moves("emoji");
        let to: Vec<_> = moves.iter().map(|one| one.to.clone()).collect();
        ensure!(to == [AWAY, BACK], "{moves:?}");
        Ok(())
    })
    .await
}

/// The pod that was to go is there still, and was never gone.
async fn still_there(emoji: &Guarded<'_>, mark: u64) -> Result<()> {
    let history = emoji.since(mark).await?;
    ensure!(history.first_end().is_none() && history.loss("emoji-svc").is_none(), "{history}");
    Ok(())
}

/// A write is counted once it is answered, which is after others have seen it.
async fn wait_taken_back(installation: &Installation, wanted: f64) -> Result<()> {
    eventually(&format!("{wanted} announcements are taken back"), PATIENCE, || async {
        let taken_back = total(installation, TAKEN_BACK).await?;
        ensure!(taken_back == wanted, "{taken_back}");
        Ok(())
    })
    .await
}

async fn wait_verdict(installation: &Installation, verdict: &str, above: f64) -> Result<()> {
    eventually(&format!("more than {above} deletions are {verdict}"), PATIENCE, || async {
        let counted = verdicts(installation, verdict).await?;
        ensure!(counted > above, "{counted}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_a_budget_refuses_is_believed_once_and_traffic_goes_back_whatever_failback_says()
-> Result<()> {
    let cluster = cluster().await?;
    cluster.add_node("drained").await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let workload = guarded_namespace(&cluster, "emojivoto").await?;
    let emoji = Guarded::deploy(&installation, workload, pods("emoji").node("drained")).await?;
    emoji.annotate("failback=manual").await?;
    emoji.annotate("failback-delay=5m").await?;
    let budget = ["create", "poddisruptionbudget", "emoji", "--min-available=1"];
    emoji.workload.kubectl(budget).args(["--selector=app=emoji-svc"]).ok().await?;

    let mark = emoji.steady(1).await?;
    let drain = cluster.kubectl(["drain", "drained", "--force", "--timeout=240s"]);
    let drain = tokio::spawn(drain.output());
    emoji.weights(&AWAY).await?;
    wait_back(&emoji, mark).await?;
    let note = wait_event(&emoji.workload, "emoji", "Failover", "Normal").await?;
    ensure!(note.contains("not lost after all"), "{note}");
    wait_taken_back(&installation, 1.0).await?;

    // kubectl tries again every five seconds, and moves nothing.
    let before = verdicts(&installation, "not_believed").await?;
    wait_verdict(&installation, "not_believed", before + 1.0).await?;
    wait_back(&emoji, mark).await?;
    still_there(&emoji, mark).await?;
    ensure!(!drain.is_finished(), "{:?}", drain.await);

    // The budget lets it go at last: what nobody believes is lost first.
    let mark = emoji.steady(1).await?;
    emoji.workload.kubectl(["delete", "poddisruptionbudget", "emoji"]).ok().await?;
    emoji.not_early(mark).await?;
    let drained = drain.await??;
    ensure!(drained.status.success(), "{}", drained.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_another_webhook_denies_is_taken_back_and_a_policys_denial_comes_first()
-> Result<()> {
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let emoji = guarded_emoji(&cluster, &installation).await?;
    let delete = || emoji.workload.kubectl(["delete", "pod", "--selector=app=emoji-svc"]).output();

    // Kubernetes asks policies before it asks webhooks.
    let mark = emoji.steady(1).await?;
    let pods = Refused { group: "", operation: "DELETE", resource: "pods" };
    let nobody = json!({"expression": "false", "message": "nobody may"});
    deny_by_policy(&cluster, "denied", pods, nobody).await?;
    eventually("the policy denies", PATIENCE, || async {
        let dry = ["delete", "pod", "--dry-run=server", "--selector=app=emoji-svc"];
        let denied = emoji.workload.kubectl(dry).output().await?;
        ensure!(denied.stderr.contains("nobody may"), "{}", denied.stderr);
        Ok(())
    })
    .await?;
    let denied = delete().await?;
    ensure!(denied.stderr.contains("nobody may"), "{}", denied.stderr);
    emoji.no_move(mark).await?;
    let kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings";
    cluster.kubectl(["delete", kinds, "denied"]).ok().await?;

    // Webhooks are all asked at once.
    let third = refusing("''", "pods").replace("[UPDATE]", "[DELETE]");
    cluster.apply(&third).await?;
    eventually("the third webhook refuses", PATIENCE, || async {
        let dry = ["delete", "pod", "--dry-run=server", "--selector=app=emoji-svc"];
        let denied = emoji.workload.kubectl(dry).output().await?;
        ensure!(denied.stderr.contains(OTHER_WEBHOOK), "{}", denied.stderr);
        Ok(())
    })
    .await?;
    let mark = emoji.steady(1).await?;
    let denied = delete().await?;
    ensure!(denied.stderr.contains(OTHER_WEBHOOK), "{}", denied.stderr);
    wait_back(&emoji, mark).await?;
    still_there(&emoji, mark).await?;
    wait_taken_back(&installation, 1.0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_comes_is_one_as_any_other_also_to_a_leader_that_has_not_seen_it() -> Result<()>
{
    let cluster = cluster().await?;
    let installation = install_guard(&cluster, 1, &[]).await?;
    let emoji = guarded_emoji(&cluster, &installation).await?;
    emoji.annotate("failback=manual").await?;
    for restart in [false, true] {
        let scale = async || emoji.workload.scale("emoji", 0).await;
        let before = emoji.moves_early_from(1, scale).await?;
        if restart {
            installation.replicas()[0].restart().await?;
            installation.replicas()[0].wait_ready(PATIENCE).await?;
        }
        emoji.workload.scale("emoji", 1).await?;
        emoji.workload.wait_endpoints("emoji-svc", 1).await?;
        // Long enough to see the endpoint, and the moment at which announcements are forgotten.
        tokio::time::sleep(Duration::from_secs(35)).await;
        let history = emoji.since(before.mark()).await?;
        ensure!(history.moves("emoji").len() == 1, "restarted: {restart}; {history}");
        emoji.annotate(&format!("failback-requested={}", jiff::Timestamp::now())).await?;
        emoji.weights(&BACK).await?;
        // A stay that begins within the same second would end by it too.
        emoji.annotate("failback-requested-").await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_of_primary_and_fallback_gives_nothing_back_to_what_is_let_go() -> Result<()> {
    let cluster = cluster().await?;
    cluster.add_node("drained").await?;
    let installation = install_guard(&cluster, 2, &[]).await?;
    let workload = guarded_namespace(&cluster, "emojivoto").await?;
    for name in ["emoji", "backup"] {
        workload.deploy_as(&pods(name).node("drained")).await?;
    }
    let budget = ["create", "poddisruptionbudget", "backup", "--min-available=1"];
    workload.kubectl(budget).args(["--selector=app=backup-svc"]).ok().await?;
    workload.apply(&manifest("emoji", "emoji-svc", &["backup-svc"])).await?;
    let west = workload.mirror("emoji-svc", "west").await?;
    let managed = linkerd_failover::kinds::traffic_split::api_resource();
    let emoji = Guarded::record(&installation, workload, west, managed).await?;

    let mark = emoji.steady(1).await?;
    // The fallback's pod is asked about again and again, and stays.
    let drain = cluster.kubectl(["drain", "drained", "--force", "--timeout=20s"]).output().await?;
    ensure!(!drain.status.success(), "{}", drain.stdout);
    let (loss, history) = emoji.loss(mark).await?;
    let moves = history.moves("emoji");
    let before: Vec<_> = moves.iter().filter(|one| one.number < loss).collect();
    ensure!(before.len() <= 1, "{moves:?}; {history}");
    ensure!(before.iter().all(|one| one.to == AWAY), "{moves:?}; {history}");
    // A new pod of the primary is there by now.
    emoji.weights(&BACK).await?;
    ensure!(total(&installation, TAKEN_BACK).await? == 0.0);
    for replica in installation.replicas() {
        let silent = metric(&replica.get("/metrics").await?, "linkerd_failover_silent");
        ensure!(silent == Some(0.0), "{} fought the other", replica.name());
    }
    Ok(())
}
