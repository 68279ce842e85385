//! When another client's watch has seen what was written.

use anyhow::Result;
use futures::{Stream, StreamExt, TryStreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use std::collections::HashSet;
use std::pin::Pin;
use std::time::{Duration, Instant};

pub(crate) type Events =
    Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<DynamicObject>>> + Send>>;

/// A watch of what comes from now on.
pub(crate) async fn watch(api: &Api<DynamicObject>) -> Result<Events> {
    let list = api.list(&ListParams::default().limit(1)).await?;
    watch_from(api, &list.metadata.resource_version.unwrap_or_default()).await
}

async fn watch_from(api: &Api<DynamicObject>, version: &str) -> Result<Events> {
    Ok(api.watch(&WatchParams::default(), version).await?.boxed())
}

/// Neither a watch that the API server is still setting up nor a TLS handshake is to be measured: a
/// watch takes a connection for itself, so two idle ones are made for what follows.
pub(crate) async fn warm_up(api: &Api<DynamicObject>) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let one = ListParams::default().limit(1);
    tokio::try_join!(api.list(&one), api.list(&one))?;
    Ok(())
}

/// How long it takes until so many objects have been seen as they should be.
pub(crate) async fn until(
    api: &Api<DynamicObject>,
    mut events: Events,
    count: usize,
    is_right: impl Fn(&DynamicObject) -> bool,
    began: Instant,
) -> Result<Duration> {
    let mut done = HashSet::new();
    while done.len() < count {
        let changed = match events.try_next().await? {
            Some(WatchEvent::Modified(object) | WatchEvent::Added(object)) => vec![object],
            Some(_) => vec![],
            // The API server cuts off a watcher that falls behind: list, and go on from there.
            None => {
                let list = api.list(&ListParams::default()).await?;
                let version = list.metadata.resource_version.clone().unwrap_or_default();
                events = watch_from(api, &version).await?;
                list.items
            }
        };
        done.extend(changed.iter().filter(|object| is_right(object)).map(ResourceExt::name_any));
    }
    Ok(began.elapsed())
}
