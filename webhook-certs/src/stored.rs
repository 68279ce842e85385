//! The Secret's content.

use crate::lifetimes::Lifetimes;
use crate::{Authority, Unusable, trust};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The data of a Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Key of the present CA's certificate in the Secret.
pub const CA_CERT: &str = "ca.crt";
/// Key of the present CA's private key.
pub const CA_KEY: &str = "ca.key";
/// Key of the next CA's certificate.
pub const NEXT_CERT: &str = "next.crt";
/// Key of the next CA's private key.
pub const NEXT_KEY: &str = "next.key";
/// Key of the former CAs' certificates, which stay trusted for a while. Their keys are not stored.
pub const OLD_CERTS: &str = "old.crt";
/// Key of the rotation's record, in JSON.
pub const ROTATION: &str = "rotation.json";

/// The version of [`ROTATION`]'s format.
const VERSION: u64 = 1;
/// Until when [`OLD_CERTS`] are trusted.
const OLD_UNTIL: &str = "oldUntil";
/// At most so many former CAs: each damage of the Secret adds one.
const MOST_OLD: usize = 3;

/// The CAs in a Secret's data.
#[derive(Debug)]
pub(crate) struct StoredCas {
    pub present: Slot,
    pub next: Slot,
    pub certificates: Certificates,
    /// Until when the former CAs are trusted.
    pub former_until: Option<Timestamp>,
    /// A newer program wrote a format that is not known here.
    pub foreign: bool,
}

/// A pair of a certificate and its key in the Secret.
#[derive(Debug)]
pub(crate) enum Slot {
    Empty,
    Usable(Authority),
    Unusable(Unusable),
}

/// The readable certificates of the Secret.
#[derive(Debug)]
pub(crate) struct Certificates {
    present: Option<CertificateDer<'static>>,
    next: Option<CertificateDer<'static>>,
    pub former: Vec<CertificateDer<'static>>,
}

impl StoredCas {
    pub(crate) fn read(
        data: &Data,
        names: &[String],
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Self {
        let slot = |certificate, key| {
            let checked = authority(data, certificate, key).and_then(|authority| {
                authority.iter().try_for_each(|ca| ca.check(names, lifetimes, now))?;
                Ok(authority)
            });
            match checked {
                Ok(None) => Slot::Empty,
                Ok(Some(authority)) => Slot::Usable(authority),
                Err(reason) => Slot::Unusable(reason),
            }
        };
        let (rotation, foreign) = rotation(data);
        let until = rotation.get(OLD_UNTIL).and_then(Value::as_str);
        Self {
            present: slot(CA_CERT, CA_KEY),
            next: slot(NEXT_CERT, NEXT_KEY),
            certificates: Certificates::read(data),
            former_until: until.and_then(|text| text.parse().ok()),
            foreign,
        }
    }
}

impl Certificates {
    fn read(data: &Data) -> Self {
        // A pair's certificate is the first; anything after it has no key here and is not trusted.
        let first = |key| certificates(data, key).into_iter().next();
        Self {
            present: first(CA_CERT),
            next: first(NEXT_CERT),
            former: certificates(data, OLD_CERTS),
        }
    }

    /// The CA bundle: the present CA, the next one, the former ones.
    pub(crate) fn bundle(&self) -> String {
        let former = self.former.iter().take(MOST_OLD);
        let mut all: Vec<&CertificateDer<'static>> = vec![];
        for certificate in self.present.iter().chain(&self.next).chain(former) {
            if !all.contains(&certificate) {
                all.push(certificate);
            }
        }
        all.into_iter().map(trust::to_pem).collect()
    }
}

/// The certificate of the next CA, if there is one.
pub fn next_certificate(data: &Data) -> Option<CertificateDer<'static>> {
    certificates(data, NEXT_CERT).into_iter().next()
}

/// The data with this CA as the present one. The certificate of the replaced CA joins the former ones,
/// unless it has expired.
pub(crate) fn with_present(
    mut data: Data,
    present: &Authority,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Data {
    let former = certificates(&data, CA_CERT).into_iter().take(1);
    let mut old: Vec<_> = former.chain(certificates(&data, OLD_CERTS)).collect();
    old.retain(|one| {
        one != present.certificate() && trust::validity(one).is_ok_and(|(_, end)| now < end)
    });
    old.truncate(MOST_OLD);
    data.insert(CA_CERT.into(), present.cert_pem().into_bytes());
    data.insert(CA_KEY.into(), present.key_pem().into_bytes());
    with_old(data, &old, crate::lifetimes::shifted(now, lifetimes.retirement()))
}

/// The data with this CA, or none, as the next one.
pub(crate) fn with_next(mut data: Data, next: Option<&Authority>) -> Data {
    data.remove(NEXT_CERT);
    data.remove(NEXT_KEY);
    if let Some(next) = next {
        data.insert(NEXT_CERT.into(), next.cert_pem().into_bytes());
        data.insert(NEXT_KEY.into(), next.key_pem().into_bytes());
    }
    data
}

/// The data with these certificates as those of former CAs, trusted until then.
pub(crate) fn with_old(mut data: Data, old: &[CertificateDer<'_>], until: Timestamp) -> Data {
    let (mut rotation, _) = rotation(&data);
    rotation.entry("v").or_insert_with(|| json!(VERSION));
    if old.is_empty() {
        data.remove(OLD_CERTS);
        rotation.remove(OLD_UNTIL);
    } else {
        let text: String = old.iter().map(trust::to_pem).collect();
        data.insert(OLD_CERTS.into(), text.into_bytes());
        rotation.insert(OLD_UNTIL.into(), json!(until));
    }
    data.insert(ROTATION.into(), Value::Object(rotation).to_string().into_bytes());
    data
}

/// The record of the rotation, and whether a newer program wrote it. An unreadable record is empty.
fn rotation(data: &Data) -> (Map<String, Value>, bool) {
    let text = data.get(ROTATION).map(Vec::as_slice).unwrap_or_default();
    let rotation: Map<String, Value> = serde_json::from_slice(text).unwrap_or_default();
    let foreign = rotation.get("v").and_then(Value::as_u64).is_some_and(|v| v > VERSION);
    (rotation, foreign)
}

fn certificates(data: &Data, key: &str) -> Vec<CertificateDer<'static>> {
    let text = data.get(key).map(Vec::as_slice).unwrap_or_default();
    let readable = |one: &CertificateDer<'static>| trust::validity(one).is_ok();
    trust::certificates(text).into_iter().filter(readable).collect()
}

fn authority(
    data: &Data,
    certificate: &'static str,
    key: &'static str,
) -> Result<Option<Authority>, Unusable> {
    let text = |key: &'static str| {
        let bytes = data.get(key).map(Vec::as_slice);
        bytes.map(std::str::from_utf8).transpose().map_err(|_| Unusable::NotText(key))
    };
    match (text(certificate)?, text(key)?) {
        (None, None) => Ok(None),
        (Some(cert_pem), Some(key_pem)) => Authority::from_pem(cert_pem, key_pem)
            .map(Some)
            .map_err(|error| Unusable::NoCa { certificate, key, error }),
        (Some(_), None) => Err(Unusable::Missing(key)),
        (None, Some(_)) => Err(Unusable::Missing(certificate)),
    }
}
