//! Leaves that somebody else issued.

use super::*;
use rcgen::{CertificateParams, KeyPair};

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names()).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn refusal(cert: &str, key: &str) -> String {
    Leaf::from_pem(cert.as_bytes(), key.as_bytes()).unwrap_err().to_string()
}

#[test]
fn only_a_matching_pair_is_taken_and_the_rest_is_named() {
    let ((cert, key), (other_cert, other_key)) = (pair(), pair());
    assert!(Leaf::from_pem(cert.as_bytes(), key.as_bytes()).is_ok());
    for (cert, key) in [(&cert, &other_key), (&other_cert, &key)] {
        assert!(refusal(cert, key).contains("found a key that is not the certificate's"));
    }
    assert!(refusal("", &key).contains("found no certificate"));
    let half = &cert[..cert.len() / 2];
    assert!(refusal(half, &key).contains("found no certificate"));
    assert!(refusal(&cert, "").contains("a private key in PEM"));
    let half = &key[..key.len() / 2];
    assert!(refusal(&cert, half).contains("a private key in PEM"));
}

#[test]
fn a_self_signed_certificate_is_verified_by_a_bundle_that_is_that_certificate() {
    let (cert, key) = pair();
    let leaf = Leaf::from_pem(cert.as_bytes(), key.as_bytes()).unwrap();
    let now = Timestamp::now();
    verifies(cert.as_bytes(), &leaf, NAME, now).unwrap();
    assert!(verifies(cert.as_bytes(), &leaf, "other.svc", now).is_err());
    assert!(verifies(pair().0.as_bytes(), &leaf, NAME, now).is_err());
    let before = leaf.not_before - SignedDuration::from_secs(1);
    assert!(verifies(cert.as_bytes(), &leaf, NAME, before).is_err());
}

#[test]
fn a_chain_with_an_intermediate_is_verified_by_its_root() {
    let now = Timestamp::now();
    let issuer = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        (params, KeyPair::generate().unwrap())
    };
    let (root, root_key) = issuer("root");
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let root = rcgen::Issuer::new(root, root_key);
    let (between, between_key) = issuer("between");
    let between_pem = between.signed_by(&between_key, &root).unwrap().pem();
    let between = rcgen::Issuer::new(between, between_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names()).unwrap();
    let chain = params.signed_by(&key, &between).unwrap().pem() + &between_pem;
    let leaf = Leaf::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    verifies(root_pem.as_bytes(), &leaf, NAME, now).unwrap();
}
