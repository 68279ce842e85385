//! The version: one for the program, the image and the chart.

use crate::{changelog, chart};
use anyhow::ensure;

/// That of `workspace.package` in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether a version is one before a release, such as `0.2.0-rc.1`.
pub fn is_prerelease(version: &str) -> bool {
    version.split('+').next().unwrap_or_default().contains('-')
}

/// Sees that all places name one version: `Cargo.toml`, the chart's `version` and `appVersion`, the rendered
/// manifests, the changelog, and the tag of the commit where there is one.
pub fn check(tag: Option<&str>) -> anyhow::Result<()> {
    let chart = crate::yaml(chart::CHART_YAML)?;
    for field in ["version", "appVersion"] {
        let found = chart[field].as_str().unwrap_or_default();
        ensure!(
            found == VERSION,
            "{}: {field}: found {found:?}, expected {VERSION:?}, as in Cargo.toml",
            chart::CHART_YAML
        );
    }
    let image = format!("image: \"{}/{}:{VERSION}\"", crate::REGISTRY, crate::PROGRAM);
    ensure!(
        crate::text("manifests/install.yaml")?.contains(&image),
        "manifests/install.yaml: expected {image}; run `make manifests`"
    );
    let part = changelog::part(&crate::text("CHANGELOG.md")?, VERSION)?;
    let Some(tag) = tag else { return Ok(()) };
    ensure!(
        tag == format!("v{VERSION}"),
        "tag: found {tag:?}, expected \"v{VERSION}\", as in Cargo.toml; tag the commit of that version"
    );
    let early = files_that_say(NOT_YET)?;
    ensure!(
        early.is_empty(),
        "found {NOT_YET:?} in {}; docs/releases.md, \"At the first release\", says what to take out",
        early.join(", ")
    );
    ensure!(
        part.released,
        "CHANGELOG.md: {VERSION} stands under \"Unreleased\"; name the part \"[{VERSION}] - <date>\""
    );
    Ok(())
}

/// What texts say of a version before its release.
const NOT_YET: &str = "not released yet";

/// The texts for users that have these words, across the ends of lines too.
fn files_that_say(words: &str) -> anyhow::Result<Vec<String>> {
    let mut files = vec!["README.md".to_owned(), "SECURITY.md".into()];
    files.push(format!("{}/README.md", chart::FOLDER));
    for entry in std::fs::read_dir(crate::workspace_root().join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            files.push(format!("docs/{name}"));
        }
    }
    files.sort();
    let mut found = vec![];
    for file in files {
        let text = crate::text(&file)?;
        if text.split_whitespace().collect::<Vec<_>>().join(" ").contains(words) {
            found.push(file);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_that_says_so_is_listed_for_the_first_release() {
        let page = crate::text("docs/releases.md").unwrap();
        let (_, listed) = page.split_once("\n## At the first release\n").unwrap();
        for file in files_that_say(NOT_YET).unwrap() {
            let is_it = file == "docs/releases.md" && listed.contains("this page");
            assert!(is_it || listed.contains(&format!("`{file}`")), "{file}");
        }
    }

    #[test]
    fn one_version_is_named_everywhere() {
        check(None).unwrap();
    }

    #[test]
    fn a_tag_of_another_version_is_refused() {
        for tag in ["v99.0.0", VERSION, "v0.2"] {
            let error = check(Some(tag)).unwrap_err().to_string();
            assert!(error.starts_with("tag: found"), "{error}");
        }
    }

    #[test]
    fn a_version_with_a_hyphen_comes_before_a_release() {
        assert!(is_prerelease("0.2.0-rc.1"));
        assert!(!is_prerelease("0.2.0") && !is_prerelease("0.2.0+a-b"));
    }
}
