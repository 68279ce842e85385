//! `make demo`: the main job on a real cluster, told as the story of the emojivoto workshop.
//!
//! Every step is checked; the first that fails ends the demo with a non-zero status.

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use kube::core::DynamicObject;
use linkerd_failover::resources::traffic_split;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use test_cluster::{Cluster, InstallOptions, Installation, Workload};

const PATIENCE: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "emojivoto";
const EXAMPLES: &str = "manifests/examples";

#[tokio::main]
async fn main() -> Result<()> {
    let keep = std::env::var("KEEP").is_ok_and(|keep| keep == "1");

    title("A cluster: etcd, kube-apiserver, kube-controller-manager, kwok");
    let started = Instant::now();
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    said(&format!("ready in {:.1} s", started.elapsed().as_secs_f64()));

    title(
        "The chart, by Helm; its Deployment's two replicas, with the token of its ServiceAccount",
    );
    let installation = install(&cluster).await?;

    title("emojivoto: emoji-svc here, emoji-svc-west mirrored from another cluster");
    let workload = Workload::new(&cluster, NAMESPACE).await?;
    workload.deploy_emoji(1).await?;
    workload.mirror("emoji-svc", "west").await?;
    show(&workload, &["get", "services"]).await?;

    title("A correct split goes in, and the webhook fills in what its author left out");
    let split = PathBuf::from(EXAMPLES).join("emojivoto-split.yaml");
    apply(&workload, &split).await?;
    show(&workload, &["get", "trafficsplit", "emoji-svc", "-o", "yaml"]).await?;
    let splits = Api::namespaced_with(cluster.client(), NAMESPACE, &traffic_split::api_resource());
    check_weights(&splits, &[1, 0], "the primary has the traffic").await?;

    title("Four misconfigured ones are refused, each with what is wrong and what to do");
    refuse_bad_examples(&workload).await?;

    title("The primary loses its only pod");
    let (kubectl, slice) = flip(&workload, &splits, 0, &[0, 1]).await?;
    said(&timing("the weights flipped", kubectl, slice));
    show(&workload, &["get", "trafficsplit", "emoji-svc", "-o", WEIGHTS]).await?;

    title("The same manifest again, in the middle of the failover: the weights stay");
    apply(&workload, &split).await?;
    check_weights(&splits, &[0, 1], "the fallback has the traffic").await?;

    title("The primary comes back, and so do the weights");
    let (kubectl, slice) = flip(&workload, &splits, 1, &[1, 0]).await?;
    said(&timing("the weights are back", kubectl, slice));
    show(&workload, &["get", "trafficsplit", "emoji-svc", "-o", WEIGHTS]).await?;

    title("What people see afterwards");
    test_cluster::eventually("both moves are told in Events", PATIENCE, || async {
        let events =
            workload.kubectl(["get", "events", "--field-selector", "reason=Failover"]).ok().await?;
        ensure!(events.lines().count() >= 3, "{events}");
        Ok(())
    })
    .await?;
    show(&workload, &["get", "events", "--field-selector", "reason=Failover"]).await?;

    title("Done: every step was checked");
    if keep {
        stay(&cluster).await?;
    }
    drop(installation);
    cluster.stop().await
}

const WEIGHTS: &str = "custom-columns=NAME:.metadata.name,BACKENDS:.spec.backends[*].service,WEIGHTS:.spec.backends[*].weight";

async fn install(cluster: &Cluster) -> Result<Installation> {
    let options = InstallOptions {
        // Its Job needs a kubelet and Linkerd itself.
        values: vec!["namespaceMetadata.enabled=false".into()],
        replicas: 2,
        ..InstallOptions::default()
    };
    let installation = Installation::install(cluster, options).await?;
    installation.wait_ready(PATIENCE).await?;
    test_cluster::eventually("the API server reaches the webhook", PATIENCE, || async {
        let probe = std::fs::read_to_string(
            test_cluster::workspace_root().join(EXAMPLES).join("bad-weights.yaml"),
        )?;
        let probe = probe.replace(&format!("namespace: {NAMESPACE}"), "namespace: default");
        let create = cluster.kubectl(["create", "--dry-run=server", "-n", "default", "-f", "-"]);
        let refused = create.stdin(probe).output().await?;
        ensure!(refused.stderr.contains("denied the request"), "{}", refused.stderr);
        Ok(())
    })
    .await?;
    for replica in installation.replicas() {
        said(&format!("{} is ready", replica.name()));
    }
    Ok(installation)
}

async fn refuse_bad_examples(workload: &Workload<'_>) -> Result<()> {
    let folder = test_cluster::workspace_root().join(EXAMPLES);
    let mut bad: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(PathBuf::from(EXAMPLES).join(entry.ok()?.file_name())))
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("bad-")))
        .collect();
    bad.sort();
    ensure!(bad.len() == 4, "expected four bad examples, found {}", bad.len());
    for path in bad {
        let path = path.display().to_string();
        println!("$ kubectl apply -f {path}");
        let output = workload.kubectl(["apply", "-f", &path]).output().await?;
        print!("{}{}", output.stdout, output.stderr);
        ensure!(!output.status.success(), "{path} was accepted");
        ensure!(
            output.stderr.contains("denied the request"),
            "{path} was refused by somebody else"
        );
        println!();
    }
    Ok(())
}

/// Scales the primary and waits for the weights: how long after `kubectl scale` was started, and
/// after its slice changed, both as another client sees them.
async fn flip(
    workload: &Workload<'_>,
    splits: &Api<DynamicObject>,
    replicas: usize,
    wanted: &[u64],
) -> Result<(Duration, Duration)> {
    let slices: Api<EndpointSlice> = workload.api();
    let selector = WatchParams::default().labels("kubernetes.io/service-name=emoji-svc");
    let version =
        splits.list(&Default::default()).await?.metadata.resource_version.unwrap_or_default();
    let mut endpoints = slices.watch(&selector, &version).await?.boxed();
    let mut objects = splits.watch(&WatchParams::default(), &version).await?.boxed();

    let watching = async {
        let (mut changed, mut flipped) = (None, None);
        while changed.is_none() || flipped.is_none() {
            tokio::select! {
                event = endpoints.try_next() => {
                    if let Some(WatchEvent::Modified(slice) | WatchEvent::Added(slice)) = event? {
                        let ready = slice.endpoints.iter()
                            .filter(|e| e.conditions.as_ref().and_then(|c| c.ready) != Some(false));
                        if ready.count() == replicas {
                            changed.get_or_insert_with(Instant::now);
                        }
                    }
                }
                event = objects.try_next() => {
                    if let Some(WatchEvent::Modified(split)) = event?
                        && weights(&split) == wanted
                    {
                        flipped.get_or_insert_with(Instant::now);
                    }
                }
            }
        }
        changed.zip(flipped).context("a watch ended")
    };
    println!("$ kubectl scale deployment/emoji --replicas={replicas}");
    let began = Instant::now();
    let (scaled, watched) =
        tokio::join!(workload.scale("emoji", replicas), tokio::time::timeout(PATIENCE, watching));
    scaled?;
    let (changed, flipped) = watched.context("the weights did not follow")??;
    Ok((flipped - began, flipped.saturating_duration_since(changed)))
}

fn timing(what: &str, kubectl: Duration, slice: Duration) -> String {
    format!(
        "{what} {:.0} ms after its endpoints changed, {:.0} ms after kubectl was started",
        slice.as_secs_f64() * 1e3,
        kubectl.as_secs_f64() * 1e3
    )
}

async fn check_weights(splits: &Api<DynamicObject>, wanted: &[u64], what: &str) -> Result<()> {
    let split = splits.get("emoji-svc").await?;
    ensure!(weights(&split) == wanted, "expected that {what}, found {:?}", split.data["spec"]);
    said(&format!("{what}: {wanted:?}"));
    Ok(())
}

fn weights(split: &DynamicObject) -> Vec<u64> {
    let backends = split.data["spec"]["backends"].as_array().cloned().unwrap_or_default();
    backends.iter().filter_map(|b| b["weight"].as_u64()).collect()
}

async fn apply(workload: &Workload<'_>, path: &Path) -> Result<()> {
    println!("$ kubectl apply -f {}", path.display());
    let output = workload.kubectl(["apply", "-f", &path.display().to_string()]).output().await?;
    print!("{}{}", output.stdout, output.stderr);
    ensure!(output.status.success(), "{} was not accepted", path.display());
    Ok(())
}

async fn show(workload: &Workload<'_>, arguments: &[&str]) -> Result<()> {
    println!("$ kubectl -n {NAMESPACE} {}", arguments.join(" "));
    print!("{}", workload.kubectl(arguments.iter().copied()).ok().await?);
    Ok(())
}

async fn stay(cluster: &Cluster) -> Result<()> {
    println!("Everything keeps running until Ctrl-C. In another terminal:\n");
    println!("  export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("  kubectl -n {NAMESPACE} get trafficsplits,services,deployments");
    println!("  kubectl -n {NAMESPACE} scale deployment/emoji --replicas=0\n");
    let tools = test_cluster::Tools::ensure()?;
    println!("A kubectl of the right version: {}", tools.program("kubectl").display());
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn said(text: &str) {
    println!("-> {text}");
}
