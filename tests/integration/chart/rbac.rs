//! `docs/rbac.md` says which rights the program has; the chart says so too.

use crate::support::*;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use test_cluster::Cluster;

const PAGE: &str = "docs/rbac.md";
const OWN_NAMESPACE: &str = "linkerd-failover";
const CLUSTER: &str = "the cluster";

/// One right: where, in which API group, to which resource, to which objects of it alone, which verbs.
type Right = (String, String, String, BTreeSet<String>, BTreeSet<String>);

/// The rights that the chart renders with these values for the program, and not for its test.
async fn rendered_rights(cluster: &Cluster, values: &str) -> Result<BTreeSet<Right>> {
    let set = ["--set", values];
    let arguments: &[&str] = if values.is_empty() { &["--no-hooks"] } else { &set };
    let mut rights = BTreeSet::new();
    for kind in ["ClusterRole", "Role"] {
        for role in rendered(cluster, arguments, kind).await? {
            if role.pointer("/metadata/annotations/helm.sh~1hook").is_some() {
                continue;
            }
            let namespace = role["metadata"]["namespace"].as_str().filter(|_| kind == "Role");
            let place = namespace.unwrap_or(CLUSTER);
            for rule in role["rules"].as_array().context("a role without rules")? {
                let texts = |field: &str| -> BTreeSet<String> {
                    let values = rule[field].as_array().into_iter().flatten();
                    values.filter_map(Value::as_str).map(str::to_owned).collect()
                };
                for group in texts("apiGroups") {
                    for resource in texts("resources") {
                        let group = if group.is_empty() { "core".into() } else { group.clone() };
                        rights.insert((
                            place.to_owned(),
                            group,
                            resource,
                            texts("resourceNames"),
                            texts("verbs"),
                        ));
                    }
                }
            }
        }
    }
    Ok(rights)
}

fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The cells of the table below a heading, but for its head.
fn table<'a>(page: &'a str, heading: &str) -> Result<Vec<Vec<&'a str>>> {
    let (_, section) =
        page.split_once(&format!("\n## {heading}\n")).with_context(|| format!("no {heading}"))?;
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    Ok(rows.map(|row| row.split('|').skip(1).map(str::trim).collect()).collect())
}

/// The right that the cells of group, resource and verbs describe.
fn right(place: &str, cells: &[&str]) -> Result<Right> {
    let group = quoted(cells[0]).next().context("no group")?;
    let mut resource = quoted(cells[1]);
    let name = resource.next().with_context(|| format!("no resource in {:?}", cells[1]))?;
    Ok((place.to_owned(), group, name, resource.collect(), quoted(cells[2]).collect()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_about_rights_has_those_that_the_chart_renders() -> Result<()> {
    let cluster = cluster().await?;
    let page = std::fs::read_to_string(PAGE)?;
    let mut stated = BTreeSet::new();
    for (heading, place) in [("In the cluster", CLUSTER), ("In its own namespace", OWN_NAMESPACE)] {
        for row in table(&page, heading)? {
            stated.insert(right(place, &row)?);
        }
    }
    let default = rendered_rights(&cluster, "").await?;
    assert_eq!(stated, default);

    // A value adds what its rows say, and nothing else.
    let rows = table(&page, "What values add")?;
    let values: BTreeSet<String> = rows.iter().flat_map(|row| quoted(row[0]).next()).collect();
    let stated_of = |value: &str| -> Result<BTreeSet<Right>> {
        let of = |row: &&Vec<&str>| quoted(row[0]).any(|other| value.starts_with(&other));
        let place = |cell: &str| quoted(cell).next().unwrap_or_else(|| cell.to_owned());
        rows.iter().filter(of).map(|row| right(&place(row[1]), &row[2..])).collect()
    };
    for value in values {
        let with = rendered_rights(&cluster, &value).await?;
        let added: BTreeSet<Right> = with.difference(&default).cloned().collect();
        assert_eq!(added, stated_of(&value)?, "{value}");
    }
    Ok(())
}
