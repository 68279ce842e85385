//! Where the CPU goes, of linkerd-failover and of the API server: while 1,000 splits on one primary flip
//! again and again, and while the webhook has 200 reviews a second. Measured only where it is named, by
//! `make bench-profile`, which keeps the program's symbols.

use super::webhook::reviews;
use crate::support::bench::Site;
use crate::support::load::WebhookClient;
use crate::support::pair::{Contents, Pair, admin};
use anyhow::{Context, Result, ensure};
use axum::body::{Body, to_bytes};
use bench_table::Row;
use http::Request;
use std::path::Path;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, target_dir, webhook_ca};
use tokio::process::Command;

/// The lines that are printed of each.
const LARGEST: usize = 15;
const PROFILE: usize = 1 << 26;

pub(super) async fn measure(site: Site<'_>) -> Result<Vec<Row>> {
    let Site { options, cluster, installation } = site;
    std::fs::create_dir_all(target_dir().join("bench"))?;
    let time = options.scaled(Duration::from_secs(30));
    let pid = installation.replicas()[0].process().pid();
    let mut pair = Pair::new(cluster, installation, Contents::splits("profiled", 1_000)).await?;
    let flips = async {
        let began = Instant::now();
        for leg in 0.. {
            if began.elapsed() > time {
                break;
            }
            pair.leg(0, leg % 2 == 1).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(flips, of_program(pid, time, "flips"), of_api_server(cluster, time, "flips"))?;
    pair.remove().await?;

    let bodies = reviews(cluster).await?;
    let ca = webhook_ca(cluster).await?;
    let webhook = WebhookClient::new(installation.replicas()[0].webhook_addr(), &ca)?;
    let load = async {
        let began = Instant::now();
        while began.elapsed() < time {
            webhook.at_steady_rate("/mutate", &bodies).await?;
            webhook.at_steady_rate("/validate", &bodies).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(load, of_program(pid, time, "webhook"))?;
    Ok(vec![])
}

/// Of linkerd-failover, by perf.
async fn of_program(pid: u32, time: Duration, name: &str) -> Result<()> {
    let file = target_dir().join(format!("bench/{name}-program.perf"));
    let file = file.to_str().context("a path that is not UTF-8")?;
    let (pid, seconds) = (pid.to_string(), time.as_secs().max(1).to_string());
    let record = ["record", "-q", "-F", "999", "-o", file, "-p", &pid, "--", "sleep", &seconds];
    run("perf", &record).await?;
    let fields = "--fields=overhead,symbol";
    let report = run("perf", &["report", "--stdio", "--no-children", fields, "-i", file]).await?;
    let lines = report.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    print(&format!("linkerd-failover, {name}"), lines, Path::new(file));
    Ok(())
}

/// Of the API server, by its own profiler.
async fn of_api_server(cluster: &Cluster, time: Duration, name: &str) -> Result<()> {
    let path = format!("/debug/pprof/profile?seconds={}", time.as_secs().max(1));
    let request = Request::get(path).body(vec![])?.map(kube::client::Body::from);
    let client = admin(cluster).await?;
    let response = tokio::time::timeout(2 * time + Duration::from_secs(30), client.send(request));
    let response = response.await.context("the API server gives no profile")??;
    ensure!(response.status() == 200, "/debug/pprof/profile answers {}", response.status());
    let profile = to_bytes(Body::new(response.into_body()), PROFILE).await?;
    let file = target_dir().join(format!("bench/{name}-api-server.pprof"));
    std::fs::write(&file, profile)?;
    let of_file = file.to_str().context("a path that is not UTF-8")?;
    let count = format!("-nodecount={LARGEST}");
    for (what, sort) in [("flat", "-flat"), ("cumulated", "-cum")] {
        let top = run("go", &["tool", "pprof", "-top", sort, &count, of_file]).await?;
        print(&format!("kube-apiserver, {name}, {what}"), top.lines(), &file);
    }
    Ok(())
}

fn print<'a>(title: &str, lines: impl Iterator<Item = &'a str>, file: &Path) {
    println!("\n{title} ({})", file.display());
    lines.take(LARGEST + 6).for_each(|line| println!("  {}", line.trim_end()));
}

/// What a program prints.
async fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("{program} is needed for a profile"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {}", errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
