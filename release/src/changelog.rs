//! The part of `CHANGELOG.md` that is about one version.

use anyhow::Context;

/// What the changelog says of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whether it has a heading of its own, or stands under "Unreleased" still.
    pub released: bool,
    /// Its text without the heading.
    pub text: String,
}

/// A change, as Artifact Hub lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `added`, `changed`, `deprecated`, `removed`, `fixed` or `security`.
    pub kind: String,
    /// The change in one line, without links.
    pub description: String,
}

/// The part of a version: under `## [0.2.0] - 2026-12-01`, or `## [Unreleased]: 0.2.0` before that.
pub fn part(changelog: &str, version: &str) -> anyhow::Result<Part> {
    let own = format!("[{version}] - ");
    let unreleased = format!("[Unreleased]: {version}");
    let mut parts = changelog.split("\n## ").skip(1).filter_map(|part| part.split_once('\n'));
    let found = parts.find_map(|(heading, text)| {
        let released = heading.starts_with(&own);
        (released || heading.trim() == unreleased)
            .then(|| Part { released, text: text.trim().to_owned() })
    });
    found.with_context(|| {
        format!("CHANGELOG.md: found no part of {version}, expected a heading \"## {own}<date>\"")
    })
}

impl Part {
    /// The points of its lists.
    pub fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<Change> = vec![];
        let mut kind = String::new();
        let mut open = false;
        for line in self.text.lines() {
            if let Some(heading) = line.strip_prefix("### ") {
                kind = heading.trim().to_lowercase();
                open = false;
            } else if let Some(point) = line.strip_prefix("- ") {
                changes.push(Change { kind: kind.clone(), description: point.trim().to_owned() });
                open = true;
            } else if line.trim().is_empty() {
                open = false;
            } else if let Some(last) = changes.last_mut().filter(|_| open) {
                last.description = format!("{} {}", last.description, line.trim());
            }
        }
        for change in &mut changes {
            change.description = without_links(&change.description);
        }
        changes
    }
}

/// `[text](target)` becomes `text`: a link of a file leads nowhere on another site.
fn without_links(text: &str) -> String {
    let mut left = text;
    let mut plain = String::new();
    while let Some((before, rest)) = left.split_once('[') {
        let link = rest.split_once("](").and_then(|(name, rest)| {
            rest.split_once(')').map(|(_, after)| (name, after)).filter(|_| !name.contains('['))
        });
        plain.push_str(before);
        match link {
            Some((name, after)) => {
                plain.push_str(name);
                left = after;
            }
            None => {
                plain.push('[');
                left = rest;
            }
        }
    }
    plain + left
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\nWords.\n\n## [Unreleased]: 0.3.0\n\n- new\n\n## [0.2.0] - 2026-12-01\n\nFirst.\n\n### Added\n\n- One, see\n  [a page](docs/a.md) and [b].\n- Two\n\n### Security\n\n- Three\n\n## [0.1.0] - 2025-01-01\n\n- old\n";

    #[test]
    fn a_part_ends_where_the_next_version_begins() {
        let part = part(CHANGELOG, "0.2.0").unwrap();
        assert!(part.released);
        assert!(part.text.starts_with("First.") && part.text.ends_with("- Three"), "{part:?}");
        assert!(!super::part(CHANGELOG, "0.3.0").unwrap().released);
        let error = super::part(CHANGELOG, "0.2").unwrap_err().to_string();
        assert!(error.contains("found no part of 0.2,"), "{error}");
    }

    #[test]
    fn its_points_are_changes_of_the_kind_that_their_heading_names() {
        let changes = part(CHANGELOG, "0.2.0").unwrap().changes();
        let lines: Vec<_> =
            changes.iter().map(|c| format!("{}: {}", c.kind, c.description)).collect();
        assert_eq!(lines, ["added: One, see a page and [b].", "added: Two", "security: Three"]);
    }

    #[test]
    fn the_changelog_has_only_kinds_that_artifact_hub_knows() {
        let part = part(&crate::text("CHANGELOG.md").unwrap(), crate::version::VERSION).unwrap();
        let known = ["added", "changed", "deprecated", "removed", "fixed", "security"];
        let changes = part.changes();
        assert!(!changes.is_empty());
        for change in changes {
            assert!(known.contains(&change.kind.as_str()), "{change:?}");
        }
    }
}
