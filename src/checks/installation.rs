//! The program in the cluster: its Deployment, its replicas, its ServiceAccount.

use crate::checks::facts::{Facts, by};
use crate::checks::outcome::Outcome;
use crate::kinds::ObjectKey;
use crate::leader_election::observed::Observed;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use std::collections::BTreeSet;

/// The label with the version of the chart's program.
const VERSION: &str = "app.kubernetes.io/version";

pub(super) fn installed(facts: &Facts) -> Outcome {
    let fault = "found no Deployment of it, expected one: install the chart, or name yours by --installation";
    match facts.knows_deployment {
        true => Outcome::errors(facts.deployment.is_none().then(|| fault.to_owned())),
        false => Outcome::Skipped,
    }
}

pub(super) fn not_yet(facts: &Facts) -> Outcome {
    let there = facts.deployment.as_ref().map(|deployment| {
        format!("found Deployment {}: an upgrade is not an installation", ObjectKey::of(deployment))
    });
    let before = facts.predecessors.iter().flatten();
    let before = before.map(|name| format!("found linkerd-failover 0.1, Deployment {name}: `helm upgrade` of its release moves over"));
    Outcome::warnings(there.into_iter().chain(before))
}

pub(super) fn predecessor(facts: &Facts) -> Outcome {
    by(&facts.predecessors, |found| {
        Outcome::errors(found.iter().map(|name| {
            format!("found Deployment {name}, expected none: it writes weights too, and zeros where nothing is ready; delete it, or upgrade its release")
        }))
    })
}

pub(super) fn account(facts: &Facts) -> Outcome {
    if facts.deployment.is_none() {
        return Outcome::Skipped;
    }
    by(&facts.account_denied, |denied| {
        Outcome::errors(denied.iter().map(|access| format!("it may not {access}")))
    })
}

pub(super) fn replicas(facts: &Facts) -> Outcome {
    let Some(deployment) = &facts.deployment else { return Outcome::Skipped };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let fault = || {
        format!(
            "found {ready} of {wanted} ready, expected all: see `kubectl -n {} describe pods`",
            deployment.namespace().unwrap_or_default()
        )
    };
    match (ready, wanted) {
        (_, 0) => Outcome::Error(
            "found 0 replicas wanted, expected one at least: nothing fails over".to_owned(),
        ),
        _ => Outcome::errors((ready < wanted).then(fault)),
    }
}

pub(super) fn leader(facts: &Facts) -> Outcome {
    if facts.deployment.is_none() || !facts.settings.uses_lease {
        return Outcome::Skipped;
    }
    by(&facts.lease, |lease| {
        let name = &facts.settings.installation.name;
        match Observed::of(lease.as_ref(), facts.now) {
            Observed::Led => Outcome::Passed,
            Observed::Nobody => Outcome::Error(format!(
                "found nobody in the Lease {name}, expected the replica that writes"
            )),
            Observed::NotRenewed { holder, since } => Outcome::Error(format!(
                "found the Lease {name} with {holder}, not renewed since {}, expected a renewal every few seconds: no replica leads",
                since.map_or("ever".to_owned(), |at| at.to_string())
            )),
        }
    })
}

pub(super) fn versions(facts: &Facts) -> Outcome {
    let Some(deployment) = &facts.deployment else { return Outcome::Skipped };
    let images: BTreeSet<&str> = facts.pods.iter().flatten().filter_map(image).collect();
    let images: Vec<&str> = images.into_iter().collect();
    let several = (images.len() > 1).then(|| {
        format!(
            "found pods of {}, expected one image: a rollout is under way, or hangs",
            images.join(" and ")
        )
    });
    Outcome::errors(several.into_iter().chain(other_version(deployment)))
}

/// Of the program in the cluster and this one.
fn other_version(deployment: &Deployment) -> Option<String> {
    let ours = env!("CARGO_PKG_VERSION");
    let there = deployment.labels().get(VERSION).filter(|there| *there != ours)?;
    Some(format!(
        "found version {there} in the cluster and {ours} here, expected one: use the version that is installed"
    ))
}

fn image(pod: &Pod) -> Option<&str> {
    let containers = &pod.spec.as_ref()?.containers;
    let ours = containers.iter().find(|container| {
        container
            .args
            .as_ref()
            .and_then(|args| args.first())
            .is_some_and(|first| first == "controller")
    });
    ours?.image.as_deref()
}
