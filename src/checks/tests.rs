use super::access::Access;
use super::facts::{DryRun, DryRuns, Facts, NotKnown, ReplicaMetrics, ServedKind};
use super::report::{Colour, Report};
use super::table::{CHECKS, When};
use super::*;
use crate::kinds::Kind;
use crate::snapshot::test_support::{NOW, OWN_NAMESPACE, service, settings, snapshot, split};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn deployment(ready: i32) -> Value {
    json!({
        "metadata": {"name": "linkerd-failover", "namespace": OWN_NAMESPACE,
            "labels": {"app.kubernetes.io/version": env!("CARGO_PKG_VERSION")}},
        "spec": {"replicas": 2, "selector": {}, "template": {}},
        "status": {"readyReplicas": ready},
    })
}

pub(super) fn lease(holder: &str, renewed: &str) -> Value {
    json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": 10, "renewTime": renewed}})
}

pub(super) const ON_PRIMARY: [(&str, u32); 2] = [("emoji-svc", 1), ("emoji-svc-west", 0)];

/// The profile that carries the split.
fn profile() -> Value {
    json!({"kind": "ServiceProfile", "metadata": {"name": "emoji-svc.emojivoto.svc.cluster.local"},
    "spec": {"dstOverrides": [
        {"authority": "emoji-svc.emojivoto.svc.cluster.local", "weight": "1"},
        {"authority": "emoji-svc-west.emojivoto.svc.cluster.local", "weight": "0"},
    ]}})
}

pub(super) fn world(ready: [usize; 2], object: Value) -> Vec<Value> {
    let services = [service("emoji-svc", ready[0], 2), service("emoji-svc-west", ready[1], 2)];
    services.into_iter().flatten().chain([object, profile()]).collect()
}

/// A CA that ends in so many days.
pub(super) fn ca(days: i64) -> Vec<u8> {
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let ca = jiff::SignedDuration::from_hours(days * 24);
    let lifetimes = webhook_certs::Lifetimes { ca, ..webhook_certs::Lifetimes::default() };
    let names = ["linkerd-failover-webhook.linkerd-failover.svc".to_owned()];
    webhook_certs::Authority::generate(&names, &lifetimes, now).unwrap().cert_pem().into_bytes()
}

pub(super) fn served(kind: Kind, version: Option<&'static str>, others: &[&str]) -> ServedKind {
    ServedKind { kind, version, others: others.iter().map(|version| (*version).into()).collect() }
}

/// What a pod tells by its metrics.
pub(super) fn metrics(end: &str, reachable: &[(&str, bool)]) -> ReplicaMetrics {
    let reachable = reachable.iter().map(|(cluster, is)| ((*cluster).to_owned(), *is)).collect();
    ReplicaMetrics { certificate_end: end.parse().ok(), reachable }
}

/// The dry runs, to be changed.
pub(super) fn runs(facts: &mut Facts) -> &mut DryRuns {
    facts.dry_runs.as_mut().unwrap().as_mut().unwrap()
}

/// Nothing is wrong.
pub(super) fn healthy() -> Facts {
    Facts {
        now: NOW.parse().unwrap(),
        kubernetes: (1, 34),
        kinds: Ok(vec![served(Kind::TrafficSplit, Some("v1alpha2"), &[])]),
        denied: vec![],
        install_denied: vec![],
        deployment: Some(serde_json::from_value(deployment(2)).unwrap()),
        knows_deployment: true,
        settings: settings(),
        predecessors: Ok(vec![]),
        pods: Ok(vec![]),
        lease: Ok(Some(serde_json::from_value(lease("a", "2026-11-26T02:59:58.000000Z")).unwrap())),
        account_denied: Ok(vec![]),
        dry_runs: Some(Ok(DryRuns {
            access: Access::to("create", "split.smi-spec.io", "trafficsplits")
                .within(Some("emojivoto")),
            good: DryRun::Admitted { defaulted: true },
            bad: DryRun::Refused("no".into()),
        })),
        bundles: Ok(vec![("ValidatingWebhookConfiguration linkerd-failover".into(), ca(365))]),
        metrics: vec![],
        snapshot: Ok(snapshot(&world([2, 2], split(&ON_PRIMARY, &[])))),
        rows: Default::default(),
    }
}

/// What has not passed: its sign, its description, and why.
pub(super) fn faults(facts: &Facts) -> Vec<(String, String, String)> {
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

pub(super) fn objects(
    ready: [usize; 2],
    object: Value,
) -> Result<crate::snapshot::Snapshot, NotKnown> {
    Ok(snapshot(&world(ready, object)))
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

/// Annotations that make Linkerd leave an endpoint that fails alone.
fn with_accrual(mut manifests: Vec<Value>, service: &str, min_penalty: &str) -> Vec<Value> {
    let is_it = |m: &&mut Value| m["kind"] == "Service" && m["metadata"]["name"] == service;
    let found = manifests.iter_mut().find(is_it).unwrap();
    let mode = "balancer.linkerd.io/failure-accrual";
    let min = "balancer.linkerd.io/failure-accrual-consecutive-min-penalty";
    found["metadata"]["annotations"] = json!({mode: "consecutive", min: min_penalty});
    manifests
}

#[test]
fn failure_accrual_that_does_nothing_is_listed_whatever_the_protection_is() {
    const CHECK: &str = "failure accrual and retries of Services take effect";
    let listed = |manifests: &[Value]| {
        let mut facts = healthy();
        facts.snapshot = Ok(snapshot(manifests));
        let found = faults(&facts).into_iter().filter(|(_, of, _)| of == CHECK);
        found.map(|(result, _, why)| format!("{result}: {why}\n")).collect::<String>()
    };
    let split = || world([2, 2], split(&ON_PRIMARY, &[]));
    let standard = || {
        let mut route = route(json!({}));
        route["metadata"]["annotations"] = json!({});
        world([2, 2], route)
    };
    // The last manifest is the ServiceProfile of the split.
    let unhidden = || standard().split_last().unwrap().1.to_vec();
    assert_eq!(listed(&split()), "");
    assert_eq!(listed(&unhidden()), "");
    assert_eq!(listed(&with_accrual(unhidden(), "emoji-svc", "10s")), "");
    let all = [
        listed(&with_accrual(split(), "emoji-svc", "10s")),
        listed(&with_accrual(standard(), "emoji-svc", "10s")),
        listed(&with_accrual(unhidden(), "emoji-svc-west", "10s")),
        listed(&with_accrual(unhidden(), "emoji-svc", "1s")),
    ];
    insta::assert_snapshot!(all.concat(), @"
    warning: TrafficSplit emojivoto/emoji: spec.service: found Service emojivoto/emoji-svc with balancer.linkerd.io/failure-accrual, expected a route, with which Linkerd follows them; Linkerd follows the ServiceProfile of this split, and they do nothing; this prints the route that does the same: kubectl get trafficsplits.split.smi-spec.io -n emojivoto emoji -o yaml | linkerd-failover migrate -f -
    warning: HTTPRoute emojivoto/emoji: spec.parentRefs: found the ServiceProfile emojivoto/emoji-svc.emojivoto.svc.cluster.local, expected no ServiceProfile that takes precedence over the route; Linkerd follows the profile, and neither this route nor its retries nor failure accrual, which its Service asks for by balancer.linkerd.io/failure-accrual: kubectl delete serviceprofiles.linkerd.io -n emojivoto emoji-svc.emojivoto.svc.cluster.local
    warning: HTTPRoute emojivoto/emoji: spec.parentRefs: found failure accrual on Service emojivoto/emoji-svc-west, and none on Service emojivoto/emoji-svc, expected balancer.linkerd.io/failure-accrual on Service emojivoto/emoji-svc; Linkerd takes failure accrual from the Service that clients call, for all backends, and from no backend: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual=consecutive balancer.linkerd.io/failure-accrual-consecutive-min-penalty=10s
    warning: HTTPRoute emojivoto/emoji: spec.parentRefs: found Service emojivoto/emoji-svc with failure accrual that probes after 1s, expected 3s or more, if the failfast timeout of callers' proxies is the default, which is not known here; under the failfast timeout a probe comes before the backend is given up, and its errors reach callers: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual-consecutive-min-penalty=10s
    ");
}

#[test]
fn what_may_not_be_read_is_named_by_one_check_and_fails_no_other() {
    let mut facts = healthy();
    facts.denied = access::of_checks(&settings())[..2].to_vec();
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
        "you may not list deployments.apps: which installation there is, and whether linkerd-failover 0.1 runs, is not known\n    you may not list pods in namespace linkerd-failover: whether all replicas run one version is not known"
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
    assert_eq!(CHECKS.len() + 1, anchors.len(), "each has a heading of its own");
    for check in CHECKS {
        assert_eq!(anchor_of(check.description), check.anchor, "{}", check.description);
    }
    assert!(CHECKS.iter().any(|check| check.when == When::Before));
}

#[test]
fn a_hint_is_the_url_of_a_file_in_the_repository_that_the_chart_names_too() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let mut facts = healthy();
    facts.lease = Ok(None);
    let report = Report::of(&facts, false).to_json();
    let repository = env!("CARGO_PKG_REPOSITORY");
    let page = report.split("\"hint\": \"").nth(1).and_then(|rest| rest.split('#').next()).unwrap();
    let path = page.strip_prefix(&format!("{repository}/blob/main/")).unwrap();
    assert!(read(path).contains("### One replica leads"));
    let chart = read("charts/linkerd-failover/Chart.yaml");
    assert!(chart.contains(&format!("sources:\n- {repository}\n")), "{chart}");
    let runbook = format!("runbookURL: {repository}/blob/main/docs/runbook.md\n");
    assert!(read("charts/linkerd-failover/values.yaml").contains(&runbook));
}

#[test]
fn a_cluster_that_does_not_answer_from_here_is_a_fault_where_it_answers_no_replica() {
    let unreachable = |metrics: Vec<(String, Result<ReplicaMetrics, NotKnown>)>| {
        let mut manifests = world([2, 2], split(&ON_PRIMARY, &[]));
        manifests[2]["metadata"]["annotations"] =
            json!({"multicluster.linkerd.io/remote-discovery": "emoji-svc@west"});
        let mut facts = healthy();
        let mut snapshot = snapshot(&manifests);
        let now = snapshot.now;
        snapshot.index.remote.link("west");
        snapshot.index.remote.change_reach("west", |reach| reach.failed(now));
        (facts.snapshot, facts.metrics) = (Ok(snapshot), metrics);
        let found = faults(&facts);
        found.iter().find(|(_, of, _)| of == "linked clusters can be seen").cloned()
    };
    let of = |seen| ("a-pod".to_owned(), Ok(metrics("2026-12-26T00:00:00Z", &[("west", seen)])));
    let (result, _, why) = unreachable(vec![]).unwrap();
    assert_eq!(result, "warning");
    assert!(why.contains("whether it answers the replicas is not known"), "{why}");
    let (result, _, why) = unreachable(vec![of(false)]).unwrap();
    assert_eq!(result, "error");
    assert!(why.contains("cluster west answers no replica"), "{why}");
    assert_eq!(unreachable(vec![of(false), of(true)]), None);
}
