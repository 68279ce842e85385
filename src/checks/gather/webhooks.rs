//! The webhook configurations: the CAs that they trust, and where they have the API server ask.

use super::not_known;
use crate::checks::facts::Asked;
use crate::snapshot::Settings;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use kube::{Api, Client};
use std::collections::BTreeMap;

const HTTPS: i32 = 443;

/// The first webhook of each configuration that is there: the one of failover objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Webhooks(Vec<Webhook>);

#[derive(Clone, Debug)]
struct Webhook {
    /// The kind and the name of its configuration.
    of: String,
    config: WebhookClientConfig,
    namespaces: Option<LabelSelector>,
}

pub(super) async fn get(client: &Client, settings: &Settings) -> Asked<Webhooks> {
    let name = &settings.installation.name;
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let (mutating, validating) = tokio::join!(mutating.get_opt(name), validating.get_opt(name));
    let mutating = mutating.map_err(|error| not_known(&error))?;
    let validating = validating.map_err(|error| not_known(&error))?;
    let mutating = mutating.and_then(|there| there.webhooks?.into_iter().next());
    let validating = validating.and_then(|there| there.webhooks?.into_iter().next());
    let mutating = mutating.map(|first| Webhook {
        of: format!("MutatingWebhookConfiguration {name}"),
        config: first.client_config,
        namespaces: first.namespace_selector,
    });
    let validating = validating.map(|first| Webhook {
        of: format!("ValidatingWebhookConfiguration {name}"),
        config: first.client_config,
        namespaces: first.namespace_selector,
    });
    Ok(Webhooks(mutating.into_iter().chain(validating).collect()))
}

impl Webhooks {
    /// The `caBundle` of each.
    pub(super) fn bundles(&self) -> Vec<(String, Vec<u8>)> {
        let bundle = |webhook: &Webhook| {
            let ByteString(bundle) = webhook.config.ca_bundle.clone().unwrap_or_default();
            (webhook.of.clone(), bundle)
        };
        self.0.iter().map(bundle).collect()
    }

    /// Whether the API server asks all of them about objects in a namespace with these labels.
    pub(super) fn are_asked_in(&self, labels: &BTreeMap<String, String>) -> bool {
        let selectors = self.0.iter().filter_map(|webhook| webhook.namespaces.clone());
        let mut selectors = selectors.map(Selector::try_from);
        selectors.all(|selector| selector.is_ok_and(|selector| selector.matches(labels)))
    }

    /// The port of their Service.
    pub(super) fn port(&self) -> i32 {
        let mut ports = self.0.iter().filter_map(|webhook| webhook.config.service.as_ref()?.port);
        ports.next().unwrap_or(HTTPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn webhooks(selectors: &[Value]) -> Webhooks {
        let webhook = |selector: &Value| Webhook {
            of: "x".into(),
            config: WebhookClientConfig::default(),
            namespaces: serde_json::from_value(selector.clone()).unwrap(),
        };
        Webhooks(selectors.iter().map(webhook).collect())
    }

    #[test]
    fn a_webhook_is_asked_where_its_namespace_selector_matches() {
        let only = json!({"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]},
        ]});
        let not = json!({"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]});
        for (selectors, labels, asked) in [
            (vec![], vec![], true),
            (vec![json!(null), json!({})], vec![], true),
            (vec![only.clone()], vec![("kubernetes.io/metadata.name", "a")], true),
            (vec![only.clone()], vec![("kubernetes.io/metadata.name", "c")], false),
            (vec![only, not], vec![("kubernetes.io/metadata.name", "a"), ("skip", "")], false),
        ] {
            let labels: BTreeMap<String, String> =
                labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            assert_eq!(webhooks(&selectors).are_asked_in(&labels), asked, "{selectors:?}");
        }
    }
}
