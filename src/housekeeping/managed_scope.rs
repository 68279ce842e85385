//! The managed namespaces, recorded on the Lease: a leader that manages fewer than the one before reports
//! which were left. It may not be able to read there any more.

use crate::engine::annotations::MANAGES;
use crate::kinds::Kind;
use crate::kinds::selector::LabelSelector;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use std::collections::BTreeSet;

const EVERY: &str = "*";

/// The Lease is renewed every second: another write to it may have to be tried again.
const TRIES: usize = 5;

fn recorded(namespaces: &[String]) -> String {
    match namespaces {
        [] => EVERY.into(),
        some => some.join(","),
    }
}

/// What was managed before and is no longer, for people.
fn lost(before: &str, now: &[String]) -> Option<String> {
    if now.is_empty() || before.is_empty() {
        return None;
    }
    if before == EVERY {
        return Some(format!("all namespaces but {}", now.join(", ")));
    }
    let now: BTreeSet<&str> = now.iter().map(String::as_str).collect();
    let lost: Vec<&str> = before.split(',').filter(|name| !now.contains(name)).collect();
    (!lost.is_empty()).then(|| lost.join(", "))
}

/// Records what is managed now. Returns what was before and is no longer, once.
pub(crate) async fn narrowed(
    api: &Api<Lease>,
    name: &str,
    namespaces: &[String],
) -> kube::Result<Option<String>> {
    let now = recorded(namespaces);
    for _ in 0..TRIES {
        let Some(mut lease) = api.get_opt(name).await? else { break };
        let annotations = lease.metadata.annotations.get_or_insert_default();
        let before = annotations.insert(MANAGES.into(), now.clone());
        if before.as_ref() == Some(&now) {
            break;
        }
        match api.replace(name, &PostParams::default(), &lease).await {
            Ok(_) => return Ok(before.and_then(|before| lost(&before, namespaces))),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What a person can do about it.
pub(crate) fn note(lost: &str, selector: &LabelSelector) -> String {
    let kinds = Kind::ALL.map(Kind::resource).join(",");
    format!(
        "No longer managed: {lost}. What is on a fallback there stays on it, and may not be read from here. To see it, in each of them: kubectl get {kinds} -n NAMESPACE -l '{}' -o yaml; to give its author's weights back: set those of the annotation failover.linkerd.io/authored-weights, and remove it and failover.linkerd.io/state",
        selector.as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_managed_and_is_no_longer_is_named() {
        let some = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(lost("a,b,c", &some(&["b"])).as_deref(), Some("a, c"));
        assert_eq!(lost("*", &some(&["a"])).as_deref(), Some("all namespaces but a"));
        assert_eq!(lost("a", &some(&["a", "b"])), None);
        assert_eq!(lost("a,b", &[]), None, "all are managed now");
        assert_eq!(lost("", &some(&["a"])), None);
        assert_eq!((recorded(&[]), recorded(&some(&["a", "b"]))), ("*".into(), "a,b".into()));
    }
}
