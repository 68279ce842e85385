//! The one place that writes ServiceProfiles.

use crate::index::profile_facts::ProfileFacts;
use crate::kinds::{
    FIELD_MANAGER, ObjectKey, ObjectRef, brief, get_known, is_absent, service_profile,
    traffic_split,
};
use crate::reconciler::in_flight::{CROWDED, GiveUp};
use crate::reconciler::service_profiles::plan;
use crate::reconciler::service_profiles::plan::{
    Action, ProfileSettings, ProfileWrite, UnmanagedSplit,
};
use crate::reconciler::writer::no_answer;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
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
    Refused(String),
    /// No answer in time: try again later. It may still land.
    Unanswered(String),
    /// Given up for a newer decision. It may still land.
    Replaced,
}

impl From<GiveUp> for ProfileWriteOutcome {
    fn from(why: GiveUp) -> Self {
        match why {
            GiveUp::Replaced => Self::Replaced,
            GiveUp::Crowded => Self::Unanswered(CROWDED.into()),
        }
    }
}

impl ProfileWriteOutcome {
    /// Whether the API server has answered it.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(self, Self::Unanswered(_) | Self::Replaced)
    }
}

/// Writes a profile, and waits so long for the answer.
pub(crate) async fn write(
    client: &Client,
    write: &ProfileWrite,
    patience: Duration,
) -> ProfileWriteOutcome {
    let api = api(client, &write.profile);
    let name = &*write.profile.name;
    let written = async {
        match &write.action {
            Action::Create(body) => {
                let body = match serde_json::from_value(body.clone()) {
                    Ok(body) => body,
                    Err(error) => return Ok(ProfileWriteOutcome::Refused(error.to_string())),
                };
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PostParams::default()
                };
                match api.create(&params, &body).await {
                    // The kind or the namespace has gone, and will be seen to have: no loop until then.
                    Err(kube::Error::Api(status)) if status.code == 404 => {
                        Ok(ProfileWriteOutcome::Refused(status.message.clone()))
                    }
                    created => created.map(Box::new).map(ProfileWriteOutcome::Written),
                }
            }
            Action::Patch(patch) => {
                let params = PatchParams {
                    field_manager: Some(FIELD_MANAGER.into()),
                    ..PatchParams::default()
                };
                let patch = Patch::<()>::Json(patch.clone());
                api.patch(name, &params, &patch)
                    .await
                    .map(Box::new)
                    .map(ProfileWriteOutcome::Written)
            }
            Action::Delete => {
                let resource_version = Some(write.resource_version.to_string());
                let params = DeleteParams::default()
                    .preconditions(Preconditions { resource_version, uid: None });
                api.delete(name, &params).await.map(|_| ProfileWriteOutcome::Deleted)
            }
        }
    };
    ended(written, patience).await
}

/// Restores a profile, by what has become of its split: one that has lost its label looks like one
/// that is gone to who watches by that label. Without a version the cluster has no such kind.
pub(crate) async fn restore(
    client: &Client,
    split: &ObjectRef,
    version: Option<&'static str>,
    profile: &ObjectKey,
    facts: &ProfileFacts,
    settings: &ProfileSettings,
    patience: Duration,
) -> ProfileWriteOutcome {
    let look = async {
        let Some(version) = version else { return Ok(Ok(None)) };
        let resource = split.kind.api_resource(version);
        let splits: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), split.namespace(), &resource);
        get_known(&splits, split.name()).await.map(Ok)
    };
    let there = match tokio::time::timeout(patience, look).await {
        Ok(Ok(there)) => there,
        Ok(Err(error)) => Err(ProfileWriteOutcome::Refused(brief(&error))),
        Err(_) => Err(ProfileWriteOutcome::Unanswered(no_answer(patience))),
    };
    let standing = match there {
        Err(outcome) => return outcome,
        Ok(Some(split)) if settings.selector.matches(split.labels()) => {
            return ProfileWriteOutcome::StillManaged;
        }
        Ok(Some(split)) => standing(&split),
        Ok(None) => UnmanagedSplit::Gone,
    };
    write(client, &plan::restore(profile, facts, &standing, settings), patience).await
}

/// What a split that is not managed says.
fn standing(split: &DynamicObject) -> UnmanagedSplit {
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

async fn ended(
    written: impl Future<Output = kube::Result<ProfileWriteOutcome>>,
    patience: Duration,
) -> ProfileWriteOutcome {
    match tokio::time::timeout(patience, written).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => ProfileWriteOutcome::Conflict,
        Ok(Err(error)) if is_absent(&error) => ProfileWriteOutcome::Gone,
        Ok(Err(error)) => ProfileWriteOutcome::Refused(brief(&error)),
        Err(_) => ProfileWriteOutcome::Unanswered(no_answer(patience)),
    }
}

fn api(client: &Client, profile: &ObjectKey) -> Api<DynamicObject> {
    let resource = service_profile::api_resource();
    Api::namespaced_with(client.clone(), &profile.namespace, &resource)
}
