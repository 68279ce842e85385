//! The managed namespaces, recorded on the Lease: a leader that manages fewer than the one before reports
//! the others. It may no longer be able to read there.

use crate::kinds::Kind;
use crate::kinds::selector::LabelSelector;
use crate::leader_election::lease_annotation::LeaseAnnotation;
use std::collections::BTreeSet;

const EVERY: &str = "*";

/// The Lease is renewed every second: another write to it may meet a conflict.
const ATTEMPTS: usize = 5;

fn recorded(namespaces: &[String]) -> String {
    match namespaces {
        [] => EVERY.into(),
        some => some.join(","),
    }
}

/// The namespaces that were managed before and are no longer, as text.
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

/// Records the managed namespaces. Returns, once, those that were managed before and are no longer.
pub(crate) async fn narrowed(
    annotation: &LeaseAnnotation,
    namespaces: &[String],
) -> kube::Result<Option<String>> {
    let now = recorded(namespaces);
    let mut before = None;
    annotation
        .update(ATTEMPTS, |present| {
            before = present.filter(|present| *present != now).map(str::to_owned);
            (present != Some(&now)).then(|| now.clone())
        })
        .await?;
    Ok(before.and_then(|before| lost(&before, namespaces)))
}

/// The text of the Event, with what a person can do.
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
