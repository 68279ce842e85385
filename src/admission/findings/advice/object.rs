//! Advice on the object itself: its kind, its warm standby, its backends.

use super::Advice;
use super::lines::{annotate, backend, delete, endpoints, migrate};
use crate::admission::findings::facts::HidingProfile;
use crate::engine::{FieldPath, annotations};
use crate::kinds::{ObjectKey, ObjectRef};

pub(super) fn split(object: &ObjectRef) -> Advice {
    Advice {
        field: apex(object),
        found: "a TrafficSplit".into(),
        expected: "an HTTPRoute or a GRPCRoute".into(),
        why: "Linkerd neither repeats requests of a split nor has failure accrual with it, so that it has warm standby alone; this prints the route that does the same".into(),
        line: migrate(object),
    }
}

pub(super) fn without_effect(
    object: &ObjectRef,
    service: &ObjectKey,
    annotations: &[String],
) -> Advice {
    Advice {
        field: apex(object),
        found: format!("Service {service} with {}", annotations.join(" and ")),
        expected: "a route, with which Linkerd follows them".into(),
        why: "Linkerd follows the ServiceProfile of this split, and they do nothing; this prints the route that does the same".into(),
        line: migrate(object),
    }
}

pub(super) fn hidden(object: &ObjectRef, hiding: &HidingProfile, annotations: &[String]) -> Advice {
    let asked = match annotations.is_empty() {
        true => String::new(),
        false => format!(", which its Service asks for by {}", annotations.join(" and ")),
    };
    let line = match &hiding.split {
        Some(split) => delete(&split.kind.resource(), &split.key),
        None => delete("serviceprofiles.linkerd.io", &hiding.profile),
    };
    Advice {
        field: apex(object),
        found: format!("the ServiceProfile {}", hiding.profile),
        expected: "no ServiceProfile that takes precedence over the route".into(),
        why: format!(
            "Linkerd follows the profile, and neither this route nor its retries nor failure accrual{asked}"
        ),
        line,
    }
}

pub(super) fn no_warm_standby(object: &ObjectRef) -> Advice {
    Advice {
        field: annotations::field(annotations::WARM_STANDBY),
        found: "no warm standby".into(),
        expected: "\"true\"".into(),
        why: "a request knows no backend but the lost one, until the weights have moved".into(),
        line: annotate(object, &format!("{}=true", annotations::WARM_STANDBY)),
    }
}

pub(super) fn no_fallback(
    object: &ObjectRef,
    path: &FieldPath,
    other: Option<&(ObjectKey, Option<u16>)>,
) -> Advice {
    let (service, port) = (other.map(|(service, _)| service), other.and_then(|(_, port)| *port));
    Advice {
        field: path.clone(),
        found: "one backend".into(),
        expected: "a fallback beside it".into(),
        why: "its requests have nowhere else to go, and are repeated all the same; add".into(),
        line: backend(object, service, port),
    }
}

pub(super) fn no_ready(
    object: &ObjectRef,
    paths: &[FieldPath],
    fallbacks: &[(ObjectKey, String)],
) -> Advice {
    let name = |service: &ObjectKey| match service.namespace == object.key.namespace {
        true => service.name.to_string(),
        false => service.to_string(),
    };
    let each: Vec<String> =
        fallbacks.iter().map(|(service, health)| format!("{}: {health}", name(service))).collect();
    let rules = if paths.len() > 1 { format!(", in {} rules", paths.len()) } else { String::new() };
    Advice {
        field: paths.first().cloned().unwrap_or_else(|| object.kind.shape().backends.into()),
        found: each.join(", ") + &rules,
        expected: "a fallback that is ready now".into(),
        why: "without one the loss of the primary is an outage".into(),
        line: fallbacks.first().map(|(service, _)| endpoints(service)).unwrap_or_default(),
    }
}

/// Where the object names the Service that clients call.
pub(super) fn apex(object: &ObjectRef) -> FieldPath {
    object.kind.shape().apex.into()
}
