//! Failure accrual of Linkerd's proxies: an endpoint that answers with failures gets no traffic for a while.
//! Linkerd takes it from the Service that clients call, for all endpoints of a route on it.

use crate::kinds::linkerd::duration;
use std::time::Duration;

pub(crate) const MODE: &str = "balancer.linkerd.io/failure-accrual";
pub(crate) const MIN_PENALTY: &str = "balancer.linkerd.io/failure-accrual-consecutive-min-penalty";
pub(crate) const MAX_PENALTY: &str = "balancer.linkerd.io/failure-accrual-consecutive-max-penalty";
const MAX_FAILURES: &str = "balancer.linkerd.io/failure-accrual-consecutive-max-failures";
const JITTER: &str = "balancer.linkerd.io/failure-accrual-consecutive-jitter-ratio";

/// Linkerd's, where a Service sets none.
const DEFAULT_MIN_PENALTY: Duration = Duration::from_secs(1);
const DEFAULT_MAX_PENALTY: Duration = Duration::from_secs(60);

/// The failure accrual that a Service asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum FailureAccrual {
    /// An endpoint that is ready gets traffic whatever it answers.
    #[default]
    Absent,
    /// Linkerd cannot read this one, and drops all of them.
    Unreadable { name: &'static str, value: String },
    /// After failures in a row an endpoint is left alone, at first for `min_penalty`, then longer, at most
    /// for `max_penalty`; one request is the probe after each.
    Enabled { min_penalty: Duration, max_penalty: Duration },
}

/// Reads annotations by their names.
pub(crate) fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> FailureAccrual {
    let Some(mode) = get(MODE) else { return FailureAccrual::Absent };
    let unreadable = |name: &'static str| FailureAccrual::Unreadable {
        name,
        value: get(name).unwrap_or_default().to_owned(),
    };
    let is_unreadable = |name: &str, is_readable: fn(&str) -> bool| {
        get(name).is_some_and(|value| !is_readable(value.trim()))
    };
    if !["consecutive", "unified"].contains(&mode) {
        return unreadable(MODE);
    }
    if is_unreadable(MAX_FAILURES, |value| value.parse::<u32>().is_ok()) {
        return unreadable(MAX_FAILURES);
    }
    if is_unreadable(JITTER, |value| {
        value.parse::<f32>().is_ok_and(|ratio| (0.0..=100.0).contains(&ratio))
    }) {
        return unreadable(JITTER);
    }
    let penalty = |name: &'static str, default: Duration| match get(name) {
        Some(text) => duration::read(text).ok_or(unreadable(name)),
        None => Ok(default),
    };
    let penalties = penalty(MAX_PENALTY, DEFAULT_MAX_PENALTY)
        .and_then(|max| Ok((penalty(MIN_PENALTY, DEFAULT_MIN_PENALTY)?, max)));
    match penalties {
        Err(unreadable) => unreadable,
        Ok((_, max)) if max.is_zero() => unreadable(MAX_PENALTY),
        Ok((min, max)) if min > max && get(MIN_PENALTY).is_some() => unreadable(MIN_PENALTY),
        Ok((min, max)) if min > max => unreadable(MAX_PENALTY),
        Ok((min_penalty, max_penalty)) => FailureAccrual::Enabled { min_penalty, max_penalty },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accrual(annotations: &[(&str, &'static str)]) -> FailureAccrual {
        read(|name| annotations.iter().find(|(n, _)| *n == name).map(|(_, value)| *value))
    }

    fn enabled(min: u64, max: u64) -> FailureAccrual {
        let (min_penalty, max_penalty) = (Duration::from_millis(min), Duration::from_millis(max));
        FailureAccrual::Enabled { min_penalty, max_penalty }
    }

    #[test]
    fn without_a_mode_there_is_none_whatever_else_is_set() {
        assert_eq!(accrual(&[]), FailureAccrual::Absent);
        assert_eq!(accrual(&[(MIN_PENALTY, "10s")]), FailureAccrual::Absent);
    }

    #[test]
    fn penalties_are_linkerds_where_none_are_set() {
        assert_eq!(accrual(&[(MODE, "consecutive")]), enabled(1_000, 60_000));
        assert_eq!(accrual(&[(MODE, "unified"), (MIN_PENALTY, "10s")]), enabled(10_000, 60_000));
        let both = [(MODE, "consecutive"), (MIN_PENALTY, "500ms"), (MAX_PENALTY, "500ms")];
        assert_eq!(accrual(&both), enabled(500, 500));
    }

    #[test]
    fn what_linkerd_cannot_read_is_named() {
        for (name, value) in [
            (MODE, "Consecutive"),
            (MODE, ""),
            (MAX_FAILURES, "-1"),
            (JITTER, "101"),
            (JITTER, "NaN"),
            (MIN_PENALTY, "10"),
            (MIN_PENALTY, "61s"),
            (MAX_PENALTY, "0s"),
            (MAX_PENALTY, "900ms"),
        ] {
            let mut annotations = vec![(name, value)];
            if name != MODE {
                annotations.push((MODE, "consecutive"));
            }
            let unreadable = FailureAccrual::Unreadable { name, value: value.into() };
            assert_eq!(accrual(&annotations), unreadable, "{name}");
        }
    }
}
