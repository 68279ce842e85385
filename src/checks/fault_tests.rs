//! Each fault that `check` is for, made one by one: the check that is about it fails, and says what was found.

use super::facts::{DryRun, Facts, NotKnown};
use super::tests::*;
use super::*;
use crate::kinds::Kind;
use crate::snapshot::Gap;
use crate::snapshot::test_support::{NOW, settings, snapshot, split};
use serde_json::json;

/// A change of the facts, and the check that fails by it.
type Case = (&'static str, fn(&mut Facts), &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    (
        "an old cluster",
        |facts| facts.kubernetes = (1, 29),
        "error",
        "the Kubernetes version is supported",
        "found Kubernetes 1.29, expected 1.30 or newer",
    ),
    (
        "no kind",
        |facts| facts.kinds = Ok(vec![served(Kind::TrafficSplit, None, &[])]),
        "error",
        "the cluster has a kind that fails over",
        "found neither TrafficSplits nor routes",
    ),
    (
        "a version that is not read",
        |facts| facts.kinds.as_mut().unwrap().push(served(Kind::GrpcRoute, None, &["v2"])),
        "error",
        "the cluster has a kind that fails over",
        "found grpcroutes.gateway.networking.k8s.io in v2 alone, expected v1 or v1alpha2",
    ),
    (
        "a right of the person",
        |facts| facts.denied = access::of_checks(&settings())[..1].to_vec(),
        "error",
        "you may read what the checks look at",
        "you may not list deployments.apps: which installation there is",
    ),
    (
        "a right of the person that another check makes up for",
        |facts| facts.denied = access::of_checks(&settings()).into_iter().rev().take(1).collect(),
        "warning",
        "you may read what the checks look at",
        "you may not get pods/proxy in namespace linkerd-failover: when the certificates",
    ),
    (
        "a right to list",
        |facts| {
            let gap = Gap::forbidden("services may not be listed", "health is not known");
            facts.snapshot.as_mut().unwrap().gaps.push(gap);
        },
        "error",
        "you may read what the checks look at",
        "services may not be listed: health is not known",
    ),
    (
        "a right to the dry runs",
        |facts| runs(facts).good = DryRun::NotKnown(NotKnown::Forbidden),
        "error",
        "you may read what the checks look at",
        "you may not create trafficsplits.split.smi-spec.io in namespace emojivoto: whether the webhook",
    ),
    (
        "what does not answer from here",
        |facts| facts.snapshot.as_mut().unwrap().gaps.push(Gap::new("cluster west", "x")),
        "warning",
        "you may read what the checks look at",
        "cluster west: x",
    ),
    (
        "nothing installed",
        |facts| facts.deployment = None,
        "error",
        "linkerd-failover is installed",
        "found no Deployment of it",
    ),
    (
        "the predecessor",
        |facts| facts.predecessors = Ok(vec!["linkerd-failover/old".into()]),
        "error",
        "linkerd-failover 0.1 is gone",
        "found Deployment linkerd-failover/old, expected none",
    ),
    (
        "a right of the account",
        |facts| {
            facts.account_denied = Ok(account_access::of_account(&settings(), &[])[..1].to_vec());
        },
        "error",
        "its ServiceAccount has all rights",
        "it may not watch namespaces linkerd-failover",
    ),
    (
        "a replica that is not ready",
        |facts| facts.deployment = Some(serde_json::from_value(deployment(1)).unwrap()),
        "error",
        "its replicas are ready",
        "found 1 of 2 ready",
    ),
    (
        "nobody leads",
        |facts| facts.lease = Ok(None),
        "error",
        "one replica leads",
        "found nobody in the Lease",
    ),
    (
        "a leader that is gone",
        |facts| {
            let old = lease("a", "2026-11-26T02:00:00.000000Z");
            facts.lease = Ok(Some(serde_json::from_value(old).unwrap()));
        },
        "error",
        "one replica leads",
        "not renewed since 2026-11-26T02:00:00Z",
    ),
    (
        "several versions",
        |facts| {
            let pod = |image: &str| {
                serde_json::from_value(json!({"spec": {"containers": [
                    {"name": "x", "image": image, "args": ["controller"]},
                ]}}))
                .unwrap()
            };
            facts.pods = Ok(vec![pod("a:1"), pod("a:2")]);
        },
        "error",
        "all versions are equal",
        "found pods of a:1 and a:2",
    ),
    (
        "a webhook that does not default",
        |facts| runs(facts).good = DryRun::Admitted { defaulted: false },
        "error",
        "the webhook defaults what is created",
        "found a dry run without a primary filled in",
    ),
    (
        "a webhook that cannot be called",
        |facts| runs(facts).bad = DryRun::NotCalled("x509".into()),
        "error",
        "the webhook refuses what is wrong",
        "cannot call the webhook (x509)",
    ),
    (
        "a webhook that refuses nothing",
        |facts| runs(facts).bad = DryRun::Admitted { defaulted: true },
        "error",
        "the webhook refuses what is wrong",
        "found a wrong object admitted",
    ),
    (
        "another webhook",
        |facts| runs(facts).bad = DryRun::RefusedByOther("kyverno".into()),
        "warning",
        "the webhook refuses what is wrong",
        "found that another webhook or policy refuses the dry run (kyverno)",
    ),
    (
        "nothing to try the webhook with",
        |facts| facts.dry_runs = Some(Err("found no namespace".into())),
        "warning",
        "the webhook defaults what is created",
        "not tried: found no namespace",
    ),
    (
        "a CA near its end",
        |facts| facts.bundles = Ok(vec![("x".into(), ca(7))]),
        "error",
        "the webhook's CA is valid for a while",
        "expected 30 days left at least",
    ),
    (
        "no CA",
        |facts| facts.bundles = Ok(vec![("x".into(), vec![])]),
        "error",
        "the webhook's CA is valid for a while",
        "found no CA in x",
    ),
    (
        "a certificate past its end",
        |facts| facts.metrics = vec![("a-pod".into(), Ok(metrics("2026-11-25T00:00:00Z", &[])))],
        "error",
        "the webhook's certificates are valid for a while",
        "found the certificate of a-pod expired since 2026-11-25T00:00:00Z",
    ),
    (
        "a pod whose metrics cannot be read",
        |facts| {
            let why = NotKnown::Failed("its metrics cannot be read: x".into());
            facts.metrics = vec![("a-pod".into(), Err(why))];
        },
        "warning",
        "the webhook's certificates are valid for a while",
        "not known of a-pod: its metrics cannot be read: x",
    ),
    (
        "a pod that the API server does not let anybody reach",
        |facts| facts.metrics = vec![("a-pod".into(), Err(NotKnown::Forbidden))],
        "warning",
        "the webhook's certificates are valid for a while",
        "not known of a-pod: its metrics may not be read",
    ),
    (
        "a cluster that is not linked",
        |facts| {
            let mut manifests = world([2, 2], split(&ON_PRIMARY, &[]));
            manifests[2]["metadata"]["annotations"] =
                json!({"multicluster.linkerd.io/remote-discovery": "emoji-svc@west"});
            facts.snapshot = Ok(snapshot(&manifests));
        },
        "error",
        "linked clusters can be seen",
        "no credentials for cluster west",
    ),
    (
        "a frozen cluster",
        |facts| facts.snapshot.as_mut().unwrap().index.cluster_wide.frozen = true,
        "error",
        "the cluster is not frozen",
        "found the cluster frozen without an end, expected none: nothing fails over; end it by: linkerd-failover unfreeze",
    ),
    (
        "a frozen cluster that thaws by itself",
        |facts| {
            let settings = &mut facts.snapshot.as_mut().unwrap().index.cluster_wide;
            settings.frozen = true;
            settings.frozen_until = "2026-11-26T04:00:00Z".parse().ok();
        },
        "warning",
        "the cluster is not frozen",
        "found the cluster frozen until 2026-11-26T04:00:00Z",
    ),
    (
        "the brake",
        |facts| facts.snapshot.as_mut().unwrap().braked_since = Some(NOW.parse().unwrap()),
        "error",
        "the brake does not hold",
        "failover.linkerd.io/brake-released=",
    ),
    (
        "an object that cannot be read",
        |facts| {
            let unreadable = json!({"kind": "TrafficSplit", "metadata": {"name": "emoji"}});
            facts.snapshot = objects([2, 2], unreadable);
        },
        "error",
        "all objects can be read",
        "TrafficSplit emojivoto/emoji: spec.",
    ),
    (
        "an object that admission refuses",
        |facts| {
            let mut manifests = world([2, 2], split(&ON_PRIMARY, &[]));
            manifests[4]["spec"]["backends"][1]["service"] = json!("emoji-svc-wset");
            facts.snapshot = Ok(snapshot(&manifests));
        },
        "error",
        "admission would take all objects",
        "did you mean emoji-svc-west",
    ),
    (
        "no ready fallback",
        |facts| facts.snapshot = objects([2, 0], split(&ON_PRIMARY, &[])),
        "error",
        "a fallback of each object is ready",
        "without a ready fallback (emoji-svc-west: 0 of 2 endpoints ready)",
    ),
    (
        "a split that nothing carries",
        |facts| {
            let mut manifests = world([2, 2], split(&ON_PRIMARY, &[]));
            manifests.pop();
            facts.snapshot = Ok(snapshot(&manifests));
        },
        "error",
        "a ServiceProfile carries each split",
        "found no ServiceProfile of Service emojivoto/emoji-svc",
    ),
    (
        "a paused object",
        |facts| facts.snapshot = objects([2, 2], split(&ON_PRIMARY, &[("paused", "true")])),
        "error",
        "no object is paused",
        "found TrafficSplit emojivoto/emoji paused without an end, expected none: it does not fail over; end it by: linkerd-failover resume trafficsplits.split.smi-spec.io/emoji -n emojivoto",
    ),
    (
        "an object that is paused for a while",
        |facts| {
            let until = [("paused", "true"), ("paused-until", "2026-11-26T04:00:00Z")];
            facts.snapshot = objects([2, 2], split(&ON_PRIMARY, &until));
        },
        "warning",
        "no object is paused",
        "paused until 2026-11-26T04:00:00Z, expected none",
    ),
    (
        "an object that somebody has paused",
        |facts| {
            let by = json!({"v": 1, "person": "ana", "action": "pause", "at": NOW,
                "reason": "a drain", "set": {"paused": "true", "paused-until": null}});
            let paused = [("paused", "true"), ("changed-by", &by.to_string())];
            facts.snapshot = objects([2, 2], split(&ON_PRIMARY, &paused));
        },
        "error",
        "no object is paused",
        "emoji paused by ana: a drain, without an end, expected none",
    ),
    (
        "a pinned object",
        |facts| facts.snapshot = objects([2, 2], split(&ON_PRIMARY, &[("pin", "emoji-svc")])),
        "error",
        "no object is pinned",
        "pinned without an end, expected none: its health moves no traffic; end it by: linkerd-failover unpin",
    ),
    (
        "an object that is pinned for a while",
        |facts| {
            let until = [("pin", "emoji-svc"), ("pin-until", "2026-11-26T04:00:00Z")];
            facts.snapshot = objects([2, 2], split(&ON_PRIMARY, &until));
        },
        "warning",
        "no object is pinned",
        "pinned until 2026-11-26T04:00:00Z",
    ),
];

#[test]
fn each_fault_fails_the_check_that_is_about_it() {
    for (case, break_it, result, description, why) in CASES {
        let mut facts = healthy();
        break_it(&mut facts);
        let found = faults(&facts);
        let the_one = found.iter().find(|(_, of, _)| of == description);
        let (found_result, _, found_why) =
            the_one.unwrap_or_else(|| panic!("{case}: {description} has passed: {found:?}"));
        assert_eq!(found_result, result, "{case}");
        assert!(found_why.contains(why), "{case}: {found_why}");
    }
}
