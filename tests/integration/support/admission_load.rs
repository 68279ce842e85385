//! A steady load on both webhooks, with every failure counted.

use super::*;
use anyhow::{Result, ensure};
use kube::Api;
use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Creates a split through both webhooks, and leaves nothing behind.
pub(crate) async fn create(splits: &Api<DynamicObject>, n: usize) -> Result<()> {
    let split = serde_json::from_value(json!({
        "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": format!("load-{n}"),
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}},
        "spec": {"service": "emoji-svc", "backends": [
            {"service": "emoji-svc", "weight": 1}, {"service": "emoji-svc-west", "weight": 0},
        ]},
    }))?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let created = splits.create(&dry_run, &split).await?;
    // The mutating webhook was asked too.
    ensure!(state(&created).is_some(), "not defaulted");
    Ok(())
}

/// As many unanswered creates as a busy machine can bear: more would wait for each other until the
/// API server itself has no time for leases and bundles.
const IN_FLIGHT: usize = 8;

/// 50 creates a second until it is ended, fewer while [`IN_FLIGHT`] of them are unanswered.
pub(crate) struct Load {
    stop: CancellationToken,
    done: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Load {
    pub(crate) fn start(splits: &Api<DynamicObject>) -> Self {
        let (stop, done) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(run(splits.clone(), stop.clone(), done.clone()));
        Self { stop, done, task }
    }

    /// How many were created so far.
    pub(crate) fn created(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Lets what runs come to its end: how many were created, and what failed.
    pub(crate) async fn end(self) -> Result<(usize, Vec<String>)> {
        self.stop.cancel();
        let failed = self.task.await?;
        Ok((self.done.load(Ordering::Relaxed), failed))
    }
}

async fn run(
    splits: Api<DynamicObject>,
    stop: CancellationToken,
    done: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut creates = JoinSet::new();
    let mut failed = vec![];
    let mut count = |created: Result<Result<()>, JoinError>| match created {
        Ok(Ok(())) => _ = done.fetch_add(1, Ordering::Relaxed),
        Ok(Err(error)) => failed.push(format!("{error:#}")),
        Err(error) => failed.push(error.to_string()),
    };
    let mut due = tokio::time::interval(Duration::from_millis(20));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0.. {
        tokio::select! {
            _ = due.tick() => {}
            () = stop.cancelled() => break,
        }
        let splits = splits.clone();
        creates.spawn(async move { create(&splits, n).await });
        while let Some(created) = creates.try_join_next() {
            count(created);
        }
        while creates.len() >= IN_FLIGHT
            && let Some(created) = creates.join_next().await
        {
            count(created);
        }
    }
    while let Some(created) = creates.join_next().await {
        count(created);
    }
    failed
}
