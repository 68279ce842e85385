//! The chart's alerts: as promtool reads them, and what each of them needs beside its expression.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use test_cluster::Cluster;

const RULES: &str = "charts/linkerd-failover/files/rules.yaml";
const VALUES: &str = "charts/linkerd-failover/values.yaml";
const RUNBOOK: &str = "docs/runbook.md";
const TESTS: &str = "tests/fixtures/rules.test.yaml";

fn yaml(file: &str) -> Result<Value> {
    Ok(serde_saphyr::from_str(&std::fs::read_to_string(file)?)?)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The alerts that a rendering with these values has, by name.
async fn alerts(cluster: &Cluster, values: &[&str]) -> Result<(Value, BTreeMap<String, Value>)> {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    let rule = prometheus_rule(cluster, &values).await?;
    let alerts = list(&rule["spec"]["groups"][0]["rules"]).iter();
    let named = |alert: &Value| Some((alert["alert"].as_str()?.to_owned(), alert.clone()));
    let alerts = alerts.filter_map(named).collect();
    Ok((rule, alerts))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_fires_by_its_fault_and_is_resolved_and_is_as_the_values_have_it() -> Result<()>
{
    let cluster = bare_cluster().await?;
    let (rule, usual) = alerts(&cluster, &[]).await?;
    let folder = tempfile::tempdir()?;
    // What the operator gives Prometheus: JSON is YAML.
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, rule["spec"].to_string())?;
    let output = test_cluster::check_rules(&rules).await?;
    ensure!(output.contains(&format!("SUCCESS: {} rules found", usual.len())), "{output}");
    let tests = folder.path().join("rules.test.yaml");
    std::fs::copy(TESTS, &tests)?;
    let output = test_cluster::test_rules(&tests).await?;
    ensure!(output.contains("SUCCESS"), "{output}");

    let changed = [
        "prometheusRule.labels.release=prometheus",
        "prometheusRule.alertLabels.team=mesh",
        "prometheusRule.runbookURL=https://runbooks.example.com/failover",
        "prometheusRule.alerts.brake.enabled=false",
        "prometheusRule.alerts.held.severity=page",
        "prometheusRule.alerts.held.for=10m",
        "prometheusRule.alerts.longOnFallback.seconds=60",
    ];
    let (rule, changed) = alerts(&cluster, &changed).await?;
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    let gone: Vec<_> = usual.keys().filter(|name| !changed.contains_key(*name)).collect();
    assert_eq!(gone, ["LinkerdFailoverBrake"]);
    let held = &changed["LinkerdFailoverHeld"];
    assert_eq!((&held["labels"]["severity"], &held["for"]), (&"page".into(), &"10m".into()));
    assert_eq!(held["labels"]["team"], "mesh");
    let url = "https://runbooks.example.com/failover#linkerdfailoverheld";
    assert_eq!(held["annotations"]["runbook_url"], url);
    let long = changed["LinkerdFailoverLongOnFallback"]["expr"].to_string();
    assert!(long.contains("> 60") && !long.contains('$'), "{long}");
    ensure!(rendered(&cluster, &[], "PrometheusRule").await?.is_empty());
    Ok(())
}

/// The entries of the runbook about alerts: the heading of each, with its text.
fn entries(page: &str) -> Result<Vec<(&str, &str)>> {
    let begins = page.split_once("\n## Alerts\n").context("no heading Alerts")?.1;
    let part = begins.split("\n## ").next().unwrap_or_default();
    Ok(part.split("\n### ").skip(1).filter_map(|entry| entry.split_once('\n')).collect())
}

#[test]
fn each_alert_has_its_heading_in_the_runbook_and_its_settings() -> Result<()> {
    let (rules, values) = (yaml(RULES)?, yaml(VALUES)?);
    let settings = &values["prometheusRule"]["alerts"];
    let page = std::fs::read_to_string(RUNBOOK)?;
    let mut keys = BTreeSet::new();
    let mut names = BTreeSet::new();
    for rule in list(&rules["rules"]) {
        let text =
            |field: &str| rule[field].as_str().with_context(|| format!("{rule}: no {field}"));
        let (key, name, expression) = (text("key")?, text("alert")?, text("expr")?);
        let of_alert = settings[key].as_object().with_context(|| format!("no settings {key}"))?;
        for field in ["enabled", "severity", "for"] {
            ensure!(of_alert.contains_key(field), "{key} has no {field}");
        }
        let is_threshold = |field: &&str| !["enabled", "severity", "for"].contains(field);
        let thresholds: BTreeSet<&str> =
            of_alert.keys().map(String::as_str).filter(is_threshold).collect();
        let used: BTreeSet<&str> = expression
            .split("${")
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
            .collect();
        assert_eq!(used, thresholds, "{key}");
        keys.insert(key.to_owned());
        names.insert(name.to_owned());
    }
    let all: BTreeSet<String> =
        settings.as_object().context("no alerts")?.keys().cloned().collect();
    assert_eq!(keys, all, "settings of no alert");
    // The name in lower case is the anchor that `runbook_url` ends in.
    let entries = entries(&page)?;
    let headings: BTreeSet<String> = entries.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, headings, "the headings of {RUNBOOK} are the alerts");
    assert_eq!(entries.len(), headings.len(), "{RUNBOOK}: one heading for each alert");
    for (name, text) in entries {
        for part in ["**Meaning.**", "**Look at**", "**Do.**", "```sh\n"] {
            assert!(text.contains(part), "{RUNBOOK}: {part} is missing: {name}");
        }
    }
    Ok(())
}

/// Whether each alert is seen not to fire, to fire, and then no more: what promtool runs shows no less.
#[test]
fn the_tests_of_the_rules_have_each_alert_before_during_and_after_its_fault() -> Result<()> {
    let (rules, tests) = (yaml(RULES)?, yaml(TESTS)?);
    for rule in list(&rules["rules"]) {
        let name = &rule["alert"];
        let has_all = list(&tests["tests"]).iter().any(|test| {
            let of_alert =
                list(&test["alert_rule_test"]).iter().filter(|t| t["alertname"] == *name);
            let fires: Vec<bool> =
                of_alert.map(|test| !list(&test["exp_alerts"]).is_empty()).collect();
            fires.windows(3).any(|three| three == [false, true, false])
        });
        assert!(has_all, "{name}");
    }
    Ok(())
}
