//! Flags that say which cluster, as kubectl has them.

use crate::client::proxy_rules;
use anyhow::Context;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::PathBuf;

/// Which cluster, and as whom.
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

impl ClusterArgs {
    /// How to reach that cluster.
    pub(super) async fn resolve(self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions { context: self.context, ..KubeConfigOptions::default() };
        let mut config = match self.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(&path)
                    .with_context(|| format!("--kubeconfig {}", path.display()))?;
                of_file(file, &options).await?
            }
            None if options.context.is_some() => of_file(Kubeconfig::read()?, &options).await?,
            None => ambient(&options).await?,
        };
        if let Some(user) = self.impersonate {
            config.auth_info.impersonate = Some(user);
        }
        Ok(config)
    }
}

/// The kubeconfig that kubectl would take, else this pod's ServiceAccount, which needs no proxy.
async fn ambient(options: &KubeConfigOptions) -> anyhow::Result<Config> {
    let file = match Kubeconfig::read() {
        Ok(file) => of_file(file, options).await,
        Err(error) => Err(error.into()),
    };
    let mut config = match (file, Config::incluster()) {
        (Ok(config), _) | (Err(_), Ok(config)) => config,
        (Err(file), Err(pod)) => anyhow::bail!(
            "no cluster: neither --kubeconfig, KUBECONFIG nor a ServiceAccount says where it is ({file:#}; {pod})"
        ),
    };
    config.apply_debug_overrides();
    Ok(config)
}

/// What kube makes of a kubeconfig, with kubectl's choice of a proxy in place of its own.
async fn of_file(mut file: Kubeconfig, options: &KubeConfigOptions) -> anyhow::Result<Config> {
    let context = options.context.as_ref().or(file.current_context.as_ref());
    let context = file.contexts.iter().find(|named| Some(&named.name) == context);
    let cluster = context.and_then(|named| Some(named.context.as_ref()?.cluster.clone()));
    let mut proxy_url = None;
    for named in &mut file.clusters {
        let Some(there) = named.cluster.as_mut() else { continue };
        // With one in it kube does not look for another.
        let own = there.proxy_url.replace(NO_PROXY_OF_KUBES.to_owned());
        if Some(&named.name) == cluster.as_ref() {
            proxy_url = own;
        }
    }
    let mut config = Config::from_custom_kubeconfig(file, options).await?;
    let env = |name: &str| std::env::var(name).ok();
    config.proxy_url = proxy_rules::before(&config.cluster_url, proxy_url.as_deref(), env)?;
    let plugin = config.auth_info.exec.as_mut().and_then(|exec| exec.cluster.as_mut());
    if let Some(told) = plugin {
        told.proxy_url = proxy_url;
    }
    Ok(config)
}

const NO_PROXY_OF_KUBES: &str = "http://proxy.invalid";

#[derive(Debug, clap::Args)]
pub(super) struct KubernetesArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace of the Lease and the Secret [default: that of the ServiceAccount, else linkerd-failover]
    #[arg(long, short, env = "LINKERD_FAILOVER_NAMESPACE")]
    namespace: Option<String>,
}

impl KubernetesArgs {
    /// Which cluster, and the program's own namespace.
    pub(super) async fn resolve(self) -> anyhow::Result<(Config, String)> {
        let config = self.cluster.resolve().await?;
        let ambient = Some(config.default_namespace.clone()).filter(|ns| ns != "default");
        let namespace = self.namespace.or(ambient).unwrap_or_else(|| "linkerd-failover".into());
        Ok((config, namespace))
    }
}
