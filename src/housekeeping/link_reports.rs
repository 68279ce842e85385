//! Reports transitions of linked clusters: metrics by every replica, Events by the leader.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::index::remote::reach::Transition;
use crate::informers::remote::transitions::LinkTransition;
use crate::kinds::ObjectKey;
use crate::notifications::{IdTime, Notification, NotificationData, Notifier};
use crate::telemetry::{Metrics, NotificationType, RemoteState};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::ApiResource;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Runs until `stop`. A standby keeps unreported transitions until it leads.
pub(crate) async fn report_links(
    mut transitions: mpsc::UnboundedReceiver<LinkTransition>,
    mut leading: watch::Receiver<bool>,
    recorder: Recorder,
    notifier: Notifier,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut pending = PendingTransitions::default();
    loop {
        tokio::select! {
            Some(transition) = transitions.recv() => {
                record(&transition, &metrics);
                pending.add(transition, Timestamp::now());
            }
            Ok(()) = leading.changed() => {}
            () = stop.cancelled() => return,
        }
        if *leading.borrow() {
            for (transition, seen) in pending.take() {
                recorder.publish(event(&transition));
                if transition.what == Transition::Down {
                    notifier.notify(notification(&transition, seen));
                }
            }
        }
    }
}

/// What the next leader has to report: the last transition of each cluster, and when it was seen.
#[derive(Default)]
struct PendingTransitions(BTreeMap<String, (LinkTransition, Timestamp)>);

impl PendingTransitions {
    fn add(&mut self, transition: LinkTransition, seen: Timestamp) {
        let was_pending = self.0.remove(&transition.cluster).is_some();
        let is_reported = match transition.what {
            Transition::Unreachable
            | Transition::Down
            | Transition::Unverified
            | Transition::Failing
            | Transition::Refused => true,
            // The end of a problem that was never reported is not reported either.
            Transition::Reachable => !was_pending,
            Transition::Seen | Transition::Idle | Transition::Unlinked => false,
        };
        if is_reported {
            self.0.insert(transition.cluster.clone(), (transition, seen));
        }
    }

    fn take(&mut self) -> impl Iterator<Item = (LinkTransition, Timestamp)> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}

/// The Secret by which the cluster is linked.
fn regarding(transition: &LinkTransition) -> Regarding {
    let secret = &transition.secret;
    let key = ObjectKey::new(&secret.namespace, &secret.name);
    let kind = ApiResource::erase::<Secret>(&());
    Regarding::named(key, kind).at(&secret.uid, &secret.resource_version)
}

fn notification(transition: &LinkTransition, seen: Timestamp) -> Notification {
    let (message, cluster) = (transition.note.clone(), Some(transition.cluster.clone()));
    let data = NotificationData { message, cluster, ..NotificationData::default() };
    let (what, about) = (NotificationType::ClusterDown, regarding(transition));
    Notification { what, about, at: seen, id_time: IdTime::Rounded, data }
}

fn event(transition: &LinkTransition) -> NewEvent {
    let regarding = regarding(transition);
    let (action, note) = (EventAction::Watch, transition.note.clone());
    let reason = match transition.what {
        Transition::Unreachable => EventReason::RemoteUnreachable,
        Transition::Down => EventReason::RemoteDown,
        Transition::Unverified => EventReason::RemoteUnverified,
        Transition::Failing => EventReason::RemoteFailing,
        Transition::Refused => EventReason::RemoteRefused,
        Transition::Seen | Transition::Reachable | Transition::Idle | Transition::Unlinked => {
            return NewEvent::normal(regarding, EventReason::RemoteReachable, action, note);
        }
    };
    NewEvent::warning(regarding, reason, action, note)
}

/// Counts and logs a transition.
fn record(transition: &LinkTransition, metrics: &Metrics) {
    let (cluster, secret, note) = (&transition.cluster, &transition.secret, &transition.note);
    let (to, reachable) = match transition.what {
        Transition::Seen | Transition::Reachable => (RemoteState::Reachable, Some(true)),
        Transition::Unreachable => (RemoteState::Unreachable, Some(false)),
        Transition::Down => (RemoteState::Down, Some(false)),
        Transition::Unverified => (RemoteState::Unverified, Some(false)),
        Transition::Failing => (RemoteState::Failing, Some(false)),
        Transition::Refused => (RemoteState::Refused, Some(false)),
        Transition::Idle => (RemoteState::Idle, None),
        Transition::Unlinked => {
            metrics.remote.forget(cluster);
            tracing::info!(cluster, %secret, "{note}");
            return;
        }
    };
    metrics.remote.became(cluster, to, reachable);
    match reachable {
        Some(false) => tracing::warn!(cluster, %secret, "{note}"),
        _ => tracing::info!(cluster, %secret, "{note}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::informers::remote::credentials::SecretName;
    use jiff::SignedDuration;

    fn transition(cluster: &str, what: Transition) -> LinkTransition {
        LinkTransition::new(
            cluster,
            &SecretName::default(),
            what,
            "why",
            SignedDuration::from_secs(60),
        )
    }

    fn reported(history: &[Transition]) -> Vec<Transition> {
        let mut pending = PendingTransitions::default();
        let seen = Timestamp::UNIX_EPOCH;
        history.iter().for_each(|what| pending.add(transition("west", *what), seen));
        pending.take().map(|(transition, _)| transition.what).collect()
    }

    #[test]
    fn a_new_leader_reports_what_holds_and_not_what_has_passed() {
        use Transition::*;
        assert_eq!(reported(&[Seen]), []);
        assert_eq!(reported(&[Seen, Unreachable, Down]), [Down]);
        assert_eq!(reported(&[Unreachable, Down, Reachable]), []);
        assert_eq!(reported(&[Reachable]), [Reachable]);
        assert_eq!(reported(&[Refused, Unlinked]), []);
        assert_eq!(reported(&[Seen, Unverified]), [Unverified]);
        assert_eq!(reported(&[Unreachable, Failing]), [Failing]);
        assert_eq!(reported(&[Unverified, Reachable]), []);
    }

    #[test]
    fn a_cluster_that_is_gone_has_no_series() {
        let metrics = Metrics::default();
        for what in [Transition::Seen, Transition::Unreachable, Transition::Down] {
            record(&transition("west", what), &metrics);
        }
        let line = r#"linkerd_failover_remote_reachable{cluster="west"} 0"#;
        assert!(metrics.encode().contains(line));
        let line = r#"linkerd_failover_remote_transitions_total{cluster="west",to="down"} 1"#;
        assert!(metrics.encode().contains(line));
        let state = r#"linkerd_failover_remote_state{cluster="west",state="down"} 1"#;
        assert!(metrics.encode().contains(state));
        record(&transition("west", Transition::Unverified), &metrics);
        assert!(!metrics.encode().contains(state), "one state at a time");
        let state = r#"linkerd_failover_remote_state{cluster="west",state="unverified"} 1"#;
        assert!(metrics.encode().contains(state));
        record(&transition("west", Transition::Unlinked), &metrics);
        assert!(!metrics.encode().contains("west"));
    }
}
