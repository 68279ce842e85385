//! Webhook configurations: the program's own, and those of others.

use super::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::Api;
use test_cluster::{Cluster, Workload, eventually};

/// The name of the webhook that [`refuse_updates`] and others install.
pub(crate) const OTHER_WEBHOOK: &str = "third.example.com";

/// The `caBundle` of both configurations.
pub(crate) async fn bundles(cluster: &Cluster) -> Result<[String; 2]> {
    let name = "linkerd-failover";
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(cluster.client());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(cluster.client());
    let mutating = mutating.get(name).await?.webhooks.unwrap_or_default();
    let validating = validating.get(name).await?.webhooks.unwrap_or_default();
    let of = |bundle: Option<ByteString>| String::from_utf8(bundle.unwrap_or_default().0);
    let first = mutating.into_iter().next().context("no webhook")?.client_config.ca_bundle;
    let second = validating.into_iter().next().context("no webhook")?.client_config.ca_bundle;
    Ok([of(first)?, of(second)?])
}

/// A webhook of somebody else, asked about updates of a kind.
pub(crate) struct OtherWebhook<'a> {
    pub(crate) url: &'a str,
    pub(crate) failure_policy: &'a str,
    pub(crate) timeout_seconds: u32,
    /// Which objects, as YAML has it.
    pub(crate) object_selector: &'a str,
}

impl OtherWebhook<'_> {
    /// Its configuration, of the name `third`.
    pub(crate) fn configuration(&self, group: &str, plural: &str) -> String {
        let Self { url, failure_policy, timeout_seconds, object_selector } = self;
        format!(
            r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: third}}
webhooks:
- name: {OTHER_WEBHOOK}
  clientConfig: {{url: "{url}"}}
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: {failure_policy}
  timeoutSeconds: {timeout_seconds}
  objectSelector: {object_selector}
  rules:
  - {{apiGroups: [{group}], apiVersions: ["*"], operations: [UPDATE], resources: [{plural}]}}
"#
        )
    }
}

/// The configuration of a webhook where nobody listens: every update of this kind is refused.
pub(crate) fn refusing(group: &str, plural: &str) -> String {
    OtherWebhook {
        url: "https://127.0.0.1:1/",
        failure_policy: "Fail",
        timeout_seconds: 1,
        object_selector: "{}",
    }
    .configuration(group, plural)
}

/// Has every update of a kind refused, such as that of an object, until [`accept_updates`].
pub(crate) async fn refuse_updates(
    workload: &Workload<'_>,
    (group, plural): (&str, &str),
    object: &str,
) -> Result<()> {
    workload.apply(&refusing(group, plural)).await?;
    eventually("the other webhook refuses", PATIENCE, || async {
        let probe = ["label", "--overwrite", "--dry-run=server", plural, object, "x=y"];
        let output = workload.kubectl(probe).output().await?;
        ensure!(output.stderr.contains(OTHER_WEBHOOK), "{}", output.stderr);
        Ok(())
    })
    .await
}

/// Takes the other webhook away.
pub(crate) async fn accept_updates(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(["delete", "validatingwebhookconfiguration", "third"]).ok().await.map(drop)
}

/// Waits until the webhook warns whoever edits the split `emoji` with this text, or no longer.
pub(crate) async fn wait_warned(workload: &Workload<'_>, words: &str, wanted: bool) -> Result<()> {
    eventually(&format!("the webhook warns of {words:?}: {wanted}"), PATIENCE, || async {
        let annotate = ["annotate", "trafficsplit", "emoji", "note=x", "--dry-run=server"];
        let output = workload.kubectl(annotate).output().await?;
        ensure!(output.status.success() && output.stderr.contains(words) == wanted, "{output:?}");
        Ok(())
    })
    .await
}
