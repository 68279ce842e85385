//! A terminal as the reader of a page has it: an empty folder, the cluster, and the programs.

use crate::support::PROGRAM;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use test_cluster::{Cluster, Installation, workspace_root};

/// The chart's public address leads to its folder.
const HELM: &str = include_str!("helm.sh");

/// How long a block may take, in seconds.
const LONGEST: u32 = 150;

/// What a block left.
pub(super) struct Answer {
    pub exit_status: i32,
    /// What came on the terminal: stdout and stderr, as they came.
    pub text: String,
}

/// Where the blocks of one page run.
pub(super) struct Shell<'a> {
    cluster: &'a Cluster,
    folder: tempfile::TempDir,
    /// Values without which this machine cannot serve the webhook.
    values: Vec<String>,
}

impl<'a> Shell<'a> {
    /// With the contexts of this kubeconfig, which the page may change.
    pub(super) fn new(cluster: &'a Cluster, kubeconfig: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "page"] {
            std::fs::create_dir(at(name))?;
        }
        std::fs::write(at("kubeconfig"), kubeconfig)?;
        std::fs::set_permissions(at("kubeconfig"), std::fs::Permissions::from_mode(0o600))?;
        std::fs::write(at("bin/helm"), HELM)?;
        std::fs::set_permissions(at("bin/helm"), std::fs::Permissions::from_mode(0o755))?;
        std::os::unix::fs::symlink(PROGRAM, at("bin/linkerd-failover"))?;
        Ok(Self { cluster, folder, values: Installation::needed_values(cluster)? })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder that the reader is in.
    pub(super) fn page_folder(&self) -> PathBuf {
        self.at("page")
    }

    /// Runs commands as they are pasted.
    pub(super) async fn run(&self, script: &str) -> Result<Answer> {
        let bash = format!(
            "cd \"$PAGE\"; PATH=\"$BIN:$PATH\"; exec 2>&1; \
             exec timeout --kill-after=5 {LONGEST} bash -euo pipefail -c \"$SCRIPT\""
        );
        let chart = workspace_root().join(crate::support::CHART);
        let output = self
            .cluster
            .sh(&bash)
            .env("BIN", self.at("bin"))
            .env("PAGE", self.page_folder())
            .env("KUBECONFIG", self.at("kubeconfig"))
            .env("CHART", chart)
            .env("NEEDED_VALUES", self.values.join(","))
            .env("SCRIPT", OsString::from(script))
            .output()
            .await?;
        let text = format!("{}{}", output.stdout, output.stderr);
        let exit_status = output.status.code().context("the block was ended by a signal")?;
        let text = match exit_status {
            124 | 137 => format!("{text}\n(not at its end within {LONGEST} s)\n"),
            _ => text,
        };
        Ok(Answer { exit_status, text })
    }

    /// Saves a file where the reader is.
    pub(super) fn save(&self, name: &str, text: &str) -> Result<()> {
        let path: PathBuf = self.page_folder().join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }
}
