//! `make bench-informers`: what an event of a watch costs this program, and what the facts of a cluster take.
//! Without an API server: answers as one writes them are read into an index. Beside it, what kube's own types
//! take for the same lines, without an index.

use anyhow::Result;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::WatchEvent;
use kube::core::DynamicObject;
use linkerd_failover::informers::replay::{Replay, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

const OBJECTS: usize = 10_000;
/// As the informers ask for.
const PAGE: usize = 500;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let _entered = runtime.enter();
    match std::env::args().find(|arg| arg == "facts") {
        Some(_) => facts(),
        None => events(),
    }
}

fn events() -> Result<()> {
    println!("an event of a slice that no object depends on, with its share of the index:");
    for endpoints in [1, 10, 100] {
        let mut replay = Replay::new(true)?;
        replay.list(Resource::TrafficSplits, pages(OBJECTS, split).into_iter())?;
        let _ = replay.reported();
        let line = |i: usize| modified(&slice("other", 10 + i, endpoints, i.is_multiple_of(2)));
        let ours = measure(line, |line| replay.event(Resource::EndpointSlices, line));
        let whole = measure(line, read::<EndpointSlice>);
        print(&format!("{endpoints} endpoints ({} bytes)", line(0).len()), ours, whole);
        assert_eq!((replay.reported(), replay.requests()), (0, 0));
    }
    println!("an event of a split:");
    let replay = Replay::new(true)?;
    let line = |i: usize| modified(&split(i));
    let ours = measure(line, |line| replay.event(Resource::TrafficSplits, line));
    let whole = measure(line, read::<DynamicObject>);
    print(&format!("new ({} bytes)", line(0).len()), ours, whole);
    let ours = measure(line, |line| replay.event(Resource::TrafficSplits, line));
    print("of a version that is known", ours, whole);
    shared_service()
}

/// A thousand splits on one Service of a thousand endpoints.
fn shared_service() -> Result<()> {
    let replay = Replay::new(true)?;
    replay.list(Resource::TrafficSplits, pages(1_000, split).into_iter())?;
    replay
        .list(Resource::Services, pages(2, |i| service(["primary", "fallback"][i])).into_iter())?;
    let line = |i: usize| modified(&slice("primary", 10 + i, 1_000, i.is_multiple_of(2)));
    let mut took = vec![];
    for i in 0..20 {
        let line = line(i);
        let began = Instant::now();
        replay.event(Resource::EndpointSlices, &line)?;
        black_box(replay.health_of_all());
        took.push(began.elapsed());
    }
    println!(
        "1,000 splits on 1,000 endpoints, the event and the health of all: {:?}",
        median(took)
    );
    Ok(())
}

/// The memory that the facts of 10,000 splits and 10,000 Services take.
fn facts() -> Result<()> {
    let replay = Replay::new(false)?;
    let mut before = resident()?;
    let mut step = |what: &str| -> Result<()> {
        let now = resident()?;
        let grown = now.saturating_sub(before);
        println!("{what}: {:.1} MiB, {} bytes for each", mib(grown), grown / OBJECTS);
        before = now;
        Ok(())
    };
    replay.list(
        Resource::Services,
        pages(OBJECTS, |i| service(&format!("service-{i}"))).into_iter(),
    )?;
    step("10,000 Services")?;
    replay.list(Resource::TrafficSplits, pages(OBJECTS, split).into_iter())?;
    step("10,000 TrafficSplits")?;
    replay.list(
        Resource::EndpointSlices,
        pages(OBJECTS, |i| slice(&format!("service-{i}"), i, 3, true)).into_iter(),
    )?;
    step("10,000 EndpointSlices")
}

fn read<T: DeserializeOwned>(line: &str) -> serde_json::Result<()> {
    black_box(serde_json::from_str::<WatchEvent<T>>(line)?);
    Ok(())
}

/// The median time of one, of many lines that are made beforehand.
fn measure(
    line: impl Fn(usize) -> String,
    mut enter: impl FnMut(&str) -> serde_json::Result<()>,
) -> Duration {
    let lines: Vec<String> = (0..2_000).map(line).collect();
    let mut took = vec![];
    for batch in lines.chunks(20) {
        let began = Instant::now();
        for line in batch {
            enter(line).expect("a line of JSON");
        }
        took.push(began.elapsed() / 20);
    }
    median(took)
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

fn print(what: &str, ours: Duration, whole: Duration) {
    let micros = |took: Duration| took.as_secs_f64() * 1e6;
    println!("  {what}: {:.2} µs; kube's type alone {:.2} µs", micros(ours), micros(whole));
}

fn modified(object: &Value) -> String {
    format!(r#"{{"type":"MODIFIED","object":{object}}}"#)
}

/// The pages of a LIST, each made when it is asked for.
fn pages(count: usize, object: impl Fn(usize) -> Value + Copy) -> impl IntoIterator<Item = String> {
    (0..count).step_by(PAGE).map(move |from| {
        let items: Vec<Value> = (from..count.min(from + PAGE)).map(object).collect();
        json!({"metadata": {"resourceVersion": "9"}, "items": items}).to_string()
    })
}

fn metadata(name: &str, version: usize, manager: &str, fields: &Value) -> Value {
    json!({"name": name, "namespace": "emojivoto", "generation": 1,
        "uid": format!("0189abcd-ef01-4abc-8def-{version:012}"),
        "creationTimestamp": "2026-11-26T01:02:03Z", "resourceVersion": version.to_string(),
        "managedFields": [{"apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
            "manager": manager, "operation": "Update", "time": "2026-11-26T01:02:03Z"}]})
}

fn slice(service: &str, version: usize, endpoints: usize, ready: bool) -> Value {
    let fields = json!({"f:addressType": {}, "f:endpoints": {}, "f:ports": {}, "f:metadata": {
        "f:annotations": {".": {}, "f:endpoints.kubernetes.io/last-change-trigger-time": {}},
        "f:generateName": {}, "f:ownerReferences": {".": {}, "k:{\"uid\":\"0189\"}": {}},
        "f:labels": {".": {}, "f:endpointslice.kubernetes.io/managed-by": {},
            "f:kubernetes.io/service-name": {}}}});
    let mut metadata =
        metadata(&format!("{service}-x7kq2"), version, "kube-controller-manager", &fields);
    metadata["generateName"] = json!(format!("{service}-"));
    metadata["labels"] = json!({"kubernetes.io/service-name": service,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"});
    metadata["annotations"] =
        json!({"endpoints.kubernetes.io/last-change-trigger-time": "2026-11-26T01:02:03Z"});
    metadata["ownerReferences"] = json!([{"apiVersion": "v1", "blockOwnerDeletion": true,
        "controller": true, "kind": "Service", "name": service, "uid": "0189"}]);
    let endpoint = |i: usize| {
        json!({"addresses": [format!("10.1.{}.{}", i / 250, i % 250)], "nodeName": "node-17",
            "conditions": {"ready": ready, "serving": ready, "terminating": false},
            "targetRef": {"kind": "Pod", "name": format!("{service}-6c9f8bd8f5-{i:05}"),
                "namespace": "emojivoto", "uid": format!("0189abcd-ef01-4abc-8def-{i:012}")},
            "zone": "eu-central-1a"})
    };
    json!({"addressType": "IPv4", "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "endpoints": (0..endpoints).map(endpoint).collect::<Vec<_>>(), "metadata": metadata,
        "ports": [{"name": "grpc", "port": 8080, "protocol": "TCP"}]})
}

fn service(name: &str) -> Value {
    let fields = json!({"f:spec": {"f:clusterIP": {}, "f:internalTrafficPolicy": {},
        "f:ports": {".": {}, "k:{\"port\":8080,\"protocol\":\"TCP\"}": {".": {}, "f:name": {},
            "f:port": {}, "f:protocol": {}, "f:targetPort": {}}},
        "f:sessionAffinity": {}, "f:type": {}}});
    json!({"metadata": metadata(name, 7, "kubectl", &fields),
        "spec": {"clusterIP": "None", "clusterIPs": ["None"], "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
            "ports": [{"name": "grpc", "port": 8080, "protocol": "TCP", "targetPort": 8080}],
            "type": "ClusterIP"},
        "status": {"loadBalancer": {}}})
}

fn split(i: usize) -> Value {
    let fields = json!({"f:metadata": {"f:annotations": {".": {},
            "f:failover.linkerd.io/authored-weights": {}, "f:failover.linkerd.io/state": {}},
            "f:labels": {".": {}, "f:failover.linkerd.io/controlled-by": {}}},
        "f:spec": {".": {}, "f:backends": {}, "f:service": {}}});
    let mut metadata = metadata(&format!("split-{i}"), 1_000 + i, "linkerd-failover", &fields);
    let mut author = metadata["managedFields"][0].clone();
    author["manager"] = json!("kubectl-client-side-apply");
    metadata["managedFields"].as_array_mut().expect("a list").insert(0, author);
    metadata["labels"] = json!({"failover.linkerd.io/controlled-by": "linkerd-failover"});
    metadata["annotations"] = json!({
        "failover.linkerd.io/primary-service": "primary",
        "failover.linkerd.io/authored-weights": r#"{"v":1,"sets":{"":{"fallback":0,"primary":1}}}"#,
        "failover.linkerd.io/state": r#"{"v":1,"sets":{"":{"active":["fallback"],"since":"2026-11-26T01:02:03Z","why":"primary has no ready endpoints","weights":{"fallback":1,"primary":0},"left":"2026-11-26T01:02:03Z"}},"by":"linkerd-failover-6c9f8bd8f5-x7kq2","engine":"0.2.0"}"#,
        "kubectl.kubernetes.io/last-applied-configuration": r#"{"apiVersion":"split.smi-spec.io/v1alpha2","kind":"TrafficSplit","metadata":{"annotations":{"failover.linkerd.io/primary-service":"primary"},"labels":{"failover.linkerd.io/controlled-by":"linkerd-failover"},"name":"split","namespace":"emojivoto"},"spec":{"backends":[{"service":"primary","weight":1},{"service":"fallback","weight":0}],"service":"primary"}}"#,
    });
    json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit", "metadata": metadata,
        "spec": {"service": "primary", "backends": [
            {"service": "primary", "weight": 0}, {"service": "fallback", "weight": 1}]}})
}

/// Resident memory that is no file's.
fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or_default();
    let kib: usize = line.split_whitespace().nth(1).unwrap_or_default().parse()?;
    Ok(kib * 1024)
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / 1_048_576.0
}
