//! The steps of a flip and of a review, each prepared so that nothing but the step is counted.

#![allow(dead_code, reason = "each benchmark uses its part")]

use linkerd_failover::engine::{self, Defaults, Health, Intent, Now, Previous};
use linkerd_failover::informers::replay::{Replay, Resource};
use linkerd_failover::kinds::Kind;
use linkerd_failover::reconciler::replay::PlannedSplit;
use linkerd_failover::webhook::replay::{Reviews, Webhook};
use serde_json::{Value, json};
use std::hint::black_box;
use tokio::runtime::Runtime;

/// The variable with the name of a case that does its work twice, so that a check of the counts fails.
pub(crate) const PLANTED: &str = "MICRO_PLANTED";

const NAMESPACE: &str = "emojivoto";

/// A step with its input.
pub(crate) struct Case {
    /// The step, and of how many backends, or endpoints.
    pub(crate) name: String,
    times: u32,
    step: Box<dyn FnMut()>,
    runtime: Runtime,
}

impl Case {
    fn new(step: &str, size: usize, prepare: impl FnOnce() -> Box<dyn FnMut()>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let name = format!("{step}_{size}");
        let entered = runtime.enter();
        let mut step = prepare();
        // What is made once in a process is made.
        step();
        drop(entered);
        let planted = std::env::var(PLANTED).is_ok_and(|planted| planted == name);
        Self { name, times: 1 + u32::from(planted), step, runtime }
    }

    /// Does it once; twice where that is planted.
    pub(crate) fn run(&mut self) {
        let _entered = self.runtime.enter();
        for _ in 0..self.times {
            (self.step)();
        }
    }
}

/// Every step, of 2 backends and of 100.
pub(crate) fn all() -> impl Iterator<Item = Case> {
    let steps = [read_slice, parse_intent, decide, mutate, validate, build_patch];
    steps.into_iter().flat_map(|step| [2, 100].map(step))
}

/// An event of a slice into the index, from its text.
pub(crate) fn read_slice(endpoints: usize) -> Case {
    Case::new("read_slice", endpoints, || {
        let facts = facts(2);
        let mut version = 1_000;
        // Another version each time: one that is known is not read.
        let mut lines: Vec<String> = (0..4)
            .map(|_| {
                version += 1;
                modified(&slice(&backend(0), version, endpoints, version % 2 == 0))
            })
            .collect();
        Box::new(move || {
            let line = lines.pop().expect("a line for each time");
            facts.event(Resource::EndpointSlices, &line).expect("an event");
            black_box(&facts);
        })
    })
}

/// The intent of a split's author, from the object.
pub(crate) fn parse_intent(backends: usize) -> Case {
    Case::new("parse_intent", backends, || {
        let split = serde_json::from_value(split(backends)).expect("an object");
        Box::new(move || {
            let declared = Kind::TrafficSplit.read(&split);
            let intents = Intent::parse(&declared, &Defaults::default());
            black_box(intents.expect("a split that can be read"));
        })
    })
}

/// The decision of a split whose primary is lost.
pub(crate) fn decide(backends: usize) -> Case {
    Case::new("decide", backends, || {
        let split = serde_json::from_value(split(backends)).expect("an object");
        let intents = Intent::parse(&Kind::TrafficSplit.read(&split), &Defaults::default());
        let intent = intents.expect("a split that can be read").swap_remove(0);
        let ready = |i: usize| Health::seen(u32::from(i > 0), 1);
        let health: Vec<Health> = (0..backends).map(ready).collect();
        Box::new(move || {
            let decision = engine::decide(&intent, &health, Previous::Live, Now::default());
            assert_eq!(black_box(decision).weights[0], 0, "the primary is lost");
        })
    })
}

/// A review of a create by the mutating webhook, from its text to the answer's.
pub(crate) fn mutate(backends: usize) -> Case {
    review("mutate", backends, Webhook::Mutate)
}

/// The same by the validating one.
pub(crate) fn validate(backends: usize) -> Case {
    review("validate", backends, Webhook::Validate)
}

/// The plan of a split whose primary is lost, to the text of its patch.
pub(crate) fn build_patch(backends: usize) -> Case {
    Case::new("build_patch", backends, || {
        let facts = facts(backends);
        let lost = modified(&slice(&backend(0), 2_000, 0, false));
        facts.event(Resource::EndpointSlices, &lost).expect("an event");
        let planned = PlannedSplit::new(&facts, NAMESPACE, "emoji");
        Box::new(move || {
            let patch = planned.patch(&facts, Now::default());
            black_box(patch.expect("a patch, since the primary is lost"));
        })
    })
}

fn review(name: &str, backends: usize, by: Webhook) -> Case {
    Case::new(name, backends, || {
        let reviews = Reviews::new(&facts(backends)).expect("the webhooks");
        let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
            "request": {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": {"group": "split.smi-spec.io", "version": "v1alpha2", "kind": "TrafficSplit"},
                "resource": {"group": "split.smi-spec.io", "version": "v1alpha2",
                    "resource": "trafficsplits"},
                "name": "emoji", "namespace": NAMESPACE, "operation": "CREATE",
                "userInfo": {"username": "kubernetes-admin",
                    "groups": ["kubeadm:cluster-admins", "system:authenticated"]},
                "object": split(backends), "oldObject": null, "dryRun": false,
                "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1",
                    "fieldManager": "kubectl-client-side-apply"}}})
        .to_string()
        .into_bytes();
        Box::new(move || {
            let answer = reviews.answer(by, &review);
            black_box(answer.expect("an answer that allows"));
        })
    })
}

/// A split on these backends, with a Service and a ready slice for each.
fn facts(backends: usize) -> Replay {
    let facts = Replay::new(false).expect("a replay");
    let names = || (0..backends).map(backend);
    let list = |items: Vec<Value>| {
        std::iter::once(json!({"metadata": {"resourceVersion": "9"}, "items": items}).to_string())
    };
    let services = names().map(|name| service(&name)).collect();
    let slices = names().enumerate().map(|(i, name)| slice(&name, 100 + i, 1, true)).collect();
    for (resource, items) in [
        (Resource::Services, services),
        (Resource::EndpointSlices, slices),
        (Resource::TrafficSplits, vec![split(backends)]),
    ] {
        facts.list(resource, list(items)).expect("a list");
    }
    facts
}

fn backend(i: usize) -> String {
    format!("emoji-svc-{i}")
}

fn metadata(name: &str, version: usize) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "resourceVersion": version.to_string(),
        "uid": format!("0189abcd-ef01-4abc-8def-{version:012}"),
        "creationTimestamp": "2026-11-26T01:02:03Z"})
}

fn service(name: &str) -> Value {
    json!({"metadata": metadata(name, 7),
        "spec": {"clusterIP": "None", "type": "ClusterIP",
            "ports": [{"name": "grpc", "port": 8080, "protocol": "TCP", "targetPort": 8080}]}})
}

fn slice(service: &str, version: usize, endpoints: usize, ready: bool) -> Value {
    let mut metadata = metadata(&format!("{service}-x7kq2"), version);
    metadata["labels"] = json!({"kubernetes.io/service-name": service});
    let net: usize = service.bytes().map(usize::from).sum();
    let endpoint = |i: usize| {
        json!({"addresses": [format!("10.{}.{}.{}", net % 250, i / 250, i % 250 + 1)],
            "conditions": {"ready": ready, "serving": ready, "terminating": false},
            "nodeName": "node-17", "zone": "eu-central-1a",
            "targetRef": {"kind": "Pod", "name": format!("{service}-6c9f8bd8f5-{i:05}"),
                "namespace": NAMESPACE, "uid": format!("0189abcd-ef01-4abc-8def-{i:012}")}})
    };
    json!({"addressType": "IPv4", "metadata": metadata,
        "endpoints": (0..endpoints).map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "grpc", "port": 8080, "protocol": "TCP"}]})
}

fn split(backends: usize) -> Value {
    let mut metadata = metadata("emoji", 4711);
    metadata["labels"] = json!({"failover.linkerd.io/controlled-by": "linkerd-failover"});
    let weight = |i: usize| json!({"service": backend(i), "weight": u32::from(i == 0)});
    json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": metadata, "spec": {"service": backend(0),
            "backends": (0..backends).map(weight).collect::<Vec<_>>()}})
}

fn modified(object: &Value) -> String {
    format!(r#"{{"type":"MODIFIED","object":{object}}}"#)
}
