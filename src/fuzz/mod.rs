//! What the targets of libFuzzer in `fuzz/` run: from the bytes of an input to checks that panic.
//!
//! Unit tests run the same over generated inputs and over the corpora in `fuzz/corpus/`. With the feature
//! `fuzzing` the targets reach what is private here; a release is built without it.

// A check that fails ends the run, in the targets as in the tests.
#![allow(clippy::panic, clippy::expect_used)]

mod annotations;
mod announcements;
mod ca_secrets;
mod documents;
pub(crate) mod input;
mod kubeconfigs;
mod leases;
mod migrations;
mod naive;
#[cfg(test)]
mod oracle_tests;
mod orders;
mod records;
mod reviews;
#[cfg(test)]
mod tests;
mod world;

/// What is fuzzed. Each has a file in `fuzz/fuzz_targets/` and a corpus in `fuzz/corpus/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Annotations of authors.
    Annotations,
    /// Reviews of deletions of pods, and announcements of other replicas.
    Announcements,
    /// The Secret with the CA.
    CaSecrets,
    /// Splits and routes: document, intent, weights, document.
    Documents,
    /// Kubeconfigs of linked clusters.
    Kubeconfigs,
    /// The Lease.
    Leases,
    /// Input of `migrate`.
    Migrations,
    /// Services and slices in two orders.
    Orders,
    /// The annotations `state` and `authored-weights`, of this version and others.
    Records,
    /// AdmissionReviews and their answers.
    Reviews,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 10] = [
        Self::Annotations,
        Self::Announcements,
        Self::CaSecrets,
        Self::Documents,
        Self::Kubeconfigs,
        Self::Leases,
        Self::Migrations,
        Self::Orders,
        Self::Records,
        Self::Reviews,
    ];

    /// The name of its file and of its corpus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Annotations => "annotations",
            Self::Announcements => "announcements",
            Self::CaSecrets => "ca_secrets",
            Self::Documents => "documents",
            Self::Kubeconfigs => "kubeconfigs",
            Self::Leases => "leases",
            Self::Migrations => "migrations",
            Self::Orders => "orders",
            Self::Records => "records",
            Self::Reviews => "reviews",
        }
    }

    /// Takes an input through the program. Panics where an answer is wrong.
    pub fn run(self, input: &[u8]) {
        match self {
            Self::Annotations => annotations::run(input),
            Self::Announcements => announcements::run(input),
            Self::CaSecrets => ca_secrets::run(input),
            Self::Documents => documents::run(input),
            Self::Kubeconfigs => kubeconfigs::run(input),
            Self::Leases => leases::run(input),
            Self::Migrations => migrations::run(input),
            Self::Orders => orders::run(input),
            Self::Records => records::run(input),
            Self::Reviews => reviews::run(input),
        }
    }
}
