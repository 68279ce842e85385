//! Variables of a container that come from Secrets.

use crate::pod::Pod;
use anyhow::Context;
use k8s_openapi::api::core::v1::{Container, EnvVar, Secret};
use kube::api::Api;

/// The container with their values, as a kubelet reads them when it starts it.
pub(crate) async fn with_values(
    client: &kube::Client,
    pod: &Pod,
    container: &Container,
) -> anyhow::Result<Container> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &pod.namespace);
    let mut container = container.clone();
    let mut env: Vec<EnvVar> = vec![];
    for variable in container.env.take().unwrap_or_default() {
        let source = variable.value_from.as_ref();
        let Some(key) = source.and_then(|source| source.secret_key_ref.as_ref()) else {
            env.push(variable);
            continue;
        };
        let secret = secrets.get_opt(&key.name).await?;
        let value = secret.and_then(|secret| secret.data?.remove(&key.key));
        match value {
            Some(value) => {
                let value = String::from_utf8(value.0)
                    .with_context(|| format!("{} of Secret {} is no text", key.key, key.name))?;
                env.push(EnvVar { value: Some(value), value_from: None, ..variable });
            }
            None if key.optional == Some(true) => {}
            None => anyhow::bail!("Secret {} has no {}", key.name, key.key),
        }
    }
    container.env = Some(env);
    Ok(container)
}
