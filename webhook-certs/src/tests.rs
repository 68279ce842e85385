use crate::*;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use std::collections::BTreeMap;
use std::sync::Arc;

const NAME: &str = "linkerd-failover-webhook.linkerd-failover.svc";

fn names() -> Vec<String> {
    vec![NAME.to_owned()]
}

fn days(n: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * n)
}

type Data = BTreeMap<String, Vec<u8>>;

fn written(data: &Data, now: Timestamp) -> (Data, Authority, String) {
    match next(data, now, &names()).unwrap() {
        Step::Write { data, authority, reason } => (data, authority, reason),
        Step::Use(_) => panic!("expected a new CA"),
    }
}

/// A handshake in memory: what the client sees as the server's certificate, or why it refuses.
fn handshake(
    resolver: &Arc<ReloadingResolver>,
    bundle: &str,
    name: &str,
) -> Result<Vec<u8>, String> {
    let server = server_config(resolver.clone(), TlsVersions::Tls13Only).unwrap();
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(cert.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    for _ in 0..10 {
        let mut wire = vec![];
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().map_err(|e| e.to_string())?;
        let mut wire = vec![];
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().map_err(|e| e.to_string())?;
        if !client.is_handshaking() && !server.is_handshaking() {
            return Ok(client.peer_certificates().unwrap()[0].to_vec());
        }
    }
    Err("no end of the handshake".into())
}

#[test]
fn a_client_that_trusts_the_bundle_trusts_the_leaf_for_our_name_and_no_other() {
    let authority = Authority::generate(&names(), Timestamp::now()).unwrap();
    let resolver = Arc::new(ReloadingResolver::default());
    resolver.set(authority.issue(&names(), Timestamp::now()).unwrap());
    handshake(&resolver, authority.cert_pem(), NAME).unwrap();
    assert!(handshake(&resolver, authority.cert_pem(), "kubernetes.default.svc").is_err());
}

#[test]
fn the_ca_cannot_vouch_for_anything_but_the_webhook() {
    let authority = Authority::generate(&names(), Timestamp::now()).unwrap();
    let other = "kubernetes.default.svc";
    let resolver = Arc::new(ReloadingResolver::default());
    resolver.set(authority.issue(&[other.to_owned()], Timestamp::now()).unwrap());
    let refused = handshake(&resolver, authority.cert_pem(), other).unwrap_err();
    assert!(refused.contains("NameConstraint"), "{refused}");
}

#[test]
fn without_a_leaf_there_is_no_handshake_and_a_new_leaf_is_served_to_the_next_connection() {
    let authority = Authority::generate(&names(), Timestamp::now()).unwrap();
    let resolver = Arc::new(ReloadingResolver::default());
    assert!(handshake(&resolver, authority.cert_pem(), NAME).is_err());
    resolver.set(authority.issue(&names(), Timestamp::now()).unwrap());
    let first = handshake(&resolver, authority.cert_pem(), NAME).unwrap();
    resolver.set(authority.issue(&names(), Timestamp::now()).unwrap());
    assert_ne!(handshake(&resolver, authority.cert_pem(), NAME).unwrap(), first);
}

#[test]
fn an_empty_secret_gets_a_ca_that_is_used_from_then_on() {
    let now = Timestamp::now();
    let (data, made, _) = written(&Data::new(), now);
    let Step::Use(read) = next(&data, now, &names()).unwrap() else { panic!("not usable") };
    assert_eq!(read.cert_pem(), made.cert_pem());
    assert_eq!(read.not_after(), made.not_after());
    // A leaf of the CA as read back is good too.
    let resolver = Arc::new(ReloadingResolver::default());
    resolver.set(read.issue(&names(), now).unwrap());
    handshake(&resolver, made.cert_pem(), NAME).unwrap();
}

#[test]
fn of_two_replicas_that_start_together_both_end_with_the_first_ones_ca() {
    let now = Timestamp::now();
    let (first, _, _) = written(&Data::new(), now);
    let (_second_refused_by_the_api_server, _, _) = written(&Data::new(), now);
    let Step::Use(read_again) = next(&first, now, &names()).unwrap() else { panic!() };
    assert_eq!(read_again.cert_pem().as_bytes(), first[CA_CERT].as_slice());
}

#[test]
fn a_damaged_or_ending_ca_is_replaced_and_the_reason_named() {
    let now = Timestamp::now();
    let (good, _, _) = written(&Data::new(), now);
    let (other, _, _) = written(&Data::new(), now);
    let with = |key: &str, value: &[u8]| {
        let mut data = good.clone();
        data.insert(key.into(), value.to_vec());
        data
    };
    let without = |key: &str| {
        let mut data = good.clone();
        data.remove(key);
        data
    };
    for (data, at, reason) in [
        (with(CA_CERT, b"garbage"), now, "ca.crt and ca.key cannot be used"),
        (with(CA_CERT, &[0xff]), now, "ca.crt holds bytes"),
        (with(CA_KEY, b""), now, "cannot be used"),
        (with(CA_KEY, &other[CA_KEY]), now, "a key that is not the certificate's"),
        (without(CA_CERT), now, "ca.crt is missing"),
        (without(CA_KEY), now, "ca.key is missing"),
        (good.clone(), now + days(364) + SignedDuration::from_hours(1), "validity ends"),
        (good.clone(), now + days(4_000), "validity ends"),
    ] {
        let (data, authority, said) = written(&data, at);
        assert!(said.contains(reason), "{said}");
        assert_eq!(data[CA_CERT], authority.cert_pem().as_bytes());
    }
}

#[test]
fn keys_of_the_secret_that_are_not_known_here_are_kept() {
    let data = Data::from([("next.crt".to_owned(), b"later".to_vec())]);
    let (data, _, _) = written(&data, Timestamp::now());
    assert_eq!(data["next.crt"], b"later");
}

#[test]
fn a_leaf_never_outlives_its_ca() {
    let now = Timestamp::now();
    let authority = Authority::generate(&names(), now).unwrap();
    let late = authority.issue(&names(), now + days(363)).unwrap();
    assert_eq!(late.not_after, authority.not_after());
}

#[test]
fn nothing_prints_the_key() {
    let authority = Authority::generate(&names(), Timestamp::now()).unwrap();
    let printed =
        format!("{authority:?} {:?}", next(&Data::new(), Timestamp::now(), &names()).unwrap());
    let key = authority.key_pem();
    let secret = key.lines().nth(1).unwrap();
    assert!(!printed.contains(secret) && !printed.contains("PRIVATE"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_leaf_is_renewed_within_its_life(age in 0_i64..300, jitter in -1.0..2.0_f64) {
        let now = Timestamp::now();
        let authority = Authority::generate(&names(), now).unwrap();
        let leaf = authority.issue(&names(), now + days(age)).unwrap();
        let renew = leaf.renew_at(jitter);
        prop_assert!(leaf.not_before < renew && renew < leaf.not_after);
    }
}
