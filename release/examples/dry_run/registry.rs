//! crane's own registry, on a port of loopback. It keeps everything in memory, and speaks plain HTTP.

use crate::command::run;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The registry, which ends with this process, and the program to ask it by.
pub(crate) struct Registry {
    crane: PathBuf,
    address: SocketAddr,
    process: Child,
}

impl Registry {
    pub(crate) async fn serve(crane: &Path) -> Result<Self> {
        let mut process = Command::new(crane)
            .args(["registry", "serve", "--address", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", crane.display()))?;
        let mut log = BufReader::new(process.stderr.take().context("no pipe")?).lines();
        let mut port = None;
        while port.is_none() {
            let line = log.next_line().await?.context("crane's registry has ended")?;
            port = line.split_once("serving on port ").and_then(|(_, port)| port.parse().ok());
        }
        // What it logs of requests is read and dropped: a full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let address = SocketAddr::from(([127, 0, 0, 1], port.unwrap_or_default()));
        Ok(Self { crane: crane.to_path_buf(), address, process })
    }

    /// The name that something has in it.
    pub(crate) fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    /// Runs crane against it.
    pub(crate) fn crane(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<String> {
        run(&self.crane, args)
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }
}
