//! What `helm test` runs. No kubelet runs its Pod here, so its script is run with the same kubectl, as the Pod's
//! ServiceAccount.

use crate::cluster::Cluster;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::ffi::OsString;

const TEMPLATE: &str = "templates/tests/dry-run.yaml";

/// The Pod of `helm test`, which the API server has taken, with everything that it needs.
pub struct HelmTest {
    pod: Value,
}

impl HelmTest {
    /// Renders the chart, a folder or an archive, and applies what the Pod needs, as helm does before it.
    pub async fn prepare(
        cluster: &Cluster,
        chart: impl Into<OsString>,
        values: &[&str],
    ) -> anyhow::Result<Self> {
        let mut helm = cluster.helm(["template", "linkerd-failover"]).args([chart.into()]).args([
            "-n",
            "linkerd-failover",
            "-s",
            TEMPLATE,
        ]);
        for value in values {
            helm = helm.args(["--set", value]);
        }
        let rendered = helm.ok().await?;
        let create = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"];
        let json = cluster.kubectl(create).stdin(rendered).ok().await?;
        let read = serde_json::Deserializer::from_str(&json).into_iter::<Value>();
        let mut pod = None;
        for object in read {
            let object = object?;
            if object["kind"] == "Pod" {
                // As the API server decides it.
                let apply = ["apply", "--dry-run=server", "-f", "-"];
                cluster.kubectl(apply).stdin(object.to_string()).ok().await?;
                pod = Some(object);
            } else {
                cluster.apply(&object.to_string()).await?;
            }
        }
        let pod = pod.context("helm test has no Pod")?;
        ensure!(
            pod["spec"]["containers"][0]["command"] == json!(["sh", "-eu", "-c"]),
            "the Pod of helm test runs no shell"
        );
        Ok(Self { pod })
    }

    /// The script of its container.
    pub fn script(&self) -> anyhow::Result<&str> {
        self.pod["spec"]["containers"][0]["args"][0].as_str().context("no script")
    }

    /// The namespace of its Pod.
    pub fn namespace(&self) -> anyhow::Result<&str> {
        self.pod["metadata"]["namespace"].as_str().context("no namespace")
    }

    /// Runs the script: whether it passed, and what it said.
    pub async fn run(&self, cluster: &Cluster) -> anyhow::Result<(bool, String)> {
        let account = self.pod["spec"]["serviceAccountName"].as_str().context("no account")?;
        let user = format!("system:serviceaccount:{}:{account}", self.namespace()?);
        let script = self.script()?;
        let script = format!("kubectl() {{ command kubectl --as={user} \"$@\"; }}\n{script}");
        let output = cluster.sh(&script).output().await?;
        Ok((output.status.success(), output.stdout + &output.stderr))
    }
}
