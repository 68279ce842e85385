//! The chart as it is packaged for a release.

use crate::changelog;
use crate::command::run;
use crate::version::{VERSION, is_prerelease};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its folder.
pub const FOLDER: &str = "charts/linkerd-failover";

/// What names and describes it.
pub const CHART_YAML: &str = "charts/linkerd-failover/Chart.yaml";

/// What Artifact Hub shows of the changes.
pub const CHANGES: &str = "artifacthub.io/changes";

/// Whether Artifact Hub shows the version as one before a release.
pub const PRERELEASE: &str = "artifacthub.io/prerelease";

/// Packages the chart into a folder, with what depends on the version among its annotations: the changelog's
/// points, and whether the version comes before a release. The chart of the tree has neither.
pub fn package(helm: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let folder = tempfile::tempdir()?;
    let chart = folder.path().join(crate::PROGRAM);
    copy(&crate::workspace_root().join(FOLDER), &chart)?;
    let text = with_annotations(&crate::text(CHART_YAML)?)?;
    std::fs::write(chart.join("Chart.yaml"), text)?;
    run(Command::new(helm).arg("package").arg(&chart).arg("--destination").arg(to))?;
    let path = to.join(format!("{}-{VERSION}.tgz", crate::PROGRAM));
    ensure!(path.is_file(), "helm package wrote no {}", path.display());
    Ok(path)
}

/// The chart's description with the annotations of this version at its end.
fn with_annotations(chart_yaml: &str) -> anyhow::Result<String> {
    let (_, annotations) =
        chart_yaml.split_once("\nannotations:\n").context("Chart.yaml has no annotations")?;
    ensure!(
        annotations.lines().all(|line| line.starts_with("  ") || line.is_empty()),
        "Chart.yaml: expected annotations at its end, so that others can follow"
    );
    let part = changelog::part(&crate::text("CHANGELOG.md")?, VERSION)?;
    let mut text =
        format!("{}\n  {PRERELEASE}: \"{}\"\n", chart_yaml.trim_end(), is_prerelease(VERSION));
    text += &format!("  {CHANGES}: |\n");
    for change in part.changes() {
        // A string of JSON is one of YAML too.
        let description = serde_json::to_string(&change.description)?;
        text += &format!("    - kind: {}\n      description: {description}\n", change.kind);
    }
    Ok(text)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (path, copy_to) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if path.is_dir() {
            copy(&path, &copy_to)?;
        } else {
            std::fs::copy(&path, &copy_to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn annotation(chart: &Value, name: &str) -> Value {
        let text = chart["annotations"][format!("artifacthub.io/{name}")].as_str();
        serde_saphyr::from_str(text.unwrap_or_else(|| panic!("no {name}"))).unwrap()
    }

    #[test]
    fn artifact_hub_is_told_what_the_chart_runs() {
        let chart = crate::yaml(CHART_YAML).unwrap();
        let values = crate::yaml(&format!("{FOLDER}/values.yaml")).unwrap();
        let image = |of: &Value, tag: &str| {
            let part = |name: &str| of[name].as_str().unwrap().to_owned();
            format!("{}/{}:{tag}", part("registry"), part("name"))
        };
        let images = annotation(&chart, "images");
        assert_eq!(images[0]["image"], image(&values["image"], VERSION));
        let platforms: Vec<_> = crate::platform::ALL
            .into_iter()
            .filter(|platform| platform.has_image())
            .map(|platform| format!("{}/{}", platform.os, platform.arch))
            .collect();
        assert_eq!(images[0]["platforms"], json!(platforms));
        let test = &values["tests"]["image"];
        assert_eq!(images[1]["image"], image(test, test["tag"].as_str().unwrap()));
        assert_eq!(images.as_array().unwrap().len(), 2);
    }

    #[test]
    fn its_description_is_that_of_the_program() {
        let chart = crate::yaml(CHART_YAML).unwrap();
        let annotations = &chart["annotations"];
        assert_eq!(annotations["artifacthub.io/license"], env!("CARGO_PKG_LICENSE"));
        assert_eq!(annotations["artifacthub.io/category"], "networking");
        assert_eq!(chart["sources"], json!([env!("CARGO_PKG_REPOSITORY")]));
        let repository = format!("{}/", env!("CARGO_PKG_REPOSITORY"));
        let links = annotation(&chart, "links");
        for link in links.as_array().unwrap() {
            let url = link["url"].as_str().unwrap();
            let path = url.strip_prefix(&repository).unwrap_or_else(|| panic!("{url}"));
            // What it points at is in this tree, but for the issues.
            let path = path.strip_prefix("blob/main/");
            assert!(path.is_none_or(|path| crate::text(path).is_ok()), "{url}");
        }
        assert!(!chart["maintainers"].as_array().unwrap().is_empty());
    }

    #[test]
    fn the_package_says_what_has_changed_and_whether_it_comes_before_a_release() {
        let text = with_annotations(&crate::text(CHART_YAML).unwrap()).unwrap();
        let chart: Value = serde_saphyr::from_str(&text).unwrap();
        let changes = annotation(&chart, "changes");
        let part = changelog::part(&crate::text("CHANGELOG.md").unwrap(), VERSION).unwrap();
        assert_eq!(changes.as_array().unwrap().len(), part.changes().len());
        assert_eq!(chart["annotations"][PRERELEASE], is_prerelease(VERSION).to_string());
        assert_eq!(chart["version"], VERSION);
        assert!(with_annotations("name: a\nannotations:\n  a: b\nversion: 1\n").is_err());
    }
}
