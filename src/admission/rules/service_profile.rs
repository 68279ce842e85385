//! The ServiceProfile of an apex, which Linkerd reads in place of a split, and before a route.

use super::rule::{Check, ObjectReview, Rule};
use crate::admission::view::View;
use crate::engine::{Declaration, Intent, Problem};
use crate::kinds::linkerd::failure_accrual::{FailureAccrual, MODE};

/// Warns of a ServiceProfile that takes the place of a split or a route, and of a cluster in which nothing
/// carries a split into Linkerd.
pub(super) const RULE: Rule = Rule { name: "service_profile", check: Check::Review(check) };

const WHO_WRITES: &str =
    "see who writes it with: kubectl get serviceprofiles.linkerd.io -o yaml --show-managed-fields";

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    let Some(intent) = review.intents.first() else { return vec![] };
    match review.view.kind.needs_service_profile() {
        true => {
            let before = review.old.map(|old| &old.declared);
            carries(intent, before, review.view).into_iter().collect()
        }
        false => hides(intent, review.view),
    }
}

/// Linkerd reads a split through the ServiceProfile that is made of it; `before` is what the split
/// declared.
fn carries(intent: &Intent, before: Option<&Declaration>, view: &View<'_>) -> Option<Problem> {
    let warning = Problem::warning(view.apex_field());
    let index = view.index();
    let ours = index.writes_profiles;
    if index.no_profiles {
        return Some(
            warning
                .found("a cluster without ServiceProfiles")
                .expected(if ours { "Linkerd" } else { "Linkerd with the linkerd-smi extension" })
                .next("nothing carries this object into Linkerd: run linkerd check"),
        );
    }
    let apex = view.key_of(intent.apexes.first()?);
    let (name, profile) = index.profile_of(&apex)?;
    // The adaptor follows an edit a while later.
    let before = before.into_iter().flat_map(Declaration::backends).map(|b| b.name.as_str());
    let names = intent.backends.iter().map(|b| b.name.as_str()).chain(before);
    let expected = if ours {
        // A marked profile is written here, and one that sends traffic elsewhere is corrected.
        if !profile.skipped || profile.mark.is_some() {
            return None;
        }
        "one that linkerd-failover may write; by smi.linkerd.io/skip somebody else keeps this one for himself"
    } else if profile.skipped {
        "one that the linkerd-smi adaptor may write; this one says to leave it alone"
    } else if profile.is_foreign(&apex.namespace, names) {
        "one that sends traffic to these backends; this one sends it elsewhere"
    } else {
        return None;
    };
    Some(
        warning
            .found(format!("the ServiceProfile {name}"))
            .expected(expected)
            .next(format!("what stands in the profile decides; {WHO_WRITES}")),
    )
}

/// A ServiceProfile with routes, or one that sends traffic, takes precedence over a route.
fn hides(intent: &Intent, view: &View<'_>) -> Vec<Problem> {
    let hiding = intent.apexes.iter().filter_map(|apex| {
        let accrual = view.service(apex).map(|service| service.failure_accrual());
        let asked = match accrual.unwrap_or_default() {
            FailureAccrual::Absent => String::new(),
            _ => format!(", which the Service asks for by {MODE}"),
        };
        let index = view.index();
        let (name, profile) = index.profile_of(&view.key_of(apex))?;
        let what = match (profile.has_routes, profile.sends()) {
            (true, _) => "routes",
            (_, true) => "dstOverrides with weights",
            _ => return None,
        };
        Some(
            Problem::warning(view.apex_field())
                .found(format!("{apex:?}, whose ServiceProfile {name} has {what}"))
                .expected("no ServiceProfile that takes precedence over the route")
                .next(format!(
                    "Linkerd follows the profile and not this route, its retries or failure accrual{asked}: delete it, or the TrafficSplit that it is made of; {WHO_WRITES}"
                )),
        )
    });
    hiding.collect()
}
