//! The real Alertmanager.

use crate::cluster::Cluster;
use crate::kubeconfig::write_secret;
use crate::plain_http;
use crate::process::Process;
use crate::web_server::{self, PATIENCE};
use serde_json::Value;
use std::net::SocketAddr;
use test_tools::AlertingTools;

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
        let folder = web_server::empty_folder(site, "alertmanager")?;
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
        let program = tools.alertmanager();
        let process =
            web_server::start(site, "alertmanager", program, args, &folder, address).await?;
        Ok(Self { address, process })
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
