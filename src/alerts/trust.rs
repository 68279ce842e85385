//! The CA of the webhook's certificate, in ConfigMaps where Alertmanager can mount it: a copy made by hand
//! would be worth nothing once the CA is replaced.

use crate::clock::backoff::Backoff;
use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::kinds::{FIELD_MANAGER, ObjectKey, brief};
use crate::telemetry::Metrics;
use crate::telemetry::report_once::ReportOnce;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The key of the CA, as in a Secret of TLS.
const KEY: &str = "ca.crt";
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// How often to look whether somebody has changed it.
const CHECK: Duration = Duration::from_secs(600);

/// Publishes the CA.
pub(crate) struct CaPublisher {
    pub client: Client,
    /// The name of each ConfigMap, which the chart makes.
    pub name: String,
    pub namespaces: Vec<String>,
    /// What the API server verifies our certificate by, in PEM; empty while it is not known.
    pub bundle: watch::Receiver<Arc<[u8]>>,
    /// Our own, which Events are about.
    pub deployment: ObjectKey,
    pub metrics: Arc<Metrics>,
    pub recorder: Recorder,
}

/// A ConfigMap that does not have the CA.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unpublished {
    namespace: String,
    name: String,
    why: String,
}

impl CaPublisher {
    /// Keeps every ConfigMap up to date, until dropped.
    pub(crate) async fn run(mut self) {
        let (mut reported, mut failures) = (ReportOnce::default(), 0);
        loop {
            let bundle = self.bundle.borrow_and_update().clone();
            let unpublished = self.publish(&String::from_utf8_lossy(&bundle)).await;
            let count = i64::try_from(unpublished.len()).unwrap_or(i64::MAX);
            self.metrics.alerts.ca_unpublished.set(count);
            let first = unpublished.into_iter().next();
            failures = if first.is_some() { failures + 1 } else { 0 };
            if reported.changes(first.clone()) {
                self.report(first.as_ref());
            }
            let wait = if failures == 0 { CHECK } else { RETRY.jittered(failures) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Ok(()) = self.bundle.changed() => {}
            }
        }
    }

    /// Writes the CA into each ConfigMap that has another. Returns those that were not written.
    async fn publish(&self, bundle: &str) -> Vec<Unpublished> {
        let mut unpublished = vec![];
        for namespace in self.namespaces.iter().filter(|_| !bundle.is_empty()) {
            if let Err(error) = self.keep(namespace, bundle).await {
                let (namespace, name) = (namespace.clone(), self.name.clone());
                unpublished.push(Unpublished { namespace, name, why: brief(&error) });
            }
        }
        unpublished
    }

    async fn keep(&self, namespace: &str, bundle: &str) -> kube::Result<()> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let present = api.get(&self.name).await?.data.unwrap_or_default();
        if present.get(KEY).map(String::as_str) == Some(bundle) {
            return Ok(());
        }
        let field_manager = Some(FIELD_MANAGER.into());
        let params = PatchParams { field_manager, ..PatchParams::default() };
        let patch = Patch::Merge(json!({"data": {KEY: bundle}}));
        api.patch(&self.name, &params, &patch).await?;
        tracing::info!(namespace, name = self.name, "published the CA of the webhook");
        Ok(())
    }

    fn report(&self, unpublished: Option<&Unpublished>) {
        let Some(unpublished) = unpublished else {
            return tracing::info!("the CA of the webhook is published");
        };
        let note = unpublished.note();
        tracing::warn!("{note}");
        let regarding = Regarding::deployment(self.deployment.clone());
        let (reason, action) = (EventReason::AlertsCaNotPublished, EventAction::Receive);
        self.recorder.publish(NewEvent::warning(regarding, reason, action, note));
    }
}

impl Unpublished {
    fn note(&self) -> String {
        let Self { namespace, name, why } = self;
        format!(
            "Alertmanager may not trust the certificate of the webhook, and its alerts not arrive: the CA was not written into ConfigMap {namespace}/{name}: {why}. The chart makes that ConfigMap, and a Role by which we get and patch it: helm upgrade restores both"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_published_is_reported_with_its_consequence_and_what_restores_it() {
        let unpublished = Unpublished {
            namespace: "monitoring".into(),
            name: "linkerd-failover-webhook-ca".into(),
            why: "not found (404)".into(),
        };
        insta::assert_snapshot!(
            unpublished.note(),
            @"Alertmanager may not trust the certificate of the webhook, and its alerts not arrive: the CA was not written into ConfigMap monitoring/linkerd-failover-webhook-ca: not found (404). The chart makes that ConfigMap, and a Role by which we get and patch it: helm upgrade restores both"
        );
    }
}
