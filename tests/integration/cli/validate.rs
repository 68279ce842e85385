//! `linkerd-failover validate`, beside the webhook of a real API server.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;
use std::path::PathBuf;
use test_cluster::{Cluster, eventually};

const VALIDATE: &str = concat!(env!("CARGO_BIN_EXE_linkerd-failover"), " validate");

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/manifests")
}

fn cases() -> Result<Vec<PathBuf>> {
    let folders = ["right", "wrong"].map(|folder| std::fs::read_dir(fixtures().join(folder)));
    let mut cases = vec![];
    for folder in folders {
        for entry in folder? {
            cases.push(entry?.path());
        }
    }
    cases.sort();
    Ok(cases)
}

/// What refuses an object, and everything else that is said about it.
#[derive(Debug, PartialEq)]
struct Verdict {
    errors: Vec<String>,
    others: Vec<String>,
}

impl Verdict {
    fn new(mut errors: Vec<String>, mut others: Vec<String>) -> Self {
        errors.sort();
        others.sort();
        // kubectl prints a warning once, though both webhooks give it.
        others.dedup();
        Self { errors, others }
    }

    /// Without what is said of Linkerd's values: the webhook reads them by its own rights, the command by those
    /// of whoever runs it.
    fn without_linkerds_values(&self) -> Self {
        let others = self.others.iter().filter(|line| !line.contains("failfast timeout"));
        Self { errors: self.errors.clone(), others: others.cloned().collect() }
    }
}

/// The webhook's, through kubectl.
async fn answered(cluster: &Cluster, manifest: &str) -> Result<Verdict> {
    let create = cluster.kubectl(["create", "--dry-run=server", "-f", "-"]).stdin(manifest);
    let output = create.output().await?;
    let refused = output.stderr.contains("validate.failover.linkerd.io");
    ensure!(refused != output.status.success(), "{}", output.stderr);
    let lines = |prefix: &str| {
        let lines = output.stderr.lines().filter_map(|line| line.strip_prefix(prefix));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    Ok(Verdict::new(lines("- "), lines("Warning: ")))
}

/// The command's, with these flags.
async fn validated(cluster: &Cluster, flags: &str, manifest: &str) -> Result<(Verdict, Value)> {
    let services = fixtures().join("services.yaml");
    let script = format!("{VALIDATE} -f {} -f - -o json {flags}", services.display());
    let output = cluster.sh(&script).stdin(manifest).output().await?;
    let report: Value = serde_json::from_str(&output.stdout).context(output.stderr)?;
    let diagnostics = report["diagnostics"].as_array().context("no diagnostics")?;
    let text = |diagnostic: &Value| diagnostic["message"].as_str().unwrap_or_default().to_owned();
    let is_error = |diagnostic: &&Value| diagnostic["level"] == "error";
    let errors: Vec<String> = diagnostics.iter().filter(is_error).map(text).collect();
    let expected = i32::from(!errors.is_empty());
    ensure!(output.status.code() == Some(expected), "{:?}: {report:#}", output.status);
    let others = diagnostics.iter().filter(|diagnostic| !is_error(diagnostic)).map(text).collect();
    Ok((Verdict::new(errors, others), report))
}

/// Both verdicts on a manifest: without the cluster what is said is said by the webhook too, and by asking it
/// everything is the same.
async fn compare(cluster: &Cluster, manifest: &str) -> Result<Verdict> {
    let answered = answered(cluster, manifest).await?;
    let (offline, report) = validated(cluster, "", manifest).await?;
    ensure!(offline.errors == answered.errors, "offline {offline:?}, the webhook {answered:?}");
    let diagnostics = report["diagnostics"].as_array().context("no diagnostics")?;
    for diagnostic in diagnostics {
        let text = diagnostic["message"].as_str().unwrap_or_default();
        let is_known = diagnostic["level"] != "notChecked" && !text.contains("not seen yet");
        let is_answered = || {
            [&answered.errors, &answered.others]
                .iter()
                .any(|lines| lines.iter().any(|line| line == text))
        };
        ensure!(!is_known || is_answered(), "{text:?} is not in {answered:?}");
    }
    let (live, _) = validated(cluster, "--live", manifest).await?;
    let is_same = live.without_linkerds_values() == answered.without_linkerds_values();
    ensure!(is_same, "live {live:?}, the webhook {answered:?}");
    Ok(answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_and_the_webhook_agree_on_forty_manifests_line_for_line() -> Result<()> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    wait_route_webhook(&cluster).await?;
    let services = std::fs::read_to_string(fixtures().join("services.yaml"))?;
    cluster.apply(&services).await?;

    let cluster = &cluster;
    let verdicts = futures::stream::iter(cases()?).map(|path| async move {
        let manifest = std::fs::read_to_string(&path)?;
        let what = format!("the verdicts on {} are the same", path.display());
        // The webhook's caches follow.
        let verdict = eventually(&what, PATIENCE, || compare(cluster, &manifest)).await?;
        anyhow::Ok((path, verdict))
    });
    let verdicts: Vec<_> = verdicts.buffer_unordered(3).try_collect().await?;
    for (path, verdict) in &verdicts {
        let is_right = path.parent().is_some_and(|folder| folder.ends_with("right"));
        assert_eq!(verdict.errors.is_empty(), is_right, "{}: {verdict:?}", path.display());
    }
    assert_eq!(verdicts.len(), 40);

    // Whether a Service exists only the cluster knows.
    let misspelt = emoji().replace("emoji-svc-west", "emoji-svc-wset");
    let (offline, report) = validated(cluster, "", &misspelt).await?;
    assert!(offline.errors.is_empty() && report.to_string().contains("notChecked"), "{report:#}");
    let (live, _) = validated(cluster, "--live", &misspelt).await?;
    assert_eq!(live.errors, answered(cluster, &misspelt).await?.errors);
    assert!(live.errors[0].contains("did you mean emoji-svc-west?"), "{live:?}");

    // Without the cluster that is to be asked there is no verdict.
    let nowhere = format!("{VALIDATE} -f - -o json --live --kubeconfig /nowhere");
    let output = cluster.sh(&nowhere).stdin(misspelt).output().await?;
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(2), ""));
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    Ok(())
}
