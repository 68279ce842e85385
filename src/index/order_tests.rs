//! All interleavings of a watch, the LISTs that begin it, LISTs past it and writes of our own,
//! against a model of an API server: for objects, Services, slices and profiles alike.

use super::*;
use crate::engine::Defaults;
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::managed_object::ManagedObject;
use crate::index::profile_facts::ProfileFacts;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::kinds::{Kind, ObjectRef};
use proptest::prelude::*;
use serde_json::json;
use std::collections::HashSet;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

#[test]
fn a_list_that_begins_a_watch_replaces_whatever_its_numbers() {
    let (mut order, one) = (Order::default(), key("one"));
    order.begin(None);
    order.enter(&one, 1_000, &one, Arrival::Listed);
    order.complete(None);
    order.begin(None);
    assert_eq!(order.enter(&one, 800, &one, Arrival::Listed), Freshness::Newest);
    order.complete(None);
    assert_eq!(order.enter(&one, 801, &one, Arrival::Watched), Freshness::Newest);
    assert_eq!(order.enter(&one, 800, &one, Arrival::Watched), Freshness::Stale);
}

#[test]
fn an_answer_that_was_asked_for_before_the_watch_was_listed_anew_does_not_enter() {
    let (mut order, one) = (Order::default(), key("one"));
    let before = order.ticket(&one);
    order.begin(None);
    let meanwhile = order.ticket(&one);
    for ticket in [&before, &meanwhile] {
        assert_eq!(order.check_answer(ticket, &one, 900), Err(Superseded::ListedSince));
    }
    order.complete(None);
    for ticket in [&before, &meanwhile] {
        assert_eq!(order.enter(&one, 900, &one, Arrival::Answered(ticket)), Freshness::Stale);
    }
    let after = order.ticket(&one);
    assert_eq!(order.enter(&one, 900, &one, Arrival::Answered(&after)), Freshness::Newest);
}

#[test]
fn a_list_that_is_older_than_what_was_known_when_it_was_asked_for_says_that_numbers_went_back() {
    let (mut order, one) = (Order::default(), key("one"));
    order.enter(&one, 1_000, &one, Arrival::Watched);
    let ticket = order.ticket(&one);
    assert_eq!(order.check_answer(&ticket, &one, 999), Err(Superseded::WentBack));
    assert_eq!(order.check_answer(&ticket, &one, 1_000), Ok(()));
}

#[test]
fn the_watch_of_one_namespace_voids_no_answer_of_another() {
    let mut order = Order::default();
    let (a, b) = (ObjectKey::new("a", "one"), ObjectKey::new("b", "one"));
    for namespace in ["a", "b"] {
        order.begin(Some(namespace));
        order.complete(Some(namespace));
    }
    let (of_a, of_b) = (order.ticket(&a), order.ticket(&b));
    order.begin(Some("a"));
    assert_eq!(order.enter(&a, 5, &a, Arrival::Answered(&of_a)), Freshness::Stale);
    assert_eq!(order.enter(&b, 5, &b, Arrival::Answered(&of_b)), Freshness::Newest);
}

#[test]
fn deletions_are_remembered_for_requests_under_way_alone_and_never_without_bound() {
    let mut order = Order::default();
    let keys: Vec<ObjectKey> = (0..=MOST_DELETED).map(|i| key(&format!("k{i}"))).collect();
    order.delete(&keys[0], 1);
    assert!(order.cluster.deleted.is_empty());
    let ticket = order.ticket(&keys[0]);
    for (version, key) in (2..).zip(&keys) {
        order.delete(key, version);
    }
    assert!(order.cluster.deleted.len() <= MOST_DELETED);
    // What would have to be remembered for it is not: it does not enter at all.
    let first = order.enter(&keys[0], 1, &keys[0], Arrival::Answered(&ticket));
    assert_eq!(first, Freshness::Stale);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Objects,
    Services,
    Slices,
    Profiles,
}

const KEYS: [&str; 3] = ["k0", "k1", "k2"];
/// What slices belong to.
const SERVICES: [&str; 2] = ["s0", "s1"];

/// An object as the API server has it. No two ever have the same serial, whatever their versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    serial: u32,
    uid: u32,
    service: usize,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    key: usize,
    state: Option<State>,
}

#[derive(Debug)]
enum Asked {
    /// A LIST of one name, or of one Service's slices.
    List(usize),
    /// A write on the version that the index has.
    Write(usize, u64),
    Delete(usize, u64),
}

#[derive(Debug)]
enum Answer {
    List(Vec<(usize, u64, State)>, u64),
    Written(u64, State),
    Gone,
}

struct Request {
    asked: Asked,
    ticket: Ticket,
    /// The watch's, when it was asked for; none while it was being listed.
    epoch: Option<u32>,
    answer: Option<Answer>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stream {
    Ended,
    Began,
    /// A LIST as it was answered: what is left of it, all of its keys, its version.
    Lists(Vec<(usize, u64, State)>, HashSet<usize>, usize),
    /// Has told so many changes.
    Watches(usize),
}

struct World {
    subject: Subject,
    index: Index,
    /// The version of a change is its place here, from 1 on.
    history: Vec<Change>,
    serial: u32,
    stream: Stream,
    /// Grows with each LIST that begins the watch.
    epoch: u32,
    /// The API server that the stream came from is no more.
    cut: bool,
    requests: Vec<Request>,
    /// What tells each slice's endpoint apart.
    identities: HashMap<u64, (usize, u32)>,
    /// From which version on the index knows, by key and Service.
    floors: HashMap<(usize, usize), u64>,
}

impl World {
    fn new(subject: Subject) -> Self {
        let mut index = Index::default();
        index.writes_profiles = true;
        Self {
            subject,
            index,
            history: vec![],
            serial: 0,
            stream: Stream::Ended,
            epoch: 0,
            cut: false,
            requests: vec![],
            identities: HashMap::new(),
            floors: HashMap::new(),
        }
    }

    fn order(&mut self) -> &mut Order {
        match self.subject {
            Subject::Objects => self.index.order_of(Kind::TrafficSplit),
            Subject::Services => &mut self.index.service_order,
            Subject::Slices => &mut self.index.slices.order,
            Subject::Profiles => &mut self.index.profiles.order,
        }
    }

    fn name(&self, of: usize) -> ObjectKey {
        match self.subject {
            Subject::Profiles => key(&format!("{}.ns.svc.cluster.local", KEYS[of])),
            _ => key(KEYS[of]),
        }
    }

    /// Object `of`'s last state up to a version, with that state's own version.
    fn at(&self, of: usize, version: usize) -> Option<(u64, State)> {
        let changes = self.history[..version].iter().zip(1..);
        let (last, version) = changes.filter(|(change, _)| change.key == of).last()?;
        Some((version, last.state?))
    }

    fn head(&self, of: usize) -> Option<(u64, State)> {
        self.at(of, self.history.len())
    }

    fn change(&mut self, of: usize, service: usize) -> (u64, State) {
        self.serial += 1;
        let uid = self.head(of).map_or(self.serial, |(_, state)| state.uid);
        let state = State { serial: self.serial, uid, service };
        let identity = Self::facts(of, self.serial).identities().next().unwrap();
        self.identities.insert(identity, (of, self.serial));
        self.history.push(Change { key: of, state: Some(state) });
        (self.history.len() as u64, state)
    }

    fn facts(of: usize, serial: u32) -> SliceFacts {
        let [_, a, b, c] = serial.to_be_bytes();
        let address = format!("{}.{a}.{b}.{c}", 10 + of);
        let slice = json!({"addressType": "IPv4", "metadata": {},
            "endpoints": [{"addresses": [address]}]});
        SliceFacts::read(&serde_json::from_value(slice).unwrap(), AddressFamilies::default())
            .unwrap()
    }

    /// Brings a state to the index.
    fn bring(&mut self, of: usize, version: u64, state: State, arrival: Arrival<'_>) {
        let key = self.name(of);
        let State { serial, uid, service } = state;
        let metadata = json!({"name": &*key.name, "namespace": "ns", "uid": format!("u{uid}"),
            "resourceVersion": version.to_string()});
        match self.subject {
            Subject::Objects => {
                let mut split = json!({"apiVersion": "split.smi-spec.io/v1alpha2",
                    "kind": "TrafficSplit", "metadata": metadata, "spec": {"service": "apex",
                    "backends": [{"service": "apex", "weight": 1}]}});
                split["metadata"]["creationTimestamp"] =
                    json!(jiff::Timestamp::from_second(serial.into()).unwrap().to_string());
                let split = serde_json::from_value(split).unwrap();
                let managed = ManagedObject::read(Kind::TrafficSplit, &split, &Defaults::default());
                let object = ObjectRef::new(Kind::TrafficSplit, key);
                self.index.enter_object(object, managed, arrival);
            }
            Subject::Services => {
                let service = json!({"metadata": metadata, "spec": {"ports": [{"port": serial}]}});
                let facts = ServiceFacts::read(&serde_json::from_value(service).unwrap());
                self.index.enter_service(key, version, facts, arrival);
            }
            Subject::Slices => {
                let facts = Some(Self::facts(of, serial));
                let service = Some(super::tests::key(SERVICES[service]));
                let told = SliceUpdate { slice: key, version, service, facts };
                self.index.enter_slice(told, arrival);
            }
            Subject::Profiles => {
                let mark = json!({"v": 1, "split": format!("x{serial}"), "uid": "u",
                    "created": true, "by": "x"});
                let mut profile = json!({"metadata": metadata, "spec": {}});
                profile["metadata"]["annotations"] =
                    json!({"failover.linkerd.io/written-for": mark.to_string()});
                let facts = ProfileFacts::read(&serde_json::from_value(profile).unwrap());
                self.index.enter_profile(key, facts, arrival);
            }
        }
    }

    fn remove(&mut self, of: usize) {
        let key = self.name(of);
        match self.subject {
            Subject::Objects => {
                drop(self.index.remove_object(&ObjectRef::new(Kind::TrafficSplit, key)));
            }
            Subject::Services => drop(self.index.remove_service(&key)),
            Subject::Slices => drop(self.index.remove_slice(&key)),
            Subject::Profiles => drop(self.index.remove_profile(&key)),
        }
    }

    /// The serial of what the index knows of an object, of a slice under this Service.
    fn known(&self, of: usize, service: usize) -> Option<u32> {
        let key = self.name(of);
        match self.subject {
            Subject::Objects => {
                let object = self.index.object(&ObjectRef::new(Kind::TrafficSplit, key))?;
                u32::try_from(object.created).ok()
            }
            Subject::Services => u32::try_from(self.index.service(&key)?.ports[0].number).ok(),
            Subject::Slices => {
                let service = super::tests::key(SERVICES[service]);
                let known = self.index.slices.of(&service).flat_map(SliceFacts::identities);
                let mut known = known.map(|identity| self.identities[&identity]);
                known.find(|(slice, _)| *slice == of).map(|(_, serial)| serial)
            }
            Subject::Profiles => {
                let mark = self.index.profile(&key)?.mark.as_ref()?;
                mark.split.strip_prefix('x')?.parse().ok()
            }
        }
    }

    /// What the index knows an object's version to be.
    fn known_version(&self, of: usize) -> Option<u64> {
        let key = self.name(of);
        let version = match self.subject {
            Subject::Objects => {
                let object = ObjectRef::new(Kind::TrafficSplit, key);
                self.index.object(&object)?.resource_version.clone()
            }
            _ => self.index.profile(&key)?.resource_version.to_string(),
        };
        version.parse().ok()
    }

    fn scopes(&self) -> usize {
        if self.subject == Subject::Slices { SERVICES.len() } else { 1 }
    }

    fn serial_in(&self, of: usize, service: usize, version: usize) -> Option<u32> {
        let (_, state) = self.at(of, version)?;
        let there = self.subject != Subject::Slices || state.service == service;
        there.then_some(state.serial)
    }

    /// Whether what the index knows has a place in the history, and none before what it has been shown.
    fn check(&self) {
        let Stream::Watches(told) = self.stream else { return };
        if self.cut {
            return;
        }
        for of in 0..KEYS.len() {
            for service in 0..self.scopes() {
                let known = self.known(of, service);
                let shown = self.floors.get(&(of, service)).copied().unwrap_or_default() as usize;
                let mut since = shown.max(told)..=self.history.len();
                assert!(
                    since.any(|version| self.serial_in(of, service, version) == known),
                    "{:?} {of} in {service}: {known:?} is known after {told} of {:#?}, {:?}",
                    self.subject,
                    self.history,
                    self.floors
                );
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Edit(of, service) => drop(self.change(*of, *service)),
            Step::Delete(of) if self.head(*of).is_some() => {
                self.history.push(Change { key: *of, state: None });
            }
            Step::Delete(_) => {}
            Step::Restore(to) => {
                self.history.truncate(to % (self.history.len() + 1));
                self.cut = self.stream != Stream::Ended && self.stream != Stream::Began;
                self.floors.clear();
            }
            Step::Follow => self.follow(),
            Step::Break => {
                self.stream = Stream::Ended;
                self.order().begin(None);
            }
            Step::Ask(of, writes) => self.ask(*of, *writes),
            Step::Answer(which) => self.answer(*which),
            Step::Arrive(which) => self.arrive(*which),
        }
    }

    /// The next that the stream does.
    fn follow(&mut self) {
        match std::mem::replace(&mut self.stream, Stream::Ended) {
            Stream::Ended => {
                self.order().begin(None);
                self.cut = false;
                self.floors.clear();
                self.stream = Stream::Began;
            }
            Stream::Began => {
                let there = |of| Some((of, self.head(of)?));
                let there = (0..KEYS.len()).filter_map(there);
                let items: Vec<_> = there.map(|(of, (v, state))| (of, v, state)).collect();
                let keys = items.iter().map(|(of, ..)| *of).collect();
                self.stream = Stream::Lists(items, keys, self.history.len());
            }
            Stream::Lists(mut items, keys, at) => {
                if let Some((of, version, state)) = items.pop() {
                    self.bring(of, version, state, Arrival::Listed);
                    self.stream = Stream::Lists(items, keys, at);
                    return;
                }
                for of in (0..KEYS.len()).filter(|of| !keys.contains(of)) {
                    self.remove(of);
                }
                self.order().complete(None);
                self.epoch += 1;
                self.stream = Stream::Watches(at);
            }
            Stream::Watches(told) => {
                self.stream = Stream::Watches(told);
                let Some(change) = self.history.get(told).copied().filter(|_| !self.cut) else {
                    return;
                };
                let version = told as u64 + 1;
                match change.state {
                    Some(state) => self.bring(change.key, version, state, Arrival::Watched),
                    None => {
                        let name = self.name(change.key);
                        if self.order().delete(&name, version) {
                            self.remove(change.key);
                        }
                    }
                }
                self.stream = Stream::Watches(told + 1);
            }
        }
    }

    fn ask(&mut self, of: usize, writes: bool) {
        let (asked, about) = match self.subject {
            Subject::Services => (Asked::List(of), self.name(of)),
            Subject::Slices => (Asked::List(of % 2), key(SERVICES[of % 2])),
            _ => {
                let Some(version) = self.known_version(of) else { return };
                let deletes = self.subject == Subject::Profiles && !writes;
                let asked =
                    if deletes { Asked::Delete(of, version) } else { Asked::Write(of, version) };
                (asked, self.name(of))
            }
        };
        let ticket = self.order().ticket(&about);
        let epoch = matches!(self.stream, Stream::Watches(_)).then_some(self.epoch);
        self.requests.push(Request { asked, ticket, epoch, answer: None });
    }

    fn answer(&mut self, which: usize) {
        let open = self.requests.iter().positions(|request| request.answer.is_none());
        let Some(i) = pick(which, &open) else { return };
        let answer = match self.requests[i].asked {
            Asked::List(of) => {
                let there = |object| Some((object, self.head(object)?));
                let is_asked = |(object, (_, state)): &(usize, (u64, State))| match self.subject {
                    Subject::Slices => state.service == of,
                    _ => *object == of,
                };
                let found = (0..KEYS.len()).filter_map(there).filter(is_asked);
                let found = found.map(|(object, (version, state))| (object, version, state));
                Answer::List(found.collect(), self.history.len() as u64)
            }
            Asked::Write(of, on) => match self.head(of) {
                None => Answer::Gone,
                Some((version, state)) if version == on => {
                    let (version, state) = self.change(of, state.service);
                    Answer::Written(version, state)
                }
                Some(_) => return drop(self.requests.remove(i)),
            },
            Asked::Delete(of, on) => match self.head(of) {
                Some((version, _)) if version != on => return drop(self.requests.remove(i)),
                Some(_) => {
                    self.history.push(Change { key: of, state: None });
                    Answer::Gone
                }
                None => Answer::Gone,
            },
        };
        self.requests[i].answer = Some(answer);
    }

    fn arrive(&mut self, which: usize) {
        let answered = self.requests.iter().positions(|request| request.answer.is_some());
        let Some(i) = pick(which, &answered) else { return };
        let Request { asked, ticket, epoch, answer } = self.requests.remove(i);
        let is_of_this_watch =
            matches!(self.stream, Stream::Watches(_)) && epoch == Some(self.epoch) && !self.cut;
        let mut floor = |of: usize, service: usize, at: u64| {
            let floor = self.floors.entry((of, service)).or_default();
            *floor = at.max(*floor);
        };
        match (asked, answer.unwrap()) {
            (Asked::List(of), Answer::List(found, at)) => {
                if is_of_this_watch {
                    let all = 0..KEYS.len();
                    match self.subject {
                        Subject::Slices => all.for_each(|slice| floor(slice, of, at)),
                        _ => floor(of, 0, at),
                    }
                }
                let taken = self.confirm(of, &ticket, found, at);
                assert!(taken.is_ok() || !is_of_this_watch || at == 0, "{taken:?}");
            }
            (Asked::Write(of, _), Answer::Written(version, state)) => {
                if is_of_this_watch {
                    floor(of, 0, version);
                }
                self.bring(of, version, state, Arrival::Answered(&ticket));
            }
            (Asked::Write(of, on) | Asked::Delete(of, on), Answer::Gone)
                if self.subject == Subject::Profiles =>
            {
                let name = self.name(of);
                self.index.remove_absent_profile(&name, &on.to_string(), &ticket);
            }
            _ => {}
        }
    }

    fn confirm(
        &mut self,
        of: usize,
        ticket: &Ticket,
        found: Vec<(usize, u64, State)>,
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        match self.subject {
            Subject::Services => {
                let found = found.first().map(|(_, version, state)| {
                    let service = json!({"spec": {"ports": [{"port": state.serial}]}});
                    (*version, ServiceFacts::read(&serde_json::from_value(service).unwrap()))
                });
                self.index.confirm_service(ticket, &self.name(of), found, at)
            }
            _ => {
                let service = key(SERVICES[of]);
                let told = |(slice, version, state): (usize, u64, State)| SliceUpdate {
                    slice: self.name(slice),
                    version,
                    service: Some(service.clone()),
                    facts: Some(Self::facts(slice, state.serial)),
                };
                let told = found.into_iter().map(told).collect();
                self.index.confirm_slices(ticket, &service, told, at)
            }
        }
    }

    /// Lets everything come to its end.
    fn settle(&mut self) {
        if self.cut {
            self.take(&Step::Break);
        }
        while self.stream != Stream::Watches(self.history.len()) {
            self.follow();
        }
    }
}

trait Positions: Iterator + Sized {
    fn positions(self, is: impl Fn(Self::Item) -> bool) -> Vec<usize> {
        self.enumerate().filter_map(|(i, item)| is(item).then_some(i)).collect()
    }
}

impl<I: Iterator> Positions for I {}

fn pick(which: usize, of: &[usize]) -> Option<usize> {
    (!of.is_empty()).then(|| of[which % of.len()])
}

#[derive(Clone, Debug)]
enum Step {
    Edit(usize, usize),
    Delete(usize),
    /// etcd is restored from a snapshot of so long ago: what came later is lost, and the numbers
    /// come again.
    Restore(usize),
    Follow,
    Break,
    Ask(usize, bool),
    Answer(usize),
    Arrive(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..KEYS.len(), 0..SERVICES.len()).prop_map(|(of, service)| Step::Edit(of, service)),
        2 => (0..KEYS.len()).prop_map(Step::Delete),
        1 => (0..1_000_usize).prop_map(Step::Restore),
        8 => Just(Step::Follow),
        1 => Just(Step::Break),
        4 => (0..KEYS.len(), any::<bool>()).prop_map(|(of, writes)| Step::Ask(of, writes)),
        4 => (0..1_000_usize).prop_map(Step::Answer),
        4 => (0..1_000_usize).prop_map(Step::Arrive),
    ]
}

fn any_subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        Just(Subject::Objects),
        Just(Subject::Services),
        Just(Subject::Slices),
        Just(Subject::Profiles),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_was_under_way_brings_back_what_is_past(
        subject in any_subject(),
        steps in proptest::collection::vec(any_step(), 1..120),
    ) {
        let mut world = World::new(subject);
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.settle();
        world.check();
        // What arrives at last brings nothing back either.
        for which in 0..world.requests.len() {
            world.answer(which);
        }
        for _ in 0..world.requests.len() {
            world.arrive(0);
            world.check();
        }
        world.settle();
        world.check();
        let head = world.history.len();
        for of in 0..KEYS.len() {
            for service in 0..world.scopes() {
                prop_assert_eq!(world.known(of, service), world.serial_in(of, service, head));
            }
        }
    }
}
