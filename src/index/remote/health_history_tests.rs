//! A linked cluster over generated histories: whatever changes there, the objects that rest on it are
//! notified.

use super::tests::{DISCOVERY, East, LIMIT, LOCAL, key, split_bb};
use crate::engine::{Health, Unknown};
use crate::index::remote::reach::Reach;
use crate::kinds::ObjectRef;
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
enum Step {
    Link,
    Unlink,
    Lists(usize),
    Slice(usize),
    Gone,
    Confirms(usize),
    Interrupted,
    Failed,
    Refused,
    Here(usize),
    /// West's own Service is listed, with a port of this name.
    ListsService(&'static str),
    SetsService(Option<&'static str>),
    DoubtsServices(bool),
    /// The Service is made anew, with this metadata.
    Service(&'static str, Value),
    Pass(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Link),
        Just(Step::Unlink),
        (0_usize..3).prop_map(Step::Lists),
        (0_usize..3).prop_map(Step::Slice),
        Just(Step::Gone),
        (0_usize..3).prop_map(Step::Confirms),
        Just(Step::Interrupted),
        Just(Step::Failed),
        Just(Step::Refused),
        (0_usize..3).prop_map(Step::Here),
        Just(Step::ListsService("http")),
        Just(Step::ListsService("web")),
        Just(Step::SetsService(Some("web"))),
        Just(Step::SetsService(None)),
        any::<bool>().prop_map(Step::DoubtsServices),
        Just(Step::Service("bb-federated", json!({"annotations": {LOCAL: "bb"}}))),
        Just(Step::Service(
            "bb-federated",
            json!({"annotations": {DISCOVERY: "bb@west,bb@north"}})
        )),
        Just(Step::Service("bb-west", json!({}))),
        Just(Step::Service("bb", json!({"annotations": {DISCOVERY: "bb@west"}}))),
        Just(Step::Service("bb", json!({}))),
        (1_i64..90).prop_map(Step::Pass),
    ]
}

impl East {
    /// Takes a step. Returns the objects that it concerns.
    fn take(&mut self, step: Step) -> Vec<ObjectRef> {
        match step {
            Step::Link => self.index().link("west"),
            Step::Unlink => self.index().unlink("west"),
            Step::Lists(ready) => self.west_lists(ready),
            Step::Slice(ready) => self.west_reports(ready),
            Step::Gone => self.west_deletes(),
            Step::Confirms(ready) => self.west_confirms(ready),
            Step::Interrupted => self.index().change_reach("west", Reach::interrupted).1,
            Step::Failed => self.index().change_reach("west", Reach::failed).1,
            Step::Refused => {
                self.index().change_reach("west", |reach, _| reach.refused("no".into())).1
            }
            Step::Here(ready) => self.here(ready),
            Step::ListsService(port) => self.west_lists_service(Some((port, 80))),
            Step::DoubtsServices(refused) => {
                self.index().doubt_remote_services("west", "no answer", refused)
            }
            Step::SetsService(Some(port)) => self.west_reports_service(port),
            Step::SetsService(None) => self.west_deletes_service(),
            Step::Service(name, metadata) => self.service(name, metadata),
            Step::Pass(seconds) => {
                self.pass(seconds);
                self.index().change_reach("west", |reach, now| reach.pass(now, LIMIT)).1
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_objects_that_rest_on_what_changed_are_notified(
        history in proptest::collection::vec(any_step(), 1..60),
    ) {
        let mut east = East::new();
        for step in history {
            // Peaks fade by time alone, which whoever asks by percentages looks after.
            let seen = |east: &East| east.health().map(|health| match health {
                Health::Seen { ready, total, .. } => Health::seen(ready, total),
                other => other,
            });
            let before = seen(&east);
            let affected = east.take(step.clone());
            // Nor does what time alone ends notify anybody: its end is known when it begins.
            let awaited = |health: &Health| matches!(health, Health::Unknown(Unknown::Changed { .. }));
            let by_time = matches!(step, Step::Pass(_)) && before.iter().any(awaited);
            if seen(&east) != before && !by_time {
                prop_assert!(affected.contains(&split_bb()), "{step:?}: {:?}", seen(&east));
            }
            prop_assert!(affected.iter().all(|object| *object == split_bb()));
            // Nothing is ready because of a cluster that is not seen.
            let is_seen = east.index().remote.reach("west").is_some_and(Reach::is_seen);
            let rests_there = east.index().service(&key("bb-west")).unwrap().members().len() == 1;
            prop_assert!(is_seen || !rests_there || !east.health()[1].is_ready());
        }
    }
}
