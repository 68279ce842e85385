//! Flags that say which cluster, as kubectl has them.

use anyhow::Context;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::PathBuf;

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClusterArgs {
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

impl ClusterArgs {
    /// How to reach that cluster.
    pub async fn resolve(self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions { context: self.context, ..KubeConfigOptions::default() };
        let mut config = match self.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(&path)
                    .with_context(|| format!("--kubeconfig {}", path.display()))?;
                Config::from_custom_kubeconfig(file, &options).await?
            }
            None if options.context.is_some() => Config::from_kubeconfig(&options).await?,
            None => Config::infer().await.context(
                "no cluster: neither --kubeconfig, KUBECONFIG nor a ServiceAccount says where it is",
            )?,
        };
        if let Some(user) = self.impersonate {
            config.auth_info.impersonate = Some(user);
        }
        Ok(config)
    }
}

#[derive(Debug, clap::Args)]
pub struct KubernetesArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace of the Lease and the Secret [default: that of the ServiceAccount, else linkerd-failover]
    #[arg(long, short, env = "LINKERD_FAILOVER_NAMESPACE")]
    namespace: Option<String>,
}

impl KubernetesArgs {
    /// Which cluster, and the program's own namespace.
    pub async fn resolve(self) -> anyhow::Result<(Config, String)> {
        let config = self.cluster.resolve().await?;
        let ambient = Some(config.default_namespace.clone()).filter(|ns| ns != "default");
        let namespace = self.namespace.or(ambient).unwrap_or_else(|| "linkerd-failover".into());
        Ok((config, namespace))
    }
}
