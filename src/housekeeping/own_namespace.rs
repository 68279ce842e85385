//! The label by which `linkerd check` finds the extension, on the program's own namespace.
//!
//! A Job of the chart would need a foreign image, a place to run and Linkerd's own namespace: an
//! installation that lacked one of them would fail.

use crate::clock::backoff::Backoff;
use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::informers::list_watch::follow;
use crate::kinds::{FIELD_MANAGER, ObjectKey, brief};
use crate::telemetry::report_once::ReportOnce;
use crate::telemetry::{LastReceived, Metrics};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Linkerd's label for the namespaces of extensions, and our value of it.
const EXTENSION: &str = "linkerd.io/extension";
const FAILOVER: &str = "failover";

/// After a failure. The longest is also how often to look where the watch brings nothing.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), LONGEST);
const LONGEST: Duration = Duration::from_secs(60);

/// A label that is taken off again and again is meant to be off: no more writes than this in so long.
const WRITES: usize = 2;
const WINDOW: Duration = Duration::from_secs(600);

/// What labels the namespace.
pub(crate) struct NamespaceLabeller {
    pub client: Client,
    pub namespace: String,
    /// Of the installation, for Events.
    pub name: String,
    pub leading: watch::Receiver<bool>,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
}

/// What to do about the label.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    Nothing,
    Write,
    /// Another value is set by somebody else.
    LeaveTo(&'a str),
    /// It was taken off too often.
    LeaveOff,
}

/// What the label's value asks for, after writes at these moments.
fn step<'a>(found: Option<&'a str>, written: &[Instant], now: Instant) -> Step<'a> {
    let lately = written.iter().filter(|at| now.saturating_duration_since(**at) < WINDOW);
    match found {
        Some(FAILOVER) => Step::Nothing,
        Some(other) => Step::LeaveTo(other),
        None if lately.count() < WRITES => Step::Write,
        None => Step::LeaveOff,
    }
}

/// Why the namespace does not have the label.
#[derive(Debug, thiserror::Error)]
enum NotLabelled {
    #[error("it is {0:?}, which is left as it is")]
    OtherValue(String),
    #[error("it was taken off {WRITES} times, and stays off")]
    TakenOff,
    #[error("it could not be labelled, which is tried again: {}", brief(.0))]
    Failed(#[from] kube::Error),
}

/// A problem is reported once while its cause lasts; failures in a row have one cause.
#[derive(Debug, PartialEq)]
enum Cause {
    OtherValue(String),
    TakenOff,
    Failed,
}

impl NotLabelled {
    fn cause(&self) -> Cause {
        match self {
            Self::OtherValue(value) => Cause::OtherValue(value.clone()),
            Self::TakenOff => Cause::TakenOff,
            Self::Failed(_) => Cause::Failed,
        }
    }
}

/// Keeps the label on the namespace while this replica leads, until `stop`.
pub(crate) async fn label_own_namespace(labeller: NamespaceLabeller, stop: CancellationToken) {
    let NamespaceLabeller { client, namespace, name, mut leading, recorder, metrics } = labeller;
    let api: Api<Namespace> = Api::all(client);
    let mut changes = pin!(changes(&api, &namespace));
    let mut label = Label { api, namespace, written: vec![], failures: 0 };
    let mut reported = ReportOnce::default();
    loop {
        let mut wait = LONGEST;
        if *leading.borrow_and_update() {
            let Some(kept) = stop.run_until_cancelled(label.keep()).await else { return };
            metrics.namespace_labelled.set(i64::from(kept.is_ok()));
            wait = label.wait();
            let problem = kept.err();
            if reported.changes(problem.as_ref().map(NotLabelled::cause))
                && let Some(problem) = problem
            {
                let note = label.note(&problem);
                tracing::warn!("{note}");
                recorder.publish(not_labelled(&name, &label.namespace, note));
            }
        } else {
            metrics.namespace_labelled.set(0);
        }
        tokio::select! {
            Some(()) = changes.next() => {}
            Ok(()) = leading.changed() => {}
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

struct Label {
    api: Api<Namespace>,
    namespace: String,
    /// When it was written.
    written: Vec<Instant>,
    /// How many requests have failed in a row.
    failures: u32,
}

impl Label {
    /// Reads the namespace, and writes the label where it is absent.
    async fn keep(&mut self) -> Result<(), NotLabelled> {
        let kept = self.try_to_keep().await;
        let failed = matches!(kept, Err(NotLabelled::Failed(_)));
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        kept
    }

    /// How long until the next look.
    fn wait(&self) -> Duration {
        if self.failures == 0 { LONGEST } else { RETRY.after(self.failures) }
    }

    async fn try_to_keep(&mut self) -> Result<(), NotLabelled> {
        let namespace = self.api.get(&self.namespace).await?;
        let found = namespace.labels().get(EXTENSION).map(String::as_str);
        match step(found, &self.written, Instant::now()) {
            Step::Nothing => Ok(()),
            Step::LeaveTo(other) => Err(NotLabelled::OtherValue(other.to_owned())),
            Step::LeaveOff => Err(NotLabelled::TakenOff),
            Step::Write => Ok(self.write(&namespace).await?),
        }
    }

    async fn write(&mut self, namespace: &Namespace) -> kube::Result<()> {
        // With the resourceVersion that was read: another write at the same moment wins.
        let patch = json!({"metadata": {
            "resourceVersion": namespace.resource_version(),
            "labels": {EXTENSION: FAILOVER},
        }});
        let field_manager = Some(FIELD_MANAGER.into());
        let params = PatchParams { field_manager, ..PatchParams::default() };
        self.api.patch(&self.namespace, &params, &Patch::Merge(patch)).await?;
        self.written.retain(|at| at.elapsed() < WINDOW);
        self.written.push(Instant::now());
        tracing::info!("labelled namespace {} {EXTENSION}={FAILOVER}", self.namespace);
        Ok(())
    }

    /// The text of the Event, with what a person can do.
    fn note(&self, problem: &NotLabelled) -> String {
        let namespace = &self.namespace;
        format!(
            "Label {EXTENSION} of namespace {namespace}: expected {FAILOVER:?}, by which linkerd check finds this extension; {problem}. To set it: kubectl label --overwrite namespace {namespace} {EXTENSION}={FAILOVER}"
        )
    }
}

/// About the Deployment: an Event about a namespace would be in the namespace `default`.
fn not_labelled(deployment: &str, namespace: &str, note: String) -> NewEvent {
    let regarding = Regarding::deployment(ObjectKey::new(namespace, deployment));
    NewEvent::warning(regarding, EventReason::NamespaceNotLabelled, EventAction::Label, note)
}

/// The moments at which the namespace may have changed.
fn changes(api: &Api<Namespace>, name: &str) -> impl Stream<Item = ()> + use<> {
    let events =
        follow(api.clone(), &format!("metadata.name={name}"), LastReceived::without_series());
    events.filter_map(|event| {
        let may_have = matches!(event, Event::Apply(_) | Event::InitDone);
        std::future::ready(may_have.then_some(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_written_where_there_is_none_and_another_value_is_left_alone() {
        let now = Instant::now();
        assert_eq!(step(None, &[], now), Step::Write);
        assert_eq!(step(Some("failover"), &[], now), Step::Nothing);
        for other in ["viz", "", "Failover"] {
            assert_eq!(step(Some(other), &[], now), Step::LeaveTo(other));
        }
    }

    #[test]
    fn a_label_that_is_taken_off_is_restored_once_and_then_stays_off() {
        let start = Instant::now();
        assert_eq!(step(None, &[start], start), Step::Write);
        let written = [start, start + Duration::from_secs(60)];
        assert_eq!(step(None, &written, written[1]), Step::LeaveOff);
        assert_eq!(step(None, &written, start + WINDOW), Step::Write);
    }
}
