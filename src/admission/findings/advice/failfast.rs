//! Advice on the failfast timeout of callers' proxies.

use super::Advice;
use super::object::apex;
use crate::admission::findings::finding::LONGEST_FAILFAST;
use crate::kinds::ObjectRef;
use crate::kinds::linkerd::duration;
use crate::kinds::linkerd::failfast::{DEFAULT, EnvList, NotKnown, set_in};
use std::time::Duration;

/// By which namespaces and pods of callers may have another timeout, which is not looked up.
const PROXY_ENV: &str = "config.linkerd.io/proxy-additional-env";

pub(super) fn long(object: &ObjectRef, timeout: Duration, list: Option<EnvList>) -> Advice {
    let by = match list {
        Some(list) => format!("by {list}"),
        None => "Linkerd's default".to_owned(),
    };
    Advice {
        field: apex(object),
        found: format!(
            "a failfast timeout of {} in callers' proxies, {by}",
            duration::write(timeout)
        ),
        expected: expected(),
        why: format!(
            "a request that meets a lost backend waits for so long before it is repeated (callers with {PROXY_ENV} on their namespace or pods are not known). Set it, and restart callers"
        ),
        line: set_in(list.unwrap_or(EnvList::Additional)),
    }
}

pub(super) fn not_known(object: &ObjectRef, why: Option<&NotKnown>) -> Advice {
    let (cause, line) = match why {
        Some(NotKnown { why, line }) => (why.as_str(), line.clone()),
        None => ("nothing has been read yet", "it is read once a minute".into()),
    };
    Advice {
        field: apex(object),
        found: "callers' proxies whose failfast timeout is not known".into(),
        expected: expected(),
        why: format!(
            "{cause}; a request that meets a lost backend waits for so long, by default {}, before it is repeated",
            duration::write(DEFAULT)
        ),
        line,
    }
}

fn expected() -> String {
    format!("at most {}", duration::write(LONGEST_FAILFAST))
}
