//! The test cluster itself: starts, works, and leaves nothing behind.

use anyhow::Context;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, Workload, eventually, stop_kept};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(60);

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

async fn all_gone(pids: Vec<u32>) -> anyhow::Result<()> {
    eventually("every process is gone", PATIENCE, || async {
        match pids.iter().find(|pid| runs(**pid)) {
            Some(pid) => Err(format!("{pid} runs")),
            None => Ok(()),
        }
    })
    .await
}

#[tokio::test]
async fn two_clusters_side_by_side() -> anyhow::Result<()> {
    let began = Instant::now();
    let (one, other) = tokio::try_join!(Cluster::start(), Cluster::start())?;
    println!("two clusters in {:?}", began.elapsed());
    let pids: Vec<u32> =
        [&one, &other].iter().flat_map(|cluster| cluster.pids()).map(|(_, pid)| pid).collect();
    assert_eq!(pids.len(), 8);
    let folder = one.folder().to_path_buf();

    one.install_traffic_split_crd().await?;
    let emojivoto = Workload::new(&one, "emojivoto").await?;
    let began = Instant::now();
    emojivoto.deploy_emoji(2).await?;
    println!("emoji ready in {:?}", began.elapsed());
    emojivoto.scale("emoji", 0).await?;
    let began = Instant::now();
    emojivoto.wait_endpoints("emoji-svc", 0).await?;
    println!("its slice empty in {:?}", began.elapsed());

    let west = emojivoto.mirror("emoji-svc", "west").await?;
    assert_eq!(west.service(), "emoji-svc-west");
    west.set_not_ready().await?;
    emojivoto.wait_endpoints(west.service(), 0).await?;
    west.set_ready().await?;
    emojivoto.wait_endpoints(west.service(), 1).await?;
    west.set_empty().await?;
    emojivoto.wait_endpoints(west.service(), 0).await?;

    emojivoto.service_with_slice("by-hand", 2).await?;
    emojivoto.set_ready("by-hand", 3).await?;
    emojivoto.wait_endpoints("by-hand", 3).await?;

    for kill in [true, false] {
        let began = Instant::now();
        one.stop_api_server(kill).await?;
        println!("API server stopped (kill: {kill}) in {:?}", began.elapsed());
        one.get_raw("/readyz").await.expect_err("it is stopped");
        let began = Instant::now();
        one.start_api_server().await?;
        println!("API server started in {:?}", began.elapsed());
    }
    let began = Instant::now();
    emojivoto.scale("emoji", 1).await?;
    emojivoto.wait_endpoints("emoji-svc", 1).await?;
    println!("controllers back in {:?}", began.elapsed());
    assert_eq!(one.pids().len(), 4);
    let elsewhere = other.kubectl(["get", "namespace", "emojivoto"]).output();
    assert!(elsewhere.await?.stderr.contains("not found"));

    let began = Instant::now();
    other.stop().await?;
    println!("stopped in good order in {:?}", began.elapsed());
    drop(one);
    assert!(!pids.into_iter().any(runs));
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn a_killed_owner_leaves_no_processes() -> anyhow::Result<()> {
    let (mut holder, folder, pids) = hold(&[]).await?;
    assert!(pids.iter().all(|pid| runs(*pid)));
    holder.kill().await?;
    all_gone(pids).await?;
    // The next one sweeps.
    let next = Cluster::start().await?;
    assert!(!Path::new(&folder).exists());
    drop(next);
    Ok(())
}

#[tokio::test]
async fn a_kept_cluster_runs_until_it_is_stopped() -> anyhow::Result<()> {
    let (mut holder, folder, pids) = hold(&["keep"]).await?;
    holder.kill().await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(pids.iter().all(|pid| runs(*pid)));
    let stopped = tokio::task::spawn_blocking(move || stop_kept(Path::new(&folder))).await??;
    assert_eq!(stopped.len(), pids.len());
    all_gone(pids).await
}

/// Starts a cluster in a process of its own; returns that, and the cluster's
/// folder and processes.
async fn hold(args: &[&str]) -> anyhow::Result<(Child, String, Vec<u32>)> {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_test-cluster-hold"))
        .args(args)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = holder.stdout.take().context("no output")?;
    let mut lines = BufReader::new(output).lines();
    let folder = lines.next_line().await?.context("no cluster")?;
    let mut pids = Vec::new();
    while let Some(line) = lines.next_line().await? {
        if line.is_empty() {
            break;
        }
        pids.push(line.parse()?);
    }
    assert_eq!(pids.len(), 4);
    Ok((holder, folder, pids))
}
