//! Running kubectl and helm against a cluster, and only against it.

use anyhow::Context;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What a command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it answered.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// A command that is about to run.
#[derive(Debug)]
pub struct Invocation {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    stdin: Option<String>,
    current_dir: PathBuf,
}

impl Invocation {
    /// A command that finds `kubeconfig`, and otherwise a home folder of its
    /// own: the user's configuration is never read nor written.
    pub(crate) fn new(program: PathBuf, kubeconfig: &Path, home: &Path) -> Self {
        let mut env = vec![
            ("KUBECONFIG".into(), kubeconfig.into()),
            ("HOME".into(), home.into()),
            // The plain commands that helm's plugins and kubectl's editors need.
            ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
        ];
        for (name, folder) in [
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "share"),
            ("KUBECACHEDIR", "kube-cache"),
            ("HELM_CACHE_HOME", "helm/cache"),
            ("HELM_CONFIG_HOME", "helm/config"),
            ("HELM_DATA_HOME", "helm/data"),
        ] {
            env.push((name.into(), home.join(folder).into()));
        }
        Self {
            program,
            args: Vec::new(),
            env,
            stdin: None,
            current_dir: test_tools::workspace_root(),
        }
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment, which is empty otherwise.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// What it reads from its standard input.
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Runs it. Relative paths in arguments are from the workspace's root.
    pub async fn output(self) -> anyhow::Result<Output> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(self.env)
            .current_dir(&self.current_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let stdin = child.stdin.take();
        let write = async {
            if let (Some(mut stdin), Some(text)) = (stdin, self.stdin) {
                // A command that ends without reading reports why itself.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output?;
        Ok(Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it and returns what it answered; an error if it failed.
    pub async fn ok(self) -> anyhow::Result<String> {
        let program = self.program.file_name().unwrap_or_default().to_os_string();
        let args = self.args.join(" ".as_ref());
        let output = self.output().await?;
        anyhow::ensure!(
            output.status.success(),
            "{} {} failed ({}): {}",
            program.to_string_lossy(),
            args.to_string_lossy(),
            output.status,
            output.stderr.trim()
        );
        Ok(output.stdout)
    }
}
