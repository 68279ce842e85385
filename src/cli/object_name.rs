//! The names of failover objects on the command line: `KIND/NAME`, as kubectl takes them.

use crate::cli::failure::Failure;
use crate::kinds::{Kind, ObjectKey, ObjectRef};

/// What to do where an object is not named as it should be.
pub(super) const SEE_MANAGED: &str = "see what is managed: linkerd-failover status -A";

/// An object, in a namespace that another flag names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectName {
    pub kind: Kind,
    pub name: String,
}

impl ObjectName {
    /// Reads `KIND/NAME`; the kind in any form that kubectl takes.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let (kind, name) = text
            .split_once('/')
            .filter(|(_, name)| !name.is_empty() && !name.contains('/'))
            .ok_or_else(|| {
                Failure::of(format!("{text:?}"), "no KIND/NAME")
                    .expected("one, such as trafficsplit/emoji")
                    .next(SEE_MANAGED)
                    .unreadable()
            })?;
        let kind = kind_of(kind).ok_or_else(|| {
            Failure::of(format!("{text:?}"), format!("the kind {kind:?}"))
                .expected("trafficsplit, httproute or grpcroute")
                .next(SEE_MANAGED)
                .unreadable()
        })?;
        match is_name(name) {
            true => Ok(Self { kind, name: name.to_owned() }),
            false => Err(Failure::of(format!("{text:?}"), format!("the name {name:?}"))
                .expected("lower-case letters, digits, `-` and `.`")
                .next(SEE_MANAGED)
                .unreadable()),
        }
    }

    /// The object in a namespace.
    pub(super) fn within(&self, namespace: &str) -> ObjectRef {
        ObjectRef::new(self.kind, ObjectKey::new(namespace, &self.name))
    }
}

/// Whether a text can be the name of an object: anything else would be a part of the path of a request.
fn is_name(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let is_outer = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.bytes().all(is_inner) && is_outer(text.bytes().next()) && is_outer(text.bytes().last())
}

/// By its name, in singular or plural, with its group or without; `ts` is short for a split.
fn kind_of(text: &str) -> Option<Kind> {
    let text = text.to_ascii_lowercase();
    let (name, group) = text.split_once('.').unwrap_or((&text, ""));
    Kind::ALL.into_iter().find(|kind| {
        let singular = kind.as_str().to_ascii_lowercase();
        let is_short = *kind == Kind::TrafficSplit && ["ts", "split", "splits"].contains(&name);
        // kubectl takes a version between name and group too.
        let is_group = group.is_empty()
            || group == kind.group()
            || group
                .split_once('.')
                .is_some_and(|(version, rest)| version.starts_with('v') && rest == kind.group());
        is_group && (name == singular || name == kind.plural() || is_short)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_kubectl_reads_it() {
        for (text, kind) in [
            ("trafficsplit/emoji", Kind::TrafficSplit),
            ("TrafficSplit/emoji", Kind::TrafficSplit),
            ("trafficsplits.split.smi-spec.io/emoji", Kind::TrafficSplit),
            ("trafficsplits.v1alpha2.split.smi-spec.io/emoji", Kind::TrafficSplit),
            ("ts/emoji", Kind::TrafficSplit),
            ("split/emoji", Kind::TrafficSplit),
            ("ts.split.smi-spec.io/emoji", Kind::TrafficSplit),
            ("trafficsplit.split.smi-spec.io/emoji", Kind::TrafficSplit),
            ("httproute.gateway.networking.k8s.io/emoji", Kind::HttpRoute),
            ("httproutes.v1.gateway.networking.k8s.io/emoji", Kind::HttpRoute),
            ("GRPCRoute/emoji", Kind::GrpcRoute),
            ("httproutes/emoji", Kind::HttpRoute),
            ("grpcroute.gateway.networking.k8s.io/emoji", Kind::GrpcRoute),
        ] {
            let read = ObjectName::parse(text).unwrap();
            assert_eq!((read.kind, read.name.as_str()), (kind, "emoji"), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_of_an_object_is_reported_in_one_line() {
        for (text, message) in [
            ("emoji", "\"emoji\": found no KIND/NAME, expected one, such as trafficsplit/emoji"),
            ("ts/", "\"ts/\": found no KIND/NAME, expected one, such as trafficsplit/emoji"),
            (
                "httproute.policy.linkerd.io/emoji",
                "\"httproute.policy.linkerd.io/emoji\": found the kind \"httproute.policy.linkerd.io\", expected trafficsplit, httproute or grpcroute",
            ),
            (
                "ts.x.y.split.smi-spec.io/emoji",
                "\"ts.x.y.split.smi-spec.io/emoji\": found the kind \"ts.x.y.split.smi-spec.io\", expected trafficsplit, httproute or grpcroute",
            ),
            (
                "ts/..",
                "\"ts/..\": found the name \"..\", expected lower-case letters, digits, `-` and `.`",
            ),
            (
                "ts/emoji?watch=1",
                "\"ts/emoji?watch=1\": found the name \"emoji?watch=1\", expected lower-case letters, digits, `-` and `.`",
            ),
        ] {
            let message = format!("{message}; {SEE_MANAGED}");
            assert_eq!(ObjectName::parse(text).unwrap_err().to_string(), message);
        }
    }
}
