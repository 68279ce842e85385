//! No release has the defects of the feature `planted-faults`, and no program without it has anything of them.

use docs_pages::repository;
use std::fs;

/// The feature and its module, as they are written.
const NAMES: [&str; 2] = ["planted-faults", "planted_faults"];

/// What a release is made by.
const RELEASED_BY: [&str; 6] =
    ["Dockerfile", ".github", "charts", "manifests", "release/src", "release/examples"];

fn files_of(path: &str) -> Vec<String> {
    let files = repository::files(&repository::root(), path).unwrap();
    assert!(!files.is_empty(), "{path}");
    files
}

#[test]
fn nothing_that_makes_a_release_names_the_planted_faults() {
    for file in RELEASED_BY.iter().flat_map(|path| files_of(path)) {
        let text = String::from_utf8_lossy(&fs::read(repository::root().join(&file)).unwrap())
            .into_owned();
        for name in NAMES {
            assert!(!text.contains(name), "{file} names {name}");
        }
    }
    let manifest = repository::read(&repository::root(), "Cargo.toml").unwrap();
    let features = manifest.split("\n[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let defined: Vec<_> = features.lines().filter(|line| line.contains('=')).collect();
    let expected = ["planted-faults = []", "fuzzing = [\"dep:arbitrary\"]"];
    assert_eq!(defined, expected, "no default, and nothing that needs it");
}

#[test]
fn an_optimised_program_cannot_be_built_with_them() {
    let module = repository::read(&repository::root(), "src/planted_faults.rs").unwrap();
    assert!(module.contains("#[cfg(not(debug_assertions))]\ncompile_error!("));
}

#[test]
fn without_the_feature_nothing_of_them_is_compiled() {
    const FEATURE: &str = "#[cfg(feature = \"planted-faults\")]";
    let mut places = 0;
    for file in files_of("src") {
        if file.rsplit('/').next().is_some_and(|name| name.contains("tests")) {
            continue;
        }
        let text = repository::read(&repository::root(), &file).unwrap();
        for (at, name) in text.match_indices("planted_faults") {
            if text[at + name.len()..].starts_with("_tests") {
                continue;
            }
            // The attribute stands before the statement, or before the `match` that it is an arm of.
            let before: Vec<&str> = text[..at].lines().rev().take(5).collect();
            let is_gated = before.iter().any(|line| line.trim() == FEATURE);
            assert!(is_gated, "{file}: {:?}", before.first());
            places += 1;
        }
    }
    assert!(places >= 6, "the module and its uses: {places}");
}
