//! The main job, end to end.

use crate::support::*;
use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use kube::api::WatchEvent;
use kube::api::WatchParams;

/// Every set of weights that a watcher sees of the splits of a namespace, until it is dropped.
fn all_zero_watcher(
    splits: kube::Api<kube::core::DynamicObject>,
) -> tokio::task::JoinHandle<Result<Vec<f64>>> {
    tokio::spawn(async move {
        let mut events = splits.watch(&WatchParams::default(), "0").await?.boxed();
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Added(split) | WatchEvent::Modified(split) = event {
                let weights = weights(&split);
                if weights.iter().all(|w| *w == 0.0) {
                    return Ok(weights);
                }
            }
        }
        std::future::pending().await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_leaves_a_primary_that_lost_its_endpoints_and_returns_with_them() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 2, &[]).await?;
    let (workload, west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    let never_all_zero = all_zero_watcher(splits.clone());

    let born = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!(annotation(&born, "primary-service").unwrap(), "emoji-svc");
    assert_eq!(
        annotation(&born, "authored-weights").unwrap(),
        serde_json::json!({"v": 1, "sets": {"": {"emoji-svc": 1, "emoji-svc-west": 0}}})
    );

    workload.scale("emoji", 0).await?;
    let failed_over = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let state = state(&failed_over).unwrap();
    assert_eq!(state.sets[""].active, ["emoji-svc-west"]);
    let note = wait_event(&workload, "emoji", "Failover", "Warning").await?;
    assert!(note.contains("moved from emoji-svc to emoji-svc-west"), "{note}");

    // The authored manifest again, by every way that people use: traffic stays.
    for how in [
        vec!["apply", "-f", "-"],
        vec!["apply", "--server-side", "--force-conflicts", "-f", "-"],
        vec!["replace", "-f", "-"],
    ] {
        workload.kubectl(how).stdin(emoji()).ok().await?;
        assert_eq!(weights(&splits.get("emoji").await?), [0.0, 1.0]);
    }

    // Nothing is ready anywhere: the weights stay.
    west.set_empty().await?;
    workload.wait_endpoints("emoji-svc-west", 0).await?;
    let dead = "the last fallback's loss was seen and nothing was written for it";
    test_cluster::eventually(dead, PATIENCE, || async {
        let split = splits.get("emoji").await?;
        anyhow::ensure!(weights(&split) == [0.0, 1.0], "{:?}", weights(&split));
        Ok::<_, anyhow::Error>(())
    })
    .await?;

    workload.scale("emoji", 1).await?;
    let back = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    assert_eq!(crate::support::state(&back).unwrap().sets[""].active, ["emoji-svc"]);
    let note = wait_event(&workload, "emoji", "Failover", "Normal").await?;
    assert!(note.contains("moved from emoji-svc-west to emoji-svc"), "{note}");

    anyhow::ensure!(!never_all_zero.is_finished(), "all-zero weights: {:?}", never_all_zero.await);
    never_all_zero.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_that_cannot_be_read_stops_no_other_and_is_reported() -> Result<()> {
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    // Before the webhook is there to refuse it: it has no readable primary.
    let misnamed = named("misnamed").replace(
        "  labels:",
        "  annotations:\n    failover.linkerd.io/primary-service: emoji-scv\n  labels:",
    );
    workload.apply(&misnamed).await?;
    workload.apply(&emoji()).await?;
    let installation = install(&cluster, 1, &[]).await?;

    workload.scale("emoji", 0).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let note = wait_event(&workload, "misnamed", "Unreadable", "Warning").await?;
    assert!(note.contains("primary-service]: found \"emoji-scv\""), "{note}");
    let left = splits.get("misnamed").await?;
    assert_eq!(weights(&left), [1.0, 0.0]);
    assert!(left.metadata.annotations.is_some_and(|a| a.len() == 2), "only its author's");
    wait_metric(&installation.replicas()[0], "linkerd_failover_unreadable_objects", 1.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_of_the_predecessor_works_without_an_edit_also_with_all_weights_zero() -> Result<()>
{
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    // As the predecessor leaves one when nothing was ready.
    let zeros = emoji().replace("weight: 1", "weight: 0").replace(
        "  labels:",
        "  annotations:\n    failover.linkerd.io/primary-service: emoji-svc\n  labels:",
    );
    workload.apply(&zeros).await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    Ok(())
}
