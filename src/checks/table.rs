//! Every check, in the order of a report.

use crate::checks::facts::Facts;
use crate::checks::outcome::Outcome;
use crate::checks::{
    certificates, cluster, holds, installation, linkerd, links, objects, protection, webhook,
};

/// When a check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before the installation, and after it.
    Always,
    /// Before it: `--pre`.
    Before,
    /// Once it is there.
    Installed,
}

/// A check. Its description says what is right.
pub(crate) struct Check {
    pub category: &'static str,
    pub description: &'static str,
    /// Its heading in `docs/checks.md`.
    pub anchor: &'static str,
    pub when: When,
    /// It may pass by itself in a while, as replicas start: `--wait` waits for it.
    pub transient: bool,
    pub check: fn(&Facts) -> Outcome,
}

const fn check(
    category: &'static str,
    description: &'static str,
    anchor: &'static str,
    check: fn(&Facts) -> Outcome,
) -> Check {
    Check { category, description, anchor, when: When::Installed, transient: false, check }
}

impl Check {
    const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    const fn transient(self) -> Self {
        Self { transient: true, ..self }
    }
}

/// Of the program.
pub(crate) const PROGRAM: &str = "linkerd-failover";
/// Of the objects that fail over.
const OBJECTS: &str = "linkerd-failover-objects";

/// The first of all; without it there are no facts for any other.
pub(crate) const CAN_QUERY: (&str, &str) =
    ("can query the Kubernetes API", "can-query-the-kubernetes-api");
/// That its Deployment is found, and can be read.
pub(crate) const INSTALLED: (&str, &str) =
    ("linkerd-failover is installed", "linkerd-failover-is-installed");

#[rustfmt::skip]
pub(crate) const CHECKS: &[Check] = &[
    check(PROGRAM, CAN_QUERY.0, CAN_QUERY.1, |_| Outcome::Passed).when(When::Always),
    check(PROGRAM, "the Kubernetes version is supported", "the-kubernetes-version-is-supported", cluster::version).when(When::Always),
    check(PROGRAM, "the cluster has a kind that fails over", "the-cluster-has-a-kind-that-fails-over", cluster::kinds).when(When::Always),
    check(PROGRAM, "you may install linkerd-failover", "you-may-install-linkerd-failover", cluster::may_install).when(When::Before),
    check(PROGRAM, "nothing is installed yet", "nothing-is-installed-yet", installation::not_yet).when(When::Before),
    check(PROGRAM, "you may read what the checks look at", "you-may-read-what-the-checks-look-at", cluster::may_read),
    check(PROGRAM, INSTALLED.0, INSTALLED.1, installation::installed),
    check(PROGRAM, "linkerd-failover 0.1 is gone", "linkerd-failover-01-is-gone", installation::predecessor),
    check(PROGRAM, "its ServiceAccount has all rights", "its-serviceaccount-has-all-rights", installation::account),
    check(PROGRAM, "its replicas are ready", "its-replicas-are-ready", installation::replicas).transient(),
    check(PROGRAM, "one replica leads", "one-replica-leads", installation::leader).transient(),
    check(PROGRAM, "all versions are equal", "all-versions-are-equal", installation::versions),
    check(PROGRAM, "the webhook defaults what is created", "the-webhook-defaults-what-is-created", webhook::defaults).transient(),
    check(PROGRAM, "the webhook refuses what is wrong", "the-webhook-refuses-what-is-wrong", webhook::refuses).transient(),
    check(PROGRAM, "the webhook's CA is valid for a while", "the-webhooks-ca-is-valid-for-a-while", certificates::authority),
    check(PROGRAM, "the webhook's certificates are valid for a while", "the-webhooks-certificates-are-valid-for-a-while", certificates::leaves),
    check(PROGRAM, "linked clusters can be seen", "linked-clusters-can-be-seen", links::seen),
    check(PROGRAM, "the cluster is not frozen", "the-cluster-is-not-frozen", holds::frozen),
    check(PROGRAM, "the brake does not hold", "the-brake-does-not-hold", holds::braked),
    check(OBJECTS, "all objects can be read", "all-objects-can-be-read", objects::readable),
    check(OBJECTS, "admission would take all objects", "admission-would-take-all-objects", objects::admissible),
    check(OBJECTS, "a fallback of each object is ready", "a-fallback-of-each-object-is-ready", objects::fallbacks),
    check(OBJECTS, "a ServiceProfile carries each split", "a-serviceprofile-carries-each-split", linkerd::carried),
    check(OBJECTS, "Linkerd routes by each route", "linkerd-routes-by-each-route", linkerd::in_use),
    check(OBJECTS, "no ServiceProfile hides a route", "no-serviceprofile-hides-a-route", linkerd::hidden),
    check(OBJECTS, "failure accrual and retries of Services take effect", "failure-accrual-and-retries-of-services-take-effect", protection::in_effect),
    check(OBJECTS, "no object is paused", "no-object-is-paused", holds::paused),
    check(OBJECTS, "no object is pinned", "no-object-is-pinned", holds::pinned),
    check(OBJECTS, "no request is lost where that is asked for", "no-request-is-lost-where-that-is-asked-for", protection::complete),
];
