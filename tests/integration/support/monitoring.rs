//! The chart's alerts and dashboard, and what the real Prometheus makes of them.

use super::*;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use test_cluster::{Cluster, Installation, Prometheus, eventually};

const RULES: &str = "charts/linkerd-failover/files/rules.yaml";
const DASHBOARD: &str = "charts/linkerd-failover/files/dashboard.json";

/// The chart's alerts as it renders them with these values, a PrometheusRule.
pub(crate) async fn prometheus_rule(cluster: &Cluster, values: &[String]) -> Result<Value> {
    let mut arguments = vec!["--set", "prometheusRule.enabled=true"];
    arguments.extend(values.iter().flat_map(|value| ["--set", value.as_str()]));
    cluster.apply(&crd("monitoring.coreos.com", "v1", "PrometheusRule")).await?;
    eventually("kubectl knows PrometheusRules", PATIENCE, || async {
        let mut rules = rendered(cluster, &arguments, "PrometheusRule").await?;
        ensure!(rules.len() == 1, "{arguments:?}: {} PrometheusRules", rules.len());
        Ok(rules.remove(0))
    })
    .await
}

/// The alerts of the chart: the key of its settings, and its name.
pub(crate) fn alert_names() -> Result<BTreeMap<String, String>> {
    let rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(RULES)?)?;
    let text = |rule: &Value, field: &str| rule[field].as_str().map(str::to_owned);
    let rules = rules["rules"].as_array().context("no rules")?.iter();
    let named = rules.map(|rule| Some((text(rule, "key")?, text(rule, "alert")?)));
    named.collect::<Option<_>>().context("a rule without key or alert")
}

/// A panel of the dashboard.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) row: String,
    pub(crate) title: String,
    pub(crate) expressions: Vec<String>,
}

/// The panels of a dashboard, in order.
pub(crate) fn panels(dashboard: &Value) -> Result<Vec<Panel>> {
    let (mut panels, mut row) = (vec![], String::new());
    for panel in dashboard["panels"].as_array().context("no panels")? {
        let title = panel["title"].as_str().context("no title")?.to_owned();
        if panel["type"] == "row" {
            row = title;
            continue;
        }
        ensure!(panel["datasource"]["uid"] == "$datasource", "{title}: another data source");
        let targets =
            panel["targets"].as_array().with_context(|| format!("{title}: no targets"))?;
        let expressions = targets.iter().map(|target| target["expr"].as_str().map(str::to_owned));
        let expressions = expressions.collect::<Option<_>>();
        let expressions = expressions.with_context(|| format!("{title}: no expr"))?;
        panels.push(Panel { row: row.clone(), title, expressions });
    }
    Ok(panels)
}

/// The chart's dashboard.
pub(crate) fn dashboard() -> Result<Value> {
    Ok(serde_json::from_str(&std::fs::read_to_string(DASHBOARD)?)?)
}

/// What Grafana puts in the place of a variable.
pub(crate) fn without_variables(expression: &str) -> String {
    expression.replace("$job", ".*").replace("$__rate_interval", "5m")
}

/// The selectors in an expression as Prometheus has parsed it.
pub(crate) fn selectors(node: &Value) -> BTreeSet<String> {
    let of_children =
        |children: &mut dyn Iterator<Item = &Value>| children.flat_map(selectors).collect();
    match node {
        Value::Array(nodes) => of_children(&mut nodes.iter()),
        Value::Object(fields) => {
            let mut found: BTreeSet<String> = of_children(&mut fields.values());
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
            if matches!(kind, "vectorSelector" | "matrixSelector") {
                found.insert(selector(node));
            }
            found
        }
        _ => BTreeSet::new(),
    }
}

fn selector(node: &Value) -> String {
    let matchers = node["matchers"].as_array().into_iter().flatten();
    let text =
        |matcher: &Value, field: &str| matcher[field].as_str().unwrap_or_default().to_owned();
    let matcher = |m: &Value| format!("{}{}{}", text(m, "name"), text(m, "type"), m["value"]);
    format!("{{{}}}", matchers.map(matcher).collect::<Vec<_>>().join(","))
}

/// A Prometheus that evaluates the chart's alerts without waiting, and what they have done.
pub(crate) struct AlertRecorder {
    pub(crate) prometheus: Prometheus,
    rule: Value,
    fired: BTreeSet<String>,
}

impl AlertRecorder {
    /// With the thresholds of the chart but for these values. No alert waits until it fires.
    pub(crate) async fn start(
        cluster: &Cluster,
        installation: &Installation,
        values: &[&str],
    ) -> Result<Self> {
        let keys = alert_names()?.into_keys();
        let at_once = keys.map(|key| format!("prometheusRule.alerts.{key}.for=0s"));
        let values = values.iter().map(|value| format!("prometheusRule.alerts.{value}"));
        let rule = prometheus_rule(cluster, &at_once.chain(values).collect::<Vec<_>>()).await?;
        let prometheus = Prometheus::start(cluster, installation, &rule["spec"]).await?;
        let alerts = Self { prometheus, rule, fired: BTreeSet::new() };
        alerts.wait_scraped(installation.replicas().len()).await?;
        Ok(alerts)
    }

    /// Waits until so many replicas are scraped.
    pub(crate) async fn wait_scraped(&self, replicas: usize) -> Result<()> {
        eventually(&format!("{replicas} replicas are scraped"), PATIENCE, || async {
            let scraped = self.prometheus.query("linkerd_failover_leader").await?;
            ensure!(scraped.len() == replicas, "{scraped:?}");
            Ok(())
        })
        .await
    }

    /// Waits until all replicas show the same of a metric.
    pub(crate) async fn wait_agreed(&self, metric: &str) -> Result<()> {
        let spread = format!(
            "max without (pod, instance) ({metric}) != min without (pod, instance) ({metric})"
        );
        eventually(&format!("replicas agree on {metric}"), PATIENCE, || async {
            let differ = self.prometheus.query(&spread).await?;
            ensure!(differ.is_empty(), "{differ:?}");
            Ok(())
        })
        .await
    }

    /// The expressions of the alerts, by name.
    pub(crate) fn expressions(&self) -> Vec<(String, String)> {
        let rules = self.rule["spec"]["groups"][0]["rules"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rules.map(|rule| (text(&rule["alert"]), text(&rule["expr"]))).collect()
    }

    /// Those that fire now, of a name and with these labels.
    async fn firing(&self, name: &str, labels: &[(&str, &str)]) -> Result<Vec<Value>> {
        let mut alerts = self.prometheus.alerts().await?;
        alerts.retain(|alert| {
            let has = |(label, value): &(&str, &str)| alert["labels"][label] == *value;
            alert["state"] == "firing"
                && alert["labels"]["alertname"] == format!("LinkerdFailover{name}")
                && labels.iter().all(has)
        });
        Ok(alerts)
    }

    /// Waits until an alert fires that has these labels. Its summary.
    pub(crate) async fn fires(&mut self, name: &str, labels: &[(&str, &str)]) -> Result<String> {
        let what = format!("{name} fires with {labels:?}");
        let alert = eventually(&what, PATIENCE, || async {
            let firing = self.firing(name, labels).await?.into_iter().next();
            firing.context("none does")
        });
        let alert = alert.await?;
        self.fired.insert(format!("LinkerdFailover{name}"));
        let summary = alert["annotations"]["summary"].as_str().context("no summary")?;
        ensure!(!summary.contains("<no value>") && !summary.contains("%!"), "{summary}");
        Ok(summary.to_owned())
    }

    /// Waits until no alert fires that has these labels.
    pub(crate) async fn resolved(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        eventually(&format!("{name} is resolved with {labels:?}"), PATIENCE, || async {
            let firing = self.firing(name, labels).await?;
            ensure!(firing.is_empty(), "{}", json!(firing));
            Ok(())
        })
        .await
    }

    /// Waits until none fires but these.
    pub(crate) async fn none_but(&self, names: &[&str]) -> Result<()> {
        eventually(&format!("no alert fires but {names:?}"), PATIENCE, || async {
            let mut others = self.prometheus.alerts().await?;
            others.retain(|alert| {
                let name = alert["labels"]["alertname"].as_str().unwrap_or_default();
                let name = name.strip_prefix("LinkerdFailover").unwrap_or(name);
                alert["state"] == "firing" && !names.contains(&name)
            });
            ensure!(others.is_empty(), "{}", json!(others));
            Ok(())
        })
        .await
    }

    /// Whether exactly these have been seen to fire.
    pub(crate) fn ensure_fired(&self, names: &[&str]) -> Result<()> {
        let expected: BTreeSet<String> =
            names.iter().map(|name| format!("LinkerdFailover{name}")).collect();
        ensure!(self.fired == expected, "fired: {:?}, expected: {expected:?}", self.fired);
        Ok(())
    }
}
