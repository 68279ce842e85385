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

macro_rules! targets {
    ($($variant:ident $module:ident, $text:literal;)+) => {
        /// What is fuzzed. Each has a file in `fuzz/fuzz_targets/` and a corpus in `fuzz/corpus/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Target { $(#[doc = $text] $variant,)+ }

        impl Target {
            /// Every target.
            pub const ALL: [Self; [$(stringify!($module)),+].len()] = [$(Self::$variant),+];

            /// The name of its file and of its corpus.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($module),)+ }
            }

            /// Takes an input through the program. Panics where an answer is wrong.
            pub fn run(self, input: &[u8]) {
                match self { $(Self::$variant => $module::run(input),)+ }
            }
        }
    };
}

targets! {
    Annotations annotations, "Annotations of authors.";
    Announcements announcements, "Reviews of deletions of pods, and announcements of other replicas.";
    CaSecrets ca_secrets, "The Secret with the CA.";
    Documents documents, "Splits and routes: document, intent, weights, document.";
    Kubeconfigs kubeconfigs, "Kubeconfigs of linked clusters.";
    Leases leases, "The Lease.";
    Migrations migrations, "Input of `migrate`.";
    Orders orders, "Services and slices in two orders.";
    Records records, "The annotations `state` and `authored-weights`, of this version and others.";
    Reviews reviews, "AdmissionReviews and their answers.";
}
