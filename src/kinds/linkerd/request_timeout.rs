//! How long Linkerd's proxies let a request take, with all that is repeated of it. A request that reaches this
//! timeout is answered with an error, and not repeated.

use crate::kinds::linkerd::duration;
use jiff::SignedDuration;
use std::time::Duration;

/// The annotation for it, of a route or of a Service.
pub(crate) const REQUEST: &str = "timeout.linkerd.io/request";
/// The others for timeouts. A route with any of them has none of its Service's.
const OTHERS: [&str; 2] = ["timeout.linkerd.io/response", "timeout.linkerd.io/idle"];

/// The timeout that annotations ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RequestTimeout {
    /// There is no annotation for timeouts.
    #[default]
    Absent,
    /// None; others are set, or this one cannot be read.
    None,
    After(Duration),
}

/// Reads annotations by their names.
pub(crate) fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> RequestTimeout {
    match get(REQUEST).map(duration::read) {
        Some(timeout) => timeout
            .filter(|timeout| !timeout.is_zero())
            .map_or(RequestTimeout::None, RequestTimeout::After),
        None if OTHERS.iter().any(|name| get(name).is_some()) => RequestTimeout::None,
        None => RequestTimeout::Absent,
    }
}

/// The same as a rule of an HTTPRoute has it: `1m30s`. None for 0, and where it cannot be read.
pub(crate) fn of_rule(text: &str) -> Option<Duration> {
    let timeout: SignedDuration = text.parse().ok()?;
    Duration::try_from(timeout).ok().filter(|timeout| !timeout.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_of_any_kind_hides_those_of_the_service() {
        let of = |name: &str, value: &'static str| read(|n| (n == name).then_some(value));
        assert_eq!(of(REQUEST, "300ms"), RequestTimeout::After(Duration::from_millis(300)));
        for (name, value) in [(REQUEST, "0"), (REQUEST, "1.5s"), (OTHERS[0], "1s"), (OTHERS[1], "")]
        {
            assert_eq!(of(name, value), RequestTimeout::None, "{name}: {value:?}");
        }
        assert_eq!(of("timeout.linkerd.io/other", "1s"), RequestTimeout::Absent);
    }

    #[test]
    fn a_rule_has_durations_of_the_gateway_api() {
        for (text, milliseconds) in
            [("500ms", Some(500)), ("1m30s", Some(90_000)), ("1h", Some(3_600_000)), ("0s", None)]
        {
            assert_eq!(of_rule(text), milliseconds.map(Duration::from_millis), "{text}");
        }
        for text in ["", "soon", "-1s", "99999999999999999999h"] {
            assert_eq!(of_rule(text), None, "{text:?}");
        }
    }
}
