//! What an object lacks of the protection that is asked for, until it is applied again.

use crate::engine::{Protection, ProtectionSetBy, annotations};
use crate::index::namespace_facts::NamespaceProtection;
use crate::kinds::retries::{self, IDEMPOTENCE, ParentRetries, WantedRetries};
use crate::reconciler::context::Subject;

/// What is not as the protection of an object asks for, for people; none where all is.
pub(crate) fn incomplete(subject: &Subject<'_>) -> Option<String> {
    let lacking: Vec<String> =
        [unreadable_namespace(subject), retries_due(subject)].into_iter().flatten().collect();
    (!lacking.is_empty()).then(|| lacking.join("; "))
}

fn unreadable_namespace(subject: &Subject<'_>) -> Option<String> {
    let namespace = subject.object.namespace();
    let sources = subject.managed.readable().first()?.intent.policy.protection;
    let there = subject.index.namespace_protection(namespace)?;
    let NamespaceProtection::Unreadable(found) = there else { return None };
    let name = annotations::PROTECTION;
    (sources.set_by() != ProtectionSetBy::Object).then(|| {
        format!(
            "namespace {namespace} has {name}: {found:?}, expected \"standard\" or \"seamless\"; it is ignored. Mend it with: kubectl annotate namespace {namespace} {name}=seamless --overwrite"
        )
    })
}

/// The webhook adds retries, and takes them back, when an object is applied.
fn retries_due(subject: &Subject<'_>) -> Option<String> {
    let (kind, present) = (subject.object.kind, &subject.managed.retries);
    let wanted = retries::wanted(kind.retries(), protection(subject), present.authored, || {
        parent_retries(subject)
    });
    match wanted {
        WantedRetries::Added(all) if present.added.len() < all.len() => Some(format!(
            "{} are added by the webhook at the next apply; {}; {IDEMPOTENCE}",
            retries::describe(all),
            at_once(subject)
        )),
        WantedRetries::None(why) if !present.added.is_empty() => Some(format!(
            "{} are taken back by the webhook at the next apply, since {why}; {}",
            retries::describe(&present.added),
            at_once(subject)
        )),
        _ => None,
    }
}

/// The command that sends the object through the webhook, and changes nothing else.
fn at_once(subject: &Subject<'_>) -> String {
    let (key, resource) = (&subject.object.key, subject.object.kind.resource());
    let (namespace, name) = (&key.namespace, &key.name);
    format!("at once by: kubectl -n {namespace} patch {resource} {name} --type merge -p '{{}}'")
}

/// None where the namespace decides and has not been read.
fn protection(subject: &Subject<'_>) -> Option<Protection> {
    subject.managed.readable().first()?.intent.policy.protection.protection()
}

fn parent_retries(subject: &Subject<'_>) -> ParentRetries {
    let parents = subject.managed.apexes().iter().map(|apex| {
        let service = subject.index.service(&subject.object.beside(apex));
        (apex, service.map(|service| service.retries))
    });
    ParentRetries::of(parents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Defaults, Now};
    use crate::index::managed_object::ManagedObject;
    use crate::index::service_facts::ServiceFacts;
    use crate::index::store::Index;
    use crate::index::synced::Synced;
    use crate::kinds::{Kind, ObjectKey, ObjectRef};
    use crate::reconciler::context;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    const SEAMLESS: NamespaceProtection = NamespaceProtection::Is(Protection::Seamless);
    const OURS: [(&str, &str); 3] = [
        (annotations::ADDED, "retry.linkerd.io/http=gateway-error,retry.linkerd.io/limit=2"),
        ("retry.linkerd.io/http", "gateway-error"),
        ("retry.linkerd.io/limit", "2"),
    ];

    fn synced_index() -> Index {
        let mut index = Index::default();
        index.synced = Synced::ALL;
        index.namespaces_listed(None);
        index
    }

    fn set_service(index: &mut Index, annotations: Value) {
        let service = json!({"metadata": {"annotations": annotations}, "spec": {"ports": []}});
        let service = ServiceFacts::read(&serde_json::from_value(service).unwrap());
        index.set_service(ObjectKey::new("emojivoto", "emoji"), service);
    }

    /// What a route with these annotations lacks, with what the namespace asks for.
    fn lacking(
        index: &mut Index,
        of_namespace: Option<NamespaceProtection>,
        pairs: &[(&str, &str)],
    ) -> String {
        index.set_namespace("emojivoto", of_namespace);
        let annotations: serde_json::Map<String, Value> =
            pairs.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
        let backends =
            json!([{"name": "emoji", "port": 80}, {"name": "west", "port": 80, "weight": 0}]);
        let route = json!({
            "metadata": {"name": "emoji", "namespace": "emojivoto", "annotations": annotations,
                "resourceVersion": "1", "uid": "u"},
            "spec": {"parentRefs": [{"group": "core", "kind": "Service", "name": "emoji"}],
                "rules": [{"backendRefs": backends}]},
        });
        let route = serde_json::from_value(route).unwrap();
        let managed = ManagedObject::read(Kind::HttpRoute, &route, &Defaults::default());
        let object = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("emojivoto", "emoji"));
        index.set_object(object.clone(), managed);
        let now = Now::at(Timestamp::from_second(1_000_000).unwrap());
        incomplete(&context::subject(index, &object, now)).unwrap_or_default()
    }

    #[test]
    fn what_the_next_apply_changes_is_reported_with_the_command_that_changes_it_now() {
        let mut index = synced_index();
        set_service(&mut index, json!({}));
        insta::assert_snapshot!(lacking(&mut index, Some(SEAMLESS), &[]), @r#"retry.linkerd.io/http: "gateway-error" and retry.linkerd.io/limit: "2" are added by the webhook at the next apply; at once by: kubectl -n emojivoto patch httproutes.gateway.networking.k8s.io emoji --type merge -p '{}'; a retried request may have reached the pod that died: only requests that may be repeated should be"#);
        insta::assert_snapshot!(lacking(&mut index, None, &OURS), @r#"retry.linkerd.io/http: "gateway-error" and retry.linkerd.io/limit: "2" are taken back by the webhook at the next apply, since its protection is not seamless any more; at once by: kubectl -n emojivoto patch httproutes.gateway.networking.k8s.io emoji --type merge -p '{}'"#);
        set_service(&mut index, json!({"retry.linkerd.io/http": "5xx"}));
        insta::assert_snapshot!(lacking(&mut index, Some(SEAMLESS), &OURS), @r#"retry.linkerd.io/http: "gateway-error" and retry.linkerd.io/limit: "2" are taken back by the webhook at the next apply, since Service emoji has retries of its own, which Linkerd takes only where the route has none; at once by: kubectl -n emojivoto patch httproutes.gateway.networking.k8s.io emoji --type merge -p '{}'"#);
        let unreadable = NamespaceProtection::Unreadable("full".into());
        insta::assert_snapshot!(lacking(&mut index, Some(unreadable), &[]), @r#"namespace emojivoto has failover.linkerd.io/protection: "full", expected "standard" or "seamless"; it is ignored. Mend it with: kubectl annotate namespace emojivoto failover.linkerd.io/protection=seamless --overwrite"#);
    }

    #[test]
    fn nothing_is_reported_where_all_is_as_it_should_be_or_where_that_is_not_known() {
        let mut index = synced_index();
        assert_eq!(lacking(&mut index, Some(SEAMLESS), &[]), "", "the Service is not known");
        set_service(&mut index, json!({}));
        let seamless = (annotations::PROTECTION, "seamless");
        for pairs in [&OURS[..], &[seamless, ("retry.linkerd.io/limit", "0")]] {
            assert_eq!(lacking(&mut index, Some(SEAMLESS), pairs), "", "{pairs:?}");
        }
        assert_eq!(lacking(&mut index, None, &[]), "");
        let unreadable = NamespaceProtection::Unreadable("full".into());
        let standard = (annotations::PROTECTION, "standard");
        assert_eq!(lacking(&mut index, Some(unreadable), &[standard]), "");
        let mut index = Index::default();
        index.synced = Synced::ALL;
        set_service(&mut index, json!({}));
        assert_eq!(lacking(&mut index, None, &OURS), "", "the namespace is not known");
        assert_eq!(lacking(&mut index, None, &[]), "");
    }
}
