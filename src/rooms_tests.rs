//! The order of the rooms, read from the sources: a `use crate::` line that points up, or files that use
//! each other in a circle, fail here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file that is no test: its module path, and the paths that it uses.
struct Source {
    module: Vec<String>,
    used: BTreeSet<Vec<String>>,
    /// Names that a `mod.rs` hands on, by the path under which others know them.
    handed_on: BTreeMap<Vec<String>, Vec<String>>,
}

impl Source {
    fn room(&self) -> &str {
        &self.module[0]
    }
}

#[test]
fn a_room_uses_only_those_below_it() {
    let rooms = rooms();
    let floor = |room: &str| rooms.iter().position(|known| known == room);
    let mut wrong = BTreeSet::new();
    for source in sources() {
        let from = floor(source.room()).unwrap_or_else(|| {
            panic!("room {} is not in the list in src/lib.rs", source.room());
        });
        for used in source.used.iter().filter_map(|path| floor(&path[0])) {
            if used < from {
                wrong.insert(format!("{} -> {}", source.room(), rooms[used]));
            }
        }
    }
    assert!(wrong.is_empty(), "these point up, by the list of rooms in src/lib.rs: {wrong:?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = sources();
    let modules: BTreeSet<&[String]> = sources.iter().map(|s| s.module.as_slice()).collect();
    // A path leads to the file with the longest module path that begins it.
    let handed_on: BTreeMap<_, _> = sources.iter().flat_map(|s| s.handed_on.clone()).collect();
    let file_of = |path: &[String]| {
        let path = handed_on.get(path).map_or(path, Vec::as_slice);
        (1..=path.len()).rev().find_map(|n| modules.get(&path[..n]).copied())
    };
    let arrows: BTreeMap<&[String], BTreeSet<&[String]>> = sources
        .iter()
        .map(|source| {
            let used = source.used.iter().filter_map(|path| file_of(path));
            let own = source.module.as_slice();
            // What a folder's `mod.rs` hands on belongs to its files, and stands above all of them.
            (own, used.filter(|used| *used != own && !own.starts_with(used)).collect())
        })
        .collect();
    let mut circles = BTreeSet::new();
    for &file in arrows.keys() {
        let reached = reachable(&arrows, file);
        if reached.contains(file) {
            let circle = reached.iter().filter(|other| reachable(&arrows, other).contains(file));
            circles.extend(circle.min().map(|first| first.join("::")));
        }
    }
    assert!(
        circles.is_empty(),
        "the first file of each circle, whose `use` lines lead to the others: {circles:?}"
    );
}

fn reachable<'a>(
    arrows: &BTreeMap<&'a [String], BTreeSet<&'a [String]>>,
    from: &[String],
) -> BTreeSet<&'a [String]> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        for used in arrows.get(file).into_iter().flatten() {
            if reached.insert(*used) {
                next.push(used);
            }
        }
    }
    reached
}

/// The rooms from the top down, as `src/lib.rs` lists them.
fn rooms() -> Vec<String> {
    let map = fs::read_to_string(src().join("lib.rs")).unwrap();
    let name = |line: &str| Some(line.strip_prefix("//! - [`")?.split_once("`]")?.0.to_owned());
    map.lines().filter_map(name).collect()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let (mut files, mut folders) = (vec![], vec![src()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                None => folders.push(path),
                Some(_) => files.push(path),
            }
        }
    }
    files.sort();
    files.iter().filter_map(|file| source(file)).collect()
}

/// None for tests, and for the two files that are above all rooms.
fn source(file: &Path) -> Option<Source> {
    let relative = file.strip_prefix(src()).unwrap().with_extension("");
    let mut module: Vec<String> =
        relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|name| name == "mod") {
        module.pop();
    }
    let name = module.last()?;
    let is_test = ["tests", "test_support", "histories"].iter().any(|end| name.ends_with(end));
    // What tests and the targets of `fuzz/` run, and a feature that no release has: they are no rooms of the program.
    let is_no_room = ["simulation", "planted_faults", "fuzz"].contains(&module[0].as_str());
    if is_test || is_no_room || ["lib", "main"].contains(&name.as_str()) {
        return None;
    }
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let handed_on = match relative.ends_with("mod") {
        true => handed_on(code, &module),
        false => BTreeMap::new(),
    };
    Some(Source { used: used(code, &module), handed_on, module })
}

/// What `pub use file::Name` makes known as `room::Name`.
fn handed_on(code: &str, module: &[String]) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut paths = BTreeSet::new();
    for line in ["\npub use ", "\npub(crate) use "] {
        for (at, _) in code.match_indices(line) {
            tree(module, &code[at + line.len()..], &mut paths);
        }
    }
    let known_as =
        |path: &Vec<String>| module.iter().chain(path.last()).cloned().collect::<Vec<_>>();
    paths.into_iter().map(|path| (known_as(&path), path)).collect()
}

/// The paths of `use crate::`, `use super::` and of what is named by its whole path.
fn used(code: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut used = BTreeSet::new();
    let bytes = code.as_bytes();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let before = at.checked_sub(1).map(|i| bytes[i]);
            if before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':') {
                continue;
            }
            let mut rest = &code[at..];
            let mut base = vec![];
            if let Some(after) = rest.strip_prefix("crate::") {
                rest = after;
            } else {
                base = module.to_vec();
                while let Some(after) = rest.strip_prefix("super::") {
                    base.pop();
                    rest = after;
                }
            }
            tree(&base, rest, &mut used);
        }
    }
    used
}

/// Reads a use tree, `a::{b, c::d}`, and gives back what stands behind it.
fn tree<'a>(base: &[String], text: &'a str, used: &mut BTreeSet<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(base, rest, used).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if !more.trim_start().starts_with('}') => rest = more,
                Some(more) => return more.trim_start().strip_prefix('}').unwrap_or(more),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let mut path = base.to_vec();
    if !name.is_empty() && name != "self" {
        path.push(name.to_owned());
    }
    match rest.strip_prefix("::") {
        Some(rest) => tree(&path, rest, used),
        None => {
            let alias = rest.strip_prefix(" as ").map(|rest| {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                &rest[end.unwrap_or(rest.len())..]
            });
            if !path.is_empty() {
                used.insert(path);
            }
            alias.unwrap_or(rest)
        }
    }
}

#[test]
fn a_use_tree_is_read_with_all_its_branches() {
    let module = ["a".to_owned(), "b".to_owned()];
    let read = used("use crate::x::{self, y::{Z, W as V}, q};\nsuper::c::f();", &module);
    let read: Vec<_> = read.iter().map(|path| path.join("::")).collect();
    assert_eq!(read, ["a::c::f", "x", "x::q", "x::y::W", "x::y::Z"]);
}
