//! Advice on retries, of a route or of a Service that it is for.

use super::Advice;
use super::lines::annotate_either;
use super::object::apex;
use crate::engine::{FieldPath, annotations};
use crate::kinds::linkerd::retry_policy::{RetryConditions, TIMEOUT};
use crate::kinds::retries::{IDEMPOTENCE, LIMIT};
use crate::kinds::{ObjectKey, ObjectRef};

/// How often, where nothing is set.
const ADVISED_LIMIT: &str = "2";

pub(super) fn absent(object: &ObjectRef, service: Option<&ObjectKey>) -> Advice {
    let conditions = conditions(object);
    let (name, value) = (conditions.annotation(), conditions.for_a_lost_backend());
    Advice {
        field: field(object, service, name),
        found: format!("no retries{}", on(service)),
        expected: value.into(),
        why: format!("a request that a lost backend leaves unanswered fails; {IDEMPOTENCE}"),
        line: annotate_either(object, service, &format!("{name}={value} {LIMIT}={ADVISED_LIMIT}")),
    }
}

pub(super) fn forbidden(
    object: &ObjectRef,
    service: Option<&ObjectKey>,
    lacking: Option<&str>,
) -> Advice {
    let name = conditions(object).annotation();
    let conditions = lacking.map(|value| format!(" {name}={value}")).unwrap_or_default();
    Advice {
        field: field(object, service, LIMIT),
        found: match service {
            Some(_) => format!("{LIMIT}: \"0\"{}", on(service)),
            None => "\"0\"".into(),
        },
        expected: "1 or more".into(),
        why: format!(
            "retries count as forbidden and are not added (Linkerd itself ignores a limit of 0: beside a condition it retries once); {IDEMPOTENCE}"
        ),
        line: annotate_either(object, service, &format!("{LIMIT}={ADVISED_LIMIT}{conditions}")),
    }
}

pub(super) fn unreadable(
    object: &ObjectRef,
    service: Option<&ObjectKey>,
    name: &'static str,
    value: &str,
) -> Advice {
    let (expected, mended) = match name {
        LIMIT => ("a whole number of at most 65535", format!("{LIMIT}={ADVISED_LIMIT}")),
        TIMEOUT => ("a whole number and ms, s, m, h or d", format!("{TIMEOUT}-")),
        _ => (
            "a list that Linkerd can read, without spaces",
            format!("{name}={}", conditions(object).for_a_lost_backend()),
        ),
    };
    Advice {
        field: field(object, service, name),
        found: format!("{value:?}{}", on(service)),
        expected: expected.into(),
        why: "Linkerd cannot read it, and ignores all retries there".into(),
        line: annotate_either(object, service, &mended),
    }
}

pub(super) fn partial(
    object: &ObjectRef,
    service: Option<&ObjectKey>,
    present: Option<&str>,
) -> Advice {
    let conditions = conditions(object);
    let (name, value) = (conditions.annotation(), conditions.for_a_lost_backend());
    let mended = conditions.with_a_loss(present);
    let found = present.map_or("no conditions".to_owned(), |present| format!("{present:?}"));
    Advice {
        field: field(object, service, name),
        found: format!("{found}{}", on(service)),
        expected: format!("{value} among them"),
        why: "what proxies answer in place of a lost backend is not repeated".into(),
        line: annotate_either(object, service, &format!("{name}={mended}")),
    }
}

fn conditions(object: &ObjectRef) -> RetryConditions {
    RetryConditions::of(object.kind)
}

fn field(object: &ObjectRef, service: Option<&ObjectKey>, name: &str) -> FieldPath {
    match service {
        Some(_) => apex(object),
        None => annotations::field(name),
    }
}

fn on(service: Option<&ObjectKey>) -> String {
    service.map(|service| format!(" on Service {service}")).unwrap_or_default()
}
