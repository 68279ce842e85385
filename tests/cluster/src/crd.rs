//! The definitions of custom resources that tests install: of TrafficSplit, of routes, of
//! ServiceProfile.

use crate::cluster::Cluster;
use anyhow::Context;
use std::path::PathBuf;
use std::time::Duration;
use test_tools::GoModule;

/// From the chart that may install it too.
const TRAFFIC_SPLIT: &str =
    include_str!("../../../charts/linkerd-failover/files/trafficsplit-crd.yaml");

/// Ours, with the fields of Linkerd's: the module proxy does not give out the Go module that has
/// its chart.
const SERVICE_PROFILE: &str = include_str!("serviceprofile-crd.yaml");

const GATEWAY_API: &str = "sigs.k8s.io/gateway-api";
/// Of its standard channel, what a route needs: its kind, and who may refer to whom.
const GATEWAY_API_KINDS: [&str; 3] = ["httproutes", "grpcroutes", "referencegrants"];

/// One that a controller of the API server has not seen yet takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// Installs `trafficsplits.split.smi-spec.io` and waits until it is served.
    pub async fn install_traffic_split_crd(&self) -> anyhow::Result<()> {
        self.apply(TRAFFIC_SPLIT).await?;
        self.serves("split.smi-spec.io/v1alpha1/trafficsplits").await?;
        self.serves("split.smi-spec.io/v1alpha2/trafficsplits").await
    }

    /// Installs HTTPRoute, GRPCRoute and ReferenceGrant of the Gateway API as it releases them, and
    /// waits until they are served.
    pub async fn install_gateway_api_crds(&self) -> anyhow::Result<()> {
        for file in gateway_api_files().await? {
            // Too large for the annotation that a client-side apply writes.
            let args = ["apply", "--server-side", "-f"].map(Into::into);
            self.kubectl(args.into_iter().chain([file.into_os_string()])).ok().await?;
        }
        for kind in GATEWAY_API_KINDS {
            self.serves(&format!("gateway.networking.k8s.io/v1/{kind}")).await?;
        }
        Ok(())
    }

    /// Removes them again, with every route there is, and waits until they are no longer served.
    pub async fn remove_gateway_api_crds(&self) -> anyhow::Result<()> {
        let names = GATEWAY_API_KINDS.map(|kind| format!("{kind}.gateway.networking.k8s.io"));
        let delete = ["delete", "customresourcedefinition"].map(String::from);
        self.kubectl(delete.into_iter().chain(names)).ok().await?;
        crate::eventually("routes are no longer served", PATIENCE, || async {
            let groups = self.get_raw("/apis").await?;
            anyhow::ensure!(!groups.contains("gateway.networking.k8s.io"), "they are");
            Ok(())
        })
        .await
    }

    /// Installs `serviceprofiles.linkerd.io` and waits until it is served.
    pub async fn install_service_profile_crd(&self) -> anyhow::Result<()> {
        self.apply(SERVICE_PROFILE).await?;
        self.serves("linkerd.io/v1alpha2/serviceprofiles").await
    }

    /// Waits until this resource can be listed.
    async fn serves(&self, resource: &str) -> anyhow::Result<()> {
        crate::eventually(&format!("{resource} is served"), PATIENCE, || async {
            self.get_raw(&format!("/apis/{resource}?limit=1")).await.map(drop)
        })
        .await
    }
}

/// Their files in the cache of Go modules. Downloaded if need be: only who installs them pays.
async fn gateway_api_files() -> anyhow::Result<Vec<PathBuf>> {
    let source = || GoModule::new("gateway-api").source_of(GATEWAY_API);
    let folder = tokio::task::spawn_blocking(source).await??.join("config/crd/standard");
    let file = |kind| {
        let path = folder.join(format!("gateway.networking.k8s.io_{kind}.yaml"));
        let missing = || format!("the module {GATEWAY_API} has no {}", path.display());
        path.is_file().then_some(&path).with_context(missing).cloned()
    };
    GATEWAY_API_KINDS.into_iter().map(file).collect()
}
