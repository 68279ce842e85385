//! Tells people what becomes of linked clusters: metrics by every replica, Events by the leader.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::index::remote::reach::Transition;
use crate::informers::remote::transitions::LinkTransition;
use crate::kinds::ObjectKey;
use crate::telemetry::{Metrics, RemoteState};
use k8s_openapi::api::core::v1::Secret;
use kube::core::ApiResource;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Runs until `stop`. What a standby has not said it says on the day it leads.
pub(crate) async fn tell_of_links(
    mut told: mpsc::UnboundedReceiver<LinkTransition>,
    mut leading: watch::Receiver<bool>,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut unsaid = PendingTransitions::default();
    loop {
        tokio::select! {
            Some(told) = told.recv() => {
                note(&told, &metrics);
                unsaid.hear(told);
            }
            Ok(()) = leading.changed() => {}
            () = stop.cancelled() => return,
        }
        if *leading.borrow() {
            for told in unsaid.take() {
                recorder.publish(event(&told));
            }
        }
    }
}

/// What the next leader has to say: of each cluster the last that is so and not said.
#[derive(Default)]
struct PendingTransitions(BTreeMap<String, LinkTransition>);

impl PendingTransitions {
    fn hear(&mut self, told: LinkTransition) {
        let trouble = self.0.remove(&told.cluster).is_some();
        let news = match told.what {
            Transition::Unreachable
            | Transition::Down
            | Transition::Unverified
            | Transition::Failing
            | Transition::Refused => true,
            // The end of what nobody has heard of.
            Transition::Reachable => !trouble,
            Transition::Seen | Transition::Idle | Transition::Unlinked => false,
        };
        if news {
            self.0.insert(told.cluster.clone(), told);
        }
    }

    fn take(&mut self) -> impl Iterator<Item = LinkTransition> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}

/// About the Secret by which the cluster is linked.
fn event(transition: &LinkTransition) -> NewEvent {
    let secret = &transition.secret;
    let key = ObjectKey::new(&secret.namespace, &secret.name);
    let kind = ApiResource::erase::<Secret>(&());
    let regarding = Regarding::named(key, kind).at(&secret.uid, &secret.resource_version);
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

fn note(told: &LinkTransition, metrics: &Metrics) {
    let (cluster, note) = (&told.cluster, &told.note);
    let (to, reachable) = match told.what {
        Transition::Seen | Transition::Reachable => (RemoteState::Reachable, Some(true)),
        Transition::Unreachable => (RemoteState::Unreachable, Some(false)),
        Transition::Down => (RemoteState::Down, Some(false)),
        Transition::Unverified => (RemoteState::Unverified, Some(false)),
        Transition::Failing => (RemoteState::Failing, Some(false)),
        Transition::Refused => (RemoteState::Refused, Some(false)),
        Transition::Idle => (RemoteState::Idle, None),
        Transition::Unlinked => {
            metrics.remote.forget(cluster);
            tracing::info!(cluster, secret = %told.secret, "{note}");
            return;
        }
    };
    metrics.remote.became(cluster, to, reachable);
    match reachable {
        Some(false) => tracing::warn!(cluster, secret = %told.secret, "{note}"),
        _ => tracing::info!(cluster, secret = %told.secret, "{note}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::informers::remote::credentials::SecretName;
    use jiff::SignedDuration;

    fn told(cluster: &str, what: Transition) -> LinkTransition {
        LinkTransition::new(
            cluster,
            &SecretName::default(),
            what,
            "why",
            SignedDuration::from_secs(60),
        )
    }

    fn said(history: &[Transition]) -> Vec<Transition> {
        let mut unsaid = PendingTransitions::default();
        history.iter().for_each(|what| unsaid.hear(told("west", *what)));
        unsaid.take().map(|told| told.what).collect()
    }

    #[test]
    fn a_new_leader_says_what_is_so_and_not_what_has_passed() {
        use Transition::*;
        assert_eq!(said(&[Seen]), []);
        assert_eq!(said(&[Seen, Unreachable, Down]), [Down]);
        assert_eq!(said(&[Unreachable, Down, Reachable]), []);
        assert_eq!(said(&[Reachable]), [Reachable]);
        assert_eq!(said(&[Refused, Unlinked]), []);
        assert_eq!(said(&[Seen, Unverified]), [Unverified]);
        assert_eq!(said(&[Unreachable, Failing]), [Failing]);
        assert_eq!(said(&[Unverified, Reachable]), []);
    }

    #[test]
    fn a_cluster_that_is_gone_leaves_no_series() {
        let metrics = Metrics::default();
        for what in [Transition::Seen, Transition::Unreachable, Transition::Down] {
            note(&told("west", what), &metrics);
        }
        let line = r#"linkerd_failover_remote_reachable{cluster="west"} 0"#;
        assert!(metrics.encode().contains(line));
        let line = r#"linkerd_failover_remote_transitions_total{cluster="west",to="down"} 1"#;
        assert!(metrics.encode().contains(line));
        let state = r#"linkerd_failover_remote_state{cluster="west",state="down"} 1"#;
        assert!(metrics.encode().contains(state));
        note(&told("west", Transition::Unverified), &metrics);
        assert!(!metrics.encode().contains(state), "one state at a time");
        let state = r#"linkerd_failover_remote_state{cluster="west",state="unverified"} 1"#;
        assert!(metrics.encode().contains(state));
        note(&told("west", Transition::Unlinked), &metrics);
        assert!(!metrics.encode().contains("west"));
    }
}
