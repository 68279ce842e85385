//! Linkerd's values, from the ConfigMap that its chart writes them to. The right is to get it alone, so it is read
//! now and then and not watched.

use crate::kinds::linkerd::failfast::{self, CONFIG_MAP, Failfast, VALUES};
use crate::kinds::{ObjectKey, get_known};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

/// Where the values are, and who reads them.
pub(crate) struct LinkerdConfig {
    api: Api<ConfigMap>,
    /// Linkerd's.
    namespace: String,
    /// Our ServiceAccount.
    account: ObjectKey,
}

impl LinkerdConfig {
    pub(crate) fn new(client: Client, namespace: String, account: ObjectKey) -> Self {
        Self { api: Api::namespaced(client, &namespace), namespace, account }
    }

    /// The failfast timeout of callers' proxies. An error is one that may pass by itself.
    pub(crate) async fn failfast(&self) -> kube::Result<Failfast> {
        match get_known(&self.api, CONFIG_MAP).await {
            Ok(Some(map)) => {
                let data = map.data.unwrap_or_default();
                Ok(failfast::read(data.get(VALUES).map(String::as_str)))
            }
            Ok(None) => Ok(Failfast::without_config_map(&self.namespace)),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                Ok(Failfast::forbidden(&self.namespace, &self.account))
            }
            Err(error) => Err(error),
        }
    }
}
