//! Whether Linkerd follows the objects.

use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::index::resource::WatchedResource;
use crate::kinds::ObjectKey;
use crate::kinds::adapter::InUse;
use crate::snapshot::Snapshot;
use crate::snapshot::row::ObjectRow;

/// Linkerd does not read a split: what carries its weights is a ServiceProfile.
pub(super) fn carried(facts: &Facts) -> Outcome {
    with_profiles(facts, |snapshot, row| {
        if !row.object.kind.needs_service_profile() {
            return None;
        }
        let sets = row.sets.as_ref().ok()?;
        let apex = apexes(row).into_iter().next()?;
        let names =
            || sets.iter().flat_map(|set| &set.backends).map(|backend| backend.name.as_str());
        let wrong = match snapshot.index.profile_of(&apex) {
            None => format!("no ServiceProfile of Service {apex}"),
            Some((name, profile)) if !profile.sends() => {
                format!("ServiceProfile {name} without dstOverrides")
            }
            Some((name, profile)) if profile.is_foreign(&apex.namespace, names()) => {
                format!("ServiceProfile {name}, which sends traffic elsewhere")
            }
            Some(_) => return None,
        };
        Some(format!(
            "{}: found {wrong}, expected one with its weights: Linkerd does not read the split itself; set the chart's serviceProfiles.manage, or see whether linkerd-smi runs",
            row.object
        ))
    })
}

/// A route that is Accepted, with ResolvedRefs.
pub(super) fn in_use(facts: &Facts) -> Outcome {
    facts.by_snapshot(|_, rows| {
        let routes = rows.iter().filter(|row| !row.object.kind.needs_service_profile());
        Outcome::errors(routes.filter_map(|row| match &row.in_use {
            InUse::Yes => None,
            InUse::No(why) => Some(format!("{}: found {why}, expected Accepted and ResolvedRefs", row.object)),
            InUse::NotSaid => Some(format!("{}: found no status of Linkerd, expected Accepted: Linkerd does not route by it, or does not run", row.object)),
        }))
    })
}

/// Linkerd follows a ServiceProfile with routes, or one that sends traffic, and not a route beside it.
pub(super) fn hidden(facts: &Facts) -> Outcome {
    with_profiles(facts, |snapshot, row| {
        if row.object.kind.needs_service_profile() {
            return None;
        }
        apexes(row).into_iter().find_map(|apex| {
            let (name, profile) = snapshot.index.profile_of(&apex)?;
            let what = match (profile.has_routes, profile.sends()) {
                (true, _) => "routes",
                (_, true) => "dstOverrides",
                _ => return None,
            };
            Some(format!("{}: found ServiceProfile {name} with {what}, expected none: Linkerd follows the profile and not the route; delete it, or the split that it is made of", row.object))
        })
    })
}

fn with_profiles(
    facts: &Facts,
    fault: impl Fn(&Snapshot, &ObjectRow) -> Option<String>,
) -> Outcome {
    facts.by_snapshot(|snapshot, rows| {
        if !snapshot.index.synced.has(WatchedResource::ServiceProfiles) {
            return Outcome::Skipped;
        }
        Outcome::errors(rows.iter().filter_map(|row| fault(snapshot, row)))
    })
}

fn apexes(row: &ObjectRow) -> Vec<ObjectKey> {
    let sets = row.sets.as_deref().unwrap_or_default();
    let apexes = sets.first().map(|set| set.intent.apexes.as_slice()).unwrap_or_default();
    apexes.iter().map(|apex| row.object.beside(apex)).collect()
}
