use super::*;
use crate::engine::work::steps;
use crate::engine::{Defaults, Now};
use crate::index::announced_pods::AnnouncedPods;
use crate::index::endpoint_count;
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::order::Arrival;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::{SliceTable, SliceUpdate};
use crate::index::store::Index;
use crate::kinds::pods::PodUid;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::simulation::manifest;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

fn uid(pod: usize) -> String {
    format!("00000000-0000-4000-8000-{pod:012}")
}

fn pod(pod: usize, ready: bool) -> Value {
    json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod",
        "namespace": "ns", "name": format!("web-{pod}"), "uid": uid(pod)}})
}

fn update(slice: &str, service: &str, ports: &[&str], pods: Vec<Value>) -> SliceUpdate {
    let slice_of = manifest::slice(service, ports, pods);
    let read = serde_json::from_value(slice_of).unwrap();
    SliceUpdate {
        slice: key(slice),
        version: 1,
        service: Some(key(service)),
        facts: SliceFacts::read(&read, AddressFamilies::default()),
    }
}

/// `web` with this many pods, and its fallback, which all of this many splits name.
fn index(pods: usize, splits: usize) -> Index {
    let mut index = Index::default();
    for service in ["web", "web-west"] {
        let facts = json!({"metadata": {}, "spec": {"ports": [{"name": "http", "port": 80}]}});
        let facts = ServiceFacts::read(&serde_json::from_value(facts).unwrap());
        index.set_service(key(service), facts);
    }
    index.set_slice(update("web-1", "web", &["http"], (0..pods).map(|i| pod(i, true)).collect()));
    let split = manifest::split(&[("web", 1), ("web-west", 0)]);
    let split = serde_json::from_value(split).unwrap();
    for i in 0..splits {
        let managed = ManagedObject::read(Kind::TrafficSplit, &split, &Defaults::default());
        let name = ObjectRef::new(Kind::TrafficSplit, key(&format!("split-{i}")));
        index.enter_object(name, managed, Arrival::Watched);
    }
    index
}

fn health_of_all(index: &Index) -> Vec<u32> {
    let healths = index.objects().map(|(object, managed)| {
        index.health(object.namespace(), &managed.readable()[0].intent, Now::default())
    });
    healths.map(|health| health[0].counts()[0].ready).collect()
}

#[test]
fn a_thousand_objects_count_the_thousand_endpoints_of_their_service_once_for_each_change() {
    let mut index = index(1_000, 1_000);
    let (steps_of_all, ready) = steps(|| health_of_all(&index));
    assert!(ready.iter().all(|ready| *ready == 1_000));
    assert!(steps_of_all <= 1_000, "{steps_of_all}");

    let (steps_of_change, _) = steps(|| {
        let pods = (0..1_000).map(|i| pod(i, i < 7)).collect();
        index.set_slice(update("web-1", "web", &["http"], pods));
        assert!(health_of_all(&index).iter().all(|ready| *ready == 7));
    });
    assert_eq!(steps_of_change, 1_000);
}

#[derive(Clone, Debug)]
enum Step {
    /// A slice has pods from this number on, which are ready where the bit is set.
    Set {
        slice: usize,
        first: usize,
        ready: u8,
        ports: usize,
    },
    Remove {
        slice: usize,
    },
    Announce {
        pod: usize,
    },
    Pass {
        seconds: i64,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_usize, 0..4_usize, any::<u8>(), 0..3_usize)
            .prop_map(|(slice, first, ready, ports)| Step::Set { slice, first, ready, ports }),
        1 => (0..3_usize).prop_map(|slice| Step::Remove { slice }),
        2 => (0..8_usize).prop_map(|pod| Step::Announce { pod }),
        2 => (1..20_i64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

proptest! {
    /// Whatever happened between two counts, the second is that of the present slices, announced pods and
    /// time.
    #[test]
    fn a_count_is_that_of_the_present(history in proptest::collection::vec(any_step(), 1..40)) {
        const PORTS: [&[&str]; 3] = [&["http"], &["http", "grpc"], &[]];
        let (mut slices, mut announced) = (SliceTable::default(), AnnouncedPods::default());
        let mut now = SteadyTime::at(0);
        for step in history {
            match step {
                Step::Set { slice, first, ready, ports } => {
                    let pods = (0..4).map(|i| pod(first + i, ready & 1 << i != 0)).collect();
                    slices.set(update(&format!("s-{slice}"), "web", PORTS[ports], pods));
                }
                Step::Remove { slice } => drop(slices.remove(&key(&format!("s-{slice}")))),
                Step::Announce { pod } => {
                    let uid = PodUid::parse(&uid(pod)).unwrap();
                    announced.announce(uid, "web", now);
                }
                Step::Pass { seconds } => now = now.saturating_add(SignedDuration::from_secs(seconds)),
            }
            for ports in PORTS {
                let ports: Vec<_> = ports.iter().map(|port| Some(*port)).collect();
                let at = AnnouncedNow { pods: Some(&announced), now };
                let present = endpoint_count::count(slices.of(&key("web")), &ports, |pod| {
                    announced.until(pod, now)
                });
                prop_assert_eq!(slices.count(&key("web"), &ports, at), present);
                let none = endpoint_count::count(slices.of(&key("web")), &ports, |_| None);
                prop_assert_eq!(slices.count(&key("web"), &ports, AnnouncedNow::NONE), none);
            }
        }
    }
}

#[test]
fn the_counts_of_more_lists_of_ports_than_are_kept_are_right_too() {
    let mut slices = SliceTable::default();
    let names: Vec<String> = (0..3 * MOST).map(|i| format!("p{i}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    slices.set(update("s", "web", &all[..MOST], vec![pod(0, true)]));
    for _ in 0..2 {
        for (i, name) in all.iter().enumerate() {
            let counted = slices.count(&key("web"), &[Some(name)], AnnouncedNow::NONE);
            assert_eq!(counted.ports[0].ready, u32::from(i < MOST), "{name}");
        }
    }
}
