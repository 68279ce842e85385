//! The chart's dashboard, as Grafana's sidecar and Prometheus read it.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_is_found_by_its_label_and_prometheus_reads_every_expression() -> Result<()> {
    let cluster = bare_cluster().await?;
    let dashboard = |values: &'static str| {
        let cluster = &cluster;
        async move {
            let maps = rendered(cluster, &["--set", values], "ConfigMap").await?;
            let named = |map: &Value| map["metadata"]["name"] == "linkerd-failover-dashboard";
            anyhow::Ok(maps.into_iter().find(named))
        }
    };
    ensure!(dashboard("dashboards.enabled=false").await?.is_none());
    let map = dashboard("dashboards.enabled=true").await?.context("no dashboard")?;
    let metadata = &map["metadata"];
    assert_eq!(metadata["labels"]["grafana_dashboard"], "1");
    assert_eq!(metadata["namespace"], "linkerd-failover");
    let moved = dashboard(
        "dashboards.enabled=true,dashboards.namespace=grafana,dashboards.labels.team=mesh",
    );
    let moved = moved.await?.context("no dashboard")?;
    assert_eq!(moved["metadata"]["namespace"], "grafana");
    assert_eq!(moved["metadata"]["labels"]["team"], "mesh");

    let text = map["data"]["linkerd-failover.json"].as_str().context("no JSON")?;
    let dashboard: Value = serde_json::from_str(text)?;
    let variables = dashboard["templating"]["list"].as_array().context("no variables")?;
    ensure!(variables[0]["name"] == "datasource" && variables[0]["type"] == "datasource");
    let panels = panels(&dashboard)?;
    let mut rules = vec![];
    for panel in &panels {
        for expression in &panel.expressions {
            let expression = without_variables(expression);
            ensure!(!expression.contains('$'), "{}: {expression}", panel.title);
            rules.push(json!({"record": format!("dashboard:{}", rules.len()), "expr": expression}));
        }
    }
    let mut titles: Vec<&str> = panels.iter().map(|panel| panel.row.as_str()).collect();
    titles.dedup();
    let expected = [
        "What is where",
        "Flips",
        "Time to flip",
        "Webhook",
        "Deletion guard",
        "Linked clusters",
        "Certificates",
        "Alerts and notifications",
        "Replicas",
    ];
    assert_eq!(titles, expected);

    let folder = tempfile::tempdir()?;
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(folder.path().join("rules.yaml"), groups.to_string())?;
    let tests = folder.path().join("tests.yaml");
    let none = json!({"rule_files": ["rules.yaml"], "tests": [{"interval": "1m"}]});
    std::fs::write(&tests, none.to_string())?;
    let output = test_cluster::test_rules(&tests).await?;
    ensure!(output.contains("SUCCESS"), "{output}");
    Ok(())
}
