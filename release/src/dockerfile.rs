//! What the `Dockerfile` says of the image.

use anyhow::{Context, ensure};
use std::collections::BTreeMap;

/// Its place.
pub const FILE: &str = "Dockerfile";

/// The last stage, and what the stages are made from.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The images that stages begin with, as they are named.
    pub bases: Vec<String>,
    /// The user and group that it runs as.
    pub user: String,
    /// The command that it runs.
    pub entrypoint: Vec<String>,
    /// Its labels, with the defaults of the build's arguments.
    pub labels: BTreeMap<String, String>,
    /// What it takes from the stage that builds: each with its place there and its place in the image.
    pub copied: Vec<(String, String)>,
}

/// Reads the instructions that decide the image's configuration.
pub fn read(text: &str) -> anyhow::Result<Image> {
    let mut image = Image::default();
    let mut arguments = BTreeMap::new();
    for instruction in instructions(text) {
        let (word, rest) = instruction.split_once(' ').context("an instruction without words")?;
        let rest = rest.trim();
        match word {
            "FROM" => {
                let base = rest.split(' ').next().unwrap_or_default().to_owned();
                // A stage has nothing from the one before it.
                let bases = std::mem::take(&mut image.bases);
                image = Image { bases, ..Image::default() };
                image.bases.push(base);
            }
            "ARG" => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                arguments.insert(name.to_owned(), value.to_owned());
            }
            "USER" => image.user = rest.to_owned(),
            "ENTRYPOINT" => {
                image.entrypoint = serde_json::from_str(rest)
                    .with_context(|| format!("ENTRYPOINT: found {rest}, expected a JSON list"))?;
            }
            "LABEL" => {
                for (name, value) in labels(rest)? {
                    image.labels.insert(name, filled(&value, &arguments)?);
                }
            }
            "COPY" => {
                let paths = rest.strip_prefix("--from=build ");
                let paths = paths.and_then(|paths| paths.split_once(' '));
                let owned = paths.map(|(from, to)| (from.to_owned(), to.trim().to_owned()));
                image.copied.extend(owned);
            }
            _ => {}
        }
    }
    ensure!(!image.entrypoint.is_empty(), "{FILE}: no ENTRYPOINT");
    Ok(image)
}

/// One line each, without comments.
fn instructions(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    joined.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// `name="value" name="value"`.
fn labels(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut labels = vec![];
    let mut left = text.trim();
    while !left.is_empty() {
        let label = left.split_once("=\"").and_then(|(name, rest)| {
            rest.split_once('"').map(|(value, after)| (name.to_owned(), value.to_owned(), after))
        });
        let (name, value, after) =
            label.with_context(|| format!("LABEL: found {left:?}, expected name=\"value\""))?;
        labels.push((name, value));
        left = after.trim();
    }
    Ok(labels)
}

/// `$NAME` alone is an argument of the build.
fn filled(value: &str, arguments: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let Some(name) = value.strip_prefix('$') else { return Ok(value.to_owned()) };
    arguments.get(name).cloned().with_context(|| format!("LABEL: no ARG {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::VERSION;

    fn ours() -> (String, Image) {
        let text = crate::text(FILE).unwrap();
        let image = read(&text).unwrap();
        (text, image)
    }

    #[test]
    fn every_base_is_named_by_its_digest_and_the_last_is_distroless() {
        let (_, image) = ours();
        assert_eq!(image.bases.len(), 2);
        for base in &image.bases {
            let (name, digest) = base.split_once("@sha256:").unwrap_or_default();
            let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            assert!(digest.len() == 64 && digest.bytes().all(is_hex), "{base}");
            // For people, and for Dependabot.
            assert!(name.rsplit('/').next().is_some_and(|name| name.contains(':')), "{base}");
        }
        assert!(image.bases[1].starts_with("gcr.io/distroless/cc-debian13:nonroot@"));
        let oldest = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
        assert!(image.bases[0].contains(&oldest), "{}, expected {oldest}", image.bases[0]);
    }

    #[test]
    fn the_image_runs_as_the_user_that_the_chart_asks_for() {
        let (_, image) = ours();
        let values = crate::yaml(&format!("{}/values.yaml", crate::chart::FOLDER)).unwrap();
        let user = &values["podSecurityContext"]["runAsUser"];
        assert_eq!(image.user, format!("{user}:{user}"));
        assert!(user.as_u64().is_some_and(|user| user > 0), "{user}");
        assert_eq!(image.entrypoint, ["/usr/local/bin/linkerd-failover"]);
        let target = "/src/target/release/linkerd-failover".to_owned();
        assert_eq!(image.copied, [(target, image.entrypoint[0].clone())]);
    }

    #[test]
    fn its_labels_are_of_this_version() {
        let (_, image) = ours();
        let label = |name: &str| image.labels[&format!("org.opencontainers.image.{name}")].clone();
        assert_eq!(label("title"), crate::PROGRAM);
        assert_eq!(label("version"), VERSION);
        assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
        assert_eq!(label("source"), env!("CARGO_PKG_REPOSITORY"));
        assert_eq!(label("revision"), "unknown");
        assert!(label("url").starts_with("https://") && !label("description").is_empty());
    }

    #[test]
    fn the_manifest_of_every_member_is_there_before_the_sources_and_dependencies_are_locked() {
        let (text, _) = ours();
        let (before, after) = text.split_once("\nCOPY . .\n").unwrap();
        let root = crate::text("Cargo.toml").unwrap();
        let members = root.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
        let ignored = crate::text(".dockerignore").unwrap();
        for member in members.split(',').map(|member| member.trim().trim_matches('"')) {
            let line = format!("COPY {member}/Cargo.toml {member}/\n");
            assert!(before.contains(&line), "{FILE}: expected {line}");
            let kept = ignored.lines().any(|line| {
                line == format!("!{member}/Cargo.toml") || line == format!("!{member}")
            });
            assert!(kept, ".dockerignore keeps {member}/Cargo.toml out");
            // A member needs a target, and has none yet.
            assert!(before.contains(&format!(" {member}/src ")), "{FILE}: {member} has no src");
        }
        for half in [before, after] {
            assert!(half.contains("cargo build --locked --release --bin linkerd-failover"));
            assert!(half.contains("--mount=type=cache,"));
        }
    }

    #[test]
    fn a_stage_has_nothing_from_the_one_before_it() {
        let image = read(
            "ARG V=1\nFROM a AS build\nUSER 1\nLABEL x=\"y\"\nFROM b\n# Words\nLABEL a=\"$V\" \\\n  b=\"two words\"\n\
             ENTRYPOINT [\"/a\", \"b\"]\n",
        )
        .unwrap();
        assert_eq!((image.user.as_str(), image.bases.len()), ("", 2));
        let labels: Vec<_> = image.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(labels, ["a=1", "b=two words"]);
        assert!(read("FROM a\nENTRYPOINT a\n").is_err());
    }
}
