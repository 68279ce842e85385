//! Whether an announced pod is one that the API server asks about: whoever reaches the webhook's port
//! can send a review.

use crate::deletion_guard::announcement::Announcement;
use crate::index::shared_index::SharedIndex;
use crate::kinds::brief;
use crate::kinds::pods::GUARD_LABEL;
use crate::telemetry::at_most_every::AtMostEvery;
use k8s_openapi::api::core::v1::Pod;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Other callers cannot make the API server read more than this at once.
const CONCURRENT_READS: usize = 32;
/// Anybody may call, and be refused.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Looks for the label where only the cluster's own people can set it.
pub(crate) struct LabelCheck {
    client: Client,
    shared: SharedIndex,
    reads: Semaphore,
    reports: AtMostEvery,
}

/// Why a pod is not taken for one with the label.
#[derive(Debug, PartialEq, thiserror::Error)]
enum NotLabelled {
    #[error(
        "neither it nor its namespace has the label {key}: {value}; was the label set a moment ago, or does somebody else than the API server call the webhook's port?",
        key = GUARD_LABEL.0, value = GUARD_LABEL.1
    )]
    HasNone,
    #[error(
        "its namespace has no label {key}: {value}, and the pod cannot be read: {0}; may we get pods, as the chart's ClusterRole says?",
        key = GUARD_LABEL.0, value = GUARD_LABEL.1
    )]
    NotRead(String),
}

impl LabelCheck {
    pub(crate) fn new(client: Client, shared: SharedIndex) -> Self {
        let (reads, reports) = (Semaphore::new(CONCURRENT_READS), AtMostEvery::new(REPORT_EVERY));
        Self { client, shared, reads, reports }
    }

    /// Whether a pod has the label, or its namespace has it.
    pub(crate) async fn is_labelled(&self, pod: &Announcement) -> bool {
        if self.shared.read().is_guarded_namespace(&pod.namespace) {
            return true;
        }
        let Err(why) = labelled(self.read(pod).await) else { return true };
        if self.reports.is_due(Instant::now()) {
            let Announcement { namespace, name, .. } = pod;
            tracing::warn!(
                "the announced deletion of pod {namespace}/{name} is not believed: {why}"
            );
        }
        false
    }

    async fn read(&self, pod: &Announcement) -> kube::Result<Option<PartialObjectMeta<Pod>>> {
        // The semaphore is never closed.
        let _permit = self.reads.acquire().await;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace);
        pods.get_metadata_opt(&pod.name).await
    }
}

/// Whether a pod, as it was read, has the label; if not, why.
fn labelled(read: kube::Result<Option<PartialObjectMeta<Pod>>>) -> Result<(), NotLabelled> {
    let pod = read.map_err(|error| NotLabelled::NotRead(brief(&error)))?;
    let (key, value) = GUARD_LABEL;
    match pod.as_ref().and_then(|pod| pod.labels().get(key)) {
        Some(label) if label == value => Ok(()),
        _ => Err(NotLabelled::HasNone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;
    use serde_json::{Value, json};

    fn pod(labels: Value) -> kube::Result<Option<PartialObjectMeta<Pod>>> {
        let pod = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "emoji-1", "labels": labels}});
        Ok(Some(serde_json::from_value(pod).unwrap()))
    }

    #[test]
    fn only_the_label_with_its_value_guards_a_pod() {
        assert_eq!(labelled(pod(json!({"failover.linkerd.io/guard": "enabled"}))), Ok(()));
        for none in [
            pod(json!({"failover.linkerd.io/guard": "disabled"})),
            pod(json!({"app": "emoji"})),
            Ok(None),
        ] {
            assert_eq!(labelled(none), Err(NotLabelled::HasNone));
        }
    }

    #[test]
    fn a_pod_that_may_not_be_read_is_not_believed_and_the_right_is_named() {
        let forbidden = Status::failure("pods is forbidden", "Forbidden").with_code(403).boxed();
        let why = labelled(Err(kube::Error::Api(forbidden))).unwrap_err().to_string();
        assert!(
            why.contains("pods is forbidden (403)") && why.contains("may we get pods"),
            "{why}"
        );
    }
}
