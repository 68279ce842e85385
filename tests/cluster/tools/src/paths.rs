//! Where this workspace and its build output are.

use std::path::{Path, PathBuf};

/// The folder of the workspace's own `Cargo.toml`.
pub fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(3).unwrap_or(package).to_path_buf()
}

/// Cargo's target folder, the one the running program was built into.
pub fn target_dir() -> PathBuf {
    // cargo marks its target folder with this file, wherever that is.
    let built_into = std::env::current_exe().ok().and_then(|program| {
        program
            .ancestors()
            .find(|folder| folder.join("CACHEDIR.TAG").is_file())
            .map(Path::to_path_buf)
    });
    built_into
        .or_else(|| std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from))
        .unwrap_or_else(|| workspace_root().join("target"))
}

/// Where everything of test clusters goes that is not tracked.
pub fn scratch() -> PathBuf {
    target_dir().join("test-cluster")
}
