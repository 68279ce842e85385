//! Advice on request timeouts, of a route or of a Service that it is for.

use super::Advice;
use super::lines::annotate_either;
use super::object::apex;
use crate::admission::findings::facts::TimeoutPlace;
use crate::admission::findings::finding::ShortTimeout;
use crate::engine::annotations;
use crate::kinds::linkerd::duration;
use crate::kinds::linkerd::failfast::{ADVISED, EnvList, set_in};
use crate::kinds::linkerd::request_timeout::REQUEST;
use crate::kinds::{ObjectKey, ObjectRef};

/// Enough for two retries beside a short failfast timeout.
const ADVISED_TIMEOUT: &str = "1s";

pub(super) fn short(object: &ObjectRef, short: &ShortTimeout) -> Advice {
    let ShortTimeout { set_on, timeout, failfast } = short;
    let service = match set_on {
        TimeoutPlace::Service(service) => Some(service),
        TimeoutPlace::Object | TimeoutPlace::Rule(_) => None,
    };
    Advice {
        field: match set_on {
            TimeoutPlace::Object => annotations::field(REQUEST),
            TimeoutPlace::Rule(path) => path.clone(),
            TimeoutPlace::Service(_) => apex(object),
        },
        found: format!(
            "a request timeout of {}{}",
            duration::write(*timeout),
            service.map(|service| format!(" on Service {service}")).unwrap_or_default()
        ),
        expected: format!(
            "more than {}, the failfast timeout of callers' proxies",
            duration::write(failfast.timeout)
        ),
        why: "a request that meets a lost backend reaches its timeout first, and Linkerd repeats none that has".into(),
        line: line(object, short, service),
    }
}

/// Most authors have a reason for their timeout: where a short failfast timeout is enough, that is advised.
fn line(object: &ObjectRef, short: &ShortTimeout, service: Option<&ObjectKey>) -> String {
    let ShortTimeout { set_on, timeout, failfast } = short;
    let is_enough = duration::read(ADVISED).is_some_and(|advised| *timeout > advised);
    match set_on {
        _ if is_enough => set_in(failfast.set_in.unwrap_or(EnvList::Additional)),
        TimeoutPlace::Rule(_) => format!("timeouts: {{request: {ADVISED_TIMEOUT}}}"),
        TimeoutPlace::Object | TimeoutPlace::Service(_) => {
            annotate_either(object, service, &format!("{REQUEST}={ADVISED_TIMEOUT}"))
        }
    }
}
