//! Reports what is declared down and what ends: metrics by every replica, Events by the leader.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::housekeeping::declarations::{Declarer, Holding, News, Reported, Snapshot};
use crate::index::shared_index::SharedIndex;
use crate::kinds::ObjectKey;
use crate::telemetry::{DeclaredBy, Metrics};
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::core::ApiResource;
use kube::{Api, Client};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often to look where nothing changes.
const LONGEST: Duration = Duration::from_secs(60);
/// The same until the caches are synced.
const UNSYNCED: Duration = Duration::from_secs(1);

const RETURNS: &str = "traffic returns by the failback rules of each object; later where the declaration followed another within 10 minutes of a return, until when is in the Events of the object";

/// What reports declarations.
pub(crate) struct DeclarationReports {
    pub client: Client,
    pub shared: SharedIndex,
    pub leading: watch::Receiver<bool>,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
}

/// Runs until `stop`.
pub(crate) async fn report_declarations(reports: DeclarationReports, stop: CancellationToken) {
    let DeclarationReports { client, shared, mut leading, recorder, metrics } = reports;
    let mut revision = shared.declared_revision();
    let mut reported = Reported::default();
    loop {
        revision.mark_unchanged();
        let leads = *leading.borrow_and_update();
        let mut wait = UNSYNCED;
        if let Some(snapshot) = snapshot(&shared) {
            show(&snapshot, &metrics);
            for news in reported.observe(&snapshot, leads) {
                let uid = stop.run_until_cancelled(uid(&client, news.declarer())).await;
                recorder.publish(event(&news, uid.unwrap_or_default()));
            }
            wait = until_next(&shared, &snapshot);
        }
        tokio::select! {
            Ok(()) = revision.changed() => {}
            Ok(()) = leading.changed() => {}
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// None while the caches are not synced.
fn snapshot(shared: &SharedIndex) -> Option<Snapshot> {
    let (index, now) = (shared.read(), shared.now().wall);
    index.synced.all().then(|| Snapshot::of(&index, now))
}

fn until_next(shared: &SharedIndex, snapshot: &Snapshot) -> Duration {
    let until = |end| shared.now().wall.duration_until(end);
    let next = snapshot.next_end().map(until).and_then(|next| Duration::try_from(next).ok());
    next.map_or(LONGEST, |next| next.min(LONGEST)).max(Duration::from_millis(10))
}

fn show(snapshot: &Snapshot, metrics: &Metrics) {
    let metrics = &metrics.declared_down;
    let services = || {
        let holding = snapshot.holding.iter();
        holding.filter(|(declarer, _)| matches!(declarer, Declarer::Service(_)))
    };
    let by_person = services().filter(|(_, holding)| holding.by_person).count();
    metrics.services(DeclaredBy::Person, by_person);
    metrics.services(DeclaredBy::Alert, services().count() - by_person);
    metrics.clusters.set((snapshot.holding.len() - services().count()) as i64);
    metrics.unreadable.set(snapshot.unreadable.len() as i64);
}

/// The uid of what an Event is about, by which `kubectl describe` finds it; empty where it cannot be had.
async fn uid(client: &Client, declarer: &Declarer) -> String {
    match declarer {
        Declarer::Cluster { uid, .. } => uid.to_string(),
        Declarer::Service(ObjectKey { namespace, name }) => {
            let api: Api<Service> = Api::namespaced(client.clone(), namespace);
            let service = api.get_metadata_opt(name).await.ok().flatten();
            service.and_then(|service| service.metadata.uid).unwrap_or_default()
        }
    }
}

impl News {
    fn declarer(&self) -> &Declarer {
        match self {
            Self::Begins(declarer, _) | Self::Ends(declarer) | Self::Unreadable(declarer, _) => {
                declarer
            }
        }
    }
}

/// The Event, which is logged too.
fn event(news: &News, uid: String) -> NewEvent {
    let regarding = regarding(news.declarer(), &uid);
    let (of, note) = (news.declarer(), note(news));
    match news {
        News::Begins(..) => {
            tracing::warn!(%of, "{note}");
            NewEvent::warning(regarding, EventReason::DeclaredDown, EventAction::Failover, note)
        }
        News::Ends(_) => {
            tracing::info!(%of, "{note}");
            NewEvent::normal(regarding, EventReason::DeclaredDown, EventAction::Failback, note)
        }
        News::Unreadable(..) => {
            tracing::warn!(%of, "{note}");
            let reason = EventReason::DeclaredDownUnreadable;
            NewEvent::warning(regarding, reason, EventAction::Read, note)
        }
    }
}

fn note(news: &News) -> String {
    match news {
        News::Begins(Declarer::Service(_), Holding { until, why, objects: 0, .. }) => format!(
            "Declared down until {until} ({why}). No failover object has it among its backends, so that nothing moves"
        ),
        News::Begins(Declarer::Service(_), Holding { until, why, objects, .. }) => format!(
            "Declared down until {until} ({why}). Failover objects that name it: {objects}. Their traffic leaves it where another backend is ready; where none is, their own Events say so"
        ),
        News::Begins(Declarer::Cluster { name, .. }, Holding { until, why, .. }) => format!(
            "All Services of cluster {name} are declared down until {until} ({why}). Traffic leaves them where another backend is ready"
        ),
        News::Ends(Declarer::Service(_)) => {
            format!("No longer declared down: {RETURNS}")
        }
        News::Ends(Declarer::Cluster { name, .. }) => {
            format!("The Services of cluster {name} are no longer declared down: {RETURNS}")
        }
        News::Unreadable(_, problem) => format!("Counts as absent: {problem}"),
    }
}

fn regarding(declarer: &Declarer, uid: &str) -> Regarding {
    let (key, kind) = match declarer {
        Declarer::Service(key) => (key, ApiResource::erase::<Service>(&())),
        Declarer::Cluster { secret, .. } => (secret, ApiResource::erase::<Secret>(&())),
    };
    Regarding::named(key.clone(), kind).at(uid, "")
}
