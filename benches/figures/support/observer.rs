//! When another client's watch has seen what was written.

use super::follow::{Change, follow};
use super::lean::{Lean, Weighted};
use super::subject::Subject;
use anyhow::{Context, Result};
use kube::Client;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Longer than 10,000 flips take.
const PATIENCE: Duration = Duration::from_secs(240);

/// Watches the objects of a namespace all the time: neither a LIST nor a watch that the API server is
/// still setting up is to be measured.
pub(crate) struct Observer {
    what: String,
    seen: mpsc::UnboundedReceiver<(Option<Weighted>, Instant)>,
    watching: JoinHandle<()>,
}

impl Observer {
    pub(crate) async fn start(client: &Client, subject: Subject, namespace: &str) -> Result<Self> {
        let path = subject.within(namespace);
        let (sender, seen) = mpsc::unbounded_channel();
        let client = client.clone();
        let what = format!("{} in {namespace}", subject.plural());
        let watched = path.clone();
        let watching = tokio::spawn(async move {
            let changed = |change| {
                let object = match change {
                    Change::Is(object) => Some(object),
                    Change::Listed => None,
                };
                let _ = sender.send((object, Instant::now()));
            };
            let Err(error) = follow(&client, &watched, "", changed).await;
            eprintln!("the watch of {watched} has ended: {error:#}");
        });
        let mut observer = Self { what, seen, watching };
        let listed = async {
            while observer.next().await?.0.is_some() {}
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, listed)
            .await
            .with_context(|| format!("no LIST of {path}"))??;
        Ok(observer)
    }

    async fn next(&mut self) -> Result<(Option<Weighted>, Instant)> {
        self.seen.recv().await.context("nothing watches any more")
    }

    /// Forgets what was seen up to now.
    pub(crate) fn forget(&mut self) {
        while self.seen.try_recv().is_ok() {}
    }

    /// How long it takes until so many objects have been seen with these weights.
    pub(crate) async fn until(
        &mut self,
        count: usize,
        wanted: [u32; 2],
        began: Instant,
    ) -> Result<Duration> {
        let mut done = HashSet::new();
        let mut last = began;
        while done.len() < count {
            let next = tokio::time::timeout(PATIENCE.saturating_sub(began.elapsed()), self.next());
            let Ok(seen) = next.await else {
                let (what, done) = (&self.what, done.len());
                anyhow::bail!(
                    "{done} of {count} {what} have the weights {wanted:?} after {PATIENCE:?}"
                )
            };
            if let (Some(object), at) = seen?
                && object.has_weights(wanted)
                && done.insert(object.meta().name.clone())
            {
                last = at;
            }
        }
        Ok(last - began)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
