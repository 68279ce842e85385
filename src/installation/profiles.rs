//! Gives the ServiceProfile of a released split back, where no replica does it first.

use crate::index::profile_facts::ProfileFacts;
use crate::interventions::write::is_outdated;
use crate::kinds::{ObjectKey, ObjectRef, get_known, service_profile};
use crate::reconciler::request::RequestError;
use crate::reconciler::service_profiles::plan::ProfileSettings;
use crate::reconciler::service_profiles::writer::{ProfileWriteOutcome, restore};
use crate::snapshot::{Settings, Snapshot};
use kube::core::DynamicObject;
use kube::{Api, Client};
use std::time::Duration;

const ATTEMPTS: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// The profiles that this installation has written for a split.
pub(crate) fn of_split(
    snapshot: &Snapshot,
    settings: &Settings,
    split: &ObjectRef,
) -> Vec<ObjectKey> {
    let profiles = snapshot.index.profiles_written_for(split);
    profiles.filter(|key| is_ours(snapshot, settings, key)).cloned().collect()
}

/// Those that it has written for splits that it does not manage any more, or that are gone.
pub(crate) fn of_others(snapshot: &Snapshot, settings: &Settings) -> Vec<(ObjectRef, ObjectKey)> {
    let splits = snapshot.index.marked_splits();
    let mut splits: Vec<&ObjectRef> =
        splits.filter(|split| snapshot.index.object(split).is_none()).collect();
    splits.sort_unstable();
    splits.dedup();
    let of = |split: &ObjectRef| {
        let profiles = of_split(snapshot, settings, split);
        profiles.into_iter().map(|profile| (split.clone(), profile)).collect::<Vec<_>>()
    };
    splits.into_iter().flat_map(of).collect()
}

fn is_ours(snapshot: &Snapshot, settings: &Settings, profile: &ObjectKey) -> bool {
    let facts = snapshot.index.profile(profile);
    facts.and_then(|facts| facts.mark.as_ref()).is_some_and(|mark| mark.by == by(settings))
}

fn by(settings: &Settings) -> String {
    format!("{}/{}", settings.installation.namespace, settings.installation.name)
}

/// Gives a profile back: to what its split says now, or as if it had never been written.
pub(crate) async fn give_back(
    client: &Client,
    settings: &Settings,
    split: &ObjectRef,
    version: Option<&'static str>,
    profile: &ObjectKey,
) -> anyhow::Result<()> {
    let resource = service_profile::api_resource();
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &profile.namespace, &resource);
    let written = ProfileSettings {
        cluster_domain: domain(settings, profile),
        by: by(settings),
        selector: settings.watch.selector.clone(),
    };
    for _ in 0..ATTEMPTS {
        let Some(found) = get_known(&api, &profile.name).await? else { return Ok(()) };
        let facts = ProfileFacts::read(&found);
        // A replica was faster.
        if facts.mark.as_ref().is_none_or(|mark| mark.by != written.by) {
            return Ok(());
        }
        match restore(client, split, version, profile, &facts, &written, TIMEOUT).await {
            ProfileWriteOutcome::Written(_)
            | ProfileWriteOutcome::Deleted
            | ProfileWriteOutcome::Gone => return Ok(()),
            ProfileWriteOutcome::Conflict | ProfileWriteOutcome::Replaced => {}
            ProfileWriteOutcome::StillManaged => anyhow::bail!("its split is managed again"),
            // A replica gives it back at the same time.
            ProfileWriteOutcome::Refused(RequestError::Failed(error)) if is_outdated(&error) => {}
            ProfileWriteOutcome::Refused(error) => return Err(error.into()),
            ProfileWriteOutcome::Unanswered(why) => return Err(why.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("somebody else changed it each of {ATTEMPTS} times; try again")
}

/// That of the installation; else the one that is in the profile's name.
fn domain(settings: &Settings, profile: &ObjectKey) -> String {
    let in_name = profile.name.split_once(".svc.").map(|(_, domain)| domain.to_owned());
    settings.profiles_of.clone().or(in_name).unwrap_or_default()
}
