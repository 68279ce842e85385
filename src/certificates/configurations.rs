//! Both webhook configurations, and the `caBundle` in each.

use crate::informers::list_watch::follow;
use crate::kinds::{FIELD_MANAGER, brief, get_known};
use crate::telemetry::WebhookKind;
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
    /// For people: kind and name.
    pub what: String,
    pub found: Found,
}

#[derive(Debug)]
pub(super) enum Found {
    Missing,
    /// We may not read it.
    Forbidden,
    /// It could not be read, and may be at the next attempt.
    Failed(String),
    There {
        version: String,
        /// Name and `caBundle` of each webhook.
        bundles: Vec<(String, Vec<u8>)>,
    },
}

impl WebhookConfiguration {
    /// For the decision about the CA.
    pub(super) fn bundles(&self) -> Bundles {
        match &self.found {
            Found::Missing => Bundles::Absent,
            Found::Forbidden | Found::Failed(_) => Bundles::Unknown,
            Found::There { bundles, .. } => {
                Bundles::Present(bundles.iter().map(|(_, bundle)| bundle.clone()).collect())
            }
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

    /// Both as they stand now, past every cache.
    pub(super) async fn read(&self) -> [WebhookConfiguration; 2] {
        let (mutating, validating) = tokio::join!(
            self.read_one(WebhookKind::Mutating),
            self.read_one(WebhookKind::Validating)
        );
        [mutating, validating]
    }

    async fn read_one(&self, kind: WebhookKind) -> WebhookConfiguration {
        let found = match get_known(&self.api(kind), &self.name).await {
            Ok(None) => Found::Missing,
            Ok(Some(object)) => found(&object),
            Err(kube::Error::Api(status)) if status.code == 403 => Found::Forbidden,
            Err(error) => Found::Failed(brief(&error)),
        };
        WebhookConfiguration { kind, what: format!("{} {}", resource(kind).kind, self.name), found }
    }

    /// Puts the bundle into every webhook that has another one, on the version that was read: a
    /// bundle that is older than the one it would replace is refused. False: read again.
    pub(super) async fn write(
        &self,
        on: &mut WebhookConfiguration,
        bundle: &str,
    ) -> anyhow::Result<bool> {
        let Found::There { version, bundles } = &on.found else { return Ok(true) };
        let Some(mut patch) = patch(bundles, bundle) else { return Ok(true) };
        patch["metadata"] = json!({"resourceVersion": version});
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        // Strategic: webhooks are merged by name, and nothing but the bundle is touched.
        match self.api(on.kind).patch(&self.name, &params, &Patch::Strategic(patch)).await {
            Ok(object) => {
                on.found = found(&object);
                tracing::info!("{} has the webhook's CA now", on.what);
                Ok(true)
            }
            // 404: deleted meanwhile.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(error).with_context(|| on.what.clone()),
        }
    }

    /// A tick for each change of one of them.
    pub(super) fn touched(&self) -> BoxStream<'static, ()> {
        let ticks = |kind: WebhookKind| ticks(self.api(kind), &self.name);
        futures::stream::select(ticks(WebhookKind::Mutating), ticks(WebhookKind::Validating))
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

fn found(object: &DynamicObject) -> Found {
    let webhooks = object.data.get("webhooks").and_then(Value::as_array);
    let bundle = |webhook: &Value| {
        let bundle = webhook.pointer("/clientConfig/caBundle").cloned().unwrap_or_default();
        serde_json::from_value::<ByteString>(bundle).map(|bytes| bytes.0).unwrap_or_default()
    };
    let name = |webhook: &Value| Some(webhook.get("name")?.as_str()?.to_owned());
    let bundles = webhooks.into_iter().flatten().filter_map(|w| Some((name(w)?, bundle(w))));
    Found::There {
        version: object.resource_version().unwrap_or_default(),
        bundles: bundles.collect(),
    }
}

/// The patch that gives the bundle to each webhook without it; none where all have it.
fn patch(bundles: &[(String, Vec<u8>)], wanted: &str) -> Option<Value> {
    let encoded = json!(ByteString(wanted.as_bytes().to_vec()));
    let lacking = bundles.iter().filter(|(_, bundle)| bundle != wanted.as_bytes());
    let webhooks: Vec<Value> = lacking
        .map(|(name, _)| json!({"name": name, "clientConfig": {"caBundle": encoded}}))
        .collect();
    (!webhooks.is_empty()).then(|| json!({"webhooks": webhooks}))
}

/// A tick for each change of one object, and for each time that the watch begins anew.
pub(super) fn ticks<K>(api: Api<K>, name: &str) -> BoxStream<'static, ()>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    follow(api, &format!("metadata.name={name}"))
        .filter_map(|event| {
            let is_tick = !matches!(event, Event::InitApply(_));
            std::future::ready(is_tick.then_some(()))
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
            what: "x".into(),
            found: found(&object),
        }
    }

    #[test]
    fn only_webhooks_without_the_bundle_are_patched_each_by_its_name() {
        let configuration = read(json!([
            {"name": "a", "clientConfig": {"caBundle": "QQ=="}},
            {"name": "b", "clientConfig": {"caBundle": "Qg=="}},
            {"name": "c", "clientConfig": {}},
        ]));
        let Found::There { version, bundles } = &configuration.found else { panic!() };
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
