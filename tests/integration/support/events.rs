//! Kubernetes Events about objects.

use super::*;
use anyhow::{Context, Result};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use test_cluster::{Workload, eventually};

/// Waits for an Event about a split, and gives its note back.
pub(crate) async fn wait_event(
    workload: &Workload<'_>,
    about: &str,
    reason: &str,
    type_: &str,
) -> Result<String> {
    let event = wait_whole_event(workload, about, reason, type_).await?;
    event.note.context("an Event without a note")
}

/// Waits for an Event about a split.
pub(crate) async fn wait_whole_event(
    workload: &Workload<'_>,
    about: &str,
    reason: &str,
    type_: &str,
) -> Result<Event> {
    let api: Api<Event> = workload.api();
    eventually(&format!("a {type_} Event {reason} about {about}"), PATIENCE, || async {
        let events = api.list(&ListParams::default()).await?;
        let found = events.items.into_iter().find(|event| {
            event.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(about)
                && event.reason.as_deref() == Some(reason)
                && event.type_.as_deref() == Some(type_)
        });
        found.context("none yet")
    })
    .await
}
