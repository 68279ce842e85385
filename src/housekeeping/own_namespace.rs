//! The label by which `linkerd check` finds the extension, on the program's own namespace.
//!
//! No Job of the chart does it: that needed a foreign image, a place to run and Linkerd's own
//! namespace, and an installation that lacked one of them failed.

use crate::clock::backoff::Backoff;
use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::informers::list_watch::follow;
use crate::kinds::{FIELD_MANAGER, ObjectKey, brief};
use crate::telemetry::Metrics;
use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::core::ApiResource;
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

/// The first wait after a failure, doubled up to the last, which is also how often to look where
/// the watch brings nothing.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), LONGEST);
const LONGEST: Duration = Duration::from_secs(60);

/// Whoever takes the label off again and again means it: no more writes than this in so long.
const WRITES: usize = 2;
const WINDOW: Duration = Duration::from_secs(600);

const NOT_DONE: &str = "it could not be labelled";

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
    /// Another value is somebody's word.
    LeaveTo(&'a str),
    /// Somebody keeps taking it off.
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

/// Keeps the label on the namespace while this replica leads, until `stop`.
pub(crate) async fn label_own_namespace(labelling: NamespaceLabeller, stop: CancellationToken) {
    let NamespaceLabeller { client, namespace, name, mut leading, recorder, metrics } = labelling;
    let api: Api<Namespace> = Api::all(client);
    let mut changes = pin!(changes(&api, &namespace));
    let mut label = Label { api, namespace, written: vec![] };
    let mut reported: Option<String> = None;
    let mut failures = 0;
    loop {
        let mut wait = LONGEST;
        if *leading.borrow_and_update() {
            let outcome = tokio::select! {
                outcome = label.look() => outcome,
                () = stop.cancelled() => return,
            };
            let problem = match outcome {
                Ok(problem) => {
                    failures = 0;
                    problem
                }
                Err(error) => {
                    failures += 1;
                    wait = RETRY.after(failures);
                    Some(format!("{NOT_DONE}, which is tried again: {error}"))
                }
            };
            metrics.namespace_labelled.set(i64::from(problem.is_none()));
            // One failure after another is reported once, whatever its text.
            let fails = |problem: &Option<String>| {
                problem.as_ref().is_some_and(|problem| problem.starts_with(NOT_DONE))
            };
            if problem.is_some() && problem != reported && !(fails(&problem) && fails(&reported)) {
                let note = label.note(problem.as_deref().unwrap_or_default());
                tracing::warn!("{note}");
                recorder.publish(not_labelled(&name, &label.namespace, note));
            }
            reported = problem;
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
}

impl Label {
    /// Looks at the namespace, and labels it where that is ours to do. What keeps it from having
    /// the label, if anything does.
    async fn look(&mut self) -> Result<Option<String>, String> {
        let namespace = self.api.get(&self.namespace).await.map_err(|error| brief(&error))?;
        let found = namespace.labels().get(EXTENSION).map(String::as_str);
        match step(found, &self.written, Instant::now()) {
            Step::Nothing => Ok(None),
            Step::LeaveTo(other) => Ok(Some(format!("it is {other:?}, which is left as it is"))),
            Step::LeaveOff => Ok(Some(format!("it was taken off {WRITES} times, and stays off"))),
            Step::Write => {
                // What somebody else writes at the same moment wins.
                let patch = json!({"metadata": {
                    "resourceVersion": namespace.resource_version(),
                    "labels": {EXTENSION: FAILOVER},
                }});
                let params = PatchParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PatchParams::default()
                };
                let patched = self.api.patch(&self.namespace, &params, &Patch::Merge(patch)).await;
                patched.map_err(|error| brief(&error))?;
                self.written.retain(|at| at.elapsed() < WINDOW);
                self.written.push(Instant::now());
                tracing::info!("labelled namespace {} {EXTENSION}={FAILOVER}", self.namespace);
                Ok(None)
            }
        }
    }

    /// For people, with what they can do.
    fn note(&self, problem: &str) -> String {
        let namespace = &self.namespace;
        format!(
            "Label {EXTENSION} of namespace {namespace}: expected {FAILOVER:?}, by which linkerd check finds this extension; {problem}. To set it: kubectl label --overwrite namespace {namespace} {EXTENSION}={FAILOVER}"
        )
    }
}

/// About the Deployment: an Event about a namespace would be in the namespace `default`.
fn not_labelled(deployment: &str, namespace: &str, note: String) -> NewEvent {
    let kind = ApiResource::erase::<Deployment>(&());
    let regarding = Regarding::named(ObjectKey::new(namespace, deployment), kind);
    NewEvent::warning(regarding, EventReason::NamespaceNotLabelled, EventAction::Label, note)
}

/// The moments at which the namespace may have changed.
fn changes(api: &Api<Namespace>, name: &str) -> impl Stream<Item = ()> + use<> {
    let events = follow(api.clone(), &format!("metadata.name={name}"));
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
    fn a_label_that_is_taken_off_is_put_back_once_and_not_fought_over() {
        let start = Instant::now();
        assert_eq!(step(None, &[start], start), Step::Write);
        let written = [start, start + Duration::from_secs(60)];
        assert_eq!(step(None, &written, written[1]), Step::LeaveOff);
        assert_eq!(step(None, &written, start + WINDOW), Step::Write);
    }
}
