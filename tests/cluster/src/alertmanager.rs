//! The real Alertmanager.

use crate::cluster::Cluster;
use crate::kubeconfig::write_secret;
use crate::plain_http;
use crate::process::{Launch, Process};
use crate::wait::eventually;
use anyhow::Context;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use test_tools::AlertingTools;

const PATIENCE: Duration = Duration::from_secs(60);

/// An Alertmanager beside a cluster. Dropping it ends it.
#[derive(Debug)]
pub struct Alertmanager {
    address: SocketAddr,
    process: Process,
}

impl Alertmanager {
    /// Starts it with a configuration that may name these files, each with its content.
    pub async fn start(
        cluster: &Cluster,
        configuration: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let tools = tokio::task::spawn_blocking(AlertingTools::ensure).await??;
        let site = cluster.site();
        let folder = site.path("alertmanager");
        // A cluster that is used again begins without what another test has left.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        for (name, content) in files.iter().chain(&[("alertmanager.yaml", configuration)]) {
            write_secret(&folder.join(name), content)?;
        }
        let address = SocketAddr::from((site.slot.address(), site.slot.free_port()?));
        let args = [
            format!("--config.file={}", folder.join("alertmanager.yaml").display()),
            format!("--storage.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
            // No other Alertmanager is looked for.
            "--cluster.listen-address=".into(),
        ];
        let process = site.launch(Launch {
            name: "alertmanager".into(),
            program: tools.alertmanager(),
            args: args.into_iter().map(Into::into).collect(),
            env: vec![("HOME".into(), folder.display().to_string())],
        })?;
        let alertmanager = Self { address, process };
        let ready = eventually("Alertmanager is ready", PATIENCE, || async {
            anyhow::ensure!(alertmanager.process.is_running(), "it has ended");
            let (status, body) = plain_http::get(address, "/-/ready").await?;
            anyhow::ensure!(status == 200, "{status}: {body}");
            Ok::<_, anyhow::Error>(())
        });
        ready.await.with_context(|| alertmanager.process.log_tail())?;
        Ok(alertmanager)
    }

    /// Sends it alerts, as Prometheus does: a list with `labels`, `annotations`, `startsAt` and `endsAt`.
    pub async fn send(&self, alerts: &Value) -> anyhow::Result<()> {
        let path = "/api/v2/alerts";
        let (status, body) =
            plain_http::post(self.address, path, &alerts.to_string(), PATIENCE).await?;
        anyhow::ensure!(status == 200, "{path} answers {status}: {body}");
        Ok(())
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}
