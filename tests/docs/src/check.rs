//! Follows every link of the documentation, offline.

use crate::fault::Fault;
use crate::links::{self, Links};
use crate::repository::{BOOK, SUMMARY, read};
use anyhow::Result;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Where the repository is shown to the world: a file of it, as its URL has it.
pub const REPOSITORY: &str = "https://github.com/linkerd/linkerd-failover";

/// What was followed.
#[derive(Debug, Default)]
pub struct Followed {
    /// Links that lead nowhere, and what else is wrong with links.
    pub faults: Vec<Fault>,
    /// How many lead to a place in the repository.
    pub inside: usize,
    /// Those that lead elsewhere. Nobody follows them here.
    pub outside: BTreeSet<String>,
}

/// Follows the links of these texts.
pub fn follow(root: &Path, texts: &[String]) -> Result<Followed> {
    let mut places = Places { root, texts: BTreeMap::new() };
    let mut followed = Followed::default();
    for path in texts {
        let links = places.links(path)?.clone();
        for (line, reference) in &links.undefined {
            let what = format!("[{reference}] is defined nowhere");
            followed.faults.push(Fault::new(path, *line, what));
        }
        for link in &links.links {
            if link.alternative.as_ref().is_some_and(|text| text.trim().is_empty()) {
                let what = format!("the image {} has no text: say what it shows", link.to);
                followed.faults.push(Fault::new(path, link.line, what));
            }
            match places.target(path, &link.to)? {
                Target::Outside => {
                    followed.outside.insert(link.to.clone());
                }
                Target::Inside => followed.inside += 1,
                Target::Nothing(why) => {
                    let what = format!("the link {}: {why}", link.to);
                    followed.faults.push(Fault::new(path, link.line, what));
                }
            }
        }
    }
    followed.faults.sort();
    Ok(followed)
}

/// Follows what other files say of pages: `docs/checks.md#one-replica-leads`.
pub fn follow_mentions(root: &Path, files: &[String]) -> Result<Followed> {
    let mention =
        Regex::new(r"\b(docs/[a-z0-9-]+\.md|charts/linkerd-failover/README\.md)(#[a-z0-9_-]+)?")?;
    let mut places = Places { root, texts: BTreeMap::new() };
    let mut followed = Followed::default();
    for path in files {
        for (nth, line) in read(root, path)?.lines().enumerate() {
            for found in mention.find_iter(line) {
                match places.target("", found.as_str())? {
                    Target::Nothing(why) => {
                        let what = format!("{}: {why}", found.as_str());
                        followed.faults.push(Fault::new(path, nth + 1, what));
                    }
                    _ => followed.inside += 1,
                }
            }
        }
    }
    Ok(followed)
}

/// What the table of contents lacks, and what it has twice.
pub fn summary(root: &Path, pages: &[String]) -> Result<Vec<Fault>> {
    let mut listed = BTreeSet::new();
    let mut faults = vec![];
    for link in links::read(&read(root, SUMMARY)?).links {
        let path = format!("{BOOK}/{}", link.to);
        if !listed.insert(path.clone()) {
            faults.push(Fault::new(SUMMARY, link.line, format!("{} stands here twice", link.to)));
        }
    }
    let unlisted = pages.iter().filter(|page| page.starts_with(BOOK) && !listed.contains(*page));
    faults.extend(
        unlisted.map(|page| Fault::new(page, 1, format!("{SUMMARY} does not list this page"))),
    );
    Ok(faults)
}

enum Target {
    Inside,
    Outside,
    Nothing(String),
}

struct Places<'a> {
    root: &'a Path,
    texts: BTreeMap<String, Links>,
}

impl Places<'_> {
    fn links(&mut self, path: &str) -> Result<&Links> {
        if !self.texts.contains_key(path) {
            self.texts.insert(path.into(), links::read(&read(self.root, path)?));
        }
        Ok(&self.texts[path])
    }

    /// Where a link in the file `from` leads.
    fn target(&mut self, from: &str, to: &str) -> Result<Target> {
        let ours = [format!("{REPOSITORY}/blob/main/"), format!("{REPOSITORY}/tree/main/")];
        if let Some(path) = ours.iter().find_map(|ours| to.strip_prefix(ours)) {
            return self.target("", path);
        }
        if let Some((scheme, _)) =
            to.split_once(':').filter(|(scheme, _)| !scheme.contains(['/', '#', '.']))
        {
            return Ok(match scheme {
                "mailto" => Target::Outside,
                "https" | "http" => match to.parse::<http::Uri>() {
                    Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Target::Outside,
                    Ok(_) => Target::Nothing("it names no host".into()),
                    Err(error) => Target::Nothing(format!("it is no URL: {error}")),
                },
                _ => Target::Nothing(format!("nobody opens {scheme}:")),
            });
        }
        let (file, anchor) = to.split_once('#').unwrap_or((to, ""));
        let path = match file {
            "" => from.to_owned(),
            _ if file.starts_with('/') => {
                return Ok(Target::Nothing("write it from this file on".into()));
            }
            _ => match normal(&Path::new(from).parent().unwrap_or(Path::new("")).join(file)) {
                Some(path) => path,
                None => return Ok(Target::Nothing("it leads out of the repository".into())),
            },
        };
        if !self.root.join(&path).exists() {
            return Ok(Target::Nothing(format!("there is no {path}")));
        }
        if anchor.is_empty() || !path.ends_with(".md") {
            return Ok(Target::Inside);
        }
        let anchors = &self.links(&path)?.anchors;
        if anchors.contains(anchor) {
            return Ok(Target::Inside);
        }
        let near = anchors.iter().map(|one| (strsim::jaro_winkler(one, anchor), one));
        let nearest = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(near, _)| *near > 0.7);
        let hint = nearest.map(|(_, one)| format!("; did you mean #{one}?")).unwrap_or_default();
        Ok(Target::Nothing(format!("{path} has no heading #{anchor}{hint}")))
    }
}

/// Without `..`; none, where that leads out.
fn normal(path: &Path) -> Option<String> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    Some(normal.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let root = repository(files);
        let texts: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let texts: Vec<String> = texts.into_iter().filter(|path| path.ends_with(".md")).collect();
        follow(root.path(), &texts).unwrap().faults.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_counted() {
        let root = repository(&[
            ("README.md", "[a](docs/a.md#one-two) [b](docs) [c](#d)\n# D\n"),
            ("docs/a.md", "# One, two\n[e](../README.md#d) <https://f.g/h?i=j#k> ![l](m.svg)\n"),
            ("docs/m.svg", ""),
        ]);
        let texts = ["README.md", "docs/a.md"].map(str::to_owned);
        let Followed { faults, inside, outside } = follow(root.path(), &texts).unwrap();
        assert_eq!(faults, []);
        assert_eq!((inside, outside), (5, ["https://f.g/h?i=j#k".to_owned()].into()));
    }

    #[test]
    fn every_dead_link_is_said_with_its_line_and_what_was_near() {
        for (text, fault) in [
            ("[a](b.md)", "docs/a.md:1: the link b.md: there is no docs/b.md"),
            (
                "\n[a](#nothing)",
                "docs/a.md:2: the link #nothing: docs/a.md has no heading #nothing",
            ),
            (
                "# One two\n[a](#one-tow)",
                "docs/a.md:2: the link #one-tow: docs/a.md has no heading #one-tow; did you mean #one-two?",
            ),
            ("[a](/docs/a.md)", "docs/a.md:1: the link /docs/a.md: write it from this file on"),
            ("[a](../../b.md)", "docs/a.md:1: the link ../../b.md: it leads out of the repository"),
            ("[a](https://)", "docs/a.md:1: the link https://: it is no URL"),
            ("[a](javascript:b)", "docs/a.md:1: the link javascript:b: nobody opens javascript:"),
            ("![](a.md)", "docs/a.md:1: the image a.md has no text"),
            ("[a][b]", "docs/a.md:1: [b] is defined nowhere"),
            (
                "[a](https://github.com/linkerd/linkerd-failover/blob/main/docs/b.md)",
                "docs/a.md:1: the link https://github.com/linkerd/linkerd-failover/blob/main/docs/b.md: there is no docs/b.md",
            ),
        ] {
            let found = faults(&[("docs/a.md", text)]);
            assert!(found.len() == 1 && found[0].starts_with(fault), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_code_says_of_pages_is_followed() {
        let root = repository(&[
            ("docs/a.md", "# One\n"),
            ("src/a.rs", "// docs/a.md, docs/a.md#one\n// docs/a.md#two\n// docs/b.md.\n"),
        ]);
        let Followed { faults, inside, .. } =
            follow_mentions(root.path(), &["src/a.rs".to_owned()]).unwrap();
        let faults: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(inside, 2);
        assert_eq!(
            faults,
            [
                "src/a.rs:2: docs/a.md#two: docs/a.md has no heading #two",
                "src/a.rs:3: docs/b.md: there is no docs/b.md",
            ]
        );
    }

    #[test]
    fn the_table_of_contents_has_each_page_once() {
        let root = repository(&[("docs/SUMMARY.md", "- [A](a.md)\n- [A](a.md)\n")]);
        let pages = ["README.md", "docs/a.md", "docs/b.md"].map(str::to_owned);
        let faults: Vec<String> =
            summary(root.path(), &pages).unwrap().iter().map(Fault::to_string).collect();
        let expected = [
            "docs/SUMMARY.md:2: a.md stands here twice",
            "docs/b.md:1: docs/SUMMARY.md does not list this page",
        ];
        assert_eq!(faults, expected);
    }
}
