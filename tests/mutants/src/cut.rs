//! A room as a crate of its own: the same files at the same paths, without the rest of the program.

use crate::manifest;
use crate::room::{Package, Room};
use crate::tests_left_out::tests_left_out;
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files of every cut: the versions of all dependencies, the toolchain, and how mutants are made.
const SHARED: [&str; 3] = ["Cargo.lock", "rust-toolchain.toml", ".cargo/mutants.toml"];

/// The files of a crate.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// By their paths, which are those in the repository.
    pub files: BTreeMap<PathBuf, String>,
}

impl Cut {
    /// Cuts a room out of the repository.
    pub fn of(room: &Room, repository: &Path) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        for path in SHARED {
            files.insert(PathBuf::from(path), read(&repository.join(path))?);
        }
        for path in room.copied {
            collect(repository, Path::new(path), &mut files)?;
        }
        let mut used = BTreeMap::new();
        for path in room.used {
            collect(repository, Path::new(path), &mut used)?;
        }
        used.retain(|path, _| !path.to_string_lossy().ends_with("_tests.rs"));
        files.extend(used.into_iter().map(|(path, text)| (path, tests_left_out(&text))));
        let root = read(&repository.join("Cargo.toml"))?;
        let manifest = match room.package {
            Package::Member(name) => manifest::of_workspace(&root, name),
            Package::Program(modules) => {
                let head = format!("//! {}: {}.\n", manifest::MADE, room.name);
                let lib = format!("{head}#![allow(dead_code, unused_imports)]\n\n{modules}");
                files.insert("src/lib.rs".into(), lib);
                let sources: Vec<&str> = files
                    .iter()
                    .filter(|(path, _)| path.extension().is_some_and(|end| end == "rs"))
                    .map(|(_, text)| text.as_str())
                    .collect();
                manifest::of_program(&root, &sources)
            }
        };
        files.insert("Cargo.toml".into(), manifest);
        Ok(Self { files })
    }

    /// Writes the files that differ, and removes those that are no part of it: what is left as it was is not compiled again.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let mut there = BTreeSet::new();
        if folder.exists() {
            find(folder, Path::new(""), &mut there)?;
        }
        for gone in there.iter().filter(|path| !self.files.contains_key(*path)) {
            fs::remove_file(folder.join(gone))
                .with_context(|| format!("cannot remove {gone:?}"))?;
        }
        for (path, text) in &self.files {
            let path = folder.join(path);
            if fs::read_to_string(&path).is_ok_and(|there| there == *text) {
                continue;
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).with_context(|| format!("cannot make {parent:?}"))?;
            }
            fs::write(&path, text).with_context(|| format!("cannot write {path:?}"))?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))
}

/// The texts of a file, or of all files below a folder.
fn collect(root: &Path, path: &Path, files: &mut BTreeMap<PathBuf, String>) -> anyhow::Result<()> {
    let mut paths = BTreeSet::new();
    find(root, path, &mut paths)?;
    for path in paths {
        let text = read(&root.join(&path))?;
        files.insert(path, text);
    }
    Ok(())
}

/// The paths of a file, or of all files below a folder.
fn find(root: &Path, path: &Path, paths: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let from = root.join(path);
    if !from.is_dir() {
        paths.insert(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(&from).with_context(|| format!("cannot read {from:?}"))? {
        find(root, &path.join(entry?.file_name()), paths)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
