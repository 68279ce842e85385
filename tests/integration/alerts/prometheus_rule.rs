//! The chart's example PrometheusRule, as promtool reads it.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use test_cluster::eventually;

const TESTS: &str = "tests/fixtures/alerts.test.yaml";

#[tokio::test(flavor = "multi_thread")]
async fn the_example_rules_name_the_service_that_fails_and_not_its_namesake() -> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.apply(&crd("monitoring.coreos.com", "v1", "PrometheusRule")).await?;
    let values = ["--set", "alerts.enabled=true,alerts.prometheusRule.enabled=true"];
    let rule = eventually("kubectl knows PrometheusRules", PATIENCE, || async {
        rendered(&cluster, &values, "PrometheusRule").await
    })
    .await?;
    let folder = tempfile::tempdir()?;
    // What the operator gives Prometheus: JSON is YAML.
    std::fs::write(folder.path().join("alerts.yaml"), rule[0]["spec"].to_string())?;
    let tests = folder.path().join("alerts.test.yaml");
    std::fs::copy(TESTS, &tests)?;
    let output = test_cluster::test_rules(&tests).await?;
    ensure!(output.contains("SUCCESS"), "{output}");

    let off = ["--set", "alerts.enabled=true"];
    ensure!(rendered(&cluster, &off, "PrometheusRule").await?.is_empty());
    Ok(())
}

/// The rights that alerts need are the chart's only where they are asked for.
#[tokio::test(flavor = "multi_thread")]
async fn the_rights_to_patch_services_and_to_review_senders_come_with_alerts_alone() -> Result<()> {
    let cluster = bare_cluster().await?;
    let has = async |values: &[&str], resource: &str, verb: &str| {
        let mut rules = vec![];
        for kind in ["ClusterRole", "Role"] {
            for role in rendered(&cluster, values, kind).await? {
                rules.extend(role["rules"].as_array().context("no rules")?.clone());
            }
        }
        let is_for = |rule: &serde_json::Value| {
            let list = |field: &str| rule[field].to_string();
            list("resources").contains(resource) && list("verbs").contains(verb)
        };
        anyhow::Ok(rules.iter().any(is_for))
    };
    let rights = [
        ("\"services\"", "patch"),
        ("\"subjectaccessreviews\"", "create"),
        ("\"tokenreviews\"", "create"),
    ];
    for (resource, verb) in rights {
        let guard_off = ["--set", "guard.enabled=false"];
        ensure!(!has(&guard_off, resource, verb).await?, "{resource} without alerts");
        for values in [
            &["--set", "alerts.enabled=true"][..],
            &["--set", "alerts.enabled=true,namespaces={default}"],
        ] {
            ensure!(has(values, resource, verb).await?, "{resource} with {values:?}");
        }
    }
    Ok(())
}
