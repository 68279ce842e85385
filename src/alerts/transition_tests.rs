//! What alerts make of a declaration: examples, and what holds over every history of alerts, edits by hand
//! and time.

use super::*;
use crate::kinds::ObjectKey;
use proptest::prelude::*;
use std::collections::BTreeMap;

const STAY: StaySettings =
    StaySettings { lasts: SignedDuration::from_mins(5), minimum: SignedDuration::from_mins(3) };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn alert(fingerprint: &str, status: AlertStatus) -> Alert {
    let service = ObjectKey::new("emojivoto", "emoji-svc");
    let reason = format!("{fingerprint} fails");
    Alert { fingerprint: fingerprint.into(), status, service, reason }
}

fn by_hand(until: i64) -> DeclaredDown {
    DeclaredDown { until: at(until), reason: Some("mine".into()), by: DownBy::Hand }
}

/// What stands on a Service, in a history.
#[derive(Default)]
struct Service(Option<DeclaredDown>);

impl Service {
    fn take(&mut self, fingerprint: &str, status: AlertStatus, seconds: i64) -> AlertOutcome {
        let next = after(self.0.clone(), &alert(fingerprint, status), STAY, at(seconds));
        // What another replica reads.
        self.0 = next.declared.and_then(|declared| reread(&declared));
        next.outcome
    }

    fn fires(&mut self, fingerprint: &str, seconds: i64) -> AlertOutcome {
        self.take(fingerprint, AlertStatus::Firing, seconds)
    }

    fn resolves(&mut self, fingerprint: &str, seconds: i64) -> AlertOutcome {
        self.take(fingerprint, AlertStatus::Resolved, seconds)
    }

    fn until(&self) -> Option<i64> {
        self.0.as_ref().map(|declared| declared.until.as_second() - at(0).as_second())
    }
}

/// A declaration as it is read after it was written.
fn reread(declared: &DeclaredDown) -> Option<DeclaredDown> {
    let written = declared.to_annotations();
    let written: BTreeMap<_, _> =
        written.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    DeclaredDown::read(&written).declared
}

#[test]
fn an_alert_that_fires_declares_its_service_down_and_goes_on_as_long_as_it_is_repeated() {
    let mut service = Service::default();
    assert_eq!(service.fires("a", 0), AlertOutcome::Declared);
    assert_eq!(service.until(), Some(300));
    assert_eq!(service.fires("a", 0), AlertOutcome::Unchanged, "sent to another replica too");
    assert_eq!(service.fires("a", 20), AlertOutcome::Unchanged, "not worth a write");
    assert_eq!(service.fires("a", 60), AlertOutcome::Extended);
    assert_eq!(
        service.fires("a", 330),
        AlertOutcome::Extended,
        "it has fired for longer than that"
    );
    assert_eq!(service.until(), Some(630));
    let declared = service.0.unwrap();
    assert_eq!(declared.reason.as_deref(), Some("a fails"));
    let DownBy::Alerts(alerts) = &declared.by else { panic!("{declared:?}") };
    assert_eq!(alerts[0].since, at(0));
}

#[test]
fn a_replica_whose_clock_is_behind_shortens_nothing() {
    let mut service = Service::default();
    service.fires("a", 100);
    service.fires("b", 100);
    assert_eq!(service.fires("a", 40), AlertOutcome::Unchanged);
    assert_eq!(service.fires("c", 40), AlertOutcome::Declared);
    assert_eq!(service.until(), Some(400));
    assert_eq!(service.resolves("a", 40), AlertOutcome::Shortened, "not before its minimum stay");
    assert_eq!(service.until(), Some(400), "of the other alert");
    assert_eq!(service.resolves("b", 40), AlertOutcome::Shortened);
    assert_eq!(service.until(), Some(340));
}

#[test]
fn a_resolved_alert_ends_its_declaration_after_the_minimum_stay_and_no_earlier() {
    let mut service = Service::default();
    service.fires("a", 0);
    assert_eq!(service.resolves("a", 60), AlertOutcome::Shortened);
    assert_eq!(service.until(), Some(180));
    assert_eq!(service.resolves("a", 61), AlertOutcome::Unchanged);
    assert_eq!(service.fires("a", 170), AlertOutcome::Extended, "it fires again");
    assert_eq!(service.resolves("a", 200), AlertOutcome::Ended, "the minimum stay has passed");
    assert_eq!(service.until(), None);
    assert_eq!(service.resolves("a", 201), AlertOutcome::Unchanged);
}

#[test]
fn a_stay_that_was_never_resolved_lasts_for_the_minimum_where_that_is_longer() {
    let stay = StaySettings { minimum: SignedDuration::from_mins(30), ..STAY };
    let declared = after(None, &alert("a", AlertStatus::Firing), stay, at(0)).declared;
    assert_eq!(declared.unwrap().until, at(1_800));
}

#[test]
fn a_resolve_removes_its_own_alert_only() {
    let mut service = Service::default();
    service.fires("a", 0);
    assert_eq!(service.resolves("b", 200), AlertOutcome::Unchanged);
    assert_eq!(service.until(), Some(300));
    assert_eq!(service.fires("b", 200), AlertOutcome::Declared);
    assert_eq!(service.until(), Some(500), "of the last to end");
    assert_eq!(service.resolves("a", 250), AlertOutcome::Ended);
    assert_eq!(service.until(), Some(500));
    assert_eq!(service.resolves("b", 400), AlertOutcome::Ended);
    assert_eq!(service.until(), None);
}

#[test]
fn what_a_person_has_declared_is_left_alone_until_it_has_run_out() {
    let person = DownBy::Person { person: "ada".into(), since: at(0) };
    for declared in [by_hand(100), DeclaredDown { by: person, ..by_hand(100) }] {
        let mut service = Service(Some(declared.clone()));
        assert_eq!(service.fires("a", 50), AlertOutcome::ByPerson);
        assert_eq!(service.resolves("a", 60), AlertOutcome::ByPerson);
        assert_eq!(service.0, Some(declared.clone()));
        assert_eq!(service.resolves("a", 100), AlertOutcome::Unchanged);
        assert_eq!(service.0, Some(declared));
        assert_eq!(service.fires("a", 100), AlertOutcome::Declared);
        assert_eq!(service.until(), Some(400));
    }
}

#[test]
fn a_time_that_a_person_changes_is_the_persons_from_then_on() {
    for changed in [100, 3_600] {
        let mut service = Service::default();
        service.fires("a", 0);
        let declared = service.0.as_mut().unwrap();
        declared.until = at(changed);
        assert_eq!(service.fires("a", 60), AlertOutcome::ByPerson);
        assert_eq!(service.resolves("a", 90), AlertOutcome::ByPerson);
        assert_eq!(service.until(), Some(changed));
        assert_eq!(service.fires("b", changed), AlertOutcome::Declared);
        let DownBy::Alerts(alerts) = service.0.unwrap().by else { panic!("a person's") };
        assert_eq!(alerts.len(), 1, "what stood beside it before counts no more");
    }
}

#[test]
fn so_many_alerts_declare_one_service_down_and_further_ones_change_nothing() {
    let mut service = Service::default();
    for n in 0..MOST {
        assert_eq!(service.fires(&format!("a{n}"), 0), AlertOutcome::Declared);
    }
    assert_eq!(service.fires("b", 1), AlertOutcome::TooMany);
    assert_eq!(service.fires("a0", 60), AlertOutcome::Extended);
    assert_eq!(service.fires("b", 300), AlertOutcome::Declared, "the others have run out");
}

#[test]
fn alerts_of_one_message_are_taken_one_after_the_other() {
    let alerts = [alert("a", AlertStatus::Firing), alert("b", AlertStatus::Firing)];
    let (declared, outcomes) = after_all(None, &alerts, STAY, at(0));
    assert_eq!(outcomes, [AlertOutcome::Declared, AlertOutcome::Declared]);
    let DownBy::Alerts(alerts) = declared.unwrap().by else { panic!("a person's") };
    assert_eq!(alerts.len(), 2);
}

#[derive(Clone, Debug)]
enum Step {
    Alert {
        fingerprint: usize,
        fires: bool,
    },
    Pass(i64),
    /// A person sets the time, as seconds from now, or removes it.
    Edit(Option<i64>),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..4, any::<bool>())
            .prop_map(|(fingerprint, fires)| Step::Alert { fingerprint, fires }),
        4 => (1_i64..400).prop_map(Step::Pass),
        1 => proptest::option::of(-100_i64..900).prop_map(Step::Edit),
    ]
}

fn entries(declared: Option<&DeclaredDown>, now: i64) -> BTreeMap<String, DownAlert> {
    let alerts = in_force(declared, at(now));
    alerts.into_iter().map(|alert| (alert.fingerprint.clone(), alert)).collect()
}

proptest! {
    #[test]
    fn an_alert_changes_its_own_entry_alone_within_its_bounds_and_nothing_of_a_persons(
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let (mut service, mut now) = (Service::default(), 0);
        for step in steps {
            match step {
                Step::Pass(seconds) => now += seconds,
                Step::Edit(None) => service.0 = None,
                Step::Edit(Some(seconds)) => {
                    let present = service.0.take();
                    let by = present.map_or(DownBy::Hand, |present| present.by);
                    service.0 = Some(DeclaredDown { by, ..by_hand(now + seconds) });
                }
                Step::Alert { fingerprint, fires } => {
                    let name = format!("a{fingerprint}");
                    let before = service.0.clone();
                    let status = if fires { AlertStatus::Firing } else { AlertStatus::Resolved };
                    let outcome = service.take(&name, status, now);
                    let (old, new) = (entries(before.as_ref(), now), entries(service.0.as_ref(), now));

                    // Idempotent, whichever replica takes it again.
                    let written = service.0.clone();
                    prop_assert!(matches!(
                        service.take(&name, status, now),
                        AlertOutcome::Unchanged | AlertOutcome::ByPerson
                    ));
                    prop_assert_eq!(&service.0, &written);

                    let is_persons = before.as_ref().is_some_and(|d| !d.is_by_alerts());
                    if is_persons && !before.as_ref().unwrap().has_ended(at(now)) {
                        prop_assert_eq!(outcome, AlertOutcome::ByPerson);
                        prop_assert_eq!(&service.0, &before);
                        continue;
                    }
                    // The others' entries are as before.
                    let others = |entries: &BTreeMap<String, DownAlert>| {
                        let mut entries = entries.clone();
                        entries.remove(&name);
                        entries
                    };
                    prop_assert_eq!(others(&old), others(&new));
                    let own = (old.get(&name), new.get(&name));
                    match own {
                        (Some(old), Some(new)) if fires => prop_assert!(new.until >= old.until),
                        (Some(old), Some(new)) => prop_assert!(new.until <= old.until),
                        (None, Some(new)) => prop_assert!(fires && new.until > at(now)),
                        (Some(old), None) => {
                            prop_assert!(!fires && at(now) >= later(old.since, STAY.minimum));
                        }
                        (None, None) => prop_assert!(!fires),
                    }
                    if let Some(new) = new.get(&name) {
                        prop_assert!(new.until >= later(new.since, STAY.minimum));
                        prop_assert!(
                            new.until <= later(at(now), STAY.lasts).max(later(new.since, STAY.minimum))
                        );
                        if fires {
                            let least = STAY.lasts - STAY.lasts / WRITTEN_FRACTION;
                            prop_assert!(at(now).duration_until(new.until) >= least);
                        }
                    }
                    // The declaration lasts as long as the last of its entries.
                    if !new.is_empty() {
                        let last = new.values().map(|alert| alert.until).max();
                        prop_assert_eq!(service.0.as_ref().map(|d| d.until), last);
                    }
                }
            }
        }
    }
}
