//! The one place that writes ServiceProfiles.

use crate::client::request_times::RequestTimes;
use crate::index::profile_facts::ProfileFacts;
use crate::kinds::{
    FIELD_MANAGER, ObjectKey, ObjectRef, get_known, is_absent, service_profile, traffic_split,
};
use crate::reconciler::in_flight::GiveUp;
use crate::reconciler::request::{self, NoAnswer, RequestError, within};
use crate::reconciler::service_profiles::plan;
use crate::reconciler::service_profiles::plan::{
    Action, ProfileSettings, ProfileWrite, UnmanagedSplit,
};
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use std::time::Duration;

/// How a write ended.
#[derive(Debug)]
pub(crate) enum ProfileWriteOutcome {
    /// Landed; the profile as it is now.
    Written(Box<DynamicObject>),
    Deleted,
    /// Somebody else wrote first: decide again.
    Conflict,
    /// The profile, or the kind, is gone.
    Gone,
    /// The split is managed after all: nothing is restored.
    StillManaged,
    /// Refused or failed: try again later.
    Refused(RequestError),
    /// No answer in time: try again later. It may still land.
    Unanswered(NoAnswer),
    /// Given up for a newer decision. It may still land.
    Replaced,
}

impl From<GiveUp> for ProfileWriteOutcome {
    fn from(why: GiveUp) -> Self {
        match why {
            GiveUp::Replaced => Self::Replaced,
            GiveUp::Crowded => Self::Unanswered(NoAnswer::Crowded),
        }
    }
}

impl ProfileWriteOutcome {
    /// Whether the API server has answered it.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(self, Self::Unanswered(_) | Self::Replaced)
    }
}

/// Writes a profile, and waits this long for the answer.
pub(crate) async fn write(
    client: &Client,
    write: &ProfileWrite,
    timeout: Duration,
    times: &RequestTimes,
) -> ProfileWriteOutcome {
    match within(timeout, send(client, write, times)).await {
        Ok(outcome) => outcome,
        Err(error) => failed(error),
    }
}

async fn send(
    client: &Client,
    write: &ProfileWrite,
    times: &RequestTimes,
) -> kube::Result<ProfileWriteOutcome> {
    let api = api(client, &write.profile);
    let name = &*write.profile.name;
    match &write.action {
        Action::Create(body) => {
            let body = match serde_json::from_value(body.clone()) {
                Ok(body) => body,
                Err(error) => return Err(kube::Error::SerdeError(error)),
            };
            let params =
                PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
            match api.create(&params, &body).await {
                // The kind or the namespace has gone, and will be seen to have: no loop until then.
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    Ok(ProfileWriteOutcome::Refused(kube::Error::Api(status).into()))
                }
                created => created.map(Box::new).map(ProfileWriteOutcome::Written),
            }
        }
        Action::Patch(patch) => {
            let patched = request::patch(client, &api, name, patch.clone(), times).await;
            patched.map(Box::new).map(ProfileWriteOutcome::Written)
        }
        Action::Delete => {
            let resource_version = Some(write.resource_version.to_string());
            let params = DeleteParams::default()
                .preconditions(Preconditions { resource_version, uid: None });
            api.delete(name, &params).await.map(|_| ProfileWriteOutcome::Deleted)
        }
    }
}

fn failed(error: RequestError) -> ProfileWriteOutcome {
    match error {
        RequestError::Unanswered(why) => ProfileWriteOutcome::Unanswered(why),
        RequestError::Failed(kube::Error::Api(status)) if status.code == 409 => {
            ProfileWriteOutcome::Conflict
        }
        RequestError::Failed(error) if is_absent(&error) => ProfileWriteOutcome::Gone,
        error => ProfileWriteOutcome::Refused(error),
    }
}

/// Restores a profile, by what has become of its split: one that has lost its label looks like one that
/// is gone to a watch by that label. Without a version the cluster has no such kind.
pub(crate) async fn restore(
    client: &Client,
    split: &ObjectRef,
    version: Option<&'static str>,
    profile: &ObjectKey,
    facts: &ProfileFacts,
    settings: &ProfileSettings,
    timeout: Duration,
) -> ProfileWriteOutcome {
    let found = match within(timeout, find(client, split, version)).await {
        Ok(found) => found,
        Err(RequestError::Unanswered(why)) => return ProfileWriteOutcome::Unanswered(why),
        Err(error) => return ProfileWriteOutcome::Refused(error),
    };
    let found = match found {
        Some(split) if settings.selector.matches(split.labels()) => {
            return ProfileWriteOutcome::StillManaged;
        }
        Some(split) => unmanaged(&split),
        None => UnmanagedSplit::Gone,
    };
    let restored = plan::restore(profile, facts, &found, settings);
    write(client, &restored, timeout, &RequestTimes::default()).await
}

async fn find(
    client: &Client,
    split: &ObjectRef,
    version: Option<&'static str>,
) -> kube::Result<Option<DynamicObject>> {
    let Some(version) = version else { return Ok(None) };
    let resource = split.kind.api_resource(version);
    let splits: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), split.namespace(), &resource);
    get_known(&splits, split.name()).await
}

/// What a split that is not managed declares.
fn unmanaged(split: &DynamicObject) -> UnmanagedSplit {
    let declared = traffic_split::read(split);
    let weights = declared
        .backends()
        .map(|backend| Some((backend.name.clone(), backend.weight.whole()?)))
        .collect::<Option<_>>()
        .filter(|_| declared.unreadable.is_empty());
    UnmanagedSplit::Unmanaged {
        apex: declared.apexes.into_iter().next().unwrap_or_default(),
        weights,
    }
}

fn api(client: &Client, profile: &ObjectKey) -> Api<DynamicObject> {
    let resource = service_profile::api_resource();
    Api::namespaced_with(client.clone(), &profile.namespace, &resource)
}
