//! Writes what alerts make of the declaration on a Service, guarded by the resourceVersion that it was decided
//! from.

use crate::alerts::notification::Alert;
use crate::alerts::settings::StaySettings;
use crate::alerts::transition::after_all;
use crate::clock::backoff::Backoff;
use crate::kinds::declared_down::{self, DeclaredDown};
use crate::kinds::{FIELD_MANAGER, ObjectKey, is_absent};
use crate::telemetry::AlertOutcome;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use std::time::Duration;

/// Another replica takes another alert of the same Service at the same moment.
const ATTEMPTS: u32 = 8;
const RETRY: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500));

/// What became of the alerts of one Service.
#[derive(Debug)]
pub(super) struct Annotated {
    pub outcomes: Vec<AlertOutcome>,
    /// Until when the Service is declared down.
    pub until: Option<Timestamp>,
}

/// Brings the annotations of a Service to what the alerts make of them. None where there is no such Service.
pub(super) async fn annotate(
    client: &Client,
    service: &ObjectKey,
    alerts: &[Alert],
    stay: StaySettings,
) -> kube::Result<Option<Annotated>> {
    let api: Api<Service> = Api::namespaced(client.clone(), &service.namespace);
    let mut attempt = 1;
    loop {
        let written = try_once(&api, &service.name, alerts, stay, Timestamp::now()).await;
        match written {
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => {
                tokio::time::sleep(RETRY.jittered(attempt)).await;
            }
            Err(error) if is_absent(&error) => return Ok(None),
            written => return written.map(Some),
        }
        attempt += 1;
    }
}

async fn try_once(
    api: &Api<Service>,
    name: &str,
    alerts: &[Alert],
    stay: StaySettings,
    now: Timestamp,
) -> kube::Result<Annotated> {
    let service = api.get_metadata(name).await?;
    let before = DeclaredDown::read(service.annotations()).declared;
    let (declared, outcomes) = after_all(before.clone(), alerts, stay, now);
    if declared != before {
        let patch = declared_down::patch(service.resource_version(), declared.as_ref());
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        api.patch_metadata(name, &params, &Patch::Merge(patch)).await?;
    }
    Ok(Annotated { outcomes, until: declared.map(|declared| declared.until) })
}
