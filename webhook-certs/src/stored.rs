//! What the Secret holds, and what to do about it.

use crate::{Authority, Error};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Key of the CA's certificate in the Secret.
pub const CA_CERT: &str = "ca.crt";
/// Key of the CA's private key in the Secret.
pub const CA_KEY: &str = "ca.key";

/// What to do with the Secret as it was read.
#[derive(Debug)]
pub enum Step {
    /// It holds a CA that can be used.
    Use(Authority),
    /// Write this to it, on the resourceVersion that was read. Where somebody else was faster,
    /// read and ask again: of two replicas both end with the first one's CA.
    Write { data: BTreeMap<String, Vec<u8>>, authority: Authority, reason: String },
}

/// Decides from a Secret's data. `names` are the DNS names that the CA may vouch for.
pub fn next(
    data: &BTreeMap<String, Vec<u8>>,
    now: Timestamp,
    names: &[String],
) -> Result<Step, Error> {
    let reason = match read(data) {
        Ok(Some(authority)) if authority.is_usable(now) => return Ok(Step::Use(authority)),
        Ok(Some(authority)) => format!("the CA's validity ends at {}", authority.not_after()),
        Ok(None) => "there is none yet".to_owned(),
        Err(reason) => reason,
    };
    let authority = Authority::generate(names, now)?;
    let mut data = data.clone();
    data.insert(CA_CERT.into(), authority.cert_pem().as_bytes().to_vec());
    data.insert(CA_KEY.into(), authority.key_pem().into_bytes());
    Ok(Step::Write { data, authority, reason })
}

fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Option<Authority>, String> {
    let text = |key: &str| match data.get(key) {
        Some(bytes) => std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|_| format!("{key} holds bytes that are no text")),
        None => Ok(None),
    };
    match (text(CA_CERT)?, text(CA_KEY)?) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Authority::from_pem(cert, key)
            .map(Some)
            .map_err(|error| format!("{CA_CERT} and {CA_KEY} cannot be used: {error}")),
        (Some(_), None) => Err(format!("{CA_KEY} is missing")),
        (None, Some(_)) => Err(format!("{CA_CERT} is missing")),
    }
}
