//! Applies at a steady rate, as a GitOps tool makes them, with every failure kept.

use anyhow::Result;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// As many as may be unanswered at once: more would only wait for each other.
const IN_FLIGHT: usize = 16;

/// TrafficSplits of a namespace.
pub fn splits(client: kube::Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("split.smi-spec.io", "v1alpha2", "TrafficSplit");
    Api::namespaced_with(client, namespace, &ApiResource::from_gvk(&kind))
}

/// A split in failover whose primary is its apex, as its author has it in git.
pub fn split(name: &str, apex: &str, fallback: &str, revision: usize) -> Value {
    json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {
            "name": name,
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"},
            "annotations": {"example.com/revision": revision.to_string()},
        },
        "spec": {"service": apex, "backends": [
            {"service": apex, "weight": 1}, {"service": fallback, "weight": 0},
        ]},
    })
}

/// Applies a manifest by server-side apply: through both webhooks, and stored.
pub async fn apply(splits: &Api<DynamicObject>, split: &Value) -> Result<DynamicObject> {
    let name = split["metadata"]["name"].as_str().unwrap_or_default();
    let params = PatchParams::apply("endurance").force();
    Ok(splits.patch(name, &params, &Patch::Apply(split)).await?)
}

/// What has come of the applies.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many passed.
    pub applied: usize,
    /// Why others did not.
    pub failures: Vec<String>,
}

/// Applies that go on until they are ended.
pub struct Applies {
    stop: CancellationToken,
    outcome: Arc<Mutex<Outcome>>,
    task: tokio::task::JoinHandle<()>,
}

impl Applies {
    /// `per_second` of them, fewer while `IN_FLIGHT` are unanswered; `manifest` makes the nth.
    pub fn start(
        splits: Api<DynamicObject>,
        per_second: u32,
        manifest: impl Fn(usize) -> Value + Send + 'static,
    ) -> Self {
        let (stop, outcome) = (CancellationToken::new(), Arc::new(Mutex::default()));
        let task = run(splits, per_second, manifest, stop.clone(), Arc::clone(&outcome));
        Self { stop, outcome, task: tokio::spawn(task) }
    }

    /// What has come of them so far.
    pub fn outcome(&self) -> Outcome {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets those that run come to their end.
    pub async fn end(self) -> Result<Outcome> {
        self.stop.cancel();
        self.task.await?;
        Ok(self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

async fn run(
    splits: Api<DynamicObject>,
    per_second: u32,
    manifest: impl Fn(usize) -> Value,
    stop: CancellationToken,
    outcome: Arc<Mutex<Outcome>>,
) {
    let mut due = tokio::time::interval(Duration::from_secs(1) / per_second);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut running = JoinSet::new();
    for n in 0.. {
        tokio::select! {
            _ = due.tick() => {}
            () = stop.cancelled() => break,
        }
        while running.len() >= IN_FLIGHT && running.join_next().await.is_some() {}
        let (splits, manifest, outcome) = (splits.clone(), manifest(n), Arc::clone(&outcome));
        running.spawn(async move {
            let applied = apply(&splits, &manifest).await;
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match applied {
                Ok(_) => outcome.applied += 1,
                Err(error) => {
                    println!("apply {n}: {error}");
                    outcome.failures.push(format!("apply {n}: {error}"));
                }
            }
        });
    }
    while running.join_next().await.is_some() {}
}
