//! Pods, as small as an index of all of them allows.

use crate::kinds::hash::hash_of;
use std::fmt;

/// The label of pods whose deletion is delayed, or of their namespace, with its value.
pub(crate) const GUARD_LABEL: (&str, &str) = ("failover.linkerd.io/guard", "enabled");

/// The pod of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodEndpoint {
    pub uid: PodUid,
    pub name: PodName,
}

/// A pod's uid, as small as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PodUid(u128);

impl PodUid {
    /// Reads a UUID, which is what an API server makes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mut uid, mut digits) = (0, 0);
        for byte in text.bytes().filter(|byte| *byte != b'-') {
            uid = uid << 4 | u128::from(char::from(byte).to_digit(16)?);
            digits += 1;
        }
        (digits == 32).then_some(Self(uid))
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:032x}", self.0);
        let (a, b, c, d, e) = (&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

/// A pod's namespace and name, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PodName(u64);

impl PodName {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self(hash_of((namespace, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_that_is_no_uuid_is_none() {
        let uid = "0189abcd-ef01-4abc-8def-0123456789ab";
        assert_eq!(PodUid::parse(uid).unwrap().to_string(), uid);
        for text in ["", "u-1", "+189abcd-ef01-4abc-8def-0123456789ab", &format!("{uid}0")] {
            assert_eq!(PodUid::parse(text), None, "{text}");
        }
    }
}
