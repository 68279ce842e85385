//! Flags that select a cluster, as in kubectl.

use crate::client::cluster::ClusterSelection;
use kube::Config;
use std::path::PathBuf;

/// Selects a cluster and a user.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ClusterArgs {
    /// Path of the kubeconfig file
    #[arg(long, env = "LINKERD_FAILOVER_KUBECONFIG", value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig file
    #[arg(long, env = "LINKERD_FAILOVER_CONTEXT")]
    context: Option<String>,
    /// User to impersonate
    #[arg(long = "as", env = "LINKERD_FAILOVER_AS", value_name = "USER")]
    impersonate: Option<String>,
}

impl From<ClusterArgs> for ClusterSelection {
    fn from(args: ClusterArgs) -> Self {
        let ClusterArgs { kubeconfig, context, impersonate } = args;
        Self { kubeconfig, context, impersonate }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct KubernetesArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace of the Lease and the Secret [default: that of the ServiceAccount, else linkerd-failover]
    #[arg(long, short, env = "LINKERD_FAILOVER_NAMESPACE")]
    namespace: Option<String>,
}

impl KubernetesArgs {
    /// The cluster, and the program's own namespace.
    pub(super) async fn resolve(self) -> anyhow::Result<(Config, String)> {
        let config = ClusterSelection::from(self.cluster).config().await?;
        let ambient = Some(config.default_namespace.clone()).filter(|ns| ns != "default");
        let namespace = self.namespace.or(ambient).unwrap_or_else(|| "linkerd-failover".into());
        Ok((config, namespace))
    }
}
