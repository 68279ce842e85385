//! The real Prometheus scrapes two replicas through failover, hold and return: what the chart's alerts and its
//! dashboard make of that.

use crate::metrics::{object_faults, replica_faults};
use crate::support::deletion_guard::{guard, wait_reviewed};
use crate::support::linked_clusters::{CREDENTIALS, east_and_west, emoji_in, link};
use crate::support::*;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use test_cluster::{Prometheus, Sample, Workload, eventually, target_dir};

/// Where the panels of the dashboard are written to as a table, below the target folder.
const TABLE: &str = "dashboard.md";

/// The alerts that fire here.
const FIRED: &[&str] = &[
    "ClusterUnreachable",
    "Held",
    "LongOnFallback",
    "NoReadyFallback",
    "PartlyUnreadable",
    "Paused",
    "Unreadable",
];

/// Alerts whose fault is not made before Prometheus: promtool's tests of the rules have them before, during and
/// after it.
const BY_RULE_TESTS_ALONE: &[(&str, &str)] =
    &[("EventsDropped", "4,096 Events have to be queued at once")];

/// In `chart/namespaced.rs`, where the right is taken.
const FIRED_ELSEWHERE: &[&str] = &["NamespaceForbidden"];

/// Panels that show nothing in this run, each with the reason.
const EMPTY_PANELS: &[(&str, &str)] = &[];

#[test]
fn each_alert_is_fired_by_its_fault_or_it_is_known_why_it_is_not() -> Result<()> {
    let here = [FIRED, FIRED_ELSEWHERE, object_faults::FIRED, replica_faults::FIRED];
    let here: BTreeSet<&str> = here.into_iter().flatten().copied().collect();
    let elsewhere: BTreeSet<&str> = BY_RULE_TESTS_ALONE.iter().map(|(name, _)| *name).collect();
    let both: Vec<_> = here.intersection(&elsewhere).collect();
    ensure!(both.is_empty(), "they fire, and are listed as not firing: {both:?}");
    let known: BTreeSet<String> =
        here.union(&elsewhere).map(|name| format!("LinkerdFailover{name}")).collect();
    assert_eq!(known, alert_names()?.into_values().collect::<BTreeSet<_>>());
    Ok(())
}

/// What was stored before there was a webhook: one split that cannot be read, and one that can in part.
async fn store_faulty(here: &Workload<'_>) -> Result<()> {
    let misnamed = named("misnamed").replace(
        "  labels:",
        "  annotations:\n    failover.linkerd.io/primary-service: emoji-scv\n  labels:",
    );
    here.apply(&misnamed).await?;
    let foreign = ["web.other.svc.cluster.local", "emoji-svc-west"];
    here.apply(&manifest("foreign", "emoji-svc", &foreign)).await?;
    Ok(())
}

fn of(name: &str) -> [(&'static str, &str); 3] {
    [("kind", "TrafficSplit"), ("namespace", "emojivoto"), ("name", name)]
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_fire_and_end_and_every_expression_finds_series_through_failover_hold_and_return()
-> Result<()> {
    let (east, west) = east_and_west().await?;
    link(&east, &west).await?;
    let (here, there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    for name in ["web", "backup"] {
        here.deploy(name, 1).await?;
    }
    here.discovery_mirror("emoji-svc", "west").await?;
    store_faulty(&here).await?;
    let installation = install(&east, 2, &[CREDENTIALS]).await?;
    guard(&here).await?;
    wait_reviewed(&here, &installation).await?;
    for split in [emoji(), named("stopped"), manifest("web", "web-svc", &["backup-svc"])] {
        here.apply(&split).await?;
    }
    let splits = splits(&east, "emojivoto");
    let mut alerts =
        AlertRecorder::start(&east, &installation, &["longOnFallback.seconds=1"]).await?;

    // Before any loss only what is stored is wrong.
    alerts.fires("Unreadable", &of("misnamed")).await?;
    alerts.fires("PartlyUnreadable", &[("namespace", "linkerd-failover")]).await?;
    alerts.none_but(&["Unreadable", "PartlyUnreadable"]).await?;
    let pause = ["annotate", "trafficsplit/stopped", "failover.linkerd.io/paused=true"];
    here.kubectl(pause).ok().await?;
    alerts.fires("Paused", &of("stopped")).await?;

    // Failover, by the loss of two Services.
    for name in ["emoji", "web"] {
        here.scale(name, 0).await?;
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
        let summary = alerts.fires("LongOnFallback", &of(name)).await?;
        let begins = format!("TrafficSplit emojivoto/{name} has been off its primary for ");
        ensure!(summary.starts_with(&begins), "{summary}");
    }

    // Hold: nothing of emoji is ready any more.
    there.scale("emoji", 0).await?;
    alerts.fires("Held", &of("emoji")).await?;
    alerts.wait_agreed("linkerd_failover_objects").await?;
    let panels = panels(&dashboard()?)?;
    let table = table(&alerts.prometheus, &panels).await?;
    std::fs::write(target_dir().join(TABLE), table)?;

    // The linked cluster is out of reach for a while.
    west.stop_api_server(true).await?;
    alerts.fires("ClusterUnreachable", &[("cluster", "west")]).await?;
    west.start_api_server().await?;
    alerts.resolved("ClusterUnreachable", &[]).await?;

    // Return, while the fallback is still lost.
    here.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    alerts.resolved("Held", &of("emoji")).await?;
    alerts.resolved("LongOnFallback", &of("emoji")).await?;
    alerts.fires("NoReadyFallback", &of("emoji")).await?;
    there.scale("emoji", 1).await?;
    here.scale("web", 1).await?;
    here.kubectl(["annotate", "trafficsplit/stopped", "failover.linkerd.io/paused-"]).ok().await?;
    here.kubectl(["delete", "trafficsplit", "misnamed", "foreign"]).ok().await?;
    alerts.none_but(&[]).await?;
    alerts.ensure_fired(FIRED)?;

    let of_panels = panels.iter().flat_map(|panel| {
        panel.expressions.iter().map(|one| (panel.title.clone(), without_variables(one)))
    });
    for (what, expression) in alerts.expressions().into_iter().chain(of_panels) {
        let parsed = alerts.prometheus.parse(&expression).await?;
        let selectors = selectors(&parsed);
        ensure!(!selectors.is_empty(), "{what}: {expression} selects nothing");
        for selector in selectors {
            let found = alerts.prometheus.count_series(&selector).await?;
            ensure!(found > 0, "{what}: {selector} has found no series");
        }
    }
    Ok(())
}

/// What each panel shows now, as a table in Markdown; waits until it shows anything.
async fn table(prometheus: &Prometheus, panels: &[Panel]) -> Result<String> {
    let mut table = "| row | panel | query | series | value |\n|---|---|---|---|---|\n".to_owned();
    let mut empty = BTreeSet::new();
    for panel in panels {
        for expression in &panel.expressions {
            let is_empty = EMPTY_PANELS.iter().any(|(title, _)| *title == panel.title);
            let query = without_variables(expression);
            let what = format!("{} shows {query}", panel.title);
            let samples = match is_empty {
                true => prometheus.query(&query).await?,
                false => {
                    let shown = eventually(&what, PATIENCE, || async {
                        let samples = prometheus.query(&query).await?;
                        ensure!(!samples.is_empty(), "nothing");
                        Ok(samples)
                    });
                    shown.await?
                }
            };
            if samples.is_empty() {
                empty.insert(panel.title.as_str());
            }
            write_rows(&mut table, panel, expression, samples)?;
        }
    }
    let listed: BTreeSet<&str> = EMPTY_PANELS.iter().map(|(title, _)| *title).collect();
    ensure!(empty == listed, "panels that show nothing: {empty:?}, listed: {listed:?}");
    Ok(table)
}

fn write_rows(
    table: &mut String,
    panel: &Panel,
    expression: &str,
    mut samples: Vec<Sample>,
) -> Result<()> {
    samples.sort_by(|one, other| one.labels.cmp(&other.labels));
    let cell = |text: &str| text.replace('|', "\\|");
    let head = format!("| {} | {} | `{}` |", panel.row, panel.title, cell(expression));
    for Sample { labels, value } in samples {
        writeln!(table, "{head} {} | {value} |", cell(&series(&labels)))?;
    }
    Ok(())
}

fn series(labels: &BTreeMap<String, String>) -> String {
    let labels = labels.iter().filter(|(_, value)| !value.is_empty());
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    labels.join(", ")
}

/// What a legend names, and what a table shows as a column, the query has to leave.
#[test]
fn the_legends_of_the_dashboard_name_labels_that_their_queries_keep() -> Result<()> {
    let dashboard = dashboard()?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    for target in targets {
        let text = |field: &str| target[field].as_str().unwrap_or_default();
        let kept = text("expr").split("by (").skip(1).filter_map(|rest| rest.split(')').next());
        let kept: BTreeSet<&str> = kept.flat_map(|labels| labels.split(", ")).collect();
        let named = text("legendFormat").split("{{").skip(1);
        for label in named.filter_map(|rest| rest.split("}}").next()) {
            ensure!(
                kept.contains(label),
                "{}: {{{{{label}}}}} of {}",
                text("expr"),
                text("legendFormat")
            );
        }
    }
    Ok(())
}
