//! Every page of the documentation, done on a cluster as it says. [`docs_pages::page`] has the rules of blocks.

use super::figures;
use super::reader::{parsed, read_page};
use anyhow::{Result, ensure};
use docs_pages::repository;
use std::collections::BTreeSet;

async fn page(path: &str) -> Result<()> {
    figures::record(read_page(path).await?)
}

macro_rules! pages {
    ($($name:ident = $path:literal,)*) => {
        pub(super) const PAGES: &[&str] = &[$($path),*];
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() -> Result<()> {
                page($path).await
            }
        )*
    };
}

pages! {
    contributing = "CONTRIBUTING.md",
    readme = "README.md",
    chart = "charts/linkerd-failover/README.md",
    alerts = "docs/alerts.md",
    annotations = "docs/annotations.md",
    architecture = "docs/architecture.md",
    before_the_loss = "docs/before-the-loss.md",
    by_hand = "docs/by-hand.md",
    chaos = "docs/chaos.md",
    checks = "docs/checks.md",
    cli = "docs/cli.md",
    concepts = "docs/concepts.md",
    gitops = "docs/gitops.md",
    figures = "docs/figures.md",
    glossary = "docs/glossary.md",
    how_it_decides = "docs/how-it-decides.md",
    install = "docs/install.md",
    kinds = "docs/kinds.md",
    metrics = "docs/metrics.md",
    migration = "docs/migration.md",
    no_request_lost = "docs/no-request-lost.md",
    notifications = "docs/notifications.md",
    other_clusters = "docs/other-clusters.md",
    quick_start = "docs/quick-start.md",
    rbac = "docs/rbac.md",
    ready_but_failing = "docs/ready-but-failing.md",
    recipes = "docs/recipes.md",
    releases = "docs/releases.md",
    runbook = "docs/runbook.md",
    security = "docs/security.md",
    sizing = "docs/sizing.md",
    status = "docs/status.md",
    validate = "docs/validate.md",
    why = "docs/why.md",
}

#[test]
fn every_page_has_its_test_here() -> Result<()> {
    let found: BTreeSet<String> = repository::pages(&repository::root())?.into_iter().collect();
    let tested: BTreeSet<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    let untested: Vec<_> = found.difference(&tested).collect();
    ensure!(untested.is_empty(), "{untested:?} stand in no line of `pages!`");
    let gone: Vec<_> = tested.difference(&found).collect();
    ensure!(gone.is_empty(), "`pages!` names {gone:?}, which are no pages");
    Ok(())
}

/// Without a cluster: at once, and all of them.
#[test]
fn no_page_breaks_a_rule_of_blocks() -> Result<()> {
    let mut faults = vec![];
    for path in repository::pages(&repository::root())? {
        faults.extend(parsed(&path)?.1.iter().map(ToString::to_string));
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}
