//! Early flips, from the announcement to what other replicas make of the record.

use crate::engine::{Defaults, Identity, Now};
use crate::index::announced_pods::AnnounceResult;
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::guarded_pods::GuardedPod;
use crate::index::managed_object::ManagedObject;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::reconciler::context::subject;
use crate::reconciler::memory::Memory;
use crate::reconciler::plan::{Moves, Plan, plan};
use crate::reconciler::write::WriteKind;
use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::{Value, json};

const NAMESPACE: &str = "emojivoto";

/// What one replica sees of a split of emoji-svc and its fallback west, and the split itself.
struct Replica {
    index: Index,
    object: DynamicObject,
    memory: Memory,
}

fn at(seconds: i64) -> Now {
    Now::at(Timestamp::from_second(seconds).unwrap())
}

fn split() -> ObjectRef {
    ObjectRef::new(kinds::Kind::TrafficSplit, ObjectKey::new(NAMESPACE, "emoji"))
}

fn uid(pod: usize) -> String {
    format!("0189abcd-ef01-4abc-8def-{pod:012}")
}

impl Replica {
    /// With so many pods of emoji-svc, and these annotations.
    fn with(pods: &[usize], annotations: Value) -> Self {
        let object = serde_json::from_value(json!({
            "metadata": {"name": "emoji", "namespace": NAMESPACE, "uid": "u",
                "resourceVersion": "1", "annotations": annotations},
            "spec": {"service": "emoji-svc", "backends": [
                {"service": "emoji-svc", "weight": 1}, {"service": "west", "weight": 0}]},
        }));
        let mut replica =
            Self { index: Index::default(), object: object.unwrap(), memory: Memory::default() };
        replica.index.follow_pods();
        replica.index.set_served(kinds::Kind::TrafficSplit, Some("v1alpha2"));
        let ports = json!({"spec": {"ports": [{"port": 80}]}});
        let ports = ServiceFacts::read(&serde_json::from_value(ports).unwrap());
        for service in ["emoji-svc", "west"] {
            replica.index.set_service(ObjectKey::new(NAMESPACE, service), ports.clone());
        }
        replica.see("west", &[90], 1);
        replica.see("emoji-svc", pods, 1);
        replica.read(1);
        replica
    }

    /// The ready pods of a Service, at that second.
    fn see(&mut self, service: &str, pods: &[usize], seconds: i64) {
        let endpoint = |pod: &usize| {
            json!({"addresses": [format!("10.0.0.{pod}")], "targetRef": {"kind": "Pod",
                "namespace": NAMESPACE, "name": format!("pod-{pod}"), "uid": uid(*pod)}})
        };
        let endpoints: Vec<_> = pods.iter().map(endpoint).collect();
        let slice =
            json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints, "ports": [{}]});
        let facts =
            SliceFacts::read(&serde_json::from_value(slice).unwrap(), AddressFamilies::default());
        let key = ObjectKey::new(NAMESPACE, service);
        self.index.now = at(seconds);
        let version = u64::try_from(seconds).unwrap();
        self.index.set_slice(SliceUpdate {
            slice: key.clone(),
            version,
            service: Some(key),
            facts,
        });
    }

    fn read(&mut self, seconds: i64) {
        self.index.now = at(seconds);
        let managed =
            ManagedObject::read(kinds::Kind::TrafficSplit, &self.object, &Defaults::default());
        self.index.set_object(split(), managed);
    }

    fn guarded(&self, pod: usize, seconds: i64) -> Option<GuardedPod> {
        self.index.guarded(NAMESPACE, &format!("pod-{pod}"), None, at(seconds))
    }

    fn announce(&mut self, pod: usize, seconds: i64) -> AnnounceResult {
        let guarded = self.guarded(pod, seconds).unwrap();
        self.index.now = at(seconds);
        self.index.announce_pod(&guarded)
    }

    fn plan(&mut self, seconds: i64) -> Plan {
        let me = Identity::new("replica-a");
        let plan =
            plan(&subject(&self.index, &split(), at(seconds)), Some(&self.memory), &me, Moves::All);
        let plan = plan.unwrap();
        let recorded = self.index.object(&split()).unwrap().readable()[0].left_early();
        self.memory.observe_left_early("", recorded, &plan.left_early[""], &plan.wanted[""]);
        plan
    }

    /// Writes what is planned, as the API server would. Returns the sentence about a flip.
    fn write(&mut self, seconds: i64) -> Option<String> {
        let write = self.plan(seconds).write?;
        let mut json = serde_json::to_value(&self.object).unwrap();
        json_patch::patch(&mut json, &write.patch).unwrap();
        self.object = serde_json::from_value(json).unwrap();
        let version: u32 = write.resource_version.parse().unwrap();
        self.object.metadata.resource_version = Some((version + 1).to_string());
        self.read(seconds);
        match write.kind {
            WriteKind::Flip(flip) => Some(flip.made()),
            _ => Some(String::new()),
        }
    }

    fn state(&self) -> Value {
        let annotations = self.object.metadata.annotations.as_ref().unwrap();
        serde_json::from_str(&annotations["failover.linkerd.io/state"]).unwrap()
    }
}

#[test]
fn the_last_pod_that_goes_takes_traffic_along_before_it_does() {
    let mut leader = Replica::with(&[1, 2], json!({}));
    assert_eq!(leader.announce(1, 2), AnnounceResult::Accepted);
    assert!(leader.plan(2).write.is_none());
    assert_eq!(leader.announce(2, 3), AnnounceResult::Accepted);
    let note = leader.write(3).unwrap();
    assert_eq!(
        note,
        "Traffic of emoji-svc moved from emoji-svc to west, ahead of the deletion of pods pod-1 and pod-2: emoji-svc: 2 of 2 endpoints ready, 2 about to be deleted, west: 1 of 1 endpoints ready"
    );
    assert_eq!(
        leader.state()["leaving"],
        json!({uid(1): "1970-01-01T00:00:32Z", uid(2): "1970-01-01T00:00:33Z"})
    );
    assert_eq!(leader.state()["sets"][""]["ahead"], json!(["emoji-svc"]));
    // Both go: that is recorded, and nothing else changes.
    leader.see("emoji-svc", &[], 4);
    assert_eq!(leader.write(4).as_deref(), Some(""));
    assert!(leader.state()["sets"][""].get("ahead").is_none());
    assert!(leader.plan(5).write.is_none());
}

#[test]
fn every_replica_counts_them_as_gone_by_the_record_and_nobody_reverses_the_flip() {
    let mut leader = Replica::with(&[1], json!({}));
    leader.announce(1, 2);
    leader.write(2).unwrap();
    let mut standby = Replica::with(&[1], json!({}));
    standby.object = leader.object.clone();
    standby.read(3);
    assert!(standby.plan(3).write.is_none());
    // And who comes to lead takes it back when the time is over, and not before.
    assert_eq!(standby.plan(3).next.unwrap().as_secs(), 29);
    assert!(standby.plan(31).write.is_none());
    let note = standby.write(32).unwrap();
    assert!(note.contains("from west to emoji-svc, which was not lost after all:"), "{note}");
    assert_eq!(
        standby.announce(1, 40),
        AnnounceResult::TooSoon,
        "a drain tries again every five seconds"
    );
    assert_eq!(leader.announce(1, 640), AnnounceResult::Accepted);
}

#[test]
fn a_new_pod_after_a_loss_that_came_waits_for_a_person_even_before_the_record_is_written() {
    let manual = json!({"failover.linkerd.io/failback": "manual"});
    let mut leader = Replica::with(&[1], manual);
    leader.announce(1, 2);
    leader.write(2).unwrap();
    leader.see("emoji-svc", &[], 3);
    assert!(leader.plan(3).write.is_some(), "the record, which is not urgent");
    leader.see("emoji-svc", &[2], 4);
    assert_eq!(leader.write(4).as_deref(), Some(""));
    assert_eq!(leader.state()["sets"][""]["active"], json!(["west"]));
}

#[test]
fn who_comes_to_lead_after_the_loss_knows_by_the_pods_that_it_has_come() {
    let manual = json!({"failover.linkerd.io/failback": "manual"});
    let mut leader = Replica::with(&[1], manual);
    leader.announce(1, 2);
    leader.write(2).unwrap();
    for (pods, active) in [(&[2][..], "west"), (&[1], "emoji-svc"), (&[1, 2], "emoji-svc")] {
        let mut next = Replica::with(pods, json!({}));
        next.object = leader.object.clone();
        next.read(40);
        assert_eq!(next.plan(40).wanted[""], [active], "{pods:?}");
    }
}

#[test]
fn a_return_after_a_loss_that_came_is_reported_as_any_other() {
    let mut leader = Replica::with(&[1], json!({}));
    leader.announce(1, 2);
    leader.write(2).unwrap();
    leader.see("emoji-svc", &[], 3);
    assert!(leader.plan(3).write.is_some(), "the record, which is not urgent");
    leader.see("emoji-svc", &[2], 4);
    let note = leader.write(4).unwrap();
    assert!(note.contains("from west to emoji-svc: emoji-svc: 1 of 1"), "{note}");
}

#[test]
fn only_a_ready_endpoint_of_what_may_move_early_is_guarded() {
    let replica = Replica::with(&[1], json!({}));
    assert!(replica.guarded(1, 2).is_some() && replica.guarded(90, 2).is_some());
    assert!(replica.guarded(7, 2).is_none(), "no endpoint of anything");
    let named = |name: &str, uid: &str| {
        let uid = crate::kinds::pods::PodUid::parse(uid);
        replica.index.guarded(NAMESPACE, name, uid, at(2))
    };
    assert!(named("pod-1", &uid(1)).is_some());
    assert!(named("pod-1", &uid(2)).is_none(), "another pod of that name");
    for annotations in [
        json!({"failover.linkerd.io/failover-delay": "1s"}),
        json!({"failover.linkerd.io/paused": "true"}),
        json!({"failover.linkerd.io/pin": "west"}),
    ] {
        assert!(Replica::with(&[1], annotations.clone()).guarded(1, 2).is_none(), "{annotations}");
    }
}
