//! What admission needs of a ReferenceGrant.

use kube::core::DynamicObject;
use serde_json::Value;

/// Which objects may name which Services of a grant's namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GrantFacts {
    /// Kind and namespace of the objects.
    from: Vec<(Box<str>, Box<str>)>,
    /// Names; none: any.
    to: Vec<Option<Box<str>>>,
}

impl GrantFacts {
    pub(crate) fn read(grant: &DynamicObject) -> Self {
        let list = |path: &str| grant.data.pointer(path).and_then(Value::as_array);
        let text = |value: &Value, field: &str| -> Option<Box<str>> {
            Some(value.get(field)?.as_str()?.into())
        };
        let from = list("/spec/from").into_iter().flatten();
        let services = list("/spec/to").into_iter().flatten().filter(|to| {
            let group = to.get("group").and_then(Value::as_str).unwrap_or_default();
            to.get("kind").and_then(Value::as_str) == Some("Service")
                && matches!(group, "" | "core")
        });
        Self {
            from: from.filter_map(|f| Some((text(f, "kind")?, text(f, "namespace")?))).collect(),
            to: services.map(|to| text(to, "name")).collect(),
        }
    }

    /// Whether objects of a kind in a namespace may name this Service.
    pub(crate) fn allows(&self, kind: &str, namespace: &str, service: &str) -> bool {
        self.from.iter().any(|(k, n)| **k == *kind && **n == *namespace)
            && self.to.iter().any(|name| name.as_deref().is_none_or(|name| name == service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_grant_is_for_a_kind_of_a_namespace_and_for_some_services_or_all() {
        let read = |to: Value| {
            let from = json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute",
                "namespace": "emojivoto"}]);
            GrantFacts::read(
                &serde_json::from_value(json!({
                "metadata": {"name": "g"}, "spec": {"from": from, "to": to}}))
                .unwrap(),
            )
        };
        let all = read(json!([{"group": "", "kind": "Service"}]));
        assert!(all.allows("HTTPRoute", "emojivoto", "emoji-svc"));
        assert!(!all.allows("GRPCRoute", "emojivoto", "emoji-svc"));
        assert!(!all.allows("HTTPRoute", "other", "emoji-svc"));
        let one = read(json!([{"group": "", "kind": "Service", "name": "emoji-svc"}]));
        assert!(one.allows("HTTPRoute", "emojivoto", "emoji-svc"));
        assert!(!one.allows("HTTPRoute", "emojivoto", "web-svc"));
        let secrets = read(json!([{"group": "", "kind": "Secret"}]));
        assert!(!secrets.allows("HTTPRoute", "emojivoto", "emoji-svc"));
    }
}
