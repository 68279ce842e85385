//! Both webhook configurations, and the `caBundle` in each.

use crate::informers::list_watch::follow;
use crate::kinds::{FIELD_MANAGER, brief, get_known};
use crate::telemetry::{LastReceived, WebhookKind};
use anyhow::Context;
use futures::stream::{BoxStream, StreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::api::{ApiResource, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use webhook_certs::Bundles;

/// A configuration as it was read.
#[derive(Debug)]
pub(super) struct WebhookConfiguration {
    pub kind: WebhookKind,
    /// Kind and name, for messages.
    pub name: String,
    pub result: ReadResult,
}

/// What a read returned.
#[derive(Debug)]
pub(super) enum ReadResult {
    Missing,
    /// RBAC does not allow the read.
    Forbidden,
    /// The read failed, with this error; the next one may not.
    Failed(String),
    Found {
        version: String,
        /// Name and `caBundle` of each webhook.
        bundles: Vec<(String, Vec<u8>)>,
    },
}

impl WebhookConfiguration {
    /// The bundles, for the decision about the CA.
    pub(super) fn bundles(&self) -> Bundles {
        match &self.result {
            ReadResult::Missing => Bundles::Absent,
            ReadResult::Forbidden | ReadResult::Failed(_) => Bundles::Unknown,
            ReadResult::Found { bundles, .. } => {
                Bundles::Present(bundles.iter().map(|(_, bundle)| bundle.clone()).collect())
            }
        }
    }

    /// The bundle by which replicas trust each other: that of the validating webhooks.
    pub(super) fn peer_bundle(&self) -> Option<&[u8]> {
        match &self.result {
            ReadResult::Found { bundles, .. } if self.kind == WebhookKind::Validating => {
                bundles.first().map(|(_, bundle)| bundle.as_slice())
            }
            _ => None,
        }
    }
}

/// The configurations of this installation.
pub(super) struct WebhookConfigurations {
    client: Client,
    name: String,
}

impl WebhookConfigurations {
    pub(super) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// Reads both from the API server, past every cache.
    pub(super) async fn read(&self) -> [WebhookConfiguration; 2] {
        let (mutating, validating) = tokio::join!(
            self.read_one(WebhookKind::Mutating),
            self.read_one(WebhookKind::Validating)
        );
        [mutating, validating]
    }

    async fn read_one(&self, kind: WebhookKind) -> WebhookConfiguration {
        let result = match get_known(&self.api(kind), &self.name).await {
            Ok(None) => ReadResult::Missing,
            Ok(Some(object)) => found(&object),
            Err(kube::Error::Api(status)) if status.code == 403 => ReadResult::Forbidden,
            Err(error) => ReadResult::Failed(brief(&error)),
        };
        let name = format!("{} {}", resource(kind).kind, self.name);
        WebhookConfiguration { kind, name, result }
    }

    /// Writes the bundle to every webhook that has another one, on the resourceVersion that was read, so
    /// that no older bundle replaces a newer one. False: the configuration has changed since.
    pub(super) async fn write(
        &self,
        read: &mut WebhookConfiguration,
        bundle: &str,
    ) -> anyhow::Result<bool> {
        let ReadResult::Found { version, bundles } = &read.result else { return Ok(true) };
        let Some(mut patch) = patch(bundles, bundle) else { return Ok(true) };
        patch["metadata"] = json!({"resourceVersion": version});
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        // Strategic: webhooks are merged by name, and nothing but the bundle is touched.
        match self.api(read.kind).patch(&self.name, &params, &Patch::Strategic(patch)).await {
            Ok(object) => {
                read.result = found(&object);
                tracing::info!("{} has the webhook's CA now", read.name);
                Ok(true)
            }
            // 404: deleted meanwhile.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(error).with_context(|| read.name.clone()),
        }
    }

    /// An item for each change of one of them.
    pub(super) fn changes(&self) -> BoxStream<'static, ()> {
        let changes = |kind: WebhookKind| changes_of(self.api(kind), &self.name);
        futures::stream::select(changes(WebhookKind::Mutating), changes(WebhookKind::Validating))
            .boxed()
    }

    fn api(&self, kind: WebhookKind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource(kind))
    }
}

fn resource(kind: WebhookKind) -> ApiResource {
    match kind {
        WebhookKind::Mutating => ApiResource::erase::<MutatingWebhookConfiguration>(&()),
        WebhookKind::Validating => ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
    }
}

fn found(object: &DynamicObject) -> ReadResult {
    let webhooks = object.data.get("webhooks").and_then(Value::as_array);
    let bundle = |webhook: &Value| {
        let bundle = webhook.pointer("/clientConfig/caBundle").cloned().unwrap_or_default();
        serde_json::from_value::<ByteString>(bundle).map(|bytes| bytes.0).unwrap_or_default()
    };
    let name = |webhook: &Value| Some(webhook.get("name")?.as_str()?.to_owned());
    let bundles = webhooks.into_iter().flatten().filter_map(|w| Some((name(w)?, bundle(w))));
    ReadResult::Found {
        version: object.resource_version().unwrap_or_default(),
        bundles: bundles.collect(),
    }
}

/// The patch that writes the bundle to each webhook without it; none where all have it.
fn patch(bundles: &[(String, Vec<u8>)], wanted: &str) -> Option<Value> {
    let encoded = json!(ByteString(wanted.as_bytes().to_vec()));
    let lacking = bundles.iter().filter(|(_, bundle)| bundle != wanted.as_bytes());
    let webhooks: Vec<Value> = lacking
        .map(|(name, _)| json!({"name": name, "clientConfig": {"caBundle": encoded}}))
        .collect();
    (!webhooks.is_empty()).then(|| json!({"webhooks": webhooks}))
}

/// An item for each change of one object, and for each restart of its watch.
pub(super) fn changes_of<K>(api: Api<K>, name: &str) -> BoxStream<'static, ()>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    follow(api, &format!("metadata.name={name}"), LastReceived::without_series())
        .filter_map(|event| {
            let is_change = !matches!(event, Event::InitApply(_));
            std::future::ready(is_change.then_some(()))
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(webhooks: Value) -> WebhookConfiguration {
        let mut object = DynamicObject::new("x", &resource(WebhookKind::Mutating));
        object.data = json!({"webhooks": webhooks});
        object.metadata.resource_version = Some("7".into());
        WebhookConfiguration {
            kind: WebhookKind::Mutating,
            name: "x".into(),
            result: found(&object),
        }
    }

    #[test]
    fn only_webhooks_without_the_bundle_are_patched_each_by_its_name() {
        let configuration = read(json!([
            {"name": "a", "clientConfig": {"caBundle": "QQ=="}},
            {"name": "b", "clientConfig": {"caBundle": "Qg=="}},
            {"name": "c", "clientConfig": {}},
        ]));
        let ReadResult::Found { version, bundles } = &configuration.result else { panic!() };
        assert_eq!(version, "7");
        let patch = patch(bundles, "A").unwrap();
        let bundle = json!({"caBundle": "QQ=="});
        assert_eq!(
            patch,
            json!({"webhooks": [
                {"name": "b", "clientConfig": bundle}, {"name": "c", "clientConfig": bundle}
            ]})
        );
        assert_eq!(super::patch(&bundles[..1], "A"), None);
        let all = [b"A".to_vec(), b"B".to_vec(), vec![]];
        assert_eq!(configuration.bundles(), Bundles::Present(all.to_vec()));
    }
}
