//! The TrafficSplit definition, from the chart that may install it too.

use crate::cluster::Cluster;
use std::time::Duration;

const TRAFFIC_SPLIT: &str =
    include_str!("../../../charts/linkerd-failover/files/trafficsplit-crd.yaml");

impl Cluster {
    /// Installs `trafficsplits.split.smi-spec.io` and waits until it is served.
    pub async fn install_traffic_split_crd(&self) -> anyhow::Result<()> {
        self.apply(TRAFFIC_SPLIT).await?;
        crate::eventually("TrafficSplit is served", Duration::from_secs(10), || async {
            for version in ["v1alpha1", "v1alpha2"] {
                let path = format!("/apis/split.smi-spec.io/{version}/trafficsplits?limit=1");
                self.get_raw(&path).await?;
            }
            anyhow::Ok(())
        })
        .await
    }
}
