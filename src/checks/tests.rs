use super::facts::{DryRun, DryRuns, Facts, NotKnown};
use super::report::{Colour, Report};
use super::table::{CHECKS, When};
use super::*;
use crate::snapshot::test_support::{NOW, OWN_NAMESPACE, service, settings, snapshot, split};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn deployment(ready: i32) -> Value {
    json!({
        "metadata": {"name": "linkerd-failover", "namespace": OWN_NAMESPACE,
            "labels": {"app.kubernetes.io/version": env!("CARGO_PKG_VERSION")}},
        "spec": {"replicas": 2, "selector": {}, "template": {}},
        "status": {"readyReplicas": ready},
    })
}

fn lease(holder: &str, renewed: &str) -> Value {
    json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": 10, "renewTime": renewed}})
}

const ON_PRIMARY: [(&str, u32); 2] = [("emoji-svc", 1), ("emoji-svc-west", 0)];

/// The profile that carries the split.
fn profile() -> Value {
    json!({"kind": "ServiceProfile", "metadata": {"name": "emoji-svc.emojivoto.svc.cluster.local"},
    "spec": {"dstOverrides": [
        {"authority": "emoji-svc.emojivoto.svc.cluster.local", "weight": "1"},
        {"authority": "emoji-svc-west.emojivoto.svc.cluster.local", "weight": "0"},
    ]}})
}

fn world(ready: [usize; 2], object: Value) -> Vec<Value> {
    let services = [service("emoji-svc", ready[0], 2), service("emoji-svc-west", ready[1], 2)];
    services.into_iter().flatten().chain([object, profile()]).collect()
}

/// A CA that ends in so many days.
fn ca(days: i64) -> Vec<u8> {
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let ca = jiff::SignedDuration::from_hours(days * 24);
    let lifetimes = webhook_certs::Lifetimes { ca, ..webhook_certs::Lifetimes::default() };
    let names = ["linkerd-failover-webhook.linkerd-failover.svc".to_owned()];
    webhook_certs::Authority::generate(&names, &lifetimes, now).unwrap().cert_pem().into_bytes()
}

/// Nothing is wrong.
fn healthy() -> Facts {
    Facts {
        now: NOW.parse().unwrap(),
        kubernetes: (1, 34),
        kinds: Ok(vec!["TrafficSplit v1alpha2".into()]),
        denied: vec![],
        install_denied: vec![],
        deployment: Some(serde_json::from_value(deployment(2)).unwrap()),
        knows_deployment: true,
        settings: settings(),
        predecessors: Ok(vec![]),
        pods: Ok(vec![]),
        lease: Ok(Some(serde_json::from_value(lease("a", "2026-11-26T02:59:58.000000Z")).unwrap())),
        account_denied: Ok(vec![]),
        dry_runs: Some(DryRuns {
            good: DryRun::Admitted { defaulted: true },
            bad: DryRun::Refused("no".into()),
        }),
        bundles: Ok(vec![("ValidatingWebhookConfiguration linkerd-failover".into(), ca(365))]),
        leaves: Err(NotKnown::Forbidden),
        snapshot: Ok(snapshot(&world([2, 2], split(&ON_PRIMARY, &[])))),
        rows: Default::default(),
    }
}

/// What has not passed: its sign, its description, and why.
fn faults(facts: &Facts) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(&Report::of(facts, false).to_json()).unwrap();
    let categories = report["categories"].as_array().unwrap().iter();
    let checks = categories.flat_map(|category| category["checks"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let failed = checks.filter(|check| check["result"] != "success");
    failed.map(|c| (text(&c["result"]), text(&c["description"]), text(&c["error"]))).collect()
}

#[test]
fn a_healthy_installation_passes_every_check() {
    let found = faults(&healthy());
    assert!(found.is_empty(), "{found:?}");
    let report = Report::of(&healthy(), false);
    assert!(report.is_success() && report.transient().is_empty());
}

/// A change of the facts, and the check that fails by it.
type Case = (&'static str, fn(&mut Facts), &'static str, &'static str, &'static str);

fn objects(ready: [usize; 2], object: Value) -> Result<crate::snapshot::Snapshot, NotKnown> {
    Ok(snapshot(&world(ready, object)))
}

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
        |facts| facts.kinds = Ok(vec![]),
        "error",
        "the cluster has a kind that fails over",
        "found neither TrafficSplits nor routes",
    ),
    (
        "a right of the person",
        |facts| facts.denied = access::of_checks(&settings(), &[], None)[..1].to_vec(),
        "warning",
        "you may read what the checks look at",
        "you may not list deployments.apps",
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
        |facts| facts.account_denied = Ok(access::of_account(&settings(), &[])[..1].to_vec()),
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
        |facts| facts.dry_runs.as_mut().unwrap().good = DryRun::Admitted { defaulted: false },
        "error",
        "the webhook defaults what is created",
        "found a dry run without a primary filled in",
    ),
    (
        "a webhook that cannot be called",
        |facts| facts.dry_runs.as_mut().unwrap().bad = DryRun::NotCalled("x509".into()),
        "error",
        "the webhook refuses what is wrong",
        "cannot call the webhook (x509)",
    ),
    (
        "a webhook that refuses nothing",
        |facts| facts.dry_runs.as_mut().unwrap().bad = DryRun::Admitted { defaulted: true },
        "error",
        "the webhook refuses what is wrong",
        "found a wrong object admitted",
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
        |facts| facts.leaves = Ok(vec![("a-pod".into(), "2026-11-25T00:00:00Z".parse().unwrap())]),
        "error",
        "the webhook's certificates are valid for a while",
        "found the certificate of a-pod expired since 2026-11-25T00:00:00Z",
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
        "unfreeze it by: kubectl annotate namespace linkerd-failover failover.linkerd.io/frozen-",
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
        "warning",
        "no object is paused",
        "found TrafficSplit emojivoto/emoji paused",
    ),
    (
        "a pinned object",
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

fn route(status: Value) -> Value {
    let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    json!({"kind": "HTTPRoute", "metadata": {"name": "emoji", "uid": "u",
        "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"},
        "annotations": {"failover.linkerd.io/protection": "seamless"}},
        "spec": {"parentRefs": [{"group": "core", "kind": "Service", "name": "emoji-svc", "port": 80}],
            "rules": [{"backendRefs": [backend("emoji-svc", 1), backend("emoji-svc-west", 0)]}]},
        "status": status})
}

#[test]
fn a_route_is_used_by_linkerd_and_hidden_by_no_profile_and_has_what_it_asks_for() {
    let mut facts = healthy();
    facts.snapshot = objects([2, 2], route(json!({})));
    let found = faults(&facts);
    let why = |description: &str| {
        let the_one = found.iter().find(|(_, of, _)| of == description);
        the_one.unwrap_or_else(|| panic!("{description}: {found:?}")).clone()
    };
    let (result, _, unused) = why("Linkerd routes by each route");
    assert_eq!(result, "error");
    assert!(unused.starts_with("HTTPRoute emojivoto/emoji: found"), "{unused}");
    let (result, _, hidden) = why("no ServiceProfile hides a route");
    assert_eq!(result, "error");
    assert!(hidden.contains("emoji-svc.emojivoto.svc.cluster.local with dstOverrides"), "{hidden}");
    let (result, _, lacking) = why("no request is lost where that is asked for");
    assert_eq!(result, "warning");
    assert!(lacking.contains("HTTPRoute emojivoto/emoji: "), "{lacking}");
}

#[test]
fn what_may_not_be_read_is_named_once_and_fails_nothing() {
    let mut facts = healthy();
    facts.denied = access::of_checks(&settings(), &[], None)[..2].to_vec();
    facts.predecessors = Err(NotKnown::Forbidden);
    facts.pods = Err(NotKnown::Forbidden);
    facts.lease = Err(NotKnown::Forbidden);
    facts.account_denied = Err(NotKnown::Forbidden);
    facts.bundles = Err(NotKnown::Forbidden);
    facts.snapshot = Err(NotKnown::Forbidden);
    let found = faults(&facts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].2,
        "you may not list deployments.apps\n    you may not list pods in namespace linkerd-failover"
    );
    facts.lease = Err(NotKnown::Failed("etcd is slow".into()));
    assert_eq!(faults(&facts)[1].2, "not known: etcd is slow");
}

#[test]
fn linkerd_reads_the_report_by_its_field_names() {
    let mut facts = healthy();
    facts.lease = Ok(None);
    let report: Value = serde_json::from_str(&Report::of(&facts, false).to_json()).unwrap();
    assert_eq!(report["success"], false);
    let category = &report["categories"][0];
    assert_eq!(category["categoryName"], "linkerd-failover");
    let checks = category["checks"].as_array().unwrap();
    let failed = checks.iter().find(|check| check["result"] == "error").unwrap();
    assert_eq!(failed["description"], "one replica leads");
    // Without this text Linkerd prints it as passed.
    assert!(!failed["error"].as_str().unwrap().is_empty());
    assert!(failed["hint"].as_str().unwrap().ends_with("/docs/checks.md#one-replica-leads"));
    let passed = checks.iter().find(|check| check["result"] == "success").unwrap();
    assert!(passed.get("error").is_none() && passed.get("hint").is_none());
}

#[test]
fn a_table_looks_as_linkerds_own_and_a_short_one_has_faults_alone() {
    let mut facts = healthy();
    facts.lease = Ok(None);
    let report = Report::of(&facts, false);
    let table = report.to_table(false, Colour::None);
    assert!(
        table.starts_with("linkerd-failover\n----------------\n√ can query the Kubernetes API\n"),
        "{table}"
    );
    assert!(table.ends_with("\n\nStatus check results are ×\n"), "{table}");
    insta::assert_snapshot!(report.to_table(true, Colour::None), @r"
    linkerd-failover
    ----------------
    × one replica leads
        found nobody in the Lease linkerd-failover, expected the replica that writes
        see https://github.com/linkerd/linkerd-failover/blob/main/docs/checks.md#one-replica-leads for hints

    Status check results are ×
    ");
    assert_eq!(
        Report::of(&healthy(), false).to_table(true, Colour::None),
        "Status check results are √\n"
    );
    assert!(report.to_table(true, Colour::Terminal).contains("\u{1b}[31;1m×\u{1b}[0m one replica"));
}

#[test]
fn before_the_installation_its_own_checks_are_made() {
    let mut facts = healthy();
    (facts.deployment, facts.snapshot) = (None, Err(NotKnown::Forbidden));
    let report = Report::of(&facts, true);
    assert!(report.is_success());
    let table = report.to_table(false, Colour::None);
    assert!(
        table.contains("√ you may install linkerd-failover\n√ nothing is installed yet\n"),
        "{table}"
    );
    facts.install_denied = access::of_install(&settings())[..1].to_vec();
    let table = Report::of(&facts, true).to_table(false, Colour::None);
    assert!(
        table.contains("× you may install linkerd-failover\n    you may not create namespaces\n"),
        "{table}"
    );
}

/// The anchor that GitHub makes of a heading.
fn anchor_of(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn every_hint_leads_to_a_heading_and_every_heading_to_a_check() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/checks.md");
    let page = std::fs::read_to_string(page).unwrap();
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    let headings: BTreeSet<String> = headings.map(anchor_of).collect();
    let unreadable = ["the-arguments-can-be-read".to_owned()];
    let anchors = CHECKS.iter().map(|check| check.anchor.to_owned());
    let anchors: BTreeSet<String> = anchors.chain(unreadable).collect();
    assert_eq!(headings, anchors);
    for check in CHECKS {
        assert_eq!(anchor_of(check.description), check.anchor, "{}", check.description);
    }
    assert!(CHECKS.iter().any(|check| check.when == When::Before));
}
