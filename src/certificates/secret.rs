//! The Secret with the CA.

use crate::certificates::ResourceNames;
use crate::kinds::{FIELD_MANAGER, get_known};
use anyhow::Context;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use webhook_certs::Data;

/// Reads and writes the Secret. The chart creates it: RBAC cannot limit a creation by name.
pub(super) struct CaSecret {
    pub api: Api<Secret>,
    name: String,
}

/// The Secret that was read: a write needs its resourceVersion.
pub(super) struct CaSecretState {
    secret: Secret,
    pub data: Data,
}

impl CaSecret {
    pub(super) fn new(client: Client, names: &ResourceNames) -> Self {
        let api = Api::namespaced(client, &names.namespace);
        Self { api, name: names.secret.clone() }
    }

    /// Reads it from the API server, past every cache; none where it does not exist.
    pub(super) async fn read(&self) -> anyhow::Result<Option<CaSecretState>> {
        let secret = get_known(&self.api, &self.name).await;
        let secret = secret.with_context(|| format!("Secret {}", self.name))?;
        Ok(secret.map(|mut secret| {
            let data = secret.data.take().unwrap_or_default();
            CaSecretState {
                secret,
                data: data.into_iter().map(|(key, value)| (key, value.0)).collect(),
            }
        }))
    }

    /// Writes on the resourceVersion that was read. False: the Secret has changed since.
    pub(super) async fn write(&self, read: CaSecretState, data: Data) -> anyhow::Result<bool> {
        let mut secret = read.secret;
        secret.data = Some(data.into_iter().map(|(key, v)| (key, ByteString(v))).collect());
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        match self.api.replace(&self.name, &params, &secret).await {
            Ok(_) => Ok(true),
            // 404: deleted meanwhile; the next read shows it.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("Secret {}", self.name)),
        }
    }
}
