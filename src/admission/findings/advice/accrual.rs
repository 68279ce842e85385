//! Advice on failure accrual, by annotations of a Service that clients call.

use super::Advice;
use super::lines::annotate_service;
use super::object::apex;
use crate::admission::findings::finding::EarlyProbes;
use crate::kinds::linkerd::duration;
use crate::kinds::linkerd::failure_accrual::{MAX_PENALTY, MIN_PENALTY, MODE};
use crate::kinds::{ObjectKey, ObjectRef};
use std::time::Duration;

pub(super) fn absent(object: &ObjectRef, service: &ObjectKey, advised: Duration) -> Advice {
    Advice {
        field: apex(object),
        found: format!("Service {service} without failure accrual"),
        expected: format!("{MODE}: consecutive"),
        why: "pods that are ready and answer with errors keep their traffic".into(),
        line: enable(service, advised),
    }
}

pub(super) fn of_backends(
    object: &ObjectRef,
    service: &ObjectKey,
    backends: &[ObjectKey],
    advised: Duration,
) -> Advice {
    let each: Vec<String> = backends.iter().map(|backend| format!("Service {backend}")).collect();
    Advice {
        field: apex(object),
        found: format!("failure accrual on {}, and none on Service {service}", each.join(", ")),
        expected: format!("{MODE} on Service {service}"),
        why: "Linkerd takes failure accrual from the Service that clients call, for all backends, and from no backend".into(),
        line: enable(service, advised),
    }
}

fn enable(service: &ObjectKey, advised: Duration) -> String {
    let min_penalty = duration::write(advised);
    annotate_service(service, &format!("{MODE}=consecutive {MIN_PENALTY}={min_penalty}"))
}

pub(super) fn unreadable(
    object: &ObjectRef,
    service: &ObjectKey,
    name: &'static str,
    value: &str,
) -> Advice {
    let (expected, mended) = match name {
        MODE => ("consecutive", format!("{MODE}=consecutive")),
        _ => ("a value that Linkerd can read, and penalties in order", format!("{name}-")),
    };
    Advice {
        field: apex(object),
        found: format!("Service {service} with {name}: {value:?}"),
        expected: expected.into(),
        why: "Linkerd ignores all failure accrual of that Service".into(),
        line: annotate_service(service, &mended),
    }
}

pub(super) fn early_probes(object: &ObjectRef, probes: &EarlyProbes) -> Advice {
    let EarlyProbes { service, min_penalty, failfast, is_assumed, advised, max_penalty } = probes;
    let mut annotations = format!("{MIN_PENALTY}={}", duration::write(*advised));
    if let Some(max_penalty) = max_penalty {
        annotations.push_str(&format!(" {MAX_PENALTY}={}", duration::write(*max_penalty)));
    }
    Advice {
        field: apex(object),
        found: format!(
            "Service {service} with failure accrual that probes after {}",
            duration::write(*min_penalty)
        ),
        expected: match is_assumed {
            false => format!("{} or more", duration::write(*failfast)),
            true => format!(
                "{} or more, if the failfast timeout of callers' proxies is the default, which is not known here",
                duration::write(*failfast)
            ),
        },
        why: "under the failfast timeout a probe comes before the backend is given up, and its errors reach callers".into(),
        line: annotate_service(service, &annotations),
    }
}
