//! Objects that look managed and are not: routes of a kind that does not fail over, and objects with our
//! weights that the selector no longer matches. No watch shows them and nothing is written to them: an
//! Event names what their authors can do.

use crate::events::{EventAction, EventReason, NewEvent, Recorder, Regarding};
use crate::housekeeping::leftover_weights::{self, LeftoverWeights};
use crate::housekeeping::managed_scope;
use crate::index::shared_index::SharedIndex;
use crate::informers::discovery::served;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey, ObjectRef, brief, policy_route};
use crate::leader_election::lease_annotation::LeaseAnnotation;
use crate::telemetry::Metrics;
use kube::api::{ApiResource, ListParams};
use kube::core::{DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often to scan for routes, and every how many of these scans for leftover weights: that reads the
/// metadata of all objects.
const PERIOD: Duration = Duration::from_secs(30);
const SCANS_PER_FULL: usize = 10;
/// Until the served versions are known.
const FIRST_PERIOD: Duration = Duration::from_secs(1);

/// Objects in a page: decoding more at once would block other tasks.
const PAGE: u32 = 200;

/// Scans for them.
pub(crate) struct UnmanagedScan {
    pub client: Client,
    pub shared: SharedIndex,
    pub selector: LabelSelector,
    /// Where objects are managed; empty: everywhere.
    pub namespaces: Vec<String>,
    /// Of the installation: a prefix of the names of its replicas.
    pub name: String,
    /// Where the program runs.
    pub namespace: String,
    /// Where the managed namespaces are recorded; none without a Lease.
    pub record: Option<LeaseAnnotation>,
    pub leading: watch::Receiver<bool>,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
}

/// An object that looks managed and is not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unmanaged {
    regarding: Regarding,
    reason: EventReason,
    /// For Events.
    note: String,
    /// For the log, which has no limit.
    full: String,
}

/// What has been reported, by kind and name.
type Reported = BTreeMap<(String, ObjectKey), Unmanaged>;

/// Scans while this replica leads, until `stop`.
pub(crate) async fn scan_unmanaged(mut scan: UnmanagedScan, stop: CancellationToken) {
    let (mut routes, mut leftover) = (Reported::new(), Reported::new());
    let mut scans = 0;
    loop {
        let leads = *scan.leading.borrow_and_update();
        // The served versions are known once the kinds have been discovered.
        let is_ready = leads && scan.shared.read().synced.all();
        let wait = if leads && !is_ready { FIRST_PERIOD } else { PERIOD };
        if is_ready {
            if scans == 0 {
                scan.report_narrowed().await;
            }
            // What was found is checked by every scan, so that its end is reported soon.
            let with_leftover = scans % SCANS_PER_FULL == 0 || !leftover.is_empty();
            tokio::select! {
                () = scan.run(&mut routes, &mut leftover, with_leftover) => scans += 1,
                () = stop.cancelled() => return,
            }
        } else if !leads {
            scans = 0;
            scan.metrics.policy_routes.set(0);
            scan.metrics.left_behind.set(0);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = scan.leading.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

impl UnmanagedScan {
    async fn run(&self, routes: &mut Reported, leftover: &mut Reported, with_leftover: bool) {
        match self.policy_routes().await {
            Ok(found) => {
                self.report(routes, found);
                self.metrics.policy_routes.set(routes.len() as i64);
            }
            Err(error) => {
                tracing::debug!(error = brief(&error), "routes of policy.linkerd.io are not seen");
            }
        }
        if with_leftover {
            match self.leftover_weights().await {
                Ok(found) => {
                    self.report(leftover, found);
                    self.metrics.left_behind.set(leftover.len() as i64);
                }
                Err(error) => {
                    tracing::debug!(error = brief(&error), "leftover weights are not seen");
                }
            }
        }
    }

    async fn report_narrowed(&self) {
        let Some(record) = &self.record else { return };
        match managed_scope::narrowed(record, &self.namespaces).await {
            Ok(None) => {}
            Ok(Some(lost)) => {
                let note = managed_scope::note(&lost, &self.selector);
                tracing::warn!("{note}");
                self.recorder.publish(narrowed(&self.name, &self.namespace, note));
            }
            Err(error) => {
                tracing::debug!(error = brief(&error), "what was managed before is not known");
            }
        }
    }

    /// Reports what is new, and what has ended.
    fn report(&self, reported: &mut Reported, found: Vec<Unmanaged>) {
        let name = |one: &Unmanaged| (one.regarding.kind().to_owned(), one.regarding.key().clone());
        let found: Reported = found.into_iter().map(|one| (name(&one), one)).collect();
        for (name, one) in &found {
            let is_known = reported.get(name).is_some_and(|before| {
                before.regarding.uid() == one.regarding.uid() && before.note == one.note
            });
            if is_known {
                continue;
            }
            tracing::warn!("{}", one.full);
            self.recorder.publish(one.event());
        }
        for (kind, object) in reported.keys().filter(|name| !found.contains_key(*name)) {
            tracing::info!(kind, %object, "no longer looks managed, or is managed");
        }
        *reported = found;
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
            let api: Api<DynamicObject> = part.dynamic_api(&self.client, &kind);
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

    async fn leftover_weights(&self) -> kube::Result<Vec<Unmanaged>> {
        let mut found = vec![];
        for kind in Kind::ALL {
            let Some(version) = self.shared.read().served(kind) else { continue };
            let resource = kind.api_resource(version);
            let scope = (&*self.namespaces, &self.selector, &*self.name);
            for key in decided_and_unmanaged(&self.client, &resource, scope).await? {
                let client = self.client.clone();
                let api: Api<DynamicObject> =
                    Api::namespaced_with(client, &key.namespace, &resource);
                if let Some(object) = api.get_opt(&key.name).await? {
                    found.extend(self.read_leftover(kind, key, &object, &resource));
                }
            }
        }
        Ok(found)
    }

    fn read_leftover(
        &self,
        kind: Kind,
        key: ObjectKey,
        object: &DynamicObject,
        resource: &ApiResource,
    ) -> Option<Unmanaged> {
        let object_ref = ObjectRef::new(kind, key);
        let leftover = LeftoverWeights::read(&object_ref, object, &self.selector)?;
        Some(Unmanaged::new(
            object,
            resource,
            EventReason::LeftBehind,
            leftover.note(),
            leftover.full(),
        ))
    }
}

/// The objects of a kind that an installation of this name decided on and does not manage by its selector, by their
/// metadata. No namespaces: all.
pub(crate) async fn decided_and_unmanaged(
    client: &Client,
    resource: &ApiResource,
    (namespaces, selector, name): (&[String], &LabelSelector, &str),
) -> kube::Result<Vec<ObjectKey>> {
    let is_one = |object: &&PartialObjectMeta<DynamicObject>| {
        leftover_weights::decided_by(object.annotations())
            .is_some_and(|replica| leftover_weights::is_of_installation(name, &replica))
            && !selector.matches(object.labels())
            && object.metadata.deletion_timestamp.is_none()
    };
    let mut found = vec![];
    for part in WatchScope::each(namespaces) {
        let api: Api<DynamicObject> = part.dynamic_api(client, resource);
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = api.list_metadata(&params).await?;
            found.extend(page.items.iter().filter(is_one).map(ObjectKey::of));
            params.continue_token = page.metadata.continue_.filter(|t| !t.is_empty());
            if params.continue_token.is_none() {
                break;
            }
        }
    }
    Ok(found)
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
    let regarding = Regarding::deployment(ObjectKey::new(namespace, deployment));
    NewEvent::warning(regarding, EventReason::NamespacesLeft, EventAction::Read, note)
}
