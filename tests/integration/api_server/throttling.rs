//! An API server that turns writes away with 429, and says when to come again.

use crate::support::*;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use test_cluster::eventually;

const THROTTLED: &str = "linkerd_failover_writes_total{result=\"throttled\"}";

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_flip_comes_again_when_it_is_asked_to_and_holds_up_no_other() -> Result<()> {
    let cluster = cluster().await?;
    let (installation, proxy) = install_behind_a_proxy(&cluster).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    for name in ["throttled", "free"] {
        workload.apply(&manifest(name, "emoji-svc", &["emoji-svc-west"])).await?;
        wait_weights(&splits, name, &[1.0, 0.0]).await?;
    }
    let replica = &installation.replicas()[0];

    proxy.throttle("/trafficsplits/throttled", 4);
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "free", &[0.0, 1.0]).await?;
    eventually("a write is turned away", PATIENCE, || async {
        let throttled = metric(&replica.get("/metrics").await?, THROTTLED);
        ensure!(throttled >= Some(1.0), "{throttled:?}");
        Ok(())
    })
    .await?;

    // Of a minute's worth of usual retries only those that were asked for are made.
    let (began, first) = (Instant::now(), proxy.requests("/trafficsplits/throttled"));
    tokio::time::sleep(Duration::from_secs(9)).await;
    let tries = proxy.requests("/trafficsplits/throttled") - first;
    let asked = began.elapsed().as_secs() as usize / 4 + 1;
    ensure!(tries <= asked, "{tries} tries in {:?}", began.elapsed());
    assert_eq!(weights(&splits.get("throttled").await?), [1.0, 0.0]);

    proxy.thaw();
    wait_weights(&splits, "throttled", &[0.0, 1.0]).await?;
    Ok(())
}
