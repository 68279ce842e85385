//! The rooms whose mutants are tried.

/// Code that is tried, and what it needs to be compiled by itself.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// As the table calls it.
    pub name: &'static str,
    /// The package that it is in.
    pub package: Package,
    /// The folder whose code is changed.
    pub mutated: &'static str,
    /// Files and folders that are copied as they are.
    pub copied: &'static [&'static str],
    /// Folders and files that are copied without their tests.
    pub used: &'static [&'static str],
    /// Of the names of its tests, how they begin.
    pub tests: &'static str,
}

/// A package of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// The program, of which these lines take the place of `src/lib.rs`.
    Program(&'static str),
    /// A member that is compiled as it is.
    Member(&'static str),
}

/// In the order in which they are tried.
pub const ALL: [Room; 3] = [
    Room {
        name: "engine",
        package: Package::Program(
            "pub mod engine;\n\
             #[cfg(test)]\n\
             mod simulation {\n    \
                 pub(crate) mod clock;\n    \
                 pub(crate) mod controller;\n\
             }\n",
        ),
        mutated: "src/engine",
        copied: &[
            "src/engine",
            "src/simulation/clock.rs",
            "src/simulation/controller.rs",
            "docs/annotations.md",
            "charts/linkerd-failover/templates/admission-policy.yaml",
        ],
        used: &[],
        tests: "engine::",
    },
    Room {
        name: "webhook-certs",
        package: Package::Member("webhook-certs"),
        mutated: "webhook-certs/src",
        copied: &["webhook-certs"],
        used: &[],
        tests: "",
    },
    Room {
        name: "admission",
        package: Package::Program(
            "pub(crate) mod admission;\n\
             pub(crate) mod clock;\n\
             pub mod engine;\n\
             pub(crate) mod index;\n\
             pub mod kinds;\n",
        ),
        mutated: "src/admission",
        copied: &["src/admission"],
        used: &["src/clock.rs", "src/clock", "src/engine", "src/index", "src/kinds"],
        tests: "admission::",
    },
];
