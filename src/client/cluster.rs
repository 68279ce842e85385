//! The cluster to connect to, and the proxy, as kubectl chooses them.

use crate::client::causes::with_causes;
use crate::client::proxy_rules;
use anyhow::Context;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::path::PathBuf;

/// The flags that choose a cluster; without them the choice is kubectl's.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterSelection {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    /// A user to impersonate.
    pub impersonate: Option<String>,
    /// The groups of that user.
    pub impersonate_groups: Vec<String>,
}

impl ClusterSelection {
    /// The configuration of a client of that cluster.
    pub(crate) async fn config(self) -> anyhow::Result<Config> {
        let (user, groups) = (self.impersonate, self.impersonate_groups);
        if user.is_none() && !groups.is_empty() {
            anyhow::bail!("--as-group: found no --as, expected the user that has these groups");
        }
        let options = KubeConfigOptions { context: self.context, ..KubeConfigOptions::default() };
        let mut config = match self.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(&path).map_err(without_excerpt);
                let file = file.with_context(|| format!("--kubeconfig {}", path.display()))?;
                of_file(file, &options).await?
            }
            None if options.context.is_some() => {
                of_file(Kubeconfig::read().map_err(without_excerpt)?, &options).await?
            }
            None => ambient(&options).await?,
        };
        if let Some(user) = user {
            config.auth_info.impersonate = Some(user);
            config.auth_info.impersonate_groups = Some(groups).filter(|groups| !groups.is_empty());
        }
        Ok(config)
    }
}

/// The kubeconfig that kubectl uses, else this pod's ServiceAccount, which needs no proxy.
async fn ambient(options: &KubeConfigOptions) -> anyhow::Result<Config> {
    let file = match Kubeconfig::read() {
        Ok(file) => of_file(file, options).await,
        Err(error) => Err(without_excerpt(error)),
    };
    let mut config = match (file, Config::incluster()) {
        (Ok(config), _) | (Err(_), Ok(config)) => config,
        (Err(file), Err(pod)) => anyhow::bail!(
            "no cluster: neither --kubeconfig, KUBECONFIG nor a ServiceAccount says where it is ({}; {pod})",
            with_causes(file.as_ref())
        ),
    };
    config.apply_debug_overrides();
    Ok(config)
}

/// The lines after the first quote the file, in which there may be tokens.
fn without_excerpt(error: KubeconfigError) -> anyhow::Error {
    match error {
        error @ KubeconfigError::Parse(_) => {
            let text = error.to_string();
            anyhow::anyhow!("{}", text.lines().next().unwrap_or_default().to_owned())
        }
        other => other.into(),
    }
}

/// The configuration that kube reads from a kubeconfig, with the proxy that kubectl uses.
async fn of_file(mut file: Kubeconfig, options: &KubeConfigOptions) -> anyhow::Result<Config> {
    let context = options.context.as_ref().or(file.current_context.as_ref());
    let context = file.contexts.iter().find(|named| Some(&named.name) == context);
    let cluster = context.and_then(|named| Some(named.context.as_ref()?.cluster.clone()));
    let mut proxy_url = None;
    for named in &mut file.clusters {
        let Some(there) = named.cluster.as_mut() else { continue };
        // With a proxy here kube does not read one from the environment.
        let own = there.proxy_url.replace(PROXY_CHOSEN.to_owned());
        if Some(&named.name) == cluster.as_ref() {
            proxy_url = own;
        }
    }
    let mut config = Config::from_custom_kubeconfig(file, options).await?;
    let env = |name: &str| std::env::var(name).ok();
    config.proxy_url = proxy_rules::proxy_for(&config.cluster_url, proxy_url.as_deref(), env)?;
    let plugin = config.auth_info.exec.as_mut().and_then(|exec| exec.cluster.as_mut());
    if let Some(cluster) = plugin {
        cluster.proxy_url = proxy_url;
    }
    Ok(config)
}

const PROXY_CHOSEN: &str = "http://proxy.invalid";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_that_is_no_yaml_is_not_quoted() {
        let error = Kubeconfig::from_yaml("users:\n- token: [a_secret").unwrap_err();
        let text = format!("{:#}", without_excerpt(error));
        assert!(text.contains("line 2") && !text.contains("a_secret"), "{text}");
    }
}
