//! What is found, and the text that people see of it.

use super::facts::{FallbackFacts, HidingProfile, ParentFacts, SetFacts, TimeoutPlace};
use super::*;
use crate::engine::{FieldPath, Health, Unknown};
use crate::kinds::linkerd::failfast::{self, EnvList, Failfast, FailfastTimeout};
use crate::kinds::linkerd::failure_accrual::{self, FailureAccrual};
use crate::kinds::linkerd::retry_policy::{self, RetryConditions, RetryPolicy, TIMEOUT};
use crate::kinds::retries::{GRPC, HTTP, LIMIT};
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use std::collections::BTreeMap;
use std::time::Duration;

fn service(name: &str) -> ObjectKey {
    ObjectKey::new("emojivoto", name)
}

fn object(kind: Kind) -> ObjectRef {
    ObjectRef::new(kind, service("emoji"))
}

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn known(timeout: u64, set_in: Option<EnvList>) -> Failfast {
    Failfast::Known(FailfastTimeout { timeout: milliseconds(timeout), set_in })
}

fn enabled(min: u64, max: u64) -> FailureAccrual {
    let (min_penalty, max_penalty) = (milliseconds(min), milliseconds(max));
    FailureAccrual::Enabled { min_penalty, max_penalty }
}

fn fallback(name: &str, health: Health) -> FallbackFacts {
    FallbackFacts { service: service(name), port: Some(8080), health }
}

fn rule(nth: usize, fallbacks: Vec<FallbackFacts>) -> SetFacts {
    SetFacts { path: FieldPath::from("spec.rules").index(nth).field("backendRefs"), fallbacks }
}

/// A route that lacks nothing.
fn complete(kind: Kind) -> ObjectFacts {
    ObjectFacts {
        object: object(kind),
        warm_standby: true,
        retries: RetryPolicy::Sufficient,
        sets: vec![rule(0, vec![fallback("emoji-svc-west", Health::seen(2, 2))])],
        parents: vec![ParentFacts {
            service: service("emoji-svc"),
            retries: RetryPolicy::Absent,
            accrual: enabled(10_000, 60_000),
            profile: None,
        }],
        accrual_of_backends: vec![],
        timeouts: vec![],
        failfast: known(200, Some(EnvList::Additional)),
    }
}

/// A new namespace with Linkerd as it comes, and a route without anything.
fn bare(kind: Kind) -> ObjectFacts {
    let mut facts = complete(kind);
    facts.warm_standby = false;
    facts.retries = RetryPolicy::Absent;
    facts.sets[0].fallbacks[0].health = Health::seen(0, 0);
    facts.parents[0].accrual = FailureAccrual::Absent;
    facts.failfast = known(3_000, None);
    facts
}

fn warnings_of(facts: &ObjectFacts) -> String {
    let advice = |finding: Finding| finding.advice(&facts.object).into_warning().to_string();
    findings(facts).into_iter().map(|finding| advice(finding) + "\n").collect()
}

#[test]
fn an_object_that_lacks_nothing_has_no_findings() {
    for kind in [Kind::HttpRoute, Kind::GrpcRoute] {
        assert_eq!(findings(&complete(kind)), []);
    }
    // Of a split there is always one: what a route would add.
    assert_eq!(findings(&complete(Kind::TrafficSplit))[0], Finding::Split);
}

#[test]
fn everything_that_a_route_can_lack_has_the_line_that_mends_it() {
    insta::assert_snapshot!(warnings_of(&bare(Kind::HttpRoute)), @r#"
    metadata.annotations[failover.linkerd.io/warm-standby]: found no warm standby, expected "true"; a request knows no backend but the lost one, until the weights have moved: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji failover.linkerd.io/warm-standby=true
    spec.rules[0].backendRefs: found emoji-svc-west: no endpoints, expected a fallback that is ready now; without one the loss of the primary is an outage: kubectl get endpointslices -n emojivoto -l kubernetes.io/service-name=emoji-svc-west
    metadata.annotations[retry.linkerd.io/http]: found no retries, expected gateway-error; a request that a lost backend leaves unanswered fails; a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/http=gateway-error retry.linkerd.io/limit=2
    spec.parentRefs: found a failfast timeout of 3s in callers' proxies, Linkerd's default, expected at most 1s; a request that meets a lost backend waits for so long before it is repeated (callers with config.linkerd.io/proxy-additional-env on their namespace or pods are not known). Set it, and restart callers: proxy: {additionalEnv: [{name: LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT, value: 200ms}]} in Linkerd's values
    spec.parentRefs: found Service emojivoto/emoji-svc without failure accrual, expected balancer.linkerd.io/failure-accrual: consecutive; pods that are ready and answer with errors keep their traffic: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual=consecutive balancer.linkerd.io/failure-accrual-consecutive-min-penalty=10s
    "#);
}

#[test]
fn a_grpc_route_lacks_a_status_of_its_own_kind() {
    let mut facts = complete(Kind::GrpcRoute);
    facts.retries = RetryPolicy::Absent;
    insta::assert_snapshot!(warnings_of(&facts), @"metadata.annotations[retry.linkerd.io/grpc]: found no retries, expected unavailable; a request that a lost backend leaves unanswered fails; a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite grpcroutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/grpc=unavailable retry.linkerd.io/limit=2");
}

#[test]
fn a_split_has_warm_standby_and_hides_what_its_services_ask_for() {
    insta::assert_snapshot!(warnings_of(&complete(Kind::TrafficSplit)), @"
    spec.service: found a TrafficSplit, expected an HTTPRoute or a GRPCRoute; Linkerd neither repeats requests of a split nor has failure accrual with it, so that it has warm standby alone; this prints the route that does the same: kubectl get trafficsplits.split.smi-spec.io -n emojivoto emoji -o yaml | linkerd-failover migrate -f -
    spec.service: found Service emojivoto/emoji-svc with balancer.linkerd.io/failure-accrual, expected a route, with which Linkerd follows them; Linkerd follows the ServiceProfile of this split, and they do nothing; this prints the route that does the same: kubectl get trafficsplits.split.smi-spec.io -n emojivoto emoji -o yaml | linkerd-failover migrate -f -
    ");
    let mut facts = complete(Kind::TrafficSplit);
    facts.parents[0].retries = RetryPolicy::Sufficient;
    facts.parents[0].accrual = FailureAccrual::Absent;
    let found = findings(&facts);
    let annotations = vec!["retry.linkerd.io/…".into()];
    let without_effect = Finding::WithoutEffect { service: service("emoji-svc"), annotations };
    assert_eq!(found, [Finding::Split, without_effect.clone()]);
    assert!(without_effect.is_always_reported() && !Finding::Split.is_always_reported());
}

#[test]
fn a_profile_that_hides_a_route_goes_with_the_split_that_it_is_made_of() {
    let mut facts = complete(Kind::HttpRoute);
    let profile = service("emoji-svc.emojivoto.svc.cluster.local");
    let hiding = |split| Some(HidingProfile { profile: profile.clone(), split });
    facts.parents[0].profile = hiding(Some(ObjectRef::new(Kind::TrafficSplit, service("old"))));
    let by_split = warnings_of(&facts);
    facts.parents[0].profile = hiding(None);
    insta::assert_snapshot!(by_split + &warnings_of(&facts), @"
    spec.parentRefs: found the ServiceProfile emojivoto/emoji-svc.emojivoto.svc.cluster.local, expected no ServiceProfile that takes precedence over the route; Linkerd follows the profile, and neither this route nor its retries nor failure accrual, which its Service asks for by balancer.linkerd.io/failure-accrual: kubectl delete trafficsplits.split.smi-spec.io -n emojivoto old
    spec.parentRefs: found the ServiceProfile emojivoto/emoji-svc.emojivoto.svc.cluster.local, expected no ServiceProfile that takes precedence over the route; Linkerd follows the profile, and neither this route nor its retries nor failure accrual, which its Service asks for by balancer.linkerd.io/failure-accrual: kubectl delete serviceprofiles.linkerd.io -n emojivoto emoji-svc.emojivoto.svc.cluster.local
    ");
}

#[test]
fn each_rule_needs_a_fallback_and_one_that_is_ready() {
    let mut facts = complete(Kind::HttpRoute);
    let west = || fallback("emoji-svc-west", Health::seen(0, 3));
    let cluster = "north".into();
    facts.sets = vec![
        rule(0, vec![]),
        rule(1, vec![west(), fallback("emoji-svc-east", Health::Missing)]),
        // Not known is not down.
        rule(2, vec![fallback("emoji-svc-north", Health::Unknown(Unknown::NotLinked { cluster }))]),
        rule(3, vec![west(), fallback("emoji-svc-south", Health::seen(1, 1))]),
    ];
    insta::assert_snapshot!(warnings_of(&facts), @"
    spec.rules[0].backendRefs: found one backend, expected a fallback beside it; its requests have nowhere else to go, and are repeated all the same; add: - {name: emoji-svc-west, port: 8080, weight: 0}
    spec.rules[1].backendRefs: found emoji-svc-west: 0 of 3 endpoints ready, emoji-svc-east: no such Service, expected a fallback that is ready now; without one the loss of the primary is an outage: kubectl get endpointslices -n emojivoto -l kubernetes.io/service-name=emoji-svc-west
    ");
    // Nowhere in the object is there one to name.
    facts.sets = vec![rule(0, vec![])];
    insta::assert_snapshot!(warnings_of(&facts), @"spec.rules[0].backendRefs: found one backend, expected a fallback beside it; its requests have nowhere else to go, and are repeated all the same; add: - {name: <fallback>, port: <port>, weight: 0}");
}

#[test]
fn retries_are_those_of_the_route_and_of_its_services_only_where_it_has_none() {
    let of = |route: RetryPolicy, services: &[RetryPolicy]| {
        let mut facts = complete(Kind::HttpRoute);
        facts.retries = route;
        let parent = facts.parents.remove(0);
        facts.parents = services
            .iter()
            .enumerate()
            .map(|(i, retries)| ParentFacts {
                service: service(&format!("svc-{i}")),
                retries: retries.clone(),
                ..parent.clone()
            })
            .collect();
        findings(&facts)
    };
    use RetryPolicy::{Absent, Sufficient};
    let forbidden = || RetryPolicy::Forbidden { lacking: None };
    let found = |service| [Finding::RetriesForbidden { service, lacking: None }];
    assert_eq!(of(Sufficient, &[forbidden()]), []);
    assert_eq!(of(Absent, &[Sufficient]), []);
    assert_eq!(of(Absent, &[Absent, Absent]), [Finding::NoRetries { service: None }]);
    assert_eq!(of(Absent, &[]), [Finding::NoRetries { service: None }]);
    // On the route they would take the place of the author's, for both.
    let second = Some(service("svc-1"));
    assert_eq!(of(Absent, &[Sufficient, Absent]), [Finding::NoRetries { service: second.clone() }]);
    assert_eq!(of(Absent, &[Sufficient, forbidden()]), found(second));
    assert_eq!(of(forbidden(), &[Sufficient]), found(None));
}

#[test]
fn retries_that_do_not_help_are_quoted_with_those_that_do() {
    let unreadable = |name, value: &str| RetryPolicy::Unreadable { name, value: value.into() };
    let mut text = String::new();
    for (kind, retries) in [
        (Kind::HttpRoute, RetryPolicy::Forbidden { lacking: None }),
        (Kind::HttpRoute, RetryPolicy::Forbidden { lacking: Some("429,gateway-error".into()) }),
        (Kind::HttpRoute, RetryPolicy::Partial(Some("500".into()))),
        (Kind::HttpRoute, RetryPolicy::Partial(None)),
        (Kind::HttpRoute, unreadable(HTTP, "503, 504")),
        (Kind::GrpcRoute, unreadable(GRPC, "unknown")),
        (Kind::HttpRoute, unreadable(LIMIT, "many")),
        (Kind::HttpRoute, unreadable(TIMEOUT, "0.5s")),
    ] {
        let mut facts = complete(kind);
        facts.retries = retries;
        text += &warnings_of(&facts);
    }
    let mut facts = complete(Kind::HttpRoute);
    facts.retries = RetryPolicy::Absent;
    facts.parents[0].retries = RetryPolicy::Partial(Some("500".into()));
    text += &warnings_of(&facts);
    insta::assert_snapshot!(text, @r#"
    metadata.annotations[retry.linkerd.io/limit]: found "0", expected 1 or more; retries count as forbidden and are not added (Linkerd itself ignores a limit of 0: beside a condition it retries once); a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/limit=2
    metadata.annotations[retry.linkerd.io/limit]: found "0", expected 1 or more; retries count as forbidden and are not added (Linkerd itself ignores a limit of 0: beside a condition it retries once); a retried request may have reached the pod that died: only requests that may be repeated should be: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/limit=2 retry.linkerd.io/http=429,gateway-error
    metadata.annotations[retry.linkerd.io/http]: found "500", expected gateway-error among them; what proxies answer in place of a lost backend is not repeated: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/http=500,gateway-error
    metadata.annotations[retry.linkerd.io/http]: found no conditions, expected gateway-error among them; what proxies answer in place of a lost backend is not repeated: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/http=gateway-error
    metadata.annotations[retry.linkerd.io/http]: found "503, 504", expected a list that Linkerd can read, without spaces; Linkerd cannot read it, and ignores all retries there: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/http=gateway-error
    metadata.annotations[retry.linkerd.io/grpc]: found "unknown", expected a list that Linkerd can read, without spaces; Linkerd cannot read it, and ignores all retries there: kubectl annotate --overwrite grpcroutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/grpc=unavailable
    metadata.annotations[retry.linkerd.io/limit]: found "many", expected a whole number of at most 65535; Linkerd cannot read it, and ignores all retries there: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/limit=2
    metadata.annotations[retry.linkerd.io/timeout]: found "0.5s", expected a whole number and ms, s, m, h or d; Linkerd cannot read it, and ignores all retries there: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji retry.linkerd.io/timeout-
    spec.parentRefs: found "500" on Service emojivoto/emoji-svc, expected gateway-error among them; what proxies answer in place of a lost backend is not repeated: kubectl annotate --overwrite service -n emojivoto emoji-svc retry.linkerd.io/http=500,gateway-error
    "#);
}

#[test]
fn the_failfast_timeout_is_short_long_or_not_known() {
    let with = |failfast: Failfast| {
        let mut facts = complete(Kind::HttpRoute);
        facts.failfast = failfast;
        warnings_of(&facts)
    };
    for short in [0, 200, 1_000] {
        assert_eq!(with(known(short, Some(EnvList::Additional))), "");
    }
    let own = ObjectKey::new("linkerd-failover", "linkerd-failover");
    let text = [
        known(1_001, Some(EnvList::Experimental)),
        Failfast::NotRead,
        Failfast::without_config_map("linkerd"),
        Failfast::forbidden("linkerd", &own),
        failfast::read(Some("proxy: [")),
    ];
    insta::assert_snapshot!(text.map(with).concat(), @"
    spec.parentRefs: found a failfast timeout of 1001ms in callers' proxies, by proxy.experimentalEnv, expected at most 1s; a request that meets a lost backend waits for so long before it is repeated (callers with config.linkerd.io/proxy-additional-env on their namespace or pods are not known). Set it, and restart callers: proxy: {experimentalEnv: [{name: LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT, value: 200ms}]} in Linkerd's values
    spec.parentRefs: found callers' proxies whose failfast timeout is not known, expected at most 1s; nothing has been read yet; a request that meets a lost backend waits for so long, by default 3s, before it is repeated: it is read once a minute
    spec.parentRefs: found callers' proxies whose failfast timeout is not known, expected at most 1s; there is no ConfigMap linkerd-config in namespace linkerd; a request that meets a lost backend waits for so long, by default 3s, before it is repeated: kubectl get configmaps -A --field-selector=metadata.name=linkerd-config finds Linkerd's namespace, which the chart's value linkerdNamespace names
    spec.parentRefs: found callers' proxies whose failfast timeout is not known, expected at most 1s; linkerd-failover/linkerd-failover may not read ConfigMap linkerd-config in namespace linkerd; a request that meets a lost backend waits for so long, by default 3s, before it is repeated: kubectl create rolebinding linkerd-failover-linkerd-config -n linkerd --role=ext-namespace-metadata-linkerd-config --serviceaccount=linkerd-failover:linkerd-failover
    spec.parentRefs: found callers' proxies whose failfast timeout is not known, expected at most 1s; Linkerd's values in ConfigMap linkerd-config cannot be read: expected mapping start at line 1, column 8; a request that meets a lost backend waits for so long, by default 3s, before it is repeated: linkerd check shows whether Linkerd can
    ");
}

#[test]
fn a_request_timeout_leaves_time_for_the_failfast_timeout() {
    let with = |set_on: TimeoutPlace, timeout: u64, failfast: Failfast| {
        let mut facts = complete(Kind::HttpRoute);
        facts.failfast = failfast;
        let longer = (TimeoutPlace::Object, milliseconds(60_000));
        facts.timeouts = vec![longer, (set_on, milliseconds(timeout))];
        let found = findings(&facts).into_iter();
        let found = found.filter(|finding| matches!(finding, Finding::ShortTimeout(_)));
        found.map(|f| f.advice(&facts.object).into_warning().to_string() + "\n").collect::<String>()
    };
    let rule = || TimeoutPlace::Rule(FieldPath::from("spec.rules[0].timeouts.request"));
    let of_service = || TimeoutPlace::Service(service("emoji-svc"));
    let short = || known(200, Some(EnvList::Additional));
    for (set_on, failfast) in [(TimeoutPlace::Object, short()), (rule(), short())] {
        assert_eq!(with(set_on, 201, failfast), "");
    }
    assert_eq!(with(rule(), 1, Failfast::NotRead), "", "not known");
    let text = [
        with(TimeoutPlace::Object, 1_000, known(3_000, None)),
        with(rule(), 3_000, known(3_000, Some(EnvList::Experimental))),
        with(rule(), 200, short()),
        with(of_service(), 150, short()),
        with(TimeoutPlace::Object, 150, known(3_000, None)),
    ];
    insta::assert_snapshot!(text.concat(), @"
    metadata.annotations[timeout.linkerd.io/request]: found a request timeout of 1s, expected more than 3s, the failfast timeout of callers' proxies; a request that meets a lost backend reaches its timeout first, and Linkerd repeats none that has: proxy: {additionalEnv: [{name: LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT, value: 200ms}]} in Linkerd's values
    spec.rules[0].timeouts.request: found a request timeout of 3s, expected more than 3s, the failfast timeout of callers' proxies; a request that meets a lost backend reaches its timeout first, and Linkerd repeats none that has: proxy: {experimentalEnv: [{name: LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT, value: 200ms}]} in Linkerd's values
    spec.rules[0].timeouts.request: found a request timeout of 200ms, expected more than 200ms, the failfast timeout of callers' proxies; a request that meets a lost backend reaches its timeout first, and Linkerd repeats none that has: timeouts: {request: 1s}
    spec.parentRefs: found a request timeout of 150ms on Service emojivoto/emoji-svc, expected more than 200ms, the failfast timeout of callers' proxies; a request that meets a lost backend reaches its timeout first, and Linkerd repeats none that has: kubectl annotate --overwrite service -n emojivoto emoji-svc timeout.linkerd.io/request=1s
    metadata.annotations[timeout.linkerd.io/request]: found a request timeout of 150ms, expected more than 3s, the failfast timeout of callers' proxies; a request that meets a lost backend reaches its timeout first, and Linkerd repeats none that has: kubectl annotate --overwrite httproutes.gateway.networking.k8s.io -n emojivoto emoji timeout.linkerd.io/request=1s
    ");
}

#[test]
fn rules_with_the_same_fallbacks_are_reported_together() {
    let mut facts = complete(Kind::HttpRoute);
    let down = |name| vec![fallback(name, Health::seen(0, 3))];
    facts.sets = (0..16).map(|nth| rule(nth, down(["west", "east"][nth % 2]))).collect();
    insta::assert_snapshot!(warnings_of(&facts), @"
    spec.rules[0].backendRefs: found west: 0 of 3 endpoints ready, in 8 rules, expected a fallback that is ready now; without one the loss of the primary is an outage: kubectl get endpointslices -n emojivoto -l kubernetes.io/service-name=west
    spec.rules[1].backendRefs: found east: 0 of 3 endpoints ready, in 8 rules, expected a fallback that is ready now; without one the loss of the primary is an outage: kubectl get endpointslices -n emojivoto -l kubernetes.io/service-name=east
    ");
}

#[test]
fn failure_accrual_probes_no_sooner_than_a_backend_is_given_up() {
    let with = |accrual: FailureAccrual, failfast: Failfast| {
        let mut facts = complete(Kind::HttpRoute);
        facts.failfast = failfast;
        facts.parents[0].accrual = accrual;
        let of_accrual = |finding: &Finding| {
            !matches!(finding, Finding::LongFailfast { .. } | Finding::FailfastNotKnown(_))
        };
        let found: Vec<Finding> = findings(&facts).into_iter().filter(of_accrual).collect();
        let advice = |finding: Finding| finding.advice(&facts.object).into_warning().to_string();
        found.into_iter().map(|finding| advice(finding) + "\n").collect::<String>()
    };
    let short = || known(200, Some(EnvList::Additional));
    let default = || known(3_000, None);
    // Linkerd's default penalty is a second.
    assert_eq!(with(enabled(1_000, 60_000), short()), "");
    assert_eq!(with(enabled(3_000, 60_000), default()), "");
    assert_eq!(with(enabled(3_000, 60_000), Failfast::NotRead), "");
    let is_unknown = |failfast: Failfast| {
        let mut facts = complete(Kind::HttpRoute);
        facts.failfast = failfast;
        facts.parents[0].accrual = enabled(1_000, 60_000);
        findings(&facts).iter().all(Finding::is_unknown)
    };
    assert!(is_unknown(Failfast::NotRead));
    assert!(!is_unknown(default()), "what follows from a known one is a warning");
    let min = "balancer.linkerd.io/failure-accrual-consecutive-min-penalty";
    let mode = "balancer.linkerd.io/failure-accrual";
    let unreadable = |name, value: &str| FailureAccrual::Unreadable { name, value: value.into() };
    let text = [
        with(enabled(1_000, 60_000), default()),
        with(enabled(2_999, 5_000), Failfast::NotRead),
        with(enabled(100, 200), short()),
        with(enabled(1_000, 60_000), known(20_000, Some(EnvList::Additional))),
        with(unreadable(min, "10"), short()),
        with(unreadable(mode, "yes"), short()),
    ];
    insta::assert_snapshot!(text.concat(), @r#"
    spec.parentRefs: found Service emojivoto/emoji-svc with failure accrual that probes after 1s, expected 3s or more; under the failfast timeout a probe comes before the backend is given up, and its errors reach callers: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual-consecutive-min-penalty=10s
    spec.parentRefs: found Service emojivoto/emoji-svc with failure accrual that probes after 2999ms, expected 3s or more, if the failfast timeout of callers' proxies is the default, which is not known here; under the failfast timeout a probe comes before the backend is given up, and its errors reach callers: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual-consecutive-min-penalty=10s balancer.linkerd.io/failure-accrual-consecutive-max-penalty=60s
    spec.parentRefs: found Service emojivoto/emoji-svc with failure accrual that probes after 100ms, expected 200ms or more; under the failfast timeout a probe comes before the backend is given up, and its errors reach callers: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual-consecutive-min-penalty=10s balancer.linkerd.io/failure-accrual-consecutive-max-penalty=60s
    spec.parentRefs: found Service emojivoto/emoji-svc with failure accrual that probes after 1s, expected 20s or more; under the failfast timeout a probe comes before the backend is given up, and its errors reach callers: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual-consecutive-min-penalty=60s
    spec.parentRefs: found Service emojivoto/emoji-svc with balancer.linkerd.io/failure-accrual-consecutive-min-penalty: "10", expected a value that Linkerd can read, and penalties in order; Linkerd ignores all failure accrual of that Service: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual-consecutive-min-penalty-
    spec.parentRefs: found Service emojivoto/emoji-svc with balancer.linkerd.io/failure-accrual: "yes", expected consecutive; Linkerd ignores all failure accrual of that Service: kubectl annotate --overwrite service -n emojivoto emoji-svc balancer.linkerd.io/failure-accrual=consecutive
    "#);
}

/// Whoever does what a finding says has one finding less, and no other.
#[test]
fn an_advised_penalty_is_one_that_linkerd_takes_and_that_is_not_reported() {
    for failfast in [0, 1, 200, 999, 1_000, 3_000, 3_400, 9_999, 20_000, 600_000, u64::MAX] {
        for (min, max) in [(0, 1), (1, 60_000), (1_000, 60_000), (5_000, 5_000)] {
            let mut facts = complete(Kind::HttpRoute);
            facts.failfast = known(failfast, Some(EnvList::Additional));
            facts.parents[0].accrual = enabled(min, max);
            let found = findings(&facts);
            let probes = found.iter().find_map(|finding| match finding {
                Finding::EarlyProbes(probes) => Some(probes.clone()),
                _ => None,
            });
            let Some(probes) = probes else { continue };
            let max_penalty = probes.max_penalty.unwrap_or(milliseconds(max));
            assert!(probes.advised <= max_penalty, "{failfast} {min} {max}: {probes:?}");
            let min_penalty = probes.advised;
            facts.parents[0].accrual = FailureAccrual::Enabled { min_penalty, max_penalty };
            let less: Vec<Finding> =
                found.into_iter().filter(|f| !matches!(f, Finding::EarlyProbes(_))).collect();
            assert_eq!(findings(&facts), less, "{failfast} {min} {max}");
        }
    }
}

type Annotations = BTreeMap<String, String>;

fn annotations(all: &[(&str, &str)]) -> Annotations {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Does what `kubectl annotate --overwrite` does, to the route or to the Service.
fn run(line: &str, route: &mut Annotations, service: &mut Annotations) {
    let arguments = line.strip_prefix("kubectl annotate --overwrite ").expect(line);
    let mut arguments = arguments.split_whitespace();
    let of = if arguments.next() == Some("service") { service } else { route };
    for argument in arguments.skip(3) {
        match (argument.split_once('='), argument.strip_suffix('-')) {
            (Some((name, value)), _) => of.insert(name.to_owned(), value.to_owned()),
            (None, Some(name)) => of.remove(name),
            (None, None) => panic!("{line}"),
        };
    }
}

#[test]
fn whoever_runs_the_lines_of_a_route_and_its_service_lacks_nothing_in_the_end() {
    let penalty = |end| format!("balancer.linkerd.io/failure-accrual-consecutive-{end}");
    let (min, max, jitter) =
        (penalty("min-penalty"), penalty("max-penalty"), penalty("jitter-ratio"));
    let (min, max, jitter) = (min.as_str(), max.as_str(), jitter.as_str());
    let mode = "balancer.linkerd.io/failure-accrual";
    for (route, service) in [
        (&[][..], &[][..]),
        (&[(LIMIT, "0")], &[(mode, "on"), (min, "10"), (max, "0"), (jitter, "no")]),
        (&[(HTTP, "5xx "), (LIMIT, "-1"), (TIMEOUT, "x")], &[(mode, "consecutive"), (min, "2m")]),
        (&[(GRPC, "unknown"), (HTTP, "500")], &[(mode, "unified"), (max, "500ms")]),
        (&[], &[(HTTP, "503"), (GRPC, "internal"), (LIMIT, "0"), (mode, "consecutive")]),
        (&[(TIMEOUT, "1s")], &[(mode, "consecutive"), (min, "1s"), (max, "2s")]),
    ] {
        for kind in [Kind::HttpRoute, Kind::GrpcRoute] {
            let (mut route, mut service) = (annotations(route), annotations(service));
            let facts = |route: &Annotations, service: &Annotations| {
                let mut facts = complete(kind);
                facts.failfast = known(3_000, None);
                let conditions = RetryConditions::of(kind);
                let retries = |of: &Annotations| {
                    retry_policy::read(conditions, |name| of.get(name).map(String::as_str))
                };
                facts.retries = retries(route);
                facts.parents[0].retries = retries(service);
                facts.parents[0].accrual =
                    failure_accrual::read(|name| service.get(name).map(String::as_str));
                facts
            };
            let of_annotations =
                |finding: &Finding| !matches!(finding, Finding::LongFailfast { .. });
            for _ in 0..8 {
                let facts = facts(&route, &service);
                for finding in findings(&facts).iter().filter(|f| of_annotations(f)) {
                    run(&finding.advice(&facts.object).line, &mut route, &mut service);
                }
            }
            let left: Vec<Finding> =
                findings(&facts(&route, &service)).into_iter().filter(of_annotations).collect();
            assert_eq!(left, [], "{kind:?} {route:?} {service:?}");
        }
    }
}
