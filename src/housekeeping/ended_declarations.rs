//! Removes declarations that have run out, where this program has set them: a person's own annotation stays.

use crate::index::shared_index::SharedIndex;
use crate::index::store::Index;
use crate::kinds::declared_down::{self, DeclaredDown};
use crate::kinds::{FIELD_MANAGER, ObjectKey, brief, is_absent};
use crate::telemetry::report_once::ReportOnce;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Replicas have clocks of their own, and an alert that fires on may prolong it.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// How often to look.
const EVERY: Duration = Duration::from_secs(30);

/// What removes them.
pub(crate) struct EndedDeclarations {
    pub client: Client,
    pub shared: SharedIndex,
    pub leading: watch::Receiver<bool>,
}

/// Removes them while this replica leads, until `stop`.
pub(crate) async fn remove_ended(ended: EndedDeclarations, stop: CancellationToken) {
    let EndedDeclarations { client, shared, mut leading } = ended;
    let mut failing = ReportOnce::default();
    loop {
        if *leading.borrow_and_update() {
            let services = removable(&shared.read(), shared.now().wall);
            for service in services {
                let removing = remove(&client, &service, shared.now().wall);
                let Some(removed) = stop.run_until_cancelled(removing).await else { return };
                report(&service, removed, &mut failing);
            }
        }
        tokio::select! {
            Ok(()) = leading.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// The Services with a declaration that this program has set and that has run out.
fn removable(index: &Index, now: Timestamp) -> Vec<ObjectKey> {
    let is_removable = |until: Timestamp| until.duration_until(now) >= GRACE;
    let services = index.services_declaring();
    let ended =
        services.filter(|(_, facts)| facts.is_recorded && facts.until().is_some_and(is_removable));
    ended.map(|(service, _)| service.clone()).collect()
}

/// Removes the annotations, where they are still those that have run out. Returns whether it did.
async fn remove(client: &Client, service: &ObjectKey, now: Timestamp) -> kube::Result<bool> {
    let api: Api<Service> = Api::namespaced(client.clone(), &service.namespace);
    let Some(present) = api.get_metadata_opt(&service.name).await? else { return Ok(false) };
    let declared = DeclaredDown::read(present.annotations()).declared;
    if !declared.is_some_and(|declared| declared.is_recorded() && declared.has_ended(now)) {
        return Ok(false);
    }
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
    let patch = Patch::Merge(declared_down::patch(present.resource_version(), None));
    match api.patch_metadata(&service.name, &params, &patch).await {
        // Somebody else writes it: the next look decides.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) if is_absent(&error) => Ok(false),
        patched => patched.map(|_| true),
    }
}

fn report(service: &ObjectKey, removed: kube::Result<bool>, failing: &mut ReportOnce<String>) {
    match removed {
        Ok(true) => {
            failing.ends();
            tracing::info!(%service, "removed a declaration that had run out");
        }
        Ok(false) => {}
        Err(error) => {
            let error = brief(&error);
            if failing.begins(error.clone()) {
                tracing::warn!(
                    %service, error,
                    "a declaration that has run out cannot be removed; it has no effect, and this is tried again"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::service_facts::ServiceFacts;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn index(annotations: Value) -> Index {
        let service =
            json!({"metadata": {"name": "web", "namespace": "ns", "annotations": annotations}});
        let facts = ServiceFacts::read(&serde_json::from_value(service).unwrap());
        let mut index = Index::default();
        index.set_service(ObjectKey::new("ns", "web"), facts);
        index
    }

    #[test]
    fn what_this_program_has_set_is_removable_a_minute_after_its_end_and_nothing_else_ever() {
        let until = ("failover.linkerd.io/down-until", "1970-01-01T00:01:00Z");
        let by = |by: &str| json!({until.0: until.1, "failover.linkerd.io/down-by": by});
        let person = by(r#"{"v":1,"person":"jane","since":"1970-01-01T00:00:30Z"}"#);
        let ours = index(person);
        assert!(removable(&ours, at(119)).is_empty());
        assert_eq!(removable(&ours, at(120)), [ObjectKey::new("ns", "web")]);
        for others in [json!({until.0: until.1}), by("jane"), json!({until.0: "soon"}), json!({})] {
            assert!(removable(&index(others.clone()), at(1_000_000)).is_empty(), "{others}");
        }
    }
}
