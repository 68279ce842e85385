//! Retries of Linkerd's proxies, which a route or a Service asks for by annotations.

use crate::kinds::Kind;
use crate::kinds::linkerd::duration;
use crate::kinds::retries::{GRPC, HTTP, LIMIT};
use std::ops::RangeInclusive;

/// Until when an answer has to begin.
pub(crate) const TIMEOUT: &str = "retry.linkerd.io/timeout";

/// What a proxy answers in place of a pod that is gone: `gateway-error` to Linkerd.
const GATEWAY_ERRORS: RangeInclusive<u16> = 502..=504;
/// The same for gRPC.
const UNAVAILABLE: &str = "unavailable";
/// What Linkerd knows as a status of gRPC.
const STATUSES: [&str; 5] =
    ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", UNAVAILABLE];

/// Which answers a retry is conditional on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryConditions {
    /// Ranges of statuses, in `retry.linkerd.io/http`.
    Http,
    /// Statuses by name, in `retry.linkerd.io/grpc`.
    Grpc,
}

impl RetryConditions {
    /// Those of a kind of route.
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::GrpcRoute => Self::Grpc,
            Kind::HttpRoute | Kind::TrafficSplit => Self::Http,
        }
    }

    /// The annotation that has them.
    pub(crate) fn annotation(self) -> &'static str {
        match self {
            Self::Http => HTTP,
            Self::Grpc => GRPC,
        }
    }

    /// These, and what a lost backend needs.
    pub(crate) fn with_a_loss(self, present: Option<&str>) -> String {
        let needed = self.for_a_lost_backend();
        present.map_or(needed.to_owned(), |present| format!("{present},{needed}"))
    }

    /// The value that repeats what a backend that is lost leaves unanswered, and no more than that.
    pub(crate) fn for_a_lost_backend(self) -> &'static str {
        match self {
            Self::Http => "gateway-error",
            Self::Grpc => UNAVAILABLE,
        }
    }
}

/// The retries that annotations ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// Linkerd finds none.
    #[default]
    Absent,
    /// By a limit of 0, which Linkerd drops, their author means that nothing is repeated. With the conditions that
    /// a lost backend would need, where those that are there do not meet them.
    Forbidden { lacking: Option<String> },
    /// Linkerd cannot read this one, and drops all of them.
    Unreadable { name: &'static str, value: String },
    /// They repeat, but not all that a lost backend leaves unanswered; the value of the conditions.
    Partial(Option<String>),
    /// They repeat what a lost backend leaves unanswered.
    Sufficient,
}

/// Reads annotations by their names.
pub(crate) fn read<'a>(
    conditions: RetryConditions,
    get: impl Fn(&str) -> Option<&'a str>,
) -> RetryPolicy {
    let read = |name: &'static str, is_readable: fn(&str) -> bool| match get(name) {
        Some(value) if !is_readable(value) => {
            Err(RetryPolicy::Unreadable { name, value: value.to_owned() })
        }
        value => Ok(value),
    };
    let limit = match read(LIMIT, |limit| limit.parse::<u16>().is_ok()) {
        Ok(limit) => limit.and_then(|limit| limit.parse::<u16>().ok()),
        Err(unreadable) => return unreadable,
    };
    let timeout = match read(TIMEOUT, |timeout| duration::read(timeout).is_some()) {
        Ok(timeout) => timeout.and_then(duration::read).filter(|timeout| !timeout.is_zero()),
        Err(unreadable) => return unreadable,
    };
    let name = conditions.annotation();
    let value = get(name);
    let repeats_a_loss = match (value, conditions) {
        (None, _) => Some(false),
        (Some(value), RetryConditions::Http) => has_gateway_errors(value),
        (Some(value), RetryConditions::Grpc) => has_unavailable(value),
    };
    match repeats_a_loss {
        None => RetryPolicy::Unreadable { name, value: value.unwrap_or_default().to_owned() },
        Some(repeats) if limit == Some(0) => {
            RetryPolicy::Forbidden { lacking: (!repeats).then(|| conditions.with_a_loss(value)) }
        }
        Some(true) => RetryPolicy::Sufficient,
        Some(false) if value.or(get(LIMIT)).is_none() && timeout.is_none() => RetryPolicy::Absent,
        Some(false) => RetryPolicy::Partial(value.map(str::to_owned)),
    }
}

/// Whether the conditions have every one; none where they cannot be read.
fn has_gateway_errors(conditions: &str) -> Option<bool> {
    let ranges: Option<Vec<RangeInclusive<u16>>> = conditions.split(',').map(range).collect();
    let ranges = ranges?;
    Some(
        GATEWAY_ERRORS.into_iter().all(|status| ranges.iter().any(|range| range.contains(&status))),
    )
}

fn range(condition: &str) -> Option<RangeInclusive<u16>> {
    if condition.eq_ignore_ascii_case("5xx") {
        return Some(500..=599);
    }
    if condition.eq_ignore_ascii_case("gateway-error") {
        return Some(GATEWAY_ERRORS);
    }
    let status = |text: &str| text.parse::<u16>().ok().filter(|code| (100..600).contains(code));
    let (first, last) = condition.split_once('-').unwrap_or((condition, condition));
    let range = status(first)?..=status(last)?;
    (!range.is_empty()).then_some(range)
}

fn has_unavailable(conditions: &str) -> Option<bool> {
    let mut has = false;
    for condition in conditions.split(',') {
        let known = STATUSES.iter().find(|status| condition.eq_ignore_ascii_case(status))?;
        has |= *known == UNAVAILABLE;
    }
    Some(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(conditions: RetryConditions, annotations: &[(&str, &'static str)]) -> RetryPolicy {
        let get =
            |name: &str| annotations.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        read(conditions, get)
    }

    #[test]
    fn an_http_route_repeats_a_loss_by_every_condition_that_has_502_to_504() {
        let http = |value| retries(RetryConditions::Http, &[(HTTP, value)]);
        for value in ["gateway-error", "5xx", "5XX", "502-504", "429,500-599", "502,503,504"] {
            assert_eq!(http(value), RetryPolicy::Sufficient, "{value}");
        }
        for value in ["503", "503,504", "500", "429", "400-499"] {
            assert_eq!(http(value), RetryPolicy::Partial(Some(value.into())), "{value}");
        }
        // A space is enough for Linkerd to drop them.
        for value in ["", "503, 504", "5xx,", "504-502", "600", "99", "gateway-errors", "65536"] {
            let unreadable = RetryPolicy::Unreadable { name: HTTP, value: value.into() };
            assert_eq!(http(value), unreadable, "{value:?}");
        }
    }

    #[test]
    fn a_grpc_route_repeats_a_loss_by_unavailable() {
        let grpc = |value| retries(RetryConditions::Grpc, &[(GRPC, value)]);
        assert_eq!(grpc("unavailable"), RetryPolicy::Sufficient);
        assert_eq!(grpc("internal,Unavailable"), RetryPolicy::Sufficient);
        assert_eq!(grpc("internal"), RetryPolicy::Partial(Some("internal".into())));
        let unknown = RetryPolicy::Unreadable { name: GRPC, value: "unknown".into() };
        assert_eq!(grpc("unknown"), unknown);
        // The other kind's are not looked at.
        assert_eq!(retries(RetryConditions::Grpc, &[(HTTP, "5xx")]), RetryPolicy::Absent);
    }

    #[test]
    fn a_limit_of_0_forbids_and_a_limit_alone_has_no_conditions() {
        let http =
            |annotations: &[(&str, &'static str)]| retries(RetryConditions::Http, annotations);
        assert_eq!(http(&[]), RetryPolicy::Absent);
        let forbidden =
            |lacking: Option<&str>| RetryPolicy::Forbidden { lacking: lacking.map(str::to_owned) };
        assert_eq!(http(&[(LIMIT, "0")]), forbidden(Some("gateway-error")));
        assert_eq!(http(&[(LIMIT, "0"), (HTTP, "5xx")]), forbidden(None));
        let partial = [(LIMIT, "0"), (HTTP, "429")];
        assert_eq!(http(&partial), forbidden(Some("429,gateway-error")));
        assert_eq!(http(&[(LIMIT, "2")]), RetryPolicy::Partial(None));
        assert_eq!(http(&[(TIMEOUT, "100ms")]), RetryPolicy::Partial(None));
        assert_eq!(http(&[(TIMEOUT, "0s")]), RetryPolicy::Absent);
        assert_eq!(http(&[(LIMIT, "2"), (HTTP, "5xx")]), RetryPolicy::Sufficient);
        for (name, value) in [(LIMIT, "two"), (LIMIT, " 2"), (LIMIT, "65536"), (TIMEOUT, "1.5s")] {
            let unreadable = RetryPolicy::Unreadable { name, value: value.into() };
            assert_eq!(http(&[(name, value), (HTTP, "5xx")]), unreadable);
        }
    }
}
