//! The webhook's certificates: the CA in its Secret, a leaf in memory, `caBundle` in both
//! configurations. The decisions are `webhook_certs`'; this is their I/O.

use crate::resources::FIELD_MANAGER;
use crate::telemetry::Metrics;
use anyhow::Context;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use webhook_certs::{Authority, Leaf, ReloadingResolver, Step, next};

/// The objects that certificates concern, by the installation's base name.
#[derive(Clone, Debug)]
pub struct Names {
    namespace: String,
    secret: String,
    configurations: String,
    service: String,
}

impl Names {
    pub fn new(name: &str, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            secret: format!("{name}-webhook-ca"),
            configurations: name.to_owned(),
            service: format!("{name}-webhook.{namespace}.svc"),
        }
    }
}

/// Tries again after a failure, and looks again where no watch brought anything.
const RETRY: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Keeps a leaf in the resolver and the CA in both configurations, until dropped.
pub async fn keep(
    client: Client,
    names: Names,
    resolver: Arc<ReloadingResolver>,
    metrics: Arc<Metrics>,
) {
    let mut keeper = Keeper { client, names, resolver, metrics, serving: None };
    let mut touched = keeper.touched().boxed();
    loop {
        let wait = match keeper.reconcile().await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the webhook's certificates are not in order"
                );
                RETRY
            }
        };
        // One of the three objects changed, or it is time to renew.
        tokio::select! {
            Some(()) = touched.next() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

struct Keeper {
    client: Client,
    names: Names,
    resolver: Arc<ReloadingResolver>,
    metrics: Arc<Metrics>,
    /// What is served: the CA it came from, and when it is to be renewed.
    serving: Option<(String, Timestamp)>,
}

impl Keeper {
    /// A tick for each change of the Secret or of a configuration.
    fn touched(&self) -> impl futures::Stream<Item = ()> + use<> {
        let secret = Api::<Secret>::namespaced(self.client.clone(), &self.names.namespace);
        let mutating = Api::<MutatingWebhookConfiguration>::all(self.client.clone());
        let validating = Api::<ValidatingWebhookConfiguration>::all(self.client.clone());
        let configurations = &self.names.configurations;
        futures::stream::select_all([
            ticks(secret, &self.names.secret),
            ticks(mutating, configurations),
            ticks(validating, configurations),
        ])
    }

    async fn reconcile(&mut self) -> anyhow::Result<Duration> {
        let now = Timestamp::now();
        let authority = self.authority(now).await?;
        let ca = authority.cert_pem().to_owned();
        let fresh = self.serving.as_ref().is_some_and(|(from, renew)| *from == ca && now < *renew);
        if !fresh {
            let leaf: Leaf = authority.issue(std::slice::from_ref(&self.names.service), now)?;
            tracing::info!(not_after = %leaf.not_after, "serving a new certificate");
            self.metrics.leaf_expires.set(leaf.not_after.as_second());
            self.serving = Some((ca.clone(), leaf.renew_at(fastrand::f64())));
            self.resolver.set(leaf);
        }
        self.bundle::<MutatingWebhookConfiguration>(&ca).await?;
        self.bundle::<ValidatingWebhookConfiguration>(&ca).await?;
        let renew = self.serving.as_ref().map_or(now, |(_, renew)| *renew);
        let until = Duration::try_from(now.duration_until(renew).max(SignedDuration::ZERO));
        Ok(until.unwrap_or(LOOK_AGAIN).clamp(RETRY, LOOK_AGAIN))
    }

    /// The CA of the Secret as it stands now; made, where there is none that is usable. Of two
    /// replicas that make one the API server takes the first, and the other reads that.
    async fn authority(&self, now: Timestamp) -> anyhow::Result<Authority> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.names.namespace);
        let name = &self.names.secret;
        for _ in 0..5 {
            let mut secret = api.get(name).await.with_context(|| format!("Secret {name}"))?;
            let data = secret.data.take().unwrap_or_default();
            let data: BTreeMap<String, Vec<u8>> = data.into_iter().map(|(k, v)| (k, v.0)).collect();
            match next(&data, now, std::slice::from_ref(&self.names.service))? {
                Step::Use(authority) => return Ok(authority),
                Step::Write { data, authority, reason } => {
                    tracing::info!(secret = %name, %reason, "making a new CA");
                    secret.data = Some(data.into_iter().map(|(k, v)| (k, ByteString(v))).collect());
                    let params = PostParams {
                        field_manager: Some(FIELD_MANAGER.into()),
                        ..PostParams::default()
                    };
                    match api.replace(name, &params, &secret).await {
                        Ok(_) => return Ok(authority),
                        Err(kube::Error::Api(status)) if status.code == 409 => {}
                        Err(error) => return Err(error).with_context(|| format!("Secret {name}")),
                    }
                }
            }
        }
        anyhow::bail!("Secret {name} changes all the time: is something else writing it?")
    }

    /// Puts the CA into every webhook of a configuration that has another one.
    async fn bundle<K>(&self, ca: &str) -> anyhow::Result<()>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let (api, name) = (Api::<K>::all(self.client.clone()), &self.names.configurations);
        let what = || format!("{} {name}", K::kind(&()));
        let Some(configuration) = api.get_opt(name).await.with_context(what)? else {
            tracing::debug!("{} is not there: nothing to keep in order", what());
            return Ok(());
        };
        let bundle = json!(ByteString(ca.as_bytes().to_vec()));
        let Some(webhooks) = with_bundle(&serde_json::to_value(&configuration)?, &bundle) else {
            return Ok(());
        };
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        // Strategic: webhooks are merged by name, and nothing but the bundle is touched.
        api.patch(name, &params, &Patch::Strategic(json!({"webhooks": webhooks})))
            .await
            .with_context(what)?;
        tracing::info!("{} has the CA now", what());
        Ok(())
    }
}

/// The patch of `webhooks` that gives each one the bundle; none where all have it.
fn with_bundle(configuration: &Value, bundle: &Value) -> Option<Vec<Value>> {
    let webhooks = configuration.get("webhooks")?.as_array()?;
    let lacking = webhooks.iter().filter(|w| w.pointer("/clientConfig/caBundle") != Some(bundle));
    let patch: Vec<Value> = lacking
        .filter_map(|w| Some(json!({"name": w.get("name")?, "clientConfig": {"caBundle": bundle}})))
        .collect();
    (!patch.is_empty()).then_some(patch)
}

fn ticks<K>(api: Api<K>, name: &str) -> futures::stream::BoxStream<'static, ()>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, config)
        .default_backoff()
        .filter_map(|event| {
            let changed = matches!(event, Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)));
            std::future::ready(changed.then_some(()))
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_webhooks_without_the_bundle_are_patched_each_by_its_name() {
        let configuration = json!({"webhooks": [
            {"name": "a", "clientConfig": {"caBundle": "QQ=="}},
            {"name": "b", "clientConfig": {"caBundle": "old"}},
            {"name": "c", "clientConfig": {}},
        ]});
        let patch = with_bundle(&configuration, &json!("QQ==")).unwrap();
        let names: Vec<_> = patch.iter().map(|w| w["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["b", "c"]);
        let in_order = json!({"webhooks": [{"name": "a", "clientConfig": {"caBundle": "QQ=="}}]});
        assert_eq!(with_bundle(&in_order, &json!("QQ==")), None);
    }
}
