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
    /// Group to impersonate, beside --as. May be given several times
    #[arg(long = "as-group", env = "LINKERD_FAILOVER_AS_GROUP", value_name = "GROUP")]
    impersonate_groups: Vec<String>,
}

impl From<ClusterArgs> for ClusterSelection {
    fn from(args: ClusterArgs) -> Self {
        let ClusterArgs { kubeconfig, context, impersonate, impersonate_groups } = args;
        Self { kubeconfig, context, impersonate, impersonate_groups }
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
        let namespace = own_namespace(self.namespace, Some(&config));
        Ok((config, namespace))
    }

    /// The program's own namespace, where only its arguments are known.
    pub(super) fn own_namespace(self) -> String {
        own_namespace(self.namespace, None)
    }
}

fn own_namespace(flag: Option<String>, config: Option<&Config>) -> String {
    let ambient = config.map(|config| config.default_namespace.clone());
    let ambient = ambient.filter(|namespace| namespace != "default");
    flag.or(ambient).unwrap_or_else(|| "linkerd-failover".into())
}
