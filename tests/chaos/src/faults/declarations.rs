//! Services that are declared down by people whose clocks are wrong.

use super::{Made, flip, insist};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

/// Declares one down, renews it half way, and clears it.
pub(super) async fn declare_down(mut made: Made<'_>) -> anyhow::Result<()> {
    let (namespace, service) = flip::primary(&mut made.random);
    let services: Api<Service> = Api::namespaced(made.world.east.client(), &namespace);
    // Two minutes early to two minutes late.
    let skew = SignedDuration::from_secs(made.random.i64(-120..=120));
    let declare = |until: Value| {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": {
            "failover.linkerd.io/down-until": until,
        } } }));
        let (services, service) = (services.clone(), service.clone());
        async move { services.patch(&service, &PatchParams::default(), &patch).await }
    };
    for _ in 0..2 {
        let until = Timestamp::now() + SignedDuration::from_secs(30) + skew;
        let _ = declare(json!(until.to_string())).await;
        tokio::time::sleep(made.fault.length / 2).await;
    }
    insist("nobody declares it down", || async {
        declare(Value::Null).await?;
        Ok(())
    })
    .await
}
