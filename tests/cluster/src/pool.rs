//! The clusters that the tests of a process share: a start costs more than many a test does.

use crate::cluster::{Cluster, Idle};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// How many run at once. A cluster with a replica takes 600 MB of memory. Tests that use two take
/// them one after the other, so there must be more than tests that run at once.
const MOST: usize = 8;

/// Which definitions of custom resources an empty cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// None.
    Nothing,
    /// That of TrafficSplit.
    TrafficSplits,
}

static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    /// All of them: in use, being emptied, idle.
    clusters: usize,
}

/// One of the clusters that may run at once.
#[derive(Debug)]
pub(crate) struct Place(());

impl Drop for Place {
    fn drop(&mut self) {
        POOL.lock().clusters -= 1;
        POOL.changed.notify_waiters();
    }
}

enum Next {
    Use(Idle),
    Start(Place),
    /// Of the other kind: it makes room.
    End(Idle),
    Wait,
}

pub(crate) async fn take(contents: Contents) -> anyhow::Result<Cluster> {
    loop {
        let changed = POOL.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let next = POOL.lock().next(contents);
        match next {
            Next::Use(idle) => return idle.into_cluster().await,
            Next::Start(place) => return Cluster::start().await?.prepare(contents, place).await,
            Next::End(idle) => tokio::task::spawn_blocking(move || drop(idle)).await?,
            Next::Wait => changed.await,
        }
    }
}

/// Empties a cluster, off the way of the test that has used it, and keeps it for another.
pub(crate) fn give_back(mut idle: Idle) {
    // Tests' runtimes end with them.
    static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
    });
    let Ok(runtime) = &*RUNTIME else { return };
    runtime.spawn(async move {
        match idle.reset().await {
            Ok(()) => {
                POOL.lock().idle.push(idle);
                POOL.changed.notify_waiters();
            }
            Err(error) => {
                eprintln!("a cluster cannot be used again: {error:#}");
                tokio::task::spawn_blocking(move || drop(idle));
            }
        }
    });
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self, contents: Contents) -> Next {
        if let Some(nth) = self.idle.iter().position(|idle| idle.contents() == contents) {
            return Next::Use(self.idle.swap_remove(nth));
        }
        if self.clusters < MOST {
            self.clusters += 1;
            return Next::Start(Place(()));
        }
        self.idle.pop().map_or(Next::Wait, Next::End)
    }
}
