//! Objects that no strict reader takes, stored past admission.

use super::{Made, insist};
use crate::world::manifest::LABEL;
use serde_json::{Value, json};

const OBJECTS: usize = 100;
const NAMESPACE: &str = "chaos-0";

/// They are written into etcd itself, and deleted there.
pub(super) async fn store(made: Made<'_>) -> anyhow::Result<()> {
    let east = &made.world.east;
    let objects = (0..OBJECTS).map(|nth| (key(nth), poison(nth, made.fault.seed)));
    let stored = east.seed(objects).await;
    made.last().await;
    if stored.is_ok() {
        let gone = || (0..OBJECTS).map(|nth| (key(nth), None));
        insist("the poison is gone", || east.store(gone())).await?;
    }
    Ok(())
}

fn key(nth: usize) -> String {
    format!("split.smi-spec.io/trafficsplits/{NAMESPACE}/poison-{nth}")
}

/// Each has one of ten faults.
fn poison(nth: usize, seed: u64) -> Value {
    let backends = match nth % 10 {
        0 => json!([]),
        1 => json!([{ "service": "p0", "weight": "900m" }, { "service": "p0", "weight": 1 }]),
        2 => json!([{ "service": "p0.other.svc.cluster.local", "weight": 1 }, { "service": "f0" }]),
        3 => json!([{ "service": "", "weight": 1 }, { "service": "f0", "weight": 1 }]),
        4 => {
            json!([{ "service": "p0", "weight": -3 }, { "service": "f0", "weight": 4_294_967_296_u64 }])
        }
        _ => json!([{ "service": "p0", "weight": 1 }, { "service": "f0", "weight": 0 }]),
    };
    let annotations = match nth % 10 {
        5 => json!({ "failover.linkerd.io/state": "{\"v\":99}" }),
        6 => json!({ "failover.linkerd.io/authored-weights": "nonsense" }),
        7 => json!({ "failover.linkerd.io/failover-delay": "whenever" }),
        8 => {
            json!({ "failover.linkerd.io/primary-service": "nowhere,,", "failover.linkerd.io/min-ready": "many" })
        }
        9 => {
            json!({ "failover.linkerd.io/pin": "nowhere", "failover.linkerd.io/paused": "perhaps" })
        }
        _ => json!({}),
    };
    json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {
            "name": format!("poison-{nth}"), "namespace": NAMESPACE,
            "uid": format!("{:08x}-0000-4000-8000-{nth:012x}", seed & 0xffff_ffff),
            "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1,
            "labels": { LABEL.0: LABEL.1 }, "annotations": annotations,
        },
        "spec": { "service": format!("poison-{nth}"), "backends": backends },
    })
}
