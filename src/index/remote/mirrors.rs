//! The mirrors that a linked cluster has of others, perhaps of this one. Only for warnings: no decision
//! depends on them.

use crate::index::service_facts::CLUSTER_NAME;
use crate::kinds::ObjectKey;
use kube::ResourceExt;

/// `name.namespace.svc.domain` of what is mirrored.
const OF: &str = "mirror.linkerd.io/remote-svc-fq-name";
const REMOTE_DISCOVERY: &str = "multicluster.linkerd.io/remote-discovery";

/// A mirror through a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteMirror {
    /// Its own name, in that cluster.
    pub service: ObjectKey,
    /// What it mirrors, in the cluster that it names.
    pub of: ObjectKey,
    pub cluster: Box<str>,
}

impl RemoteMirror {
    /// None where it is no mirror through a gateway: other mirrors lead to pods, past the objects there.
    pub(crate) fn read(service: &impl ResourceExt) -> Option<Self> {
        let (labels, annotations) = (service.labels(), service.annotations());
        let cluster = labels.get(CLUSTER_NAME)?;
        if labels.contains_key(REMOTE_DISCOVERY) || annotations.contains_key(REMOTE_DISCOVERY) {
            return None;
        }
        let key = ObjectKey::new(service.namespace().unwrap_or_default(), service.name_any());
        let annotated = annotations.get(OF).and_then(|name| {
            let mut parts = name.split('.');
            let (name, namespace) = (parts.next()?, parts.next()?);
            Some(ObjectKey::new(namespace, name))
        });
        // Linkerd gives it a name with the cluster's at its end.
        let by_name = || {
            let name = key.name.strip_suffix(&**cluster)?.strip_suffix('-')?;
            Some(ObjectKey::new(&*key.namespace, name))
        };
        let of = annotated.or_else(by_name)?;
        Some(Self { service: key, of, cluster: cluster.as_str().into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Service;
    use serde_json::{Value, json};

    fn mirror(metadata: Value) -> Option<(String, String)> {
        let service: Service = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        RemoteMirror::read(&service).map(|mirror| (mirror.of.to_string(), mirror.cluster.into()))
    }

    #[test]
    fn a_mirror_through_a_gateway_is_of_what_it_names_else_of_what_it_is_named_after() {
        let of = |of: &str| Some((of.to_owned(), "east".to_owned()));
        let labels = json!({CLUSTER_NAME: "east", "mirror.linkerd.io/mirrored-service": "true"});
        let named = json!({"name": "x", "namespace": "ns", "labels": labels,
            "annotations": {OF: "emoji-svc.emojivoto.svc.cluster.local"}});
        assert_eq!(mirror(named), of("emojivoto/emoji-svc"));
        let plain = |name: &str| json!({"name": name, "namespace": "emojivoto", "labels": labels});
        assert_eq!(mirror(plain("emoji-svc-east")), of("emojivoto/emoji-svc"));
        assert_eq!(mirror(plain("emoji-svc-west")), None);
        assert_eq!(mirror(json!({"name": "emoji-svc-east"})), None);
        let to_pods = json!({CLUSTER_NAME: "east", REMOTE_DISCOVERY: "east"});
        assert_eq!(mirror(json!({"name": "emoji-svc-east", "labels": to_pods})), None);
    }
}
