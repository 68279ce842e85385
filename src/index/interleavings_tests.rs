//! All interleavings of a watch, the LISTs that begin it, LISTs past it and writes of our own: for
//! objects, Services, slices and profiles alike.
//!
//! Requests that are under way past the watch are the subject here, and of no other property.

use crate::index::endpoints::SliceFacts;
use crate::index::order::{Arrival, Superseded, Ticket};
use crate::kinds::{Kind, ObjectKey, ObjectRef};
use crate::simulation::api_server::{ApiServer, Stored};
use crate::simulation::clock::Clock;
use crate::simulation::manifest::{self, Content, Key, Resource};
use crate::simulation::replica::{Replica, service_facts, slice_update};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;

const KEYS: [&str; 3] = ["k0", "k1", "k2"];
/// What slices belong to.
const SERVICES: [&str; 2] = ["s0", "s1"];

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

/// An object as the API server has it. No two ever have the same serial, whatever their versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    of: usize,
    serial: u32,
    uid: u32,
    service: usize,
}

impl State {
    fn endpoint(&self) -> Value {
        let [_, a, b, c] = self.serial.to_be_bytes();
        json!({"addresses": [format!("{}.{a}.{b}.{c}", 10 + self.of)]})
    }
}

/// A manifest from which the serial can be read back in the index.
impl Content for State {
    fn manifest(&self, resource: Resource) -> Value {
        let mut manifest = match resource {
            Resource::TrafficSplit => manifest::split(&[("apex", 1)]),
            Resource::Service => manifest::service(&[("web", self.serial.try_into().unwrap())]),
            Resource::EndpointSlice => {
                manifest::slice(SERVICES[self.service], &["web"], vec![self.endpoint()])
            }
            Resource::ServiceProfile => {
                let mark = json!({"v": 1, "split": format!("x{}", self.serial), "uid": "u",
                    "created": true, "by": "x"});
                let mark = json!({"failover.linkerd.io/written-for": mark.to_string()});
                json!({"metadata": {"annotations": mark}, "spec": {}})
            }
        };
        let metadata = &mut manifest["metadata"];
        let created = jiff::Timestamp::from_second(self.serial.into()).unwrap();
        metadata["creationTimestamp"] = json!(created.to_string());
        metadata["uid"] = json!(format!("u{}", self.uid));
        manifest
    }
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
    List(Vec<(Key, Stored<State>)>, u64),
    Written(Stored<State>),
    Gone,
}

struct Request {
    asked: Asked,
    ticket: Ticket,
    /// The watch's, when it was asked for; none while it was being listed.
    epoch: Option<u32>,
    answer: Option<Answer>,
}

struct World {
    resource: Resource,
    server: ApiServer<Key, State>,
    replica: Replica<State>,
    clock: Clock,
    serial: u32,
    /// Grows with each LIST that begins the watch.
    epoch: u32,
    requests: Vec<Request>,
    /// What tells each slice's endpoint apart.
    identities: HashMap<u64, (usize, u32)>,
    /// From which version on the index knows, by key and Service.
    floors: HashMap<(usize, usize), u64>,
}

impl World {
    fn new(resource: Resource) -> Self {
        let mut replica = Replica::new(&[resource]);
        replica.index.writes_profiles = true;
        Self {
            resource,
            server: ApiServer::default(),
            replica,
            clock: Clock::at_second(0),
            serial: 0,
            epoch: 0,
            requests: vec![],
            identities: HashMap::new(),
            floors: HashMap::new(),
        }
    }

    fn key(&self, of: usize) -> Key {
        self.resource.key(match self.resource {
            Resource::ServiceProfile => key(&format!("{}.ns.svc.cluster.local", KEYS[of])),
            _ => key(KEYS[of]),
        })
    }

    fn head(&self, of: usize) -> Option<Stored<State>> {
        self.server.get(&self.key(of))
    }

    fn change(&mut self, of: usize, service: usize) -> Stored<State> {
        self.serial += 1;
        let uid = self.head(of).map_or(self.serial, |(_, state)| state.uid);
        let state = State { of, serial: self.serial, uid, service };
        let slice = slice_update(&Resource::EndpointSlice.key(key("any")), 1, &state);
        let identity = slice.facts.unwrap().identities().next().unwrap();
        self.identities.insert(identity, (of, self.serial));
        (self.server.put(self.key(of), state), state)
    }

    /// The serial of what the index knows of an object, of a slice under this Service.
    fn known(&self, of: usize, service: usize) -> Option<u32> {
        let (index, (_, name)) = (&self.replica.index, self.key(of));
        match self.resource {
            Resource::TrafficSplit => {
                let object = index.object(&ObjectRef::new(Kind::TrafficSplit, name))?;
                u32::try_from(object.created).ok()
            }
            Resource::Service => u32::try_from(index.service(&name)?.ports[0].number).ok(),
            Resource::EndpointSlice => {
                let service = key(SERVICES[service]);
                let known = index.slices.of(&service);
                let known = known.flat_map(SliceFacts::identities);
                let mut known = known.map(|identity| self.identities[&identity]);
                known.find(|(slice, _)| *slice == of).map(|(_, serial)| serial)
            }
            Resource::ServiceProfile => {
                let mark = index.profile(&name)?.mark.as_ref()?;
                mark.split.strip_prefix('x')?.parse().ok()
            }
        }
    }

    /// What the index knows an object's version to be.
    fn known_version(&self, of: usize) -> Option<u64> {
        let (index, (_, name)) = (&self.replica.index, self.key(of));
        let version = match self.resource {
            Resource::TrafficSplit => {
                let object = ObjectRef::new(Kind::TrafficSplit, name);
                index.object(&object)?.resource_version.clone()
            }
            _ => index.profile(&name)?.resource_version.to_string(),
        };
        version.parse().ok()
    }

    fn scopes(&self) -> usize {
        if self.resource == Resource::EndpointSlice { SERVICES.len() } else { 1 }
    }

    fn serial_in(&self, of: usize, service: usize, version: u64) -> Option<u32> {
        let (_, state) = self.server.get_at(&self.key(of), version)?;
        let there = self.resource != Resource::EndpointSlice || state.service == service;
        there.then_some(state.serial)
    }

    /// Whether what the index knows has a place in the history, and none before what it has been shown.
    fn check(&self) {
        let Some(delivered) = self.replica.watch.delivered(&self.server) else { return };
        for of in 0..KEYS.len() {
            for service in 0..self.scopes() {
                let known = self.known(of, service);
                let shown = self.floors.get(&(of, service)).copied().unwrap_or_default();
                let mut since = shown.max(delivered)..=self.server.version();
                assert!(
                    since.any(|version| self.serial_in(of, service, version) == known),
                    "{:?} {of} in {service}: {known:?} is known after {delivered} of {:#?}, {:?}",
                    self.resource,
                    self.server,
                    self.floors
                );
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Edit(of, service) => drop(self.change(*of, *service)),
            Step::Delete(of) => drop(self.server.delete(self.key(*of))),
            Step::Restore(to) => {
                self.server.restore(to % (self.server.version() + 1));
                self.floors.clear();
            }
            Step::Follow => self.follow(),
            Step::Break => {
                self.replica.break_watch();
                self.floors.clear();
            }
            Step::Ask(of, writes) => self.ask(*of, *writes),
            Step::Answer(which) => self.answer(*which),
            Step::Arrive(which) => self.arrive(*which),
        }
    }

    /// The next that the watch does.
    fn follow(&mut self) {
        let was_synced = self.replica.watch.is_synced();
        drop(self.replica.follow(&self.server, self.clock.now()));
        self.epoch += u32::from(!was_synced && self.replica.watch.is_synced());
    }

    fn ask(&mut self, of: usize, writes: bool) {
        let (asked, (_, about)) = match self.resource {
            Resource::Service => (Asked::List(of), self.key(of)),
            Resource::EndpointSlice => {
                (Asked::List(of % 2), Resource::Service.key(key(SERVICES[of % 2])))
            }
            _ => {
                let Some(version) = self.known_version(of) else { return };
                let deletes = self.resource == Resource::ServiceProfile && !writes;
                let asked =
                    if deletes { Asked::Delete(of, version) } else { Asked::Write(of, version) };
                (asked, self.key(of))
            }
        };
        let ticket = self.replica.order(self.resource).ticket(&about);
        let epoch = self.replica.watch.is_synced().then_some(self.epoch);
        self.requests.push(Request { asked, ticket, epoch, answer: None });
    }

    fn answer(&mut self, which: usize) {
        let open = self.requests.iter().positions(|request| request.answer.is_none());
        let Some(i) = pick(which, &open) else { return };
        let answer = match self.requests[i].asked {
            Asked::List(of) => {
                let is_asked = |state: &State| match self.resource {
                    Resource::EndpointSlice => state.service == of,
                    _ => state.of == of,
                };
                let found = self.server.list().into_iter();
                let found = found.filter(|(_, (_, state))| is_asked(state)).collect();
                Answer::List(found, self.server.version())
            }
            Asked::Write(of, on) => match self.head(of) {
                None => Answer::Gone,
                Some((version, state)) if version == on => {
                    Answer::Written(self.change(of, state.service))
                }
                Some(_) => return drop(self.requests.remove(i)),
            },
            Asked::Delete(of, on) => match self.head(of) {
                Some((version, _)) if version != on => return drop(self.requests.remove(i)),
                _ => {
                    self.server.delete(self.key(of));
                    Answer::Gone
                }
            },
        };
        self.requests[i].answer = Some(answer);
    }

    fn arrive(&mut self, which: usize) {
        let answered = self.requests.iter().positions(|request| request.answer.is_some());
        let Some(i) = pick(which, &answered) else { return };
        let Request { asked, ticket, epoch, answer } = self.requests.remove(i);
        let is_of_this_watch =
            self.replica.watch.delivered(&self.server).is_some() && epoch == Some(self.epoch);
        let mut floor = |of: usize, service: usize, at: u64| {
            let floor = self.floors.entry((of, service)).or_default();
            *floor = at.max(*floor);
        };
        match (asked, answer.unwrap()) {
            (Asked::List(of), Answer::List(found, at)) => {
                if is_of_this_watch {
                    let all = 0..KEYS.len();
                    match self.resource {
                        Resource::EndpointSlice => all.for_each(|slice| floor(slice, of, at)),
                        _ => floor(of, 0, at),
                    }
                }
                let taken = self.confirm(of, &ticket, &found, at);
                assert!(taken.is_ok() || !is_of_this_watch || at == 0, "{taken:?}");
            }
            (Asked::Write(of, _), Answer::Written(stored)) => {
                if is_of_this_watch {
                    floor(of, 0, stored.0);
                }
                self.replica.enter(&self.key(of), &stored, Arrival::Answered(&ticket));
            }
            (Asked::Write(of, on) | Asked::Delete(of, on), Answer::Gone)
                if self.resource == Resource::ServiceProfile =>
            {
                let (_, name) = self.key(of);
                self.replica.index.remove_absent_profile(&name, &on.to_string(), &ticket);
            }
            _ => {}
        }
    }

    fn confirm(
        &mut self,
        of: usize,
        ticket: &Ticket,
        found: &[(Key, Stored<State>)],
        at: u64,
    ) -> Result<Vec<ObjectRef>, Superseded> {
        let index = &mut self.replica.index;
        match self.resource {
            Resource::Service => {
                let facts = |(key, (version, state)): &(Key, Stored<State>)| {
                    (*version, service_facts(key, *version, state))
                };
                index.confirm_service(ticket, &key(KEYS[of]), found.first().map(facts), at)
            }
            _ => {
                let update = |(key, (version, state)): &(Key, Stored<State>)| {
                    slice_update(key, *version, state)
                };
                let listed = found.iter().map(update).collect();
                index.confirm_slices(ticket, &key(SERVICES[of]), listed, at)
            }
        }
    }

    /// Lets the watch deliver everything.
    fn catch_up(&mut self) {
        if self.replica.watch.is_cut(&self.server) {
            self.take(&Step::Break);
        }
        while self.replica.watch.delivered(&self.server) != Some(self.server.version()) {
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
    /// etcd is restored from a snapshot of this version.
    Restore(u64),
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
        1 => (0..1_000_u64).prop_map(Step::Restore),
        8 => Just(Step::Follow),
        1 => Just(Step::Break),
        4 => (0..KEYS.len(), any::<bool>()).prop_map(|(of, writes)| Step::Ask(of, writes)),
        4 => (0..1_000_usize).prop_map(Step::Answer),
        4 => (0..1_000_usize).prop_map(Step::Arrive),
    ]
}

fn any_resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        Just(Resource::TrafficSplit),
        Just(Resource::Service),
        Just(Resource::EndpointSlice),
        Just(Resource::ServiceProfile),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_was_under_way_brings_back_what_is_past(
        resource in any_resource(),
        steps in proptest::collection::vec(any_step(), 1..120),
    ) {
        let mut world = World::new(resource);
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.catch_up();
        world.check();
        // What arrives at last brings nothing back either.
        for which in 0..world.requests.len() {
            world.answer(which);
        }
        for _ in 0..world.requests.len() {
            world.arrive(0);
            world.check();
        }
        world.catch_up();
        world.check();
        let head = world.server.version();
        for of in 0..KEYS.len() {
            for service in 0..world.scopes() {
                prop_assert_eq!(world.known(of, service), world.serial_in(of, service, head));
            }
        }
    }
}
