//! Planted faults: for each target, the check that finds a wrong answer.

use super::*;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::deletion_guard::Announcement;
use crate::engine::{Defaults, Intent, State};
use crate::fuzz::input::Source;
use crate::fuzz::world::{World, typed};
use crate::kinds::{Edit, Kind};
use crate::telemetry::ReviewPath;
use crate::webhook::pod_deletion_request::SkipReason;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use webhook_certs::{Change, Data, Lifetimes, Observed, Step, next_step};

/// The message of the panic by which a check finds a fault.
#[track_caller]
fn found(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("the fault is not found");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast_ref::<&str>().expect("a message")).to_owned(),
    }
}

fn split(annotations: Value) -> Value {
    json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "emoji", "namespace": "emojivoto", "uid": "u", "resourceVersion": "1",
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}, "annotations": annotations},
        "spec": {"service": "web", "backends": [
            {"service": "web", "weight": 1}, {"service": "web-west", "weight": 0}]}})
}

fn intents(split: &Value) -> Vec<Intent> {
    let declared = Kind::TrafficSplit.read(&typed(split.clone()));
    Intent::parse(&declared, &Defaults::default()).expect("a split that can be read")
}

#[test]
fn a_reader_that_reads_another_value_is_found() {
    use annotations::{Value, agree};
    let minute = || Some(Value::Delay(60_000_000_000));
    agree("failback-delay", "1m", minute(), minute());
    found(|| agree("failback-delay", "1m", Some(Value::Delay(60)), minute()));
    found(|| agree("failback-delay", "1 m", minute(), None));
    found(|| agree("failback-delay", "1m", None, minute()));
    found(|| agree("pin-until", "2026-01-31T14:30:61Z", Some(Value::Time(1)), None));
}

#[test]
fn an_announcement_of_another_pod_and_a_deletion_that_is_not_announced_are_found() {
    let review = json!({"request": {"uid": "u", "name": "web-1", "namespace": "ns"}});
    let announced =
        |name: &str| Announcement { namespace: "ns".into(), name: name.into(), uid: None };
    announcements::agree(&review, &Ok(announced("web-1")));
    found(|| announcements::agree(&review, &Ok(announced("web-2"))));
    found(|| announcements::agree(&review, &Err(SkipReason::DryRun)));
    found(|| announcements::agree(&review, &Err(SkipReason::TooLate)));
    let message = br#"{"namespace":"ns","name":"web-1"}"#;
    announcements::arrived(&announced("web-1"), message);
    found(|| announcements::arrived(&announced("web-2"), message));
}

#[test]
fn a_rotation_that_never_ends_and_a_ca_that_nobody_trusts_are_found() {
    let data = ca_secrets::created(&ca_secrets::names(), ca_secrets::now());
    let step = |observed: Observed<'_>| {
        next_step(observed, &ca_secrets::names(), &Lifetimes::default(), ca_secrets::now()).unwrap()
    };
    ca_secrets::settles(data.clone(), None, true, step);
    let mut writes = 0_u8;
    let again = found(|| {
        ca_secrets::settles(data.clone(), None, false, |_| {
            writes += 1;
            let data = Data::from([("ca.crt".to_owned(), vec![writes])]);
            Step::Write { data, change: Change::Created }
        });
    });
    assert!(again.contains("again and again"), "{again}");
    found(|| {
        ca_secrets::settles(data.clone(), None, false, |observed| Step::Write {
            data: observed.data.clone(),
            change: Change::Created,
        });
    });
    let untrusted = found(|| {
        ca_secrets::settles(data.clone(), None, false, |observed| match step(observed) {
            Step::Use(mut in_use) => {
                in_use.bundle.clear();
                Step::Use(in_use)
            }
            write => write,
        });
    });
    assert!(untrusted.contains("nobody trusts"), "{untrusted}");
}

#[test]
fn an_intent_with_a_backend_in_two_tiers_is_found() {
    let mut intent = intents(&split(json!({}))).remove(0);
    documents::check_intent(&intent);
    intent.tiers[1] = intent.tiers[0].clone();
    found(|| documents::check_intent(&intent));
}

#[test]
fn a_mutator_that_is_not_idempotent_is_found() {
    let mut world = World::of(&mut Source::new(&[]));
    let document = split(json!({}));
    let declared = Kind::TrafficSplit.read(&typed(document.clone()));
    let mut check = |mutator: &dyn Fn(&ReviewedObject<'_>) -> Edit| {
        let kind = Kind::TrafficSplit;
        documents::check_verdict(&mut world, kind, &document, &declared, |new, _| mutator(new));
    };
    check(&|_| Edit::default());
    let calls = Cell::new(0);
    let counts = |_: &ReviewedObject<'_>| {
        calls.set(calls.get() + 1);
        let mut edit = Edit::default();
        edit.annotations(true, &[("example.com/calls", calls.get().to_string())]);
        edit
    };
    let message = found(|| check(&counts));
    assert!(message.contains("a second call changes more"), "{message}");
    let unreadable = |_: &ReviewedObject<'_>| {
        let mut edit = Edit::default();
        edit.set(&["spec", "service"], json!(7));
        edit
    };
    let message = found(|| check(&unreadable));
    assert!(message.contains("unreadable"), "{message}");
}

#[test]
fn a_validator_that_takes_what_the_parser_refuses_is_found() {
    let object: SentObject = typed(split(json!({"failover.linkerd.io/paused": "perhaps"})));
    let refused = Intent::parse(&Kind::TrafficSplit.read(&object), &Defaults::default());
    documents::agree(&refused, false, Kind::TrafficSplit, &object);
    found(|| documents::agree(&refused, true, Kind::TrafficSplit, &object));
    // And a parser that takes what the controller finds faults in.
    let taken = Ok(intents(&split(json!({}))));
    found(|| documents::agree(&taken, true, Kind::TrafficSplit, &object));
}

#[test]
fn a_write_that_changes_the_intent_is_found() {
    let before = intents(&split(json!({})));
    let after = intents(&split(json!({"failover.linkerd.io/failback": "manual"})));
    let declared = Kind::TrafficSplit.read(&typed(split(json!({}))));
    let written =
        |weights: &[u32]| documents::Written { weights: weights.to_vec(), changes_weights: true };
    documents::check_written(&declared, &written(&[1, 0]), &before, &before);
    found(|| documents::check_written(&declared, &written(&[1, 0]), &before, &after));
    let mut zero = before.clone();
    zero[0].backends[0].live = 0;
    let message = found(|| documents::check_written(&declared, &written(&[0, 0]), &before, &zero));
    assert!(message.contains("zero"), "{message}");
    found(|| documents::check_written(&declared, &written(&[0, 1]), &before, &before));
}

#[test]
fn a_kubeconfig_that_is_used_with_a_program_in_it_and_a_refusal_that_quotes_are_found() {
    let user = json!({"exec": {"command": "/bin/x"}});
    let kubeconfig = json!({"contexts": [{"context": {"user": "west"}}], "users": [{"name": "west", "user": user}]});
    kubeconfigs::agree(&kubeconfig, false);
    found(|| kubeconfigs::agree(&kubeconfig, true));
    found(|| kubeconfigs::quotes_nothing("users[].user.token: found hunter2"));
}

#[test]
fn two_leaders_and_a_claim_of_another_are_found() {
    leases::one_leads(&[true, false]);
    found(|| leases::one_leads(&[true, true]));
    let (mine, now) = (leases::claim("me"), Timestamp::from_second(1_000_000).unwrap());
    let claimed = |of: &str| {
        let step = crate::leader_election::election::ElectionStep::Create;
        leases::claim(of).claimed(step, None, now).unwrap()
    };
    leases::taken(&mine, &claimed("me"), now);
    found(|| leases::taken(&mine, &claimed("other"), now));
    found(|| leases::taken(&mine, &claimed("me"), now + jiff::SignedDuration::from_hours(1)));
}

#[test]
fn a_route_with_other_weights_than_its_split_is_found() {
    let splits = [split(json!({}))];
    let route = |weight: u32| {
        typed(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "emoji", "namespace": "emojivoto"},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "web"}], "rules": [
                {"backendRefs": [{"name": "web", "port": 8080, "weight": 1},
                    {"name": "web-west", "port": 8080, "weight": weight}]}]}}))
    };
    migrations::migrates(&route(0), &splits);
    found(|| migrations::migrates(&route(1), &splits));
}

#[test]
fn an_index_that_depends_on_the_order_is_found() {
    let slice = |ready: bool| orders::Event::Slice {
        name: "s0",
        version: 20,
        manifest: json!({"addressType": "IPv4", "ports": [{"name": "http"}],
            "metadata": {"labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}]}),
    };
    let service = orders::Event::Service {
        name: "web",
        version: 10,
        manifest: json!({"metadata": {}, "spec": {"ports": [{"name": "http", "port": 8080}]}}),
    };
    let events = [service.clone(), slice(true)];
    let arrived = |events: &[orders::Event]| orders::Arrived::listed(events, &split(json!({})));
    orders::same(&arrived(&events), &arrived(&[slice(true), service.clone()]));
    // As if a late answer had overwritten what is newer.
    found(|| orders::same(&arrived(&events), &arrived(&[service.clone(), slice(false)])));
    // And as if one had brought back what is deleted.
    let gone = match slice(true) {
        orders::Event::Slice { version, manifest, .. } => {
            orders::Event::Slice { name: "gone", version, manifest }
        }
        service => service,
    };
    found(|| orders::same(&arrived(&events), &arrived(&[service.clone(), slice(true), gone])));
    orders::counted(&arrived(&events), &events);
    found(|| orders::counted(&arrived(&events), &[service.clone(), slice(false)]));
}

#[test]
fn a_record_that_reads_back_otherwise_is_found() {
    let state =
        State::parse(r#"{"v":1,"sets":{"":{"active":["a"],"since":"1970-01-01T00:00:00Z"}}}"#)
            .unwrap();
    records::same_state(&state, &state.to_annotation());
    found(|| records::same_state(&state, &state.to_annotation().replace("\"a\"", "\"b\"")));
    let record = crate::engine::AuthoredWeights::default();
    records::same_authored(&record, &record.to_annotation());
    found(|| records::same_authored(&record, r#"{"v":1,"sets":{"":{"a":1}}}"#));
}

#[test]
fn an_answer_that_an_api_server_would_not_take_is_found() {
    let answer = |response: Value| json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response});
    let object = split(json!({}));
    let check = |path: ReviewPath, response: Value| {
        drop(reviews::checked_answer(path, Some("u-1"), Some(&object), &answer(response)));
    };
    check(ReviewPath::Validate, json!({"uid": "u-1", "allowed": true}));
    check(ReviewPath::Validate, json!({"uid": "u-1", "allowed": false, "status": {"code": 403}}));
    for wrong in [
        json!({"allowed": true}),
        json!({"uid": "", "allowed": true}),
        json!({"uid": "u-2", "allowed": true}),
        json!({"uid": "u-1"}),
        json!({"uid": "u-1", "allowed": false}),
        json!({"uid": "u-1", "allowed": false, "status": {"code": 422}}),
        json!({"uid": "u-1", "allowed": false, "status": {"code": 409}}),
        // A patch, `[]`, by the validator.
        json!({"uid": "u-1", "allowed": true, "patchType": "JSONPatch", "patch": "W10="}),
    ] {
        found(|| check(ReviewPath::Validate, wrong.clone()));
    }
    let patch = |patch: Value| {
        let patch = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, patch.to_string());
        json!({"uid": "u-1", "allowed": true, "patchType": "JSONPatch", "patch": patch})
    };
    check(ReviewPath::Mutate, patch(json!([{"op": "remove", "path": "/spec/service"}])));
    found(|| check(ReviewPath::Mutate, patch(json!([{"op": "remove", "path": "/spec/none"}]))));
    found(|| check(ReviewPath::Mutate, patch(json!("no patch"))));
}

#[test]
fn a_webhook_that_changes_more_at_a_second_call_is_found() {
    let mut review = json!({"request": {"uid": "u-1", "object": split(json!({}))}});
    let patch = |value: u32| typed(json!([{"op": "add", "path": "/spec/calls", "value": value}]));
    let calls = Cell::new(0);
    let counts = |path: ReviewPath, _: &Value| {
        calls.set(calls.get() + 1);
        let patch = (path == ReviewPath::Mutate).then(|| patch(calls.get()));
        Some(reviews::Answer { patch })
    };
    let message = found(|| reviews::twice(&mut review.clone(), counts));
    assert!(message.contains("a second call changes more"), "{message}");
    let once = |path: ReviewPath, review: &Value| {
        let is_done = review["request"]["object"]["spec"].get("calls").is_some();
        let patch = (path == ReviewPath::Mutate && !is_done).then(|| patch(1));
        Some(reviews::Answer { patch })
    };
    reviews::twice(&mut review, once);
}
