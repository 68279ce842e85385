//! Objects that have nothing ready anywhere.

use crate::support::*;
use anyhow::{Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use std::time::Duration;
use test_cluster::{Workload, eventually};

const COUNTED: &str = "linkerd_failover_nothing_ready_objects";

/// The types and notes of the Events that report it.
async fn events(workload: &Workload<'_>) -> Result<Vec<(String, String)>> {
    let events = workload.api::<Event>().list(&ListParams::default()).await?;
    let reported = events.items.into_iter().filter(|e| e.reason.as_deref() == Some("NothingReady"));
    Ok(reported.map(|e| (e.type_.unwrap_or_default(), e.note.unwrap_or_default())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_taken_over_with_nothing_ready_is_reported_once_and_when_it_ends() -> Result<()> {
    let cluster = cluster().await?;
    let workload = Workload::new(&cluster, "emojivoto").await?;
    workload.deploy_emoji(0).await?;
    workload.apply(&manifest("emoji", "emoji-svc", &["nowhere"])).await?;

    let installation = install(&cluster, 2, &[]).await?;
    let note = wait_event(&workload, "emoji", "NothingReady", "Warning").await?;
    assert!(note.contains("emoji-svc: no endpoints, nowhere: no such Service"), "{note}");
    let splits = splits(&cluster, "emojivoto");
    eventually("the state has it too", PATIENCE, || async {
        let state = annotation(&splits.get("emoji").await?, "state").unwrap_or_default();
        ensure!(state["sets"][""]["nothingReady"].is_string(), "{state}");
        Ok(())
    })
    .await?;
    let first = leader(&cluster, &installation).await?;
    wait_metric(&first, COUNTED, 1.0).await?;

    // Another leads: it is reported already.
    first.process().terminate(PATIENCE).await?;
    let second = leader(&cluster, &installation).await?;
    wait_metric(&second, COUNTED, 1.0).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let reported = events(&workload).await?;
    assert_eq!(reported.len(), 1, "{reported:?}");

    workload.scale("emoji", 1).await?;
    let note = wait_event(&workload, "emoji", "NothingReady", "Normal").await?;
    assert!(note.contains("emoji-svc: 1 of 1 endpoints ready"), "{note}");
    eventually("it has ended everywhere", PATIENCE, || async {
        let split = splits.get("emoji").await?;
        let state = annotation(&split, "state").unwrap_or_default();
        ensure!(state["sets"][""]["nothingReady"].is_null(), "{state}");
        ensure!(weights(&split) == [1.0, 0.0], "{:?}", weights(&split));
        Ok(())
    })
    .await?;
    let last = leader(&cluster, &installation).await?;
    wait_metric(&last, COUNTED, 0.0).await?;
    let reported = events(&workload).await?;
    assert_eq!(reported.len(), 2, "{reported:?}");
    Ok(())
}
