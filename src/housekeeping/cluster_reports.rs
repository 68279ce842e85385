//! Reports what a person changes for the whole cluster by a command: a freeze, and its end.

use crate::events::{EventAction, EventReason, NewEvent, Regarding};
use crate::housekeeping::leader_reports::LeaderReports;
use crate::kinds::ObjectKey;
use crate::kinds::changed_by::ChangedBy;
use crate::telemetry::report_once::ReportOnce;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A change that is older was reported by an earlier leader.
const REPORTED_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// Runs until `stop`.
pub(crate) async fn report_cluster(reports: LeaderReports, stop: CancellationToken) {
    let LeaderReports { shared, deployment, leading, recorder } = reports;
    let mut published = ReportOnce::default();
    loop {
        let changed_by = shared.read().cluster_wide.changed_by.clone();
        let new = changed_by.filter(|by| is_new(by, shared.now().wall));
        if *leading.borrow()
            && let Some(by) = new
            && published.changes(Some(by.clone()))
        {
            let note = note(&by, &deployment.namespace);
            tracing::info!("{note}");
            recorder.publish(event(deployment.clone(), note));
        }
        let pause = tokio::time::sleep(LOOK_EVERY);
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

fn is_new(by: &ChangedBy, now: Timestamp) -> bool {
    by.at.duration_until(now) < REPORTED_WITHIN
}

fn note(by: &ChangedBy, namespace: &str) -> String {
    format!("A person has changed namespace {namespace}, for the whole cluster: {by}")
}

/// About the Deployment: an Event about a namespace would be in the namespace `default`.
fn event(deployment: ObjectKey, note: String) -> NewEvent {
    let regarding = Regarding::deployment(deployment);
    NewEvent::normal(regarding, EventReason::ChangedByPerson, EventAction::Read, note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Recorder;
    use crate::index::shared_index::SharedIndex;
    use crate::kinds::changed_by::Intervention;
    use crate::telemetry::Metrics;
    use std::sync::Arc;
    use tokio::sync::watch;

    fn by(action: Intervention, at: Timestamp) -> ChangedBy {
        let set = [("frozen-until".to_owned(), Some("2026-11-26T04:00:00Z".to_owned()))];
        ChangedBy::new("alice".into(), action, at, Some("an incident".into()), set.into())
    }

    #[test]
    fn who_has_frozen_the_cluster_until_when_and_why_stands_in_the_event() {
        let at: Timestamp = "2026-11-26T03:00:00Z".parse().unwrap();
        let freeze = by(Intervention::Freeze, at);
        insta::assert_snapshot!(note(&freeze, "linkerd-failover"), @"A person has changed namespace linkerd-failover, for the whole cluster: frozen until 2026-11-26T04:00:00Z by alice: an incident");
        assert!(is_new(&freeze, at + SignedDuration::from_secs(299)));
        assert!(!is_new(&freeze, at + SignedDuration::from_secs(300)));
    }

    #[tokio::test(start_paused = true)]
    async fn each_change_is_reported_once_and_by_the_leader_alone() {
        let (shared, _changes) = SharedIndex::new();
        let (leads, leading) = watch::channel(false);
        let (recorder, publisher) = Recorder::new(Arc::new(Metrics::default()));
        let deployment = ObjectKey::new("linkerd-failover", "linkerd-failover");
        let reports = LeaderReports { shared: shared.clone(), deployment, leading, recorder };
        let stop = CancellationToken::new();
        let task = tokio::spawn(report_cluster(reports, stop.clone()));
        let change = |action, ago| {
            let at = Timestamp::now() - SignedDuration::from_secs(ago);
            shared.update(|index| {
                index.cluster_wide.changed_by = Some(by(action, at));
                vec![]
            });
        };
        change(Intervention::Freeze, 2);
        tokio::time::sleep(3 * LOOK_EVERY).await;
        assert!(publisher.queued() == 0, "it does not lead");
        leads.send_replace(true);
        tokio::time::sleep(3 * LOOK_EVERY).await;
        assert_eq!(publisher.queued(), 1);
        change(Intervention::Unfreeze, 1);
        tokio::time::sleep(3 * LOOK_EVERY).await;
        assert_eq!(publisher.queued(), 2);
        stop.cancel();
        task.await.unwrap();
    }
}
