//! The chart as helm renders it.

use anyhow::Result;
use serde_json::Value;
use test_cluster::Cluster;

/// Its folder.
pub(crate) const CHART: &str = "charts/linkerd-failover";

/// Renders with the arguments; the documents of a kind.
pub(crate) async fn rendered(
    cluster: &Cluster,
    arguments: &[&str],
    kind: &str,
) -> Result<Vec<Value>> {
    let helm = cluster.helm(["template", "linkerd-failover", CHART, "-n", "linkerd-failover"]);
    let text = helm.args(arguments.iter().copied()).ok().await?;
    let documents =
        text.split("\n---").filter(|document| document.contains(&format!("\nkind: {kind}\n")));
    let mut read = vec![];
    for document in documents {
        // kubectl reads YAML as the API server would.
        let json = cluster
            .kubectl(["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"])
            .stdin(document)
            .ok()
            .await?;
        read.push(serde_json::from_str(&json)?);
    }
    Ok(read)
}
