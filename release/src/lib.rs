//! What a release is made of, and what has to be true of it before it is made. `docs/releases.md` tells how
//! one is made.
//!
//! The workflow `.github/workflows/release.yaml` runs this crate's program; `make release-dry-run` runs the
//! example `dry_run`, which makes the same parts on this machine and installs them on the test cluster.

pub mod archive;
pub mod changelog;
pub mod chart;
pub mod checksum;
pub mod command;
pub mod dockerfile;
pub mod platform;
pub mod program;
pub mod sbom;
pub mod version;
pub mod workflows;

use anyhow::Context;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where releases are published: the registry and path before the names.
pub const REGISTRY: &str = "ghcr.io/linkerd";

/// The program, and the name of its image.
pub const PROGRAM: &str = "linkerd-failover";

/// The folder of the workspace's own `Cargo.toml`.
pub fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// The text of a file of the workspace.
pub fn text(path: &str) -> anyhow::Result<String> {
    let path = workspace_root().join(path);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// A YAML file of the workspace.
pub fn yaml(path: &str) -> anyhow::Result<Value> {
    serde_saphyr::from_str(&text(path)?).with_context(|| format!("{path} is no YAML"))
}
