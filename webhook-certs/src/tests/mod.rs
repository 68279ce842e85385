mod histories;
mod pairs;
mod steps;
mod tls;
mod world;

use crate::*;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const NAME: &str = "linkerd-failover-webhook.linkerd-failover.svc";

fn names() -> Vec<String> {
    vec![NAME.to_owned()]
}

fn days(n: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * n)
}

fn lifetimes() -> Lifetimes {
    Lifetimes::default()
}

fn authority(now: Timestamp) -> Authority {
    Authority::generate(&names(), &lifetimes(), now).unwrap()
}

#[test]
fn a_leaf_never_outlives_its_ca() {
    let now = Timestamp::now();
    let authority = authority(now);
    let late = authority.issue(&names(), &lifetimes(), now + days(363)).unwrap();
    assert_eq!(late.not_after, authority.not_after());
}

#[test]
fn certificates_are_valid_from_an_hour_ago_and_short_ones_from_a_quarter_of_their_life_ago() {
    let now: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
    let leaf = authority(now).issue(&names(), &lifetimes(), now).unwrap();
    assert_eq!(leaf.not_before, "2026-11-01T11:00:00Z".parse().unwrap());
    assert_eq!(leaf.not_after, "2026-11-08T12:00:00Z".parse().unwrap());
    let short = Lifetimes { leaf: SignedDuration::from_secs(40), ..lifetimes() };
    let leaf = authority(now).issue(&names(), &short, now).unwrap();
    assert_eq!(leaf.not_before, "2026-11-01T11:59:50Z".parse().unwrap());
}

#[test]
fn the_successor_of_a_ca_is_made_early_enough_for_a_leaf_and_the_propagation() {
    let now = Timestamp::now();
    let renew = authority(now).renew_at(&lifetimes());
    assert!(now + days(242) < renew && renew < now + days(244), "{renew}");
    let tight = Lifetimes { ca: days(15), ..lifetimes() };
    let authority = Authority::generate(&names(), &tight, now).unwrap();
    assert!(authority.renew_at(&tight) <= authority.not_after() - days(7));
}

#[test]
fn lifetimes_in_which_no_rotation_fits_are_refused_with_the_least_that_fit() {
    assert!(lifetimes().checked().is_ok());
    let message = Lifetimes { ca: days(14), ..lifetimes() }.checked().unwrap_err().to_string();
    assert_eq!(
        message,
        "found a CA's life of 336h, expected at least 336h 40m: twice a leaf's life (168h) and \
         two settle times (10m)"
    );
    assert!(Lifetimes { leaf: SignedDuration::ZERO, ..lifetimes() }.checked().is_err());
    assert!(Lifetimes { propagation: days(-1), ..lifetimes() }.checked().is_err());
}

#[test]
fn a_bundle_verifies_a_leaf_only_for_its_name_and_in_its_time() {
    let now = Timestamp::now();
    let authority = authority(now);
    let leaf = authority.issue(&names(), &lifetimes(), now).unwrap();
    let bundle = authority.cert_pem();
    let check = |name, at| verifies(bundle.as_bytes(), &leaf, name, at).map_err(|e| e.to_string());
    assert_eq!(check(NAME, now), Ok(()));
    let other = check("kubernetes.default.svc", now).unwrap_err();
    assert!(other.contains(NAME), "{other}");
    let late = check(NAME, now + days(8)).unwrap_err();
    assert!(late.contains("expired"), "{late}");
    assert!(check(NAME, now - days(1)).unwrap_err().contains("not valid yet"));
    let stranger = self::authority(now - days(1)).cert_pem();
    let unknown = verifies(stranger.as_bytes(), &leaf, NAME, now).unwrap_err().to_string();
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let none = verifies(b"garbage", &leaf, NAME, now).unwrap_err().to_string();
    assert!(none.contains("no certificate in the bundle"), "{none}");
}

#[test]
fn nothing_prints_the_key() {
    let now = Timestamp::now();
    let authority = authority(now);
    let data = Data::from([
        (CA_CERT.to_owned(), authority.cert_pem().into_bytes()),
        (CA_KEY.to_owned(), authority.key_pem().into_bytes()),
    ]);
    let observed = Observed { data: &data, trusted_for: None };
    let step = next_step(observed, &names(), &lifetimes(), now).unwrap();
    let printed = format!("{authority:?} {step:?}");
    let key = authority.key_pem();
    let secret = key.lines().nth(1).unwrap();
    assert!(!printed.contains(secret) && !printed.contains("PRIVATE"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_leaf_is_renewed_within_its_life(age in 0_i64..300, jitter in -1.0..2.0_f64) {
        let now = Timestamp::now();
        let leaf = authority(now).issue(&names(), &lifetimes(), now + days(age)).unwrap();
        let renew = leaf.renew_at(jitter);
        prop_assert!(leaf.not_before < renew && renew < leaf.not_after);
    }
}
