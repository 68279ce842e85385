//! The annotations for how Linkerd's proxies treat the traffic to a Service, or of a route.

use std::collections::BTreeMap;

/// What all of them for retries begin with.
const RETRY: &str = "retry.linkerd.io/";
/// What all of them for load balancers begin with, failure accrual's among them.
const BALANCER: &str = "balancer.linkerd.io/";
/// What all of them for timeouts begin with.
const TIMEOUT: &str = "timeout.linkerd.io/";

/// A value that is longer is none that Linkerd can read; so much of it is kept, to be quoted.
const LONGEST: usize = 256;

/// Those of a Service that findings need. Most Services have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkerdAnnotations(BTreeMap<String, String>);

impl LinkerdAnnotations {
    pub(crate) fn of(all: &BTreeMap<String, String>) -> Self {
        let is_wanted =
            |name: &str| [RETRY, BALANCER, TIMEOUT].iter().any(|prefix| name.starts_with(prefix));
        let wanted = all.iter().filter(|(name, _)| is_wanted(name));
        Self(wanted.map(|(name, value)| (name.clone(), shortened(value))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => value[..end].to_owned(),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, &str)]) -> LinkerdAnnotations {
        let all = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        LinkerdAnnotations::of(&all.collect())
    }

    #[test]
    fn only_those_of_retries_balancers_and_timeouts_are_kept() {
        let others = of(&[("mirror.linkerd.io/x", "y"), ("config.linkerd.io/opaque-ports", "1")]);
        assert_eq!(others, LinkerdAnnotations::default());
        let retries = of(&[("retry.linkerd.io/http", "5xx"), ("a", "b")]);
        assert_eq!(retries.get("retry.linkerd.io/http"), Some("5xx"));
        assert_eq!(retries.get("a"), None);
        let accrual = of(&[("balancer.linkerd.io/failure-accrual", "consecutive")]);
        assert_eq!(accrual.get("balancer.linkerd.io/failure-accrual"), Some("consecutive"));
        let timeouts = of(&[("timeout.linkerd.io/request", "1s")]);
        assert_eq!(timeouts.get("timeout.linkerd.io/request"), Some("1s"));
    }

    #[test]
    fn of_a_huge_value_only_the_beginning_is_kept() {
        let huge = of(&[("retry.linkerd.io/http", &"é".repeat(100_000))]);
        assert_eq!(huge.get("retry.linkerd.io/http").map(str::len), Some(2 * LONGEST));
    }
}
