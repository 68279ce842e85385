//! The API server of a linked cluster goes and comes back; another never was there.

use crate::support::linked_clusters::*;
use crate::support::*;
use anyhow::Result;
use test_cluster::{Link, eventually};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_reached_is_unknown_kept_and_chosen_only_when_nothing_else_is_left()
-> Result<()> {
    let (east, west) = east_and_west().await?;
    let link = link(&east, &west).await?;
    let installation = install(&east, 1, &[CREDENTIALS, "remoteUnreachableAfter=1h"]).await?;
    let replica = &installation.replicas()[0];
    let (here, _there) = west_active(&east, &west, replica).await?;
    let splits = splits(&east, "emojivoto");

    // What it has it keeps, although another is known to be ready.
    west.stop_api_server(true).await?;
    wait_reachable(replica, Some(0.0)).await?;
    let event = wait_link_event(&east, &link, "RemoteUnreachable").await?;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let note = event.note.unwrap_or_default();
    assert!(note.starts_with("Cluster west cannot be reached: connection refused."), "{note}");
    assert_eq!(weights(&splits.get("emoji").await?), [0.0, 1.0, 0.0]);
    // It is a linked cluster that is away, and not this program.
    replica.get("/ready").await?;

    // What it has not it gets only when nothing that is known to be ready is left.
    here.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0, 0.0]).await?;
    here.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 0.0, 1.0]).await?;
    here.scale("backup", 0).await?;
    let unknown = wait_weights(&splits, "emoji", &[0.0, 1.0, 0.0]).await?;
    let why = &state(&unknown).unwrap().sets[""].why.clone();
    assert!(why.contains("health unknown, cluster west cannot be reached since"), "{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stays_away_for_too_long_is_down_and_is_back_when_it_answers() -> Result<()> {
    let (east, west) = east_and_west().await?;
    let link = link(&east, &west).await?;
    let installation = install(&east, 1, &[CREDENTIALS, "remoteUnreachableAfter=1s"]).await?;
    let replica = &installation.replicas()[0];
    let (here, _there) = west_active(&east, &west, replica).await?;
    let splits = splits(&east, "emojivoto");

    west.stop_api_server(true).await?;
    let moved = wait_weights(&splits, "emoji", &[0.0, 0.0, 1.0]).await?;
    let note = wait_event(&here, "emoji", "Failover", "Warning").await?;
    assert!(note.contains("moved from"), "{note}");
    assert_eq!(state(&moved).unwrap().sets[""].active, ["backup-svc"]);
    wait_link_event(&east, &link, "RemoteUnreachable").await?;
    let down = wait_link_event(&east, &link, "RemoteDown").await?;
    assert_eq!(down.type_.as_deref(), Some("Warning"));
    let why = &state(&moved).unwrap().sets[""].why.clone();
    assert!(why.contains("backup-svc: 1 of 1 endpoints ready"), "{why}");

    west.start_api_server().await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0, 0.0]).await?;
    let back = wait_link_event(&east, &link, "RemoteReachable").await?;
    assert_eq!(back.type_.as_deref(), Some("Normal"));
    let metrics = replica.get("/metrics").await?;
    for to in ["unreachable", "down", "reachable"] {
        let name =
            format!("linkerd_failover_remote_transitions_total{{cluster=\"west\",to=\"{to}\"}}");
        assert!(metric(&metrics, &name) >= Some(1.0), "{name}\n{metrics}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_never_answers_delays_nobody() -> Result<()> {
    let (east, west) = east_and_west().await?;
    link(&east, &west).await?;
    // It takes connections, and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let north = Link::to("north", &format!("https://{}", silent.local_addr()?), &east);
    north.apply(&east).await?;
    let installation = install(&east, 1, &[CREDENTIALS, "remoteUnreachableAfter=1s"]).await?;
    let (here, there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    for cluster in ["north", "west"] {
        here.discovery_mirror("emoji-svc", cluster).await?;
    }
    here.apply(&split("emoji", &["emoji-svc-north", "emoji-svc-west"])).await?;
    let splits = splits(&east, "emojivoto");
    wait_reachable(&installation.replicas()[0], Some(1.0)).await?;

    here.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 0.0, 1.0]).await?;
    wait_link_event(&east, &north, "RemoteUnreachable").await?;
    wait_link_event(&east, &north, "RemoteDown").await?;
    there.scale("emoji", 0).await?;
    // Held: what is known to be down is no better than what is empty.
    eventually("west's loss is seen", PATIENCE, || async {
        let annotate = ["annotate", "trafficsplit", "emoji", "note=x", "--dry-run=server"];
        let reply = here.kubectl(annotate).output().await?.stderr;
        for words in ["cluster west, where it has no", "cluster north cannot be reached since"] {
            anyhow::ensure!(reply.contains(words), "{words}: {reply}");
        }
        Ok(())
    })
    .await?;
    assert_eq!(weights(&splits.get("emoji").await?), [0.0, 0.0, 1.0]);
    Ok(())
}
