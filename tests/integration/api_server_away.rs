//! The API server goes and comes back: nothing is written from old knowledge.

use crate::stage::*;
use anyhow::Result;
use test_cluster::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_api_server_is_away_ready_says_so_and_afterwards_all_is_right() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    let replica = &installation.replicas()[0];

    cluster.stop_api_server(true).await?;
    let (status, said) = eventually("/ready says that the caches are old", PATIENCE, || async {
        let (status, said) = test_cluster::get(replica.admin_addr(), "/ready").await?;
        anyhow::ensure!(status == 503, "{status} {said}");
        Ok::<_, anyhow::Error>((status, said))
    })
    .await?;
    assert!(status == 503 && said.contains("caches"), "{said}");
    assert_eq!(test_cluster::get(replica.admin_addr(), "/live").await?.0, 200);

    cluster.start_api_server().await?;
    replica.wait_ready(PATIENCE).await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    Ok(())
}
