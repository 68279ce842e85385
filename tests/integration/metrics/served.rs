//! What replicas serve at `/metrics`, beside what is documented, and beside where traffic is.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use test_cluster::{Installation, eventually};

const DOCUMENTED: &str = "docs/metrics.md";

/// Documented and not served here, each with the reason. The test with the real Prometheus has those of them that
/// alerts and the dashboard ask for.
const NOT_HERE: &[(&str, &str)] = &[
    ("linkerd_failover_flip_stage_seconds", "by stage, once there is a flip"),
    ("linkerd_failover_guard_seconds", "by verdict, once a deletion is reviewed"),
    ("linkerd_failover_oldest_fallback_timestamp_seconds", "while an object is on a fallback"),
    ("linkerd_failover_remote_reachable", "by linked cluster"),
    ("linkerd_failover_remote_state", "by linked cluster"),
    ("linkerd_failover_remote_transitions_total", "by linked cluster"),
];

/// Served or not, as the machine has it.
const WHERE_LIMITED: &str = "process_max_fds";

/// Type and meaning of a metric, by its name.
type Metrics = BTreeMap<String, (String, String)>;

fn documented() -> Result<Metrics> {
    let text = std::fs::read_to_string(DOCUMENTED)?;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let mut cell = || cells.next().context("too few cells");
        let name = cell()?.trim_end_matches('`').to_owned();
        Ok((name, (cell()?.to_owned(), cell()?.to_owned())))
    })
    .collect()
}

/// The metrics in an answer, from its lines `# HELP` and `# TYPE`.
fn metrics_in(text: &str) -> Metrics {
    let about = |what: &str| -> BTreeMap<&str, &str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(what));
        lines.filter_map(|line| line.split_once(' ')).collect()
    };
    let (help, kinds) = (about("# HELP "), about("# TYPE "));
    let metric = |(name, kind): (&str, &str)| {
        let total = if kind == "counter" { "_total" } else { "" };
        let help = help.get(name).copied().unwrap_or_default().trim_end_matches('.');
        (format!("{name}{total}"), (kind.to_owned(), help.to_owned()))
    };
    kinds.into_iter().map(metric).collect()
}

/// Waits until every replica serves a sample with this value.
async fn wait_served(installation: &Installation, sample: &str) -> Result<()> {
    for replica in installation.replicas() {
        eventually(&format!("{} serves {sample}", replica.name()), PATIENCE, || async {
            let text = replica.get("/metrics").await?;
            let (name, _) = sample.rsplit_once(' ').context("no value")?;
            let there = text.lines().find(|line| line.starts_with(name));
            ensure!(there == Some(sample), "{there:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn of_emoji(metric: &str, more: &str) -> String {
    format!(
        r#"linkerd_failover_object_{metric}{{namespace="emojivoto",kind="TrafficSplit",name="emoji"{more}}}"#
    )
}

fn on(placement: &str) -> String {
    format!(r#"linkerd_failover_objects{{on="{placement}"}} 1"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_is_documented_and_follows_the_traffic() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 2, &[]).await?;
    let (workload, west, splits) = emojivoto_with_split(&cluster).await?;
    wait_served(&installation, &on("primary")).await?;

    let (documented, mut served) = (documented()?, Metrics::new());
    for replica in installation.replicas() {
        let text = replica.get("/metrics").await?;
        assert!(text.ends_with("# EOF\n"));
        served.extend(metrics_in(&text));
        for resource in ["services", "endpointslices", "trafficsplits", "leases"] {
            let watch = format!(
                r#"linkerd_failover_watch_age_seconds{{linked_cluster="",resource="{resource}"}}"#
            );
            let age = metric(&text, &watch).with_context(|| format!("no age of {resource}"))?;
            assert!((0.0..60.0).contains(&age), "{resource}: {age}");
        }
    }
    for (name, metric) in &served {
        assert_eq!(documented.get(name), Some(metric), "{name} in {DOCUMENTED}");
    }
    let is_absent = |name: &&str| !served.contains_key(*name) && *name != WHERE_LIMITED;
    let absent: Vec<&str> = documented.keys().map(String::as_str).filter(is_absent).collect();
    let not_here: Vec<&str> = NOT_HERE.iter().map(|(name, _)| *name).collect();
    assert_eq!(absent, not_here, "{DOCUMENTED} has them, and no replica serves them");
    for sample in [
        of_emoji("on_primary", "") + " 1",
        of_emoji("fallbacks_ready", "") + " 1",
        of_emoji("active", r#",backend="emoji-svc""#) + " 1",
        of_emoji("active", r#",backend="emoji-svc-west""#) + " 0",
        "linkerd_failover_queue_length 0".to_owned(),
        "linkerd_failover_per_object_metrics 1".to_owned(),
    ] {
        wait_served(&installation, &sample).await?;
    }

    west.set_empty().await?;
    wait_served(&installation, "linkerd_failover_objects_without_ready_fallback 1").await?;
    west.set_ready().await?;
    wait_served(&installation, "linkerd_failover_objects_without_ready_fallback 0").await?;

    workload.scale("emoji", 0).await?;
    let split = wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    wait_served(&installation, &on("fallback")).await?;
    let left = state(&split).unwrap().sets[""].left.context("no time")?.as_second();
    for sample in [
        of_emoji("on_primary", "") + " 0",
        of_emoji("active", r#",backend="emoji-svc-west""#) + " 1",
        format!("{} {left}", of_emoji("since_timestamp_seconds", "")),
        format!("linkerd_failover_oldest_fallback_timestamp_seconds {left}"),
    ] {
        wait_served(&installation, &sample).await?;
    }
    west.set_empty().await?;
    wait_served(&installation, &on("held")).await?;
    wait_served(&installation, &(of_emoji("on", r#",on="held""#) + " 1")).await?;
    let pause = ["annotate", "trafficsplits.split.smi-spec.io", "emoji"];
    let pause = pause.into_iter().chain(["failover.linkerd.io/paused=true"]);
    workload.kubectl(pause).ok().await?;
    wait_served(&installation, &on("paused")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_metrics_of_each_object_the_sums_are_served() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &["metrics.perObject=false"]).await?;
    let _emojivoto = emojivoto_with_split(&cluster).await?;
    wait_served(&installation, &on("primary")).await?;
    let text = installation.replicas()[0].get("/metrics").await?;
    assert_eq!(metric(&text, "linkerd_failover_per_object_metrics"), Some(0.0));
    assert!(!text.contains("linkerd_failover_object_"), "{text}");
    Ok(())
}
