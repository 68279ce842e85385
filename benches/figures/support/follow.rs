//! LIST and watch.

use super::lean::{Lean, Meta};
use anyhow::Result;
use futures::TryStreamExt;
use http::Request;
use kube::Client;
use kube::api::WatchEvent;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::time::Duration;

pub(crate) enum Change<T> {
    Is(T),
    /// What is there has been seen; the watch begins.
    Listed,
}

#[derive(Deserialize)]
struct List<T> {
    metadata: Meta,
    items: Vec<T>,
}

/// Follows the objects below a path that a label selector matches, for good.
pub(crate) async fn follow<T: Lean + Clone + DeserializeOwned>(
    client: &Client,
    path: &str,
    selector: &str,
    mut changed: impl FnMut(Change<T>),
) -> Result<Infallible> {
    loop {
        let list = Request::get(format!("{path}?labelSelector={selector}")).body(vec![])?;
        let list: List<T> = client.request(list).await?;
        list.items.into_iter().for_each(|object| changed(Change::Is(object)));
        let mut version = list.metadata.resource_version;
        changed(Change::Listed);
        while watch(client, path, selector, &mut version, &mut changed).await? {}
        // The API server has cut us off: who lists at once is cut off again.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One watch, to its end; whether another may go on where it ended.
async fn watch<T: Lean + Clone + DeserializeOwned>(
    client: &Client,
    path: &str,
    selector: &str,
    version: &mut String,
    changed: &mut impl FnMut(Change<T>),
) -> Result<bool> {
    let query = format!("watch=1&allowWatchBookmarks=true&labelSelector={selector}");
    let request = Request::get(format!("{path}?{query}&resourceVersion={version}")).body(vec![])?;
    let mut events = std::pin::pin!(client.request_events::<T>(request).await?);
    let began = version.clone();
    while let Ok(Some(event)) = events.try_next().await {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                version.clone_from(&object.meta().resource_version);
                changed(Change::Is(object));
            }
            WatchEvent::Deleted(object) => version.clone_from(&object.meta().resource_version),
            WatchEvent::Bookmark(mark) => *version = mark.metadata.resource_version,
            WatchEvent::Error(_) => return Ok(false),
        }
    }
    Ok(*version != began)
}
