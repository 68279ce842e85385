//! Keeps the failfast timeout of callers' proxies in the index, and reports where it is not known.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::informers::linkerd_config::LinkerdConfig;
use crate::kinds::linkerd::duration;
use crate::kinds::linkerd::failfast::{Failfast, NotKnown};
use crate::kinds::{ObjectKey, brief};
use crate::telemetry::Metrics;
use crate::telemetry::report_once::ReportOnce;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What reads Linkerd's values now and then. Every replica does: each answers reviews.
pub(crate) struct LinkerdConfigReader {
    pub config: LinkerdConfig,
    /// How long after an answer to read again.
    pub every: Duration,
    pub shared: SharedIndex,
    /// Of the installation, for Events.
    pub deployment: ObjectKey,
    pub leading: watch::Receiver<bool>,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
}

/// Runs until `stop`.
pub(crate) async fn read_linkerd_config(reader: LinkerdConfigReader, stop: CancellationToken) {
    let (mut logged, mut published) = (ReportOnce::default(), ReportOnce::default());
    let mut leading = reader.leading.clone();
    loop {
        let Some(()) = stop.run_until_cancelled(reader.read(&mut logged)).await else { return };
        reader.publish(&mut published, *leading.borrow_and_update());
        tokio::select! {
            () = tokio::time::sleep(reader.every) => {}
            Ok(()) = leading.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

impl LinkerdConfigReader {
    /// Without an answer, what was known stays.
    async fn read(&self, logged: &mut ReportOnce<Failfast>) {
        match self.config.failfast().await {
            Ok(failfast) => {
                self.metrics.linkerd_config_known.set(i64::from(is_known(&failfast)));
                if logged.begins(failfast.clone()) {
                    log(&failfast);
                }
                self.shared.update(|index| {
                    index.failfast = failfast;
                    vec![]
                });
            }
            Err(error) => tracing::warn!("could not read Linkerd's values: {}", brief(&error)),
        }
    }

    /// Nobody needs to know of it where no object asks that no request is lost.
    fn publish(&self, published: &mut ReportOnce<NotKnown>, leads: bool) {
        if !leads {
            return;
        }
        let problem = problem(&self.shared.read());
        if published.changes(problem.clone())
            && let Some(problem) = problem
        {
            tracing::warn!("{}", note(&problem));
            self.recorder.publish(not_known(self.deployment.clone(), &problem));
        }
    }
}

fn is_known(failfast: &Failfast) -> bool {
    matches!(failfast, Failfast::Known(_))
}

fn log(failfast: &Failfast) {
    match failfast {
        Failfast::NotRead => {}
        Failfast::Known(known) => {
            let timeout = duration::write(known.timeout);
            tracing::info!("the failfast timeout of callers' proxies is {timeout}");
        }
        // A warning only where an object needs it, which the leader knows.
        Failfast::NotKnown(problem) => tracing::info!("{}", note(problem)),
    }
}

fn problem(index: &Index) -> Option<NotKnown> {
    let Failfast::NotKnown(problem) = &index.failfast else { return None };
    index.has_seamless().then(|| problem.clone())
}

fn note(problem: &NotKnown) -> String {
    let NotKnown { why, line } = problem;
    format!(
        "The failfast timeout of callers' proxies is not known, so warnings leave open whether requests that meet a lost backend wait too long: {why}. To mend it: {line}"
    )
}

/// About the Deployment: it is the program that cannot read.
fn not_known(deployment: ObjectKey, problem: &NotKnown) -> NewEvent {
    let regarding = Regarding::deployment(deployment);
    let (reason, action) = (EventReason::LinkerdConfigNotKnown, EventAction::Read);
    NewEvent::warning(regarding, reason, action, note(problem))
}
