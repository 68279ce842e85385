//! The API server goes and comes back: nothing is written from old knowledge.

use crate::support::*;
use anyhow::Result;
use test_cluster::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_api_server_is_away_ready_fails_and_afterwards_all_is_right() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;
    let replica = &installation.replicas()[0];

    cluster.stop_api_server(true).await?;
    let (status, reply) =
        eventually("/ready fails because the caches are old", PATIENCE, || async {
            let (status, reply) = test_cluster::get(replica.admin_addr(), "/ready").await?;
            anyhow::ensure!(status == 503, "{status} {reply}");
            Ok::<_, anyhow::Error>((status, reply))
        })
        .await?;
    assert!(status == 503 && reply.contains("caches"), "{reply}");
    assert_eq!(test_cluster::get(replica.admin_addr(), "/live").await?.0, 200);

    cluster.start_api_server().await?;
    replica.wait_ready(PATIENCE).await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_failover_of_200_splits_all_end_right_and_none_went_back()
-> Result<()> {
    const SPLITS: usize = 200;
    let cluster = cluster().await?;
    let installation = install(&cluster, 2, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let manifests: Vec<String> = (0..SPLITS).map(|i| named(&format!("emoji-{i}"))).collect();
    workload.apply(&manifests.join("---\n")).await?;
    let splits = splits(&cluster, "emojivoto");
    let count = async |wanted: &[f64]| -> Result<usize> {
        let list = splits.list(&Default::default()).await?;
        Ok(list.items.iter().filter(|split| weights(split) == wanted).count())
    };
    assert_eq!(count(&[1.0, 0.0]).await?, SPLITS);

    workload.scale("emoji", 0).await?;
    eventually("the first splits have flipped", PATIENCE, || async {
        anyhow::ensure!(count(&[0.0, 1.0]).await? > 0);
        Ok(())
    })
    .await?;
    cluster.stop_api_server(true).await?;
    cluster.start_api_server().await?;
    for replica in installation.replicas() {
        replica.wait_ready(PATIENCE).await?;
    }
    eventually("all splits have flipped", PATIENCE, || async {
        let done = count(&[0.0, 1.0]).await?;
        anyhow::ensure!(done == SPLITS, "{done} of {SPLITS}");
        Ok(())
    })
    .await?;
    // Each was moved once: generation counts the writes of spec. One that had been brought back and
    // moved again would have more.
    for split in splits.list(&Default::default()).await?.items {
        assert_eq!(split.metadata.generation, Some(2), "{:?}", split.metadata.name);
    }
    Ok(())
}
