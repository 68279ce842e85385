//! Servers beside a cluster that answer `/-/ready`, as Prometheus and Alertmanager do.

use crate::plain_http;
use crate::process::{Launch, Process};
use crate::site::Site;
use crate::wait::eventually;
use anyhow::Context;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For an answer of such a server.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An empty folder of the server. A cluster that is used again begins without what another test has left.
pub(crate) fn empty_folder(site: &Site, name: &str) -> anyhow::Result<PathBuf> {
    let folder = site.path(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Starts the server, and waits until it is ready at its address.
pub(crate) async fn start(
    site: &Site,
    name: &str,
    program: PathBuf,
    args: impl IntoIterator<Item = String>,
    folder: &Path,
    address: SocketAddr,
) -> anyhow::Result<Process> {
    let process = site.launch(Launch {
        name: name.into(),
        program,
        args: args.into_iter().map(Into::into).collect(),
        env: vec![("HOME".into(), folder.display().to_string())],
    })?;
    let waited_for = format!("{name} is ready");
    let ready = eventually(&waited_for, PATIENCE, || async {
        anyhow::ensure!(process.is_running(), "it has ended");
        let (status, body) = plain_http::get(address, "/-/ready").await?;
        anyhow::ensure!(status == 200, "{status}: {body}");
        Ok::<_, anyhow::Error>(())
    });
    ready.await.with_context(|| process.log_tail())?;
    Ok(process)
}
