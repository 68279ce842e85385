//! The webhook's certificates, as far as they can be read from outside.

use super::not_known;
use crate::checks::facts::{Asked, NotKnown};
use crate::snapshot::Settings;
use futures::future::join_all;
use http::Request;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt};
use std::time::Duration;

/// A pod that does not answer is none that can be asked.
const PATIENCE: Duration = Duration::from_secs(3);

const EXPIRY: &str = "linkerd_failover_webhook_certificate_expiry_timestamp_seconds";

/// The `caBundle` of each configuration that is there, by the name of its kind.
pub(super) async fn bundles(client: &Client, settings: &Settings) -> Asked<Vec<(String, Vec<u8>)>> {
    let name = &settings.installation.name;
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let (mutating, validating) = tokio::join!(mutating.get_opt(name), validating.get_opt(name));
    let mutating = mutating.map_err(|error| not_known(&error))?;
    let validating = validating.map_err(|error| not_known(&error))?;
    let mutating = mutating.and_then(|there| {
        Some(bundle("MutatingWebhookConfiguration", name, &there.webhooks?.first()?.client_config))
    });
    let validating = validating.and_then(|there| {
        Some(bundle(
            "ValidatingWebhookConfiguration",
            name,
            &there.webhooks?.first()?.client_config,
        ))
    });
    Ok([mutating, validating].into_iter().flatten().collect())
}

fn bundle(kind: &str, name: &str, config: &WebhookClientConfig) -> (String, Vec<u8>) {
    let ByteString(bundle) = config.ca_bundle.clone().unwrap_or_default();
    (format!("{kind} {name}"), bundle)
}

/// When the certificate of each replica ends, by its metrics through the API server.
pub(super) async fn leaves(
    client: &Client,
    settings: &Settings,
    pods: &Asked<Vec<Pod>>,
) -> Asked<Vec<(String, Timestamp)>> {
    let pods = pods.as_ref().map_err(Clone::clone)?;
    let namespace = &settings.installation.namespace;
    let ends = pods.iter().filter_map(|pod| Some((pod.name_any(), admin_port(pod)?))).map(
        async |(pod, port)| {
            let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
            let request = Request::get(path).body(vec![]).ok()?;
            let answer = tokio::time::timeout(PATIENCE, client.request_text(request)).await;
            Some((pod, expiry(&answer.ok()?.ok()?)?))
        },
    );
    let ends: Vec<_> = join_all(ends).await.into_iter().flatten().collect();
    match ends.is_empty() {
        true => Err(NotKnown::Forbidden),
        false => Ok(ends),
    }
}

fn admin_port(pod: &Pod) -> Option<i32> {
    let mut containers = pod.spec.as_ref()?.containers.iter();
    let ports = containers.find_map(|container| {
        let ports = container.ports.as_ref()?;
        ports.iter().find(|port| port.name.as_deref() == Some("admin-http"))
    });
    ports.map(|port| port.container_port)
}

/// The value of the metric; none while no certificate is served.
fn expiry(metrics: &str) -> Option<Timestamp> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(EXPIRY))?;
    let seconds: f64 = value.trim().parse().ok()?;
    Timestamp::from_second(seconds as i64).ok().filter(|_| seconds > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_from_metrics() {
        let of = |text: &str| expiry(text).map(|end| end.to_string());
        let there = format!("# HELP {EXPIRY} x\n# TYPE {EXPIRY} gauge\n{EXPIRY} 1795000000\n");
        assert_eq!(of(&there).as_deref(), Some("2026-11-18T11:06:40Z"));
        assert_eq!(of(&format!("{EXPIRY} 0\n")), None);
        assert_eq!(of("other 1\n"), None);
    }
}
