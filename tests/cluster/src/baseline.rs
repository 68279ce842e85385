//! What a cluster holds before a test uses it, and the way back to that.

use crate::etcd::{Entry, Etcd, Write};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(150);
/// So long no key comes or goes before the cluster counts as quiet.
const QUIET: Duration = Duration::from_millis(600);

/// What makes other objects, or refuses their changes: these go before everything else, so that
/// no controller replaces what is removed after them.
const FIRST: [&str; 11] = [
    "/registry/validatingwebhookconfigurations/",
    "/registry/mutatingwebhookconfigurations/",
    "/registry/validatingadmissionpolicybindings/",
    "/registry/deployments/",
    "/registry/daemonsets/",
    "/registry/statefulsets/",
    "/registry/jobs/",
    "/registry/replicasets/",
    "/registry/services/specs/",
    "/registry/services/endpoints/",
    "/registry/poddisruptionbudgets/",
];

/// The control plane's own: it comes, changes and goes without any test.
const OF_THE_CONTROL_PLANE: [&str; 4] = [
    "/registry/leases/kube-system/",
    "/registry/serviceaccounts/kube-system/",
    "/registry/masterleases/",
    "/registry/ranges/",
];

const EVENTS: &str = "/registry/events/";
const NODES: &str = "/registry/minions/";
/// A node's heartbeat renews it all the time.
const NODE_LEASES: &str = "/registry/leases/kube-node-lease/";

/// Every key of a cluster that nothing has used.
///
/// The way back goes by etcd: a deletion by the API takes a namespace seconds, and waits for
/// finalizers. The API server and the controllers see ordinary deletions all the same.
#[derive(Debug)]
pub(crate) struct Baseline {
    entries: BTreeMap<String, Entry>,
}

impl Baseline {
    /// Waits until a new cluster is quiet, and takes what it holds.
    pub(crate) async fn take(etcd: Etcd) -> anyhow::Result<Self> {
        let mut quiet = Quiet::default();
        let end = Instant::now() + TIMEOUT;
        loop {
            let entries = etcd.entries().await?;
            let keys = entries.keys().filter(|key| !is_transient(key)).cloned().collect();
            if quiet.observe(keys) {
                return Ok(Self { entries });
            }
            anyhow::ensure!(Instant::now() < end, "the new cluster is not quiet in {TIMEOUT:?}");
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Removes what has been added since, and puts back what has changed or gone.
    pub(crate) async fn restore(&mut self, etcd: Etcd) -> anyhow::Result<()> {
        let keys = etcd.keys().await?;
        let is_first = |key: &String| FIRST.iter().any(|first| key.starts_with(first));
        let first = self.added(&keys).filter(is_first);
        etcd.write(&first.map(Write::Delete).collect::<Vec<_>>()).await?;
        self.put_back(etcd, &keys, |_| true).await?;
        // The controllers see their deletion before that of what they make.
        tokio::time::sleep(INTERVAL).await;
        let mut quiet = Quiet::default();
        let end = Instant::now() + TIMEOUT;
        loop {
            let keys = etcd.keys().await?;
            let added: Vec<String> = self.added(&keys).collect();
            let lasting = added.iter().filter(|key| !is_transient(key)).cloned().collect();
            etcd.write(&added.into_iter().map(Write::Delete).collect::<Vec<_>>()).await?;
            // A node's status is written again and again: once is enough, for a test that drains it.
            self.put_back(etcd, &keys, |key| !key.starts_with(NODES)).await?;
            if quiet.observe(lasting) && quiet.nothing_is_left() {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < end, "there is always more: {:?}", quiet.last);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn added<'a>(&'a self, keys: &'a BTreeMap<String, Entry>) -> impl Iterator<Item = String> + 'a {
        let known = |key: &String| self.entries.contains_key(key);
        keys.keys().filter(move |key| !known(key) && !is_of_the_control_plane(key)).cloned()
    }

    async fn put_back(
        &mut self,
        etcd: Etcd,
        keys: &BTreeMap<String, Entry>,
        which: impl Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        let has_changed = |(key, entry): &(&String, &Entry)| {
            keys.get(*key).is_none_or(|now| now.revision != entry.revision)
        };
        let lasting = self.entries.iter().filter(|(key, _)| !is_transient(key) && which(key));
        let changed: Vec<String> =
            lasting.filter(has_changed).map(|(key, _)| key.clone()).collect();
        for key in changed {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.revision = etcd.write(&[Write::Put(key, entry.value.clone())]).await?;
            }
        }
        Ok(())
    }
}

fn is_of_the_control_plane(key: &str) -> bool {
    OF_THE_CONTROL_PLANE.iter().any(|own| key.starts_with(own))
}

/// What comes and goes by itself, whether the cluster is quiet or not.
fn is_transient(key: &str) -> bool {
    key.starts_with(EVENTS) || key.starts_with(NODE_LEASES) || is_of_the_control_plane(key)
}

/// Since when the same keys are there.
#[derive(Default)]
struct Quiet {
    last: BTreeSet<String>,
    since: Option<Instant>,
}

impl Quiet {
    fn observe(&mut self, keys: BTreeSet<String>) -> bool {
        if self.last != keys {
            self.since = None;
            self.last = keys;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= QUIET
    }

    fn nothing_is_left(&self) -> bool {
        self.last.is_empty()
    }
}
