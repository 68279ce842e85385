//! Which write goes first, seen by the API server: a whole reconciler before a simulated one, which
//! answers when the test says so.

use crate::client::throttled;
use crate::deletion_guard::{Announcement, AnnouncementOutcome, DelayBounds, PendingAnnouncement};
use crate::engine::{Defaults, Identity};
use crate::events::Recorder;
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::service_facts::ServiceFacts;
use crate::index::shared_index::{ChangedObjects, SharedIndex};
use crate::index::slice_table::SliceUpdate;
use crate::index::synced::Synced;
use crate::informers::confirm::ConsistentReader;
use crate::informers::remote::clients::LinkedClients;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::notifications::{Notifier, Transitions};
use crate::reconciler::context::{Context, ControllerSettings, ReconcileRequest};
use crate::reconciler::gates::arbiter::Arbiter;
use crate::reconciler::gates::brake_gate::BrakeGate;
use crate::reconciler::in_flight::WriteClients;
use crate::reconciler::memory::Memories;
use crate::reconciler::ordered_queue::{Cause, Urgency};
use crate::reconciler::pending_deletions::PendingDeletions;
use crate::reconciler::record_backlog::RecordBacklog;
use crate::reconciler::service_profiles::plan::ProfileSettings;
use crate::reconciler::service_profiles::writes::ProfileWrites;
use crate::reconciler::state::Reconciler;
use crate::reconciler::work_queue::WorkQueue;
use crate::reconciler::writes::Writes;
use crate::telemetry::Metrics;
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tower::{BoxError, ServiceBuilder};

/// No test is slow enough for Linkerd to follow a flip.
const DELAY: DelayBounds = DelayBounds {
    bound: Duration::from_millis(500),
    adaptor_grace: Duration::from_secs(3_600),
    propagation: Duration::from_secs(3_600),
};

/// A request that the API server has received and not answered.
struct Received {
    method: Method,
    path: String,
    body: Value,
    answer: oneshot::Sender<Response<Body>>,
}

impl Received {
    /// The last part of its path.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

fn client(received: mpsc::UnboundedSender<Received>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let received = received.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let (answer, answered) = oneshot::channel();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let path = head.uri.path().to_owned();
            received.send(Received { method: head.method, path, body, answer }).unwrap();
            Ok::<_, BoxError>(answered.await?)
        }
    });
    let service = ServiceBuilder::new().map_result(throttled::refuse).service(service);
    Client::new(service, "ns")
}

struct World {
    reconciler: Reconciler,
    changes: ChangedObjects,
    received: mpsc::UnboundedReceiver<Received>,
    /// What the API server has, by name.
    stored: HashMap<String, Value>,
    version: u64,
    /// The annotations of new splits.
    annotate: Value,
}

impl World {
    /// With so many writes at once.
    fn new(concurrency: usize, profiles: bool) -> Self {
        let (shared, changes) = SharedIndex::new();
        shared.update(|index| {
            index.synced = Synced::ALL;
            index.writes_profiles = profiles;
            index.set_served(Kind::TrafficSplit, Some("v1alpha2"));
            vec![]
        });
        let (sender, received) = mpsc::unbounded_channel();
        let client = client(sender);
        let clients = || WriteClients { fast: client.clone(), slow: client.clone() };
        let metrics = Arc::new(Metrics::default());
        let selector = LabelSelector::parse("failover").unwrap();
        let by = "ns/linkerd-failover".to_owned();
        let settings = ProfileSettings {
            cluster_domain: "cluster.local".into(),
            by,
            selector: selector.clone(),
        };
        let context = Context {
            me: Identity::new("replica-a"),
            settings: ControllerSettings {
                defaults: Defaults::default(),
                concurrency,
                brake: None,
                deletion_delay: DELAY,
            },
            selector,
            shared: shared.clone(),
            leading: watch::channel(true).1,
            namespace: "ns".into(),
            notifier: Notifier::off(metrics.clone()),
            metrics: metrics.clone(),
            recorder: Recorder::new(metrics).0,
            quiet_since: watch::channel(None).0,
        };
        let reader = ConsistentReader {
            index: shared,
            client: client.clone(),
            linked: LinkedClients::default(),
            families: AddressFamilies::default(),
        };
        let settings = profiles.then(|| Arc::new(settings));
        let reconciler = Reconciler {
            context,
            queue: WorkQueue::default(),
            writes: Writes::new(clients(), concurrency),
            profiles: ProfileWrites::new(settings, clients(), concurrency),
            memories: Memories::default(),
            transitions: Transitions::default(),
            backlog: RecordBacklog::default(),
            deletions: PendingDeletions::default(),
            brake: BrakeGate::new(None, None),
            arbiter: Arbiter::new(reader),
            was_unsynced: false,
        };
        Self {
            reconciler,
            changes,
            received,
            stored: HashMap::new(),
            version: 0,
            annotate: json!({}),
        }
    }

    /// A split with these weights on a primary of its own and a fallback, with so many ready endpoints.
    fn split(&mut self, name: &str, weights: [u32; 2], ready: [usize; 2]) {
        let primary = format!("{name}-primary");
        let fallback = format!("{name}-fallback");
        for (service, ready) in [(&primary, ready[0]), (&fallback, ready[1])] {
            self.reconciler
                .context
                .shared
                .update(|index| index.set_service(ObjectKey::new("ns", service), service_facts()));
            self.set_ready(service, ready);
        }
        self.version += 1;
        let split = json!({
            "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
            "metadata": {"name": name, "namespace": "ns", "uid": name, "labels": {"failover": "x"},
                "annotations": self.annotate, "resourceVersion": self.version.to_string()},
            "spec": {"service": primary, "backends": [
                {"service": primary, "weight": weights[0]},
                {"service": fallback, "weight": weights[1]},
            ]},
        });
        self.stored.insert(name.to_owned(), split.clone());
        let split = serde_json::from_value(split).unwrap();
        let managed = ManagedObject::read(Kind::TrafficSplit, &split, &Defaults::default());
        self.reconciler.context.shared.update(|index| index.set_object(object(name), managed));
    }

    fn set_ready(&mut self, service: &str, ready: usize) {
        let endpoint = |i| {
            let name = format!("{service}-{i}");
            let hash =
                name.bytes().fold(0, |hash: u32, b| hash.wrapping_mul(31).wrapping_add(b.into()));
            json!({"addresses": [name], "targetRef": {"kind": "Pod", "namespace": "ns",
                "name": name, "uid": format!("0189abcd-ef01-4abc-8def-{hash:012}")}})
        };
        let endpoints: Vec<_> = (0..ready).map(endpoint).collect();
        let slice =
            json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints, "ports": [{}]});
        let slice = serde_json::from_value(slice).unwrap();
        let facts = SliceFacts::read(&slice, AddressFamilies::default());
        let key = ObjectKey::new("ns", service);
        let update = SliceUpdate { slice: key.clone(), version: 0, service: Some(key), facts };
        self.reconciler.context.shared.update(|index| index.set_slice(update));
    }

    /// Nothing of what has changed so far is to be reconciled.
    fn ignore_changes(&mut self) {
        while self.changes.try_recv().is_ok() {}
    }

    fn enqueue(&mut self, name: &str, urgency: Urgency) {
        self.reconciler.enqueue(object(name), Cause::now(urgency));
    }

    /// The deletion of a pod is announced.
    fn announce(&mut self, pod: &str) -> oneshot::Receiver<AnnouncementOutcome> {
        let (reply, outcome) = oneshot::channel();
        let announcement = Announcement { namespace: "ns".into(), name: pod.into(), uid: None };
        let pending = PendingAnnouncement { announcement, reply };
        self.reconciler.admit_announcements(pending, &mut mpsc::channel(1).1);
        outcome
    }

    /// What the controller's loop does once.
    fn reconcile(&mut self) {
        while let Ok(change) = self.changes.try_recv() {
            self.reconciler.enqueue_changed(change);
        }
        let shared = self.reconciler.context.shared.clone();
        let (index, now) = (shared.read(), shared.now());
        while let Some((object, noticed)) = self.reconciler.next_with_room() {
            let (index, object) = (&*index, &object);
            let request = ReconcileRequest { index, object, noticed, now, leads: true };
            self.reconciler.reconcile(&request);
        }
    }

    async fn next(&mut self) -> Received {
        self.reconcile();
        self.received.recv().await.unwrap()
    }

    /// Whether the API server has nothing to answer, however often the reconciler has its turn.
    async fn is_idle(&mut self) -> bool {
        for _ in 0..20 {
            self.reconcile();
            tokio::task::yield_now().await;
        }
        self.received.is_empty()
    }

    /// The API server makes a write, and the reconciler has its answer.
    async fn make(&mut self, received: Received) {
        self.version += 1;
        let (name, mut object) = match received.method {
            Method::PATCH => {
                let name = received.name().to_owned();
                let (mut object, body) = (self.stored[&name].clone(), received.body);
                let patch: json_patch::Patch = serde_json::from_value(body).unwrap();
                json_patch::patch(&mut object, &patch).unwrap();
                (name, object)
            }
            _ => {
                let name = received.body["metadata"]["name"].as_str().unwrap().to_owned();
                (name, received.body)
            }
        };
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let body = Body::from(serde_json::to_vec(&object).unwrap());
        self.stored.insert(name, object);
        received.answer.send(Response::new(body)).ok().unwrap();
        self.finish(&received.path).await;
    }

    /// The API server turns a write away.
    async fn throttle(&mut self, received: Received, seconds: u32) {
        let response = Response::builder().status(429).header("retry-after", seconds);
        self.answer(received, response).await;
    }

    /// A webhook denies a write.
    async fn deny(&mut self, received: Received) {
        self.answer(received, Response::builder().status(403)).await;
    }

    async fn answer(&mut self, received: Received, response: http::response::Builder) {
        received.answer.send(response.body(Body::empty()).unwrap()).ok().unwrap();
        self.finish(&received.path).await;
    }

    async fn finish(&mut self, path: &str) {
        if path.contains("serviceprofiles") {
            let done = self.reconciler.profiles.in_flight.next().await.unwrap();
            self.reconciler.finish_profile(done);
        } else {
            let done = self.reconciler.writes.in_flight.next().await.unwrap();
            self.reconciler.finish(done);
        }
    }

    /// Makes the writes of weights that there are, and returns the names of their objects in order.
    async fn make_all(&mut self) -> Vec<String> {
        let mut names = vec![];
        while !self.is_idle().await {
            let received = self.received.recv().await.unwrap();
            names.push(received.name().to_owned());
            self.make(received).await;
        }
        names
    }
}

fn object(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("ns", name))
}

fn service_facts() -> ServiceFacts {
    let facts = json!({"spec": {"ports": [{"port": 80}]}});
    ServiceFacts::read(&serde_json::from_value(facts).unwrap())
}

#[tokio::test]
async fn an_object_whose_callers_hang_goes_before_failbacks_though_all_are_looked_at_together() {
    let mut world = World::new(1, false);
    world.split("back-1", [0, 1], [1, 1]);
    world.split("lost-1", [1, 0], [0, 1]);
    world.split("back-2", [0, 1], [1, 1]);
    world.split("lost-2", [1, 0], [0, 1]);
    world.ignore_changes();
    // As after a takeover.
    for name in ["back-1", "lost-1", "back-2", "lost-2"] {
        world.enqueue(name, Urgency::Loss);
    }
    assert_eq!(world.make_all().await, ["lost-1", "lost-2", "back-1", "back-2"]);
}

#[tokio::test]
async fn a_loss_that_is_noticed_last_goes_before_the_recoveries_that_wait() {
    let mut world = World::new(1, false);
    for name in ["back-1", "back-2"] {
        world.split(name, [0, 1], [0, 1]);
    }
    world.split("lost", [1, 0], [1, 1]);
    world.ignore_changes();
    for service in ["back-1-primary", "back-2-primary"] {
        world.set_ready(service, 1);
    }
    world.set_ready("lost-primary", 0);
    assert_eq!(world.make_all().await, ["lost", "back-1", "back-2"]);
}

#[tokio::test]
async fn a_mass_of_failbacks_leaves_room_for_a_loss() {
    let mut world = World::new(4, false);
    for name in ["back-1", "back-2", "back-3", "back-4"] {
        world.split(name, [0, 1], [1, 1]);
    }
    world.split("lost", [1, 0], [1, 1]);
    let mut under_way = vec![world.next().await, world.next().await];
    assert!(world.is_idle().await, "half of the places");
    world.set_ready("lost-primary", 0);
    let lost = world.next().await;
    assert_eq!(lost.name(), "lost");
    under_way.push(lost);
    for received in under_way {
        assert!(received.name() != "back-3" && received.name() != "back-4");
        world.make(received).await;
    }
    let mut rest = world.make_all().await;
    rest.sort_unstable();
    assert_eq!(rest, ["back-3", "back-4"]);
}

#[tokio::test]
async fn a_throttled_flip_waits_alone_and_what_nobody_waits_for_is_not_written_meanwhile() {
    let mut world = World::new(2, false);
    world.split("first", [1, 0], [0, 1]);
    world.ignore_changes();
    world.enqueue("first", Urgency::Loss);
    let first = world.next().await;
    world.throttle(first, 3600).await;

    world.split("back", [0, 1], [1, 1]);
    world.split("lost", [1, 0], [0, 1]);
    assert_eq!(world.make_all().await, ["lost"], "neither it again, nor a failback");
    let end = Instant::now() + Duration::from_secs(3600);
    assert!(world.reconciler.due().is_some_and(|due| due > Instant::now()));
    world.reconciler.advance(end);
    assert_eq!(world.make_all().await, ["back"]);
    // Newer facts do not wait for an attempt from older ones.
    world.split("first", [1, 0], [0, 1]);
    assert_eq!(world.make_all().await, ["first"]);
}

/// A split whose state is recorded and whose profile is written.
async fn with_profile(concurrency: usize, names: &[&str]) -> World {
    let mut world = World::new(concurrency, true);
    for name in names {
        world.split(name, [1, 0], [1, 1]);
        world.make_all().await;
    }
    world
}

fn is_profile(received: &Received) -> bool {
    received.path.contains("/serviceprofiles")
}

#[tokio::test]
async fn the_profile_is_written_first_and_the_split_once_that_is_answered() {
    let mut world = with_profile(32, &["web"]).await;
    world.set_ready("web-primary", 0);
    let profile = world.next().await;
    assert!(is_profile(&profile), "{}", profile.path);
    assert!(world.is_idle().await, "the API server has nothing else to do");
    world.make(profile).await;
    let split = world.next().await;
    assert!(!is_profile(&split) && split.name() == "web", "{}", split.path);
    world.make(split).await;
    assert_eq!(world.stored["web"]["spec"]["backends"][1]["weight"], 1);
    assert!(world.is_idle().await);
}

#[tokio::test]
async fn a_profile_that_hangs_or_is_refused_delays_no_split() {
    let mut world = with_profile(32, &["web"]).await;
    world.set_ready("web-primary", 0);
    let hangs = world.next().await;
    assert!(is_profile(&hangs));
    world.reconciler.advance(Instant::now() + Duration::from_millis(150));
    let split = world.next().await;
    assert!(!is_profile(&split));
    world.make(split).await;
    world.deny(hangs).await;

    let mut world = with_profile(32, &["web"]).await;
    world.set_ready("web-primary", 0);
    let refused = world.next().await;
    assert!(is_profile(&refused));
    world.deny(refused).await;
    assert!(!is_profile(&world.next().await));
}

#[tokio::test]
async fn profiles_that_callers_follow_go_before_the_splits_of_others() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut world = with_profile(8, &names).await;
    // A loss of all, and their recovery.
    for ready in [0, 1] {
        for name in names {
            world.set_ready(&format!("{name}-primary"), ready);
        }
        let mut order = String::new();
        while !world.is_idle().await {
            let received = world.received.recv().await.unwrap();
            order.push(if is_profile(&received) { 'p' } else { 's' });
            world.make(received).await;
        }
        assert_eq!(order.len(), 24);
        // A few splits are written too, so that others see that this replica flips.
        let first = order.chars().take(16).filter(|one| *one == 'p').count();
        assert!(first >= 11, "{ready}: {order}");
    }
}

#[tokio::test]
async fn a_flip_whose_state_has_to_be_recorded_is_written_into_both_at_once() {
    let mut world = World::new(32, true);
    world.annotate = json!({"failover.linkerd.io/failback": "manual"});
    world.split("web", [1, 0], [1, 1]);
    world.make_all().await;
    world.set_ready("web-primary", 0);
    let both = [world.next().await, world.next().await];
    assert_eq!(both.iter().filter(|received| is_profile(received)).count(), 1);
}

#[tokio::test]
async fn the_deletion_of_a_pod_just_after_the_flip_waits_for_linkerd_as_that_before_it_does() {
    let mut world = World::new(1, false);
    world.reconciler.context.shared.update(|index| {
        index.follow_pods();
        vec![]
    });
    world.annotate = json!({"failover.linkerd.io/min-ready": "web-primary=2"});
    world.split("web", [1, 0], [3, 1]);
    world.ignore_changes();
    let mut outcomes: Vec<_> =
        (0..2).map(|i| world.announce(&format!("web-primary-{i}"))).collect();
    assert_eq!(outcomes[0].try_recv(), Ok(AnnouncementOutcome::NoFlip), "two are enough");
    let flip = world.next().await;
    assert!(outcomes[1].try_recv().is_err(), "the API server has not answered");
    world.make(flip).await;
    world.make_all().await;
    outcomes.push(world.announce("web-primary-2"));
    world.make_all().await;
    for outcome in &mut outcomes[1..] {
        assert_eq!(outcome.try_recv(), Ok(AnnouncementOutcome::Flipped { by_adaptor: true }));
    }
}
