//! A small world for tests: one split, its Services, and replicas.

use crate::facts::{At, Broken, Fact, Side};
use crate::invariants::Sample;
use crate::keeper::Keeper;
use crate::model::{LABEL, PREFIX, PROGRAM, Writer};
use crate::truth::{Change, Resource, StoredKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// No invariant is broken.
pub(crate) const NONE: [u8; 0] = [];
const TICK: Duration = Duration::from_millis(100);

/// A world whose time is the test's.
pub(crate) struct TestWorld {
    keeper: Keeper,
    now: Duration,
    revision: u64,
    managers: Vec<Value>,
    /// The time of writes in managedFields, where it stands still; else each has its own.
    second: Option<u64>,
    broken: Vec<Broken>,
}

impl Default for TestWorld {
    fn default() -> Self {
        let keeper = Keeper::new("linkerd-failover", "linkerd-failover");
        Self {
            keeper,
            now: Duration::ZERO,
            revision: 0,
            managers: vec![],
            second: None,
            broken: vec![],
        }
    }
}

impl TestWorld {
    fn change(&mut self, resource: Resource, namespace: &str, name: &str, value: Value) {
        self.revision += 1;
        let key = StoredKey::new(resource, namespace, name);
        let change = Change { revision: self.revision, key, value: Some(value) };
        self.broken.extend(self.keeper.change(Side::East, &change, At(self.now)));
    }

    /// A Service with so many ready endpoints.
    pub(crate) fn endpoints(&mut self, service: &str, ready: usize) {
        let known = json!({ "spec": { "ports": [{ "port": 80 }] } });
        self.change(Resource::Service, "ns", service, known);
        let endpoints: Vec<_> = (0..ready)
            .map(|n| json!({ "addresses": [format!("10.0.0.{n}")], "conditions": { "ready": true } }))
            .collect();
        let slice = json!({
            "metadata": { "labels": { "kubernetes.io/service-name": service } },
            "addressType": "IPv4", "ports": [{ "port": 80 }], "endpoints": endpoints,
        });
        self.change(Resource::Slice, "ns", service, slice);
        if self.now.is_zero() {
            // Long enough ago that its ports have not just changed.
            self.pass(10.0);
        }
    }

    /// The split is written.
    pub(crate) fn write(
        &mut self,
        writer: Writer,
        weights: &[(&str, u64)],
        annotations: &[(&str, &str)],
    ) {
        self.store(writer, weights, annotations, json!({ LABEL: "linkerd-failover" }));
    }

    /// What is written from now on is written within one second.
    pub(crate) fn stop_seconds(&mut self) {
        self.second = Some(self.revision);
    }

    /// The same without the label.
    pub(crate) fn unlabelled(&mut self, writer: Writer, weights: &[(&str, u64)]) {
        self.store(writer, weights, &[], json!({}));
    }

    fn store(
        &mut self,
        writer: Writer,
        weights: &[(&str, u64)],
        annotations: &[(&str, &str)],
        labels: Value,
    ) {
        let manager = match writer {
            Writer::Program => PROGRAM.to_owned(),
            Writer::Other(other) => other,
            Writer::Unknown => "unknown".into(),
        };
        self.managers.retain(|entry| entry["manager"] != manager);
        for entry in &mut self.managers {
            entry["fieldsV1"] = json!({});
        }
        let time = self.second.unwrap_or(self.revision).to_string();
        self.managers.push(json!({
            "manager": manager, "operation": "Update", "time": time,
            "fieldsV1": { "f:spec": { "f:backends": {} } },
        }));
        let backends: Vec<_> = weights
            .iter()
            .map(|(name, weight)| json!({ "service": name, "weight": weight }))
            .collect();
        let mut object = json!({
            "metadata": {
                "name": "web", "namespace": "ns", "uid": "u", "labels": labels,
                "managedFields": self.managers,
            },
            "spec": { "service": "web", "backends": backends },
        });
        for (name, value) in annotations {
            object["metadata"]["annotations"][format!("{PREFIX}{name}")] = json!(value);
        }
        self.change(Resource::Split, "ns", "web", object);
    }

    /// What the author declared.
    pub(crate) fn authored(&mut self, weights: &[(&str, u64)]) {
        let set = weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        self.keeper.author(StoredKey::new(Resource::Split, "ns", "web"), vec![set]);
    }

    /// A replica runs, and the API server answers it or not.
    pub(crate) fn replica(&mut self, name: &str, answered: bool) {
        let (replica, at) = (name.to_owned(), At(self.now));
        if !self.keeper.world().replicas.contains_key(name) {
            self.fact(Fact::ReplicaStarted {
                replica: replica.clone(),
                pid: 1,
                admin: String::new(),
                log: String::new(),
                at,
            });
        }
        self.fact(Fact::Reachability { replica, cluster: Side::East, answered, at });
    }

    /// Who has the Lease.
    pub(crate) fn lead(&mut self, replica: &str) {
        let lease = json!({ "spec": { "holderIdentity": replica } });
        self.change(Resource::Lease, "linkerd-failover", "linkerd-failover", lease);
    }

    /// The last fault is over.
    pub(crate) fn quiet(&mut self) {
        self.fact(Fact::WorldQuiet { at: At(self.now) });
    }

    /// The other half says something.
    pub(crate) fn fact(&mut self, fact: Fact) {
        self.broken.extend(self.keeper.fact(&fact, At(self.now)));
    }

    /// What a process takes.
    pub(crate) fn sample(&mut self, sample: &Sample) {
        self.broken.extend(self.keeper.sample(sample, At(self.now)));
    }

    /// A line of a log.
    pub(crate) fn panic(&mut self, replica: &str, line: &str) {
        self.broken.extend(self.keeper.panic(replica, line, At(self.now)));
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while self.now < until {
            self.now += TICK;
            let passed = SignedDuration::try_from(self.now).unwrap();
            self.broken.extend(self.keeper.tick(At(self.now), Timestamp::UNIX_EPOCH + passed));
        }
    }

    /// The invariants that have been broken since this was asked last.
    pub(crate) fn broken(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.broken).into_iter().map(|broken| broken.invariant).collect()
    }
}
