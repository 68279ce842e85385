//! The tasks of the process, and the order in which they end.

use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Tasks that stop together.
#[derive(Default)]
pub(crate) struct Stage {
    pub tasks: JoinSet<()>,
    pub stop: CancellationToken,
}

/// The tasks of the process: every one is joined, and one that ends before it should ends
/// the process, since a replica that only looks alive is worse than one that is restarted.
#[derive(Default)]
pub(crate) struct Tasks {
    /// End with the process: watches, certificates.
    pub background: JoinSet<()>,
    /// Cancelled first: the replica is no longer ready, and serves until callers have noticed.
    pub draining: CancellationToken,
    /// The webhook. It stops before the controller does: a review may wait for a flip.
    pub serving: Stage,
    /// The thread of the webhook.
    pub webhook: WebhookThread,
    /// The controller, and its Events.
    pub working: Stage,
    /// The Lease, released once nothing is written any more, and the admin server.
    pub last: Stage,
}

/// How long a stage may take to end. With the default drain the sum, 5 + 8 + 12 + 12, is less than the
/// chart's 60 s between SIGTERM and SIGKILL.
const SERVING: Duration = Duration::from_secs(8);
const WORKING: Duration = Duration::from_secs(12);
const LAST: Duration = Duration::from_secs(12);

/// A thread for the webhook, so that reviews take no time from a flip. The controller has one thread of
/// its own, see `cli::Cli::run`.
#[derive(Default)]
pub(crate) struct WebhookThread(Option<Runtime>);

impl WebhookThread {
    /// Starts the thread.
    pub(crate) fn start(&mut self) -> std::io::Result<Handle> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("webhook").enable_all().build()?;
        Ok(self.0.insert(runtime).handle().clone())
    }
}

impl Drop for WebhookThread {
    fn drop(&mut self) {
        // A runtime must not block in a task of another one, and dropping it would.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Tasks {
    /// Runs until SIGTERM or SIGINT; a second one cuts the drain short.
    pub(crate) async fn run_until_signalled(mut self, drain: Duration) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut signalled = async move || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let mut ended = tokio::select! {
            () = signalled() => None,
            ended = self.any_ended() => Some(ended),
        };
        tracing::info!(?drain, "stopping");
        self.draining.cancel();
        if ended.is_none() {
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                () = signalled() => tracing::info!("signalled again: draining no longer"),
                defect = self.any_ended() => ended = Some(defect),
            }
        }
        self.end_in_order().await;
        match ended {
            None => Ok(()),
            Some(ended) => anyhow::bail!("a task ended that should not have: {ended:?}"),
        }
    }

    async fn any_ended(&mut self) -> Result<(), JoinError> {
        tokio::select! {
            Some(ended) = self.background.join_next() => ended,
            Some(ended) = self.serving.tasks.join_next() => ended,
            Some(ended) = self.working.tasks.join_next() => ended,
            Some(ended) = self.last.tasks.join_next() => ended,
            else => std::future::pending().await,
        }
    }

    async fn end_in_order(&mut self) {
        self.serving.end("the webhook", SERVING).await;
        self.working.end("the controller", WORKING).await;
        self.last.end("the Lease", LAST).await;
    }
}

impl Stage {
    async fn end(&mut self, what: &str, limit: Duration) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            tracing::warn!("{what} did not end in time");
            // The next stage relies on it: a replica that releases the Lease writes nothing any more.
            self.tasks.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    type Log = Arc<Mutex<Vec<&'static str>>>;

    fn note(log: &Log, what: &'static str) {
        log.lock().unwrap().push(what);
    }

    /// A task that takes a while to end, and notes when it has.
    fn spawn(stage: &mut Stage, log: &Log, what: &'static str) {
        let (stop, log) = (stage.stop.clone(), log.clone());
        stage.tasks.spawn(async move {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            note(&log, what);
        });
    }

    #[tokio::test]
    async fn the_lease_is_released_last_after_every_write_has_ended() {
        let (mut tasks, log) = (Tasks::default(), Log::default());
        spawn(&mut tasks.last, &log, "lease");
        spawn(&mut tasks.working, &log, "controller");
        spawn(&mut tasks.serving, &log, "webhook");
        tasks.end_in_order().await;
        assert_eq!(*log.lock().unwrap(), ["webhook", "controller", "lease"]);
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_aborted() {
        let mut stage = Stage::default();
        stage.tasks.spawn(std::future::pending());
        stage.end("it", Duration::from_millis(20)).await;
        assert!(stage.tasks.is_empty());
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_ends_the_process_without_a_drain() {
        let mut tasks = Tasks::default();
        tasks.working.tasks.spawn(async {});
        let drain = Duration::from_secs(3600);
        let ended = timeout(Duration::from_secs(60), tasks.run_until_signalled(drain)).await;
        let error = ended.unwrap().unwrap_err().to_string();
        assert!(error.contains("a task ended"), "{error}");
    }
}
