//! The steps of the Secret, one by one.

use super::*;

fn start() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

fn step(data: &Data, trusted_for: Option<SignedDuration>, now: Timestamp) -> Step {
    next_step(Observed { data, trusted_for }, &names(), &lifetimes(), now).unwrap()
}

fn written(data: &Data, trusted_for: Option<SignedDuration>, now: Timestamp) -> (Data, Change) {
    match step(data, trusted_for, now) {
        Step::Write { data, change } => (data, change),
        Step::Use(used) => panic!("expected a write, found {:?}", used.phase),
    }
}

fn used(data: &Data, trusted_for: Option<SignedDuration>, now: Timestamp) -> InUse {
    match step(data, trusted_for, now) {
        Step::Use(used) => used,
        Step::Write { change, .. } => panic!("expected no write, found {change:?}"),
    }
}

fn phase(data: &Data, trusted_for: Option<SignedDuration>, now: Timestamp) -> Phase {
    used(data, trusted_for, now).phase
}

fn made() -> Data {
    written(&Data::new(), None, start()).0
}

/// A Secret whose next CA was just made, and when that was.
fn rotating() -> (Data, Timestamp) {
    let now = start() + days(250);
    let (data, change) = written(&made(), None, now);
    assert_eq!(change, Change::NextCreated);
    (data, now)
}

fn with(data: &Data, key: &str, value: &[u8]) -> Data {
    let mut data = data.clone();
    data.insert(key.into(), value.to_vec());
    data
}

fn without(data: &Data, keys: &[&str]) -> Data {
    let mut data = data.clone();
    data.retain(|key, _| !keys.contains(&key.as_str()));
    data
}

#[test]
fn an_empty_secret_gets_a_ca_that_is_used_from_then_on() {
    let (data, change) = written(&Data::new(), None, start());
    assert_eq!(change, Change::Created);
    let used = used(&data, None, start());
    assert_eq!((used.phase, used.bundle.as_bytes()), (Phase::Steady, data[CA_CERT].as_slice()));
    let leaf = used.authority.issue(&names(), &lifetimes(), start()).unwrap();
    verifies(&data[CA_CERT], &leaf, NAME, start()).unwrap();
    assert_eq!(used.recheck_at, Some(used.authority.renew_at(&lifetimes())));
}

#[test]
fn a_rotation_goes_through_its_phases_and_ends_with_one_ca_and_one_key() {
    let (data, mut now) = rotating();
    let before = data.clone();
    let next = data[NEXT_CERT].clone();
    assert_eq!(phase(&data, None, now), Phase::Distributing);
    let bundle = used(&data, None, now).bundle;
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 2);

    let minutes = SignedDuration::from_mins;
    let propagation = used(&data, Some(minutes(4)), now);
    assert_eq!(
        (propagation.phase, propagation.recheck_at),
        (Phase::Propagating, Some(now + minutes(6)))
    );
    // The leaf is the present CA's all the while.
    assert_eq!(propagation.authority.cert_pem().as_bytes(), before[CA_CERT]);

    let (data, change) = written(&data, Some(minutes(10)), now);
    assert_eq!(change, Change::Promoted);
    assert_eq!((&data[CA_CERT], &data[OLD_CERTS]), (&next, &before[CA_CERT]));
    assert!(!data.contains_key(NEXT_CERT) && !data.contains_key(NEXT_KEY));
    let old_key = &before[CA_KEY];
    assert!(!data.values().any(|value| value == old_key));
    assert_eq!(phase(&data, None, now), Phase::Retiring);
    assert!(used(&data, None, now).bundle.as_bytes().ends_with(&before[CA_CERT]));

    now = now + days(7) + minutes(9);
    assert_eq!(phase(&data, None, now), Phase::Retiring);
    let (data, change) = written(&data, None, now + minutes(1));
    assert_eq!(change, Change::FormerDropped);
    assert_eq!(phase(&data, None, now), Phase::Steady);
    assert_eq!(used(&data, None, now).bundle.as_bytes(), next);
    let keys: Vec<_> = data.keys().map(String::as_str).collect();
    assert_eq!(keys, [CA_CERT, CA_KEY, ROTATION]);
}

#[test]
fn of_two_replicas_that_start_together_both_end_with_the_first_ones_ca() {
    let (first, second_refused_by_the_api_server) = (made(), made());
    assert_ne!(first[CA_CERT], second_refused_by_the_api_server[CA_CERT]);
    assert_eq!(used(&first, None, start()).authority.cert_pem().as_bytes(), first[CA_CERT]);
}

#[test]
fn a_damaged_or_ended_ca_is_replaced_at_once_and_the_reason_named() {
    let (good, other) = (made(), made());
    let stranger = Authority::generate(&["x.y.svc".to_owned()], &lifetimes(), start()).unwrap();
    let mut foreign = with(&good, CA_CERT, stranger.cert_pem().as_bytes());
    foreign.insert(CA_KEY.into(), stranger.key_pem().into_bytes());
    for (data, at, reason) in [
        (with(&good, CA_CERT, b"garbage"), start(), "ca.crt and ca.key cannot be used"),
        (with(&good, CA_CERT, &[0xff]), start(), "ca.crt holds bytes"),
        (with(&good, CA_KEY, b""), start(), "cannot be used"),
        (with(&good, CA_KEY, &other[CA_KEY]), start(), "a key that is not the certificate's"),
        (without(&good, &[CA_CERT]), start(), "ca.crt is missing"),
        (without(&good, &[CA_KEY]), start(), "ca.key is missing"),
        (foreign, start(), "the CA cannot vouch for linkerd-failover-webhook"),
        (good.clone(), start() + days(365), "validity ended"),
        (good.clone(), start() + days(4_000), "validity ended"),
        (good.clone(), start() - days(1), "is the clock right?"),
    ] {
        let (data, change) = written(&data, None, at);
        let Change::Repaired(unusable) = change else { panic!("{change:?}") };
        assert!(unusable.to_string().contains(reason), "{unusable}");
        used(&data, None, at);
    }
}

#[test]
fn where_only_the_key_is_lost_the_leaves_that_it_signed_are_still_trusted() {
    let good = made();
    let (data, _) = written(&without(&good, &[CA_KEY]), None, start());
    assert_eq!(data[OLD_CERTS], good[CA_CERT]);
    let bundle = used(&data, None, start()).bundle;
    assert!(bundle.as_bytes().ends_with(&good[CA_CERT]));
}

#[test]
fn a_secret_that_is_damaged_again_and_again_does_not_grow() {
    let mut data = made();
    for _ in 0..10 {
        data = written(&without(&data, &[CA_KEY]), None, start()).0;
    }
    let bundle = used(&data, None, start()).bundle;
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 4);
}

#[test]
fn a_damaged_next_ca_is_replaced_and_does_not_affect_the_present_one() {
    let (good, now) = rotating();
    for data in [
        with(&good, NEXT_CERT, b"garbage"),
        with(&good, NEXT_KEY, b"garbage"),
        without(&good, &[NEXT_KEY]),
        without(&good, &[NEXT_CERT]),
    ] {
        let (repaired, change) = written(&data, None, now);
        assert!(matches!(change, Change::NextReplaced(_)), "{change:?}");
        assert_eq!(repaired[CA_CERT], good[CA_CERT]);
        assert_ne!(repaired[NEXT_CERT], good[NEXT_CERT]);
        assert_eq!(phase(&repaired, None, now), Phase::Distributing);
    }
    // Both gone: as if it had never been made.
    let (_, change) = written(&without(&good, &[NEXT_CERT, NEXT_KEY]), None, now);
    assert_eq!(change, Change::NextCreated);
}

#[test]
fn a_next_ca_that_is_good_replaces_a_present_one_that_is_not() {
    let (good, now) = rotating();
    for (data, at) in [
        (with(&good, CA_KEY, b"garbage"), now),
        (without(&good, &[CA_CERT, CA_KEY]), now),
        (good.clone(), start() + days(365)),
    ] {
        let (repaired, change) = written(&data, None, at);
        assert!(matches!(change, Change::Repaired(_)), "{change:?}");
        assert_eq!(repaired[CA_CERT], good[NEXT_CERT]);
        assert!(!repaired.contains_key(NEXT_KEY));
    }
}

#[test]
fn an_end_that_is_near_is_not_waited_for_in_full() {
    let (data, _) = rotating();
    let now = start() + days(365) - SignedDuration::from_mins(6);
    assert_eq!(phase(&data, None, now), Phase::Distributing);
    assert_eq!(phase(&data, Some(SignedDuration::from_mins(2)), now), Phase::Propagating);
    let (_, change) = written(&data, Some(SignedDuration::from_mins(3)), now);
    assert_eq!(change, Change::Promoted);
}

#[test]
fn how_long_a_former_ca_is_trusted_is_corrected_where_it_is_missing_or_a_clock_was_fast() {
    let (data, now) = rotating();
    let (fast_clock, _) = written(&data, Some(lifetimes().propagation), now + days(80));
    for damaged in [
        with(&fast_clock, ROTATION, b"garbage"),
        with(&fast_clock, ROTATION, br#"{"v":1}"#),
        without(&fast_clock, &[ROTATION]),
    ] {
        // That CA is not valid yet by the right clock, so its successor's time is what is asked.
        let at = now + days(80);
        let (dated, change) = written(&damaged, None, at);
        assert_eq!(change, Change::FormerDated);
        assert_eq!(phase(&dated, None, at), Phase::Retiring);
        let (_, change) = written(&dated, None, at + days(8));
        assert_eq!(change, Change::FormerDropped);
    }
    let (dated, change) = written(&fast_clock, None, now);
    assert_eq!(change, Change::FormerDated, "made before, promoted by a fast clock");
    assert_eq!(written(&dated, None, now + days(8)).1, Change::FormerDropped);
    // Garbage among the former ones is trusted by nobody and needs no step.
    let garbage = with(&made(), OLD_CERTS, b"garbage");
    assert_eq!(used(&garbage, None, start()).bundle.as_bytes(), garbage[CA_CERT]);
}

#[test]
fn keys_of_the_secret_that_are_not_known_here_are_kept() {
    let mine = Data::from([("later".to_owned(), b"kept".to_vec())]);
    let (data, _) = written(&mine, None, start());
    let rotation = br#"{"v":1,"later":"kept"}"#;
    let (data, _) = written(&with(&data, ROTATION, rotation), None, start() + days(250));
    let (data, _) = written(&data, Some(lifetimes().propagation), start() + days(250));
    assert_eq!(data["later"], b"kept");
    let rotation = std::str::from_utf8(&data[ROTATION]).unwrap();
    assert!(rotation.contains(r#""later":"kept""#) && rotation.contains("oldUntil"), "{rotation}");
}

#[test]
fn what_a_newer_program_wrote_is_used_and_not_advanced() {
    let (data, now) = rotating();
    let newer = with(&data, ROTATION, br#"{"v":2}"#);
    let used = used(&newer, Some(days(1)), now);
    assert_eq!(used.authority.cert_pem().as_bytes(), data[CA_CERT]);
    // Damage is repaired all the same, and what the newer one wrote is kept.
    let (repaired, _) = written(&without(&newer, &[CA_KEY]), None, now);
    assert!(repaired[ROTATION].starts_with(br#"{"oldUntil""#));
    assert!(String::from_utf8_lossy(&repaired[ROTATION]).contains(r#""v":2"#));
}

#[test]
fn propagation_is_measured_while_every_configuration_that_exists_has_the_next_ca() {
    let (data, _) = rotating();
    let (has, lacks) = (data[NEXT_CERT].clone(), data[CA_CERT].clone());
    let mut propagation = Propagation::default();
    let mut at = SignedDuration::ZERO;
    let mut observe = |configurations: &[Bundles]| {
        at += SignedDuration::from_secs(1);
        propagation.observe(&data, configurations, at).map(|passed| passed.as_secs())
    };
    let of =
        |bundles: &[&Vec<u8>]| Bundles::Present(bundles.iter().map(|b| (*b).clone()).collect());
    assert_eq!(observe(&[of(&[&has]), Bundles::Absent]), Some(0));
    assert_eq!(observe(&[of(&[&has, &has]), of(&[&has])]), Some(1));
    assert_eq!(observe(&[of(&[&has, &lacks]), of(&[&has])]), None);
    assert_eq!(observe(&[of(&[&has]), of(&[&has])]), Some(0));
    assert_eq!(observe(&[of(&[&has]), Bundles::Unknown]), None);
    let (other, _) = rotating();
    assert_eq!(observe(&[of(&[&has])]), Some(0));
    assert_eq!(propagation.observe(&other, &[of(&[&has])], at), None, "another next CA");
}
