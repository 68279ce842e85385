//! Faults of admission: a third webhook, the webhook's Service, its CA.

use super::{Made, insist};
use crate::world::NAMESPACE;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;

const THIRD: &str = "chaos-refuses";
const SECRET: &str = "linkerd-failover-webhook-ca";
/// Until both configurations have the new CA, and every replica a certificate of it.
const ISSUED: Duration = Duration::from_secs(20);

/// Nothing listens where this webhook should be: every write of failover objects in one namespace fails.
pub(super) async fn refuse(made: Made<'_>) -> anyhow::Result<()> {
    let client = made.world.east.client();
    let all: Api<ValidatingWebhookConfiguration> = Api::all(client);
    let admission = made.world.disturbances.admission();
    let configuration: ValidatingWebhookConfiguration = serde_json::from_value(json!({
        "metadata": { "name": THIRD },
        "webhooks": [{
            "name": "refuses.chaos.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 1,
            "clientConfig": { "url": "https://127.0.0.1:1/refuses" },
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "chaos-2" } },
            "rules": [{
                "apiGroups": ["split.smi-spec.io", "gateway.networking.k8s.io"],
                "apiVersions": ["*"],
                "operations": ["UPDATE"],
                "resources": ["trafficsplits", "httproutes", "grpcroutes"],
            }],
        }],
    }))?;
    let made_it = all.create(&Default::default(), &configuration).await;
    made.last().await;
    if made_it.is_ok() {
        insist("the third webhook is gone", || async {
            match all.delete(THIRD, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                Ok(_) => anyhow::bail!("it is going"),
                Err(error) => Err(error.into()),
            }
        })
        .await?;
        // API servers take a moment to see it.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    drop(admission);
    Ok(())
}

pub(super) async fn silent(made: Made<'_>) -> anyhow::Result<()> {
    let admission = made.world.disturbances.admission();
    made.world.installation.webhook_silent()?;
    made.last().await;
    made.world.installation.webhook_up()?;
    drop(admission);
    Ok(())
}

/// The Secret is emptied, and the next CA is issued as after an installation.
pub(super) async fn rotate(made: Made<'_>) -> anyhow::Result<()> {
    change_secret(made, json!({ "data": null })).await
}

/// The Secret holds no certificate any more.
pub(super) async fn damage(made: Made<'_>) -> anyhow::Result<()> {
    let nonsense = json!({ "ca.crt": "nonsense", "ca.key": "nonsense" });
    change_secret(made, json!({ "stringData": nonsense })).await
}

async fn change_secret(made: Made<'_>, change: Value) -> anyhow::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(made.world.east.client(), NAMESPACE);
    let _admission = made.world.disturbances.admission();
    let _ = secrets.patch(SECRET, &PatchParams::default(), &Patch::Merge(change)).await;
    tokio::time::sleep(ISSUED).await;
    Ok(())
}
