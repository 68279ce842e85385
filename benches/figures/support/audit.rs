//! The API server's audit log of what the program asks for.

use super::bench::PATIENCE;
use super::transport;
use anyhow::{Context, Result, ensure};
use bench_table::calls;
use http::Request;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use test_cluster::{Cluster, ClusterBuilder, Installation, eventually};

/// The group of the program's ServiceAccount, which is alone in its namespace.
const GROUP: &str = "system:serviceaccounts:linkerd-failover";
const USER: &str = "system:serviceaccount:linkerd-failover:";

/// The log of one cluster.
pub(crate) struct AuditLog {
    folder: tempfile::TempDir,
}

impl AuditLog {
    /// For a cluster that is still to be started.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let policy = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [
            {"level": "Metadata", "userGroups": [GROUP], "omitStages": ["RequestReceived"]},
            {"level": "None"},
        ]});
        std::fs::write(folder.path().join("policy.yaml"), policy.to_string())?;
        Ok(Self { folder })
    }

    /// The arguments of the API server that make it write the log.
    pub(crate) fn of(&self, builder: ClusterBuilder) -> ClusterBuilder {
        let policy = self.folder.path().join("policy.yaml");
        builder
            .api_server_arg(format!("--audit-policy-file={}", policy.display()))
            .api_server_arg(format!("--audit-log-path={}", self.path().display()))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// The program's calls up to now, but for the Lease and watches.
    pub(crate) fn calls(&self) -> Result<BTreeMap<String, usize>> {
        let log = std::fs::read_to_string(self.path()).context("no audit log")?;
        ensure!(!log.is_empty(), "nothing of the program is in the audit log: who is it?");
        Ok(calls(&log, USER))
    }

    /// Makes one call as the program, and fails unless that is counted: a log in which nothing is found proves
    /// nothing.
    pub(crate) async fn prove(&self, cluster: &Cluster, installation: &Installation) -> Result<()> {
        let before = total(&self.calls()?);
        let replica = installation.replicas()[0].name();
        let kubeconfig = cluster.folder().join("home").join(replica).join("kubeconfig");
        let config = transport::config(&kubeconfig, None).await?;
        let client = kube::Client::try_from(config)?;
        // Allowed or not.
        let planted = Request::get("/api/v1/namespaces/default/configmaps/planted").body(vec![])?;
        let _ = client.request_text(planted).await;
        eventually("the planted call is in the audit log", PATIENCE, || async {
            let now = total(&self.calls()?);
            ensure!(now > before, "{now} calls as before");
            Ok(())
        })
        .await
    }
}

pub(crate) fn total(calls: &BTreeMap<String, usize>) -> usize {
    calls.values().sum()
}

/// What there is more of than before.
pub(crate) fn since(
    now: &BTreeMap<String, usize>,
    before: &BTreeMap<String, usize>,
) -> BTreeMap<String, usize> {
    let more = |(call, count): (&String, &usize)| {
        let more = count - before.get(call).copied().unwrap_or(0).min(*count);
        (more > 0).then(|| (call.clone(), more))
    };
    now.iter().filter_map(more).collect()
}
