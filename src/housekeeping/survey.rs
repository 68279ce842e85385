//! What bears our marks and is not managed: routes of a kind that is not failed over, and objects whose
//! weights are still ours while the selector matches them no more. No watch shows them, and nothing is
//! written to them: their authors are told what to do.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::housekeeping::left_behind::{self, LeftBehind};
use crate::housekeeping::managed_namespaces;
use crate::index::shared_index::SharedIndex;
use crate::index::watch_scope::WatchScope;
use crate::informers::discovery::served;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey, ObjectRef, brief, policy_route};
use crate::telemetry::Metrics;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ApiResource, ListParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often to look for routes, and every how many of these looks for what was left behind: that reads
/// the metadata of all objects.
const PERIOD: Duration = Duration::from_secs(30);
const LOOKS: usize = 10;
/// While it is not known yet what the cluster serves.
const SOON: Duration = Duration::from_secs(1);

/// Objects at once in an answer: decoding more would hold up what else is to be done.
const PAGE: u32 = 200;

/// What looks for them.
pub(crate) struct Survey {
    pub client: Client,
    pub shared: SharedIndex,
    pub selector: LabelSelector,
    /// Where objects are managed; empty: everywhere.
    pub namespaces: Vec<String>,
    /// Of the installation: the names of its replicas begin with it.
    pub name: String,
    /// Where the program runs.
    pub namespace: String,
    /// Where the namespaces that are managed are written down; none without a Lease.
    pub leases: Option<Api<Lease>>,
    pub leading: watch::Receiver<bool>,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
}

/// Something that is not managed and looks as if it were.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unmanaged {
    regarding: Regarding,
    reason: EventReason,
    /// For Events.
    note: String,
    /// For the log, where there is more room.
    full: String,
}

/// What has been told, by kind and name.
type Reported = BTreeMap<(String, ObjectKey), Unmanaged>;

/// Looks while this replica leads, until `stop`.
pub(crate) async fn survey_unmanaged(mut survey: Survey, stop: CancellationToken) {
    let (mut routes, mut left) = (Reported::new(), Reported::new());
    let mut looks = 0;
    loop {
        let leads = *survey.leading.borrow_and_update();
        // In which versions kinds are served is known once they have been looked for.
        let begins = leads && survey.shared.read().synced.all();
        let wait = if leads && !begins { SOON } else { PERIOD };
        if begins {
            if looks == 0 {
                survey.tell_narrowed().await;
            }
            // What was found is looked at more often, so that it is seen to be put right.
            let also_left = looks % LOOKS == 0 || !left.is_empty();
            tokio::select! {
                () = survey.look(&mut routes, &mut left, also_left) => looks += 1,
                () = stop.cancelled() => return,
            }
        } else if !leads {
            looks = 0;
            survey.metrics.policy_routes.set(0);
            survey.metrics.left_behind.set(0);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = survey.leading.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

impl Survey {
    async fn look(&self, routes: &mut Reported, left: &mut Reported, also_left: bool) {
        match self.policy_routes().await {
            Ok(found) => {
                self.tell(routes, found);
                self.metrics.policy_routes.set(routes.len() as i64);
            }
            Err(error) => {
                tracing::debug!(error = brief(&error), "routes of policy.linkerd.io are not seen");
            }
        }
        if also_left {
            match self.left_behind().await {
                Ok(found) => {
                    self.tell(left, found);
                    self.metrics.left_behind.set(left.len() as i64);
                }
                Err(error) => {
                    tracing::debug!(error = brief(&error), "what was left behind is not seen");
                }
            }
        }
    }

    async fn tell_narrowed(&self) {
        let Some(leases) = &self.leases else { return };
        match managed_namespaces::narrowed(leases, &self.name, &self.namespaces).await {
            Ok(None) => {}
            Ok(Some(lost)) => {
                let note = managed_namespaces::note(&lost, &self.selector);
                tracing::warn!("{note}");
                self.recorder.publish(narrowed(&self.name, &self.namespace, note));
            }
            Err(error) => {
                tracing::debug!(error = brief(&error), "what was managed before is not known");
            }
        }
    }

    /// Tells what is new, and what is over.
    fn tell(&self, told: &mut Reported, found: Vec<Unmanaged>) {
        let name = |one: &Unmanaged| (one.regarding.kind().to_owned(), one.regarding.key().clone());
        let found: Reported = found.into_iter().map(|one| (name(&one), one)).collect();
        for (name, one) in &found {
            let known = told.get(name).is_some_and(|reported| {
                reported.regarding.uid() == one.regarding.uid() && reported.note == one.note
            });
            if known {
                continue;
            }
            tracing::warn!("{}", one.full);
            self.recorder.publish(one.event());
        }
        for (kind, object) in told.keys().filter(|name| !found.contains_key(*name)) {
            tracing::info!(kind, %object, "bears our marks no more, or is managed");
        }
        *told = found;
    }

    async fn policy_routes(&self) -> kube::Result<Vec<Unmanaged>> {
        let (group, plural) = (policy_route::GROUP, policy_route::PLURAL);
        let versions = &policy_route::VERSIONS;
        let Some(version) = served(&self.client, group, plural, versions).await? else {
            return Ok(vec![]);
        };
        let gvk = GroupVersionKind::gvk(group, version, policy_route::KIND);
        let kind = ApiResource::from_gvk_with_plural(&gvk, plural);
        let mut found = vec![];
        for part in WatchScope::each(&self.namespaces) {
            let api = part.dynamic_api(&self.client, &kind);
            let params = ListParams::default().labels(self.selector.as_str());
            for route in api.list(&params).await?.items {
                let about = ObjectKey::of(&route);
                let why = policy_route::not_managed(
                    &about.namespace,
                    &about.name,
                    self.selector.as_str(),
                );
                found.push(Unmanaged::new(
                    &route,
                    &kind,
                    EventReason::NotManaged,
                    why.clone(),
                    why,
                ));
            }
        }
        Ok(found)
    }

    async fn left_behind(&self) -> kube::Result<Vec<Unmanaged>> {
        let mut found = vec![];
        for kind in Kind::ALL {
            let Some(version) = self.shared.read().served(kind) else { continue };
            let resource = kind.api_resource(version);
            for part in WatchScope::each(&self.namespaces) {
                let api = part.dynamic_api(&self.client, &resource);
                let mut params = ListParams::default().limit(PAGE);
                loop {
                    let page = api.list_metadata(&params).await?;
                    for metadata in &page.items {
                        let unmanaged = !self.selector.matches(metadata.labels());
                        let decided_here = left_behind::decided_by(metadata.annotations());
                        let ours = decided_here.is_some_and(|replica| {
                            left_behind::is_of_installation(&self.name, &replica)
                        });
                        if !unmanaged || !ours || metadata.metadata.deletion_timestamp.is_some() {
                            continue;
                        }
                        let key = ObjectKey::of(metadata);
                        let namespace = &*key.namespace;
                        let api: Api<DynamicObject> =
                            Api::namespaced_with(self.client.clone(), namespace, &resource);
                        let Some(object) = api.get_opt(&key.name).await? else { continue };
                        found.extend(self.of_left(kind, key, &object, &resource));
                    }
                    params.continue_token = page.metadata.continue_.filter(|t| !t.is_empty());
                    if params.continue_token.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    fn of_left(
        &self,
        kind: Kind,
        key: ObjectKey,
        object: &DynamicObject,
        resource: &ApiResource,
    ) -> Option<Unmanaged> {
        let object_ref = ObjectRef::new(kind, key);
        let left = LeftBehind::read(&object_ref, object, &self.selector)?;
        Some(Unmanaged::new(object, resource, EventReason::LeftBehind, left.note(), left.full()))
    }
}

impl Unmanaged {
    fn new(
        object: &DynamicObject,
        kind: &ApiResource,
        reason: EventReason,
        note: String,
        full: String,
    ) -> Self {
        Self { regarding: Regarding::object(object, kind), reason, note, full }
    }

    fn event(&self) -> NewEvent {
        let regarding = self.regarding.clone();
        NewEvent::warning(regarding, self.reason, EventAction::Read, self.note.clone())
    }
}

/// Fewer namespaces are managed than before.
fn narrowed(deployment: &str, namespace: &str, note: String) -> NewEvent {
    let kind = ApiResource::erase::<Deployment>(&());
    let regarding = Regarding::named(ObjectKey::new(namespace, deployment), kind);
    NewEvent::warning(regarding, EventReason::NamespacesLeft, EventAction::Read, note)
}
