//! The CA of the webhook's certificate, in ConfigMaps where Alertmanager can mount it: a copy made by hand
//! would be worth nothing once the CA is replaced.

use crate::clock::backoff::Backoff;
use crate::kinds::{FIELD_MANAGER, brief};
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
}

impl CaPublisher {
    /// Keeps every ConfigMap up to date, until dropped.
    pub(crate) async fn run(mut self) {
        let (mut reported, mut failures) = (ReportOnce::default(), 0);
        loop {
            let bundle = self.bundle.borrow_and_update().clone();
            let problem = self.publish(&String::from_utf8_lossy(&bundle)).await.err();
            failures = if problem.is_some() { failures + 1 } else { 0 };
            if reported.changes(problem.clone()) {
                report(problem.as_deref());
            }
            let wait = if failures == 0 { CHECK } else { RETRY.jittered(failures) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Ok(()) = self.bundle.changed() => {}
            }
        }
    }

    /// Writes the CA into each ConfigMap that has another. The error names the first that was not written.
    async fn publish(&self, bundle: &str) -> Result<(), String> {
        if bundle.is_empty() {
            return Ok(());
        }
        let mut first = Ok(());
        for namespace in &self.namespaces {
            let kept = self.keep(namespace, bundle).await;
            let kept = kept.map_err(|e| format!("{namespace}/{}: {}", self.name, brief(&e)));
            first = first.and(kept);
        }
        first
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
}

fn report(problem: Option<&str>) {
    match problem {
        Some(why) => tracing::warn!(
            why,
            "the CA of the webhook is not published: Alertmanager may not trust its certificate; does the ConfigMap exist, and may we get and patch it, as the chart's Role says?"
        ),
        None => tracing::info!("the CA of the webhook is published"),
    }
}
