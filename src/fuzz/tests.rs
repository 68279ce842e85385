//! The targets of `fuzz/` over generated inputs, and over what libFuzzer has found worth keeping.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::fs;
use std::path::{Path, PathBuf};

/// What all committed corpora may take together.
const MOST_BYTES: u64 = 1 << 20;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target.name());
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            (path, input)
        })
        .collect()
}

fn replayed(target: Target) {
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "{} has no corpus", target.name());
    for (path, input) in inputs {
        // Printed where the run fails.
        eprintln!("{}", path.display());
        target.run(&input);
    }
}

/// The same inputs in each run: `make fuzz` looks for others, and what it finds goes into the corpus.
fn the_same_each_time() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(18),
        ..ProptestConfig::default()
    }
}

/// A replay of its corpus, and a property over generated inputs, for each target.
macro_rules! targets {
    ($($name:ident = $target:ident),+ $(,)?) => {
        $(mod $name {
            use super::*;

            #[test]
            fn the_corpus_is_answered_rightly() {
                replayed(Target::$target);
            }

            proptest! {
                #![proptest_config(the_same_each_time())]
                #[test]
                fn no_input_is_answered_wrongly(
                    input in proptest::collection::vec(any::<u8>(), 0..384),
                ) {
                    Target::$target.run(&input);
                }
            }
        })+

        #[test]
        fn every_target_is_among_the_tests() {
            assert_eq!([$(Target::$target),+], Target::ALL);
            assert_eq!([$(stringify!($name)),+], Target::ALL.map(Target::name));
        }
    };
}

targets! {
    annotations = Annotations,
    announcements = Announcements,
    ca_secrets = CaSecrets,
    documents = Documents,
    kubeconfigs = Kubeconfigs,
    leases = Leases,
    migrations = Migrations,
    orders = Orders,
    records = Records,
    reviews = Reviews,
}

#[test]
fn every_target_has_a_program_that_cargo_fuzz_finds() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in Target::ALL {
        let (name, variant) = (target.name(), format!("Target::{target:?},"));
        let path = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"")), "{name}");
        let program = fs::read_to_string(fuzz().join(path)).unwrap();
        assert!(program.contains(&variant), "{name} runs another target");
    }
}

#[test]
fn the_corpora_are_small() {
    let inputs = Target::ALL.into_iter().flat_map(corpus);
    let bytes: u64 = inputs.map(|(_, input)| input.len() as u64).sum();
    assert!(bytes < MOST_BYTES, "{bytes} bytes of corpora, expected fewer than {MOST_BYTES}");
}
