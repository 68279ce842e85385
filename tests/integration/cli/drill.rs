//! Drills through a real API server: each way in which the traffic comes back.

use super::by_hand::{refused, run, value};
use crate::support::*;
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::Api;
use kube::core::DynamicObject;
use std::future::Future;
use test_cluster::{Cluster, Output};

const EMOJI: &str = "trafficsplit/emoji -n emojivoto";

/// Drills, does something once the traffic is on the fallback, and waits for the drill's end.
async fn drill(
    cluster: &Cluster,
    splits: &Api<DynamicObject>,
    redirected: &str,
    then: impl Future<Output = Result<()>>,
) -> Result<Output> {
    let pid = cluster.folder().join("drill.pid");
    let pid = pid.display();
    let line = format!(
        "/bin/sh -c 'echo $$ > {pid}; exec {PROGRAM} drill {EMOJI} --for 10m' {redirected}"
    );
    let during = async {
        wait_weights(splits, "emoji", &[0.0, 1.0]).await?;
        then.await
    };
    let (ended, done) = tokio::join!(cluster.sh(&line).output(), during);
    done?;
    ended
}

async fn kill(cluster: &Cluster, signals: &[&str]) -> Result<()> {
    let pid = cluster.folder().join("drill.pid");
    let kill = signals.iter().map(|signal| format!("kill -{signal} $(cat {});", pid.display()));
    cluster.sh(&kill.collect::<String>()).ok().await?;
    Ok(())
}

async fn is_back(splits: &Api<DynamicObject>) -> Result<()> {
    let split = wait_weights(splits, "emoji", &[1.0, 0.0]).await?;
    ensure!(value(&split, "pin").is_none() && value(&split, "pin-until").is_none(), "{split:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_comes_back_whatever_ends_it() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, west, splits) = emojivoto_with_split(&cluster).await?;

    let short = refused(&cluster, &format!("drill {EMOJI} --for 1s")).await?;
    ensure!(short.stderr.contains("expected 10s to"), "{short:?}");

    // Ctrl-C.
    let ended = drill(&cluster, &splits, "", kill(&cluster, &["INT"])).await?;
    ensure!(ended.status.success(), "{ended:?}");
    for line in [
        "calling the traffic back: interrupted",
        "emoji-svc-west had at least 1 ready endpoints, of 1 then",
        "nobody else changed the object meanwhile",
        "traffic had left emoji-svc-west",
    ] {
        ensure!(ended.stdout.contains(line), "{line}: {ended:?}");
    }
    is_back(&splits).await?;

    // The terminal closes: nobody reads any more, and the signal comes twice.
    let closed = kill(&cluster, &["HUP", "HUP"]);
    drill(&cluster, &splits, "2>&1 | head -n 1", closed).await?;
    is_back(&splits).await?;

    // The fallback weakens.
    let weakens = async { west.set_empty().await };
    let ended = drill(&cluster, &splits, "", weakens).await?;
    ensure!(!ended.status.success(), "{ended:?}");
    ensure!(ended.stdout.contains("the fallback is not ready any more"), "{ended:?}");
    is_back(&splits).await?;
    let none = refused(&cluster, &format!("drill {EMOJI} --for 5m")).await?;
    ensure!(none.stderr.contains("no fallback that is ready"), "{none:?}");
    west.set_ready().await?;
    workload.wait_endpoints("emoji-svc-west", 1).await?;

    // Somebody else pins it meanwhile: theirs stays, and there is no other drill then.
    let pins = async {
        run(&cluster, &format!("pin {EMOJI} emoji-svc-west --reason mine")).ok().await?;
        Ok(())
    };
    let ended = drill(&cluster, &splits, "", pins).await?;
    ensure!(!ended.status.success(), "{ended:?}");
    ensure!(ended.stdout.contains("somebody else has changed the pin"), "{ended:?}");
    assert_eq!(value(&splits.get("emoji").await?, "pin").as_deref(), Some("emoji-svc-west"));
    let pinned = refused(&cluster, &format!("drill {EMOJI} --for 5m")).await?;
    ensure!(pinned.stderr.contains("not as usual (pinned)"), "{pinned:?}");
    run(&cluster, &format!("unpin {EMOJI}")).ok().await?;
    is_back(&splits).await?;

    // The terminal is killed: the pin ends by itself.
    let out = cluster.folder().join("drill.out");
    let out = out.display();
    let killed = format!(
        "{PROGRAM} drill {EMOJI} --for 12s > {out} 2>&1 & pid=$!
        n=0; until grep -q 'traffic moved' {out}; do n=$((n+1)); [ $n -lt 600 ] || break; sleep 0.1; done
        kill -KILL $pid; cat {out}"
    );
    cluster.sh(&killed).ok().await?;
    let until = value(&splits.get("emoji").await?, "pin-until").context("the pin has gone")?;
    let split = wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    ensure!(Timestamp::now() >= until.parse()?, "the pin ended before its time");
    assert_eq!(value(&split, "pin").as_deref(), Some("emoji-svc-west"));

    // Nobody would move the traffic.
    for replica in installation.replicas() {
        replica.process().terminate(PATIENCE).await?;
    }
    let unled = refused(&cluster, &format!("drill {EMOJI} --for 5m")).await?;
    ensure!(unled.stderr.contains("no replica that leads"), "{unled:?}");
    Ok(())
}
