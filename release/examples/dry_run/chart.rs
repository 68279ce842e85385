//! The chart: packaged, pushed, pulled by its digest, installed, and tested.

use crate::image::Pushed;
use crate::list::List;
use crate::registry::Registry;
use anyhow::{Context, Result, ensure};
use release::chart::{CHANGES, PRERELEASE};
use release::version::{VERSION, is_prerelease};
use release::{PROGRAM, chart, checksum};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_cluster::{Cluster, HelmTest, InstallOptions, Installation, Tools, eventually};

const PATIENCE: Duration = Duration::from_secs(60);
const REPLICAS: usize = 2;

pub(crate) async fn push_pull_and_install(
    registry: &Registry,
    image: &Pushed,
    folder: &Path,
    list: &mut List,
) -> Result<()> {
    let cluster = Cluster::start().await?;
    let packaged = chart::package(&Tools::ensure()?.program("helm"), folder)?;
    let pulled = push_and_pull(registry, &cluster, &packaged, folder, list).await?;
    shown(&cluster, &pulled, list).await?;
    installed(&cluster, &pulled, image, list).await?;
    cluster.stop().await
}

async fn push_and_pull(
    registry: &Registry,
    cluster: &Cluster,
    packaged: &Path,
    folder: &Path,
    list: &mut List,
) -> Result<PathBuf> {
    let charts = format!("oci://{}", registry.name("linkerd/charts"));
    let push = cluster.helm(["push"]).args([packaged]).args([&charts]).args(["--plain-http"]);
    let output = push.output().await?;
    let printed = output.stdout + &output.stderr;
    ensure!(output.status.success(), "helm push failed: {printed}");
    // As the workflow reads it.
    let digest = printed.lines().find_map(|line| line.strip_prefix("Digest:"));
    let digest = digest.with_context(|| format!("helm push names no digest: {printed}"))?.trim();
    let size = std::fs::metadata(packaged)?.len();
    list.made(format!("chart linkerd/charts/{PROGRAM}:{VERSION}"), size, digest);

    let to = folder.join("pulled");
    std::fs::create_dir_all(&to)?;
    let by_digest = format!("{charts}/{PROGRAM}@{digest}");
    let pull = cluster.helm(["pull", &by_digest, "--plain-http", "--destination"]).args([&to]);
    pull.ok().await?;
    let entry = std::fs::read_dir(&to)?.next().context("helm pull wrote nothing")?;
    let pulled = entry?.path();
    ensure!(
        checksum::of_file(&pulled)? == checksum::of_file(packaged)?,
        "the pulled chart is another one"
    );
    list.seen("chart", "pulled by its digest, it is the file that was pushed");
    Ok(pulled)
}

async fn shown(cluster: &Cluster, pulled: &Path, list: &mut List) -> Result<()> {
    cluster.helm(["lint", "--strict"]).args([pulled]).ok().await?;
    let text = cluster.helm(["show", "chart"]).args([pulled]).ok().await?;
    let chart: Value = serde_saphyr::from_str(&text)?;
    let (name, version) = (&chart["name"], &chart["version"]);
    ensure!(name == PROGRAM && version == VERSION, "helm shows {name} {version}");
    let annotations = &chart["annotations"];
    let prerelease = is_prerelease(VERSION).to_string();
    ensure!(
        annotations[PRERELEASE].as_str() == Some(prerelease.as_str()),
        "{PRERELEASE}: found {}",
        annotations[PRERELEASE]
    );
    let changes = annotations[CHANGES].as_str().with_context(|| format!("no {CHANGES}"))?;
    let changes: Vec<Value> = serde_saphyr::from_str(changes)?;
    let count = annotations.as_object().map_or(0, |annotations| {
        annotations.keys().filter(|name| name.starts_with("artifacthub.io/")).count()
    });
    list.seen(
        "chart",
        format!(
            "helm lint is content; {count} annotations for Artifact Hub, {} changes",
            changes.len()
        ),
    );
    Ok(())
}

/// Installs the pulled chart with the pulled executable.
async fn installed(
    cluster: &Cluster,
    pulled: &Path,
    image: &Pushed,
    list: &mut List,
) -> Result<()> {
    cluster.install_traffic_split_crd().await?;
    cluster.install_gateway_api_crds().await?;
    let values = vec![
        format!("image.registry={}", image.registry),
        format!("image.digest={}", image.digest),
    ];
    let options = InstallOptions {
        values,
        replicas: REPLICAS,
        binary: image.executable.clone(),
        chart: pulled.to_path_buf(),
        ..InstallOptions::default()
    };
    let installation = Installation::install(cluster, options).await?;
    let path = "-o=jsonpath={.spec.template.spec.containers[0].image}";
    let get = ["get", "deployment", PROGRAM, "-n", installation.namespace(), path];
    let named = cluster.kubectl(get).ok().await?;
    let expected = format!("{}/{PROGRAM}@{}", image.registry, image.digest);
    ensure!(named == expected, "the Deployment's image: found {named}, expected {expected}");
    installation.wait_ready(PATIENCE).await?;
    list.seen(
        "installation",
        format!(
            "helm installs the pulled chart; {REPLICAS} replicas of the pulled executable are ready"
        ),
    );

    let test = HelmTest::prepare(cluster, pulled, &[]).await?;
    eventually("helm test passes", PATIENCE, || async {
        let (passed, reply) = test.run(cluster).await?;
        let both = reply.contains("A good split") && reply.contains("A good route");
        ensure!(passed && both, "{reply}");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    list.seen(
        "helm test",
        "its script passes: a good split and a good route are taken, bad ones refused",
    );
    installation.uninstall().await?;
    list.seen("installation", "helm uninstalls it");
    Ok(())
}
