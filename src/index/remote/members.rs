//! The members of a Service without endpoints of its own.

use crate::engine::is_service_name;
use crate::kinds::partial::PartialService;
use kube::ResourceExt;
use std::collections::BTreeSet;

// Linkerd multicluster's names. The first is an annotation of federated Services and a label of
// pod-to-pod mirrors; the annotations are looked at before the label.
const REMOTE_DISCOVERY: &str = "multicluster.linkerd.io/remote-discovery";
const LOCAL_DISCOVERY: &str = "multicluster.linkerd.io/local-discovery";
const REMOTE_SERVICE: &str = "multicluster.linkerd.io/remote-service";

/// A Service whose endpoints another Service's traffic goes to, in that one's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Member {
    /// Of this cluster.
    Local(Box<str>),
    /// Of a linked cluster.
    Remote { cluster: Box<str>, service: Box<str> },
}

impl Member {
    fn remote(service: &str, cluster: &str) -> Option<Self> {
        // A name that no Service can have is one without endpoints; Linkerd ignores it too.
        let named = is_service_name(service) && !cluster.is_empty();
        named.then(|| Self::Remote { cluster: cluster.into(), service: service.into() })
    }
}

/// The members of a pod-to-pod mirror (one) or of a federated Service (any number); none where a
/// Service has endpoints of its own.
pub(crate) fn read(service: &PartialService) -> Option<Box<[Member]>> {
    let annotation = |name: &str| service.annotations().get(name).map(String::as_str);
    let (remote, local) = (annotation(REMOTE_DISCOVERY), annotation(LOCAL_DISCOVERY));
    if remote.is_some() || local.is_some() {
        let remote = remote.unwrap_or_default().split(',').filter_map(|member| {
            let (service, cluster) = member.split_once('@')?;
            Member::remote(service, cluster).filter(|_| !cluster.contains('@'))
        });
        let local = local.filter(|name| is_service_name(name));
        let members: BTreeSet<Member> =
            remote.chain(local.map(|name| Member::Local(name.into()))).collect();
        return Some(members.into_iter().collect());
    }
    let cluster = service.labels().get(REMOTE_DISCOVERY)?;
    // Without a name Linkerd refuses to resolve it.
    let name = service.labels().get(REMOTE_SERVICE).map(String::as_str).unwrap_or_default();
    Some(Member::remote(name, cluster).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn members(metadata: Value) -> Option<Vec<Member>> {
        let service = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        read(&service).map(Vec::from)
    }

    fn remote(service: &str, cluster: &str) -> Member {
        Member::Remote { cluster: cluster.into(), service: service.into() }
    }

    #[test]
    fn a_mirror_has_the_one_member_that_its_labels_name() {
        assert_eq!(members(json!({})), None);
        let gateway = json!({"labels": {"mirror.linkerd.io/mirrored-service": "true",
            "mirror.linkerd.io/cluster-name": "west"}});
        assert_eq!(members(gateway), None);
        let mirror = json!({"labels": {REMOTE_DISCOVERY: "west", REMOTE_SERVICE: "bb"}});
        assert_eq!(members(mirror), Some(vec![remote("bb", "west")]));
        let nameless = json!({"labels": {REMOTE_DISCOVERY: "west"}});
        assert_eq!(members(nameless), Some(vec![]));
    }

    #[test]
    fn a_federated_service_has_all_members_that_its_annotations_name_whatever_its_labels() {
        let federated = json!({
            "annotations": {REMOTE_DISCOVERY: "bb@west,bb@north,bb@west", LOCAL_DISCOVERY: "bb"},
            "labels": {REMOTE_DISCOVERY: "south", REMOTE_SERVICE: "bb"},
        });
        let all = vec![Member::Local("bb".into()), remote("bb", "north"), remote("bb", "west")];
        assert_eq!(members(federated), Some(all));
        let alone = json!({"annotations": {LOCAL_DISCOVERY: "bb"}});
        assert_eq!(members(alone), Some(vec![Member::Local("bb".into())]));
    }

    #[test]
    fn a_name_that_no_service_can_have_is_ignored() {
        for text in ["", ",", "bb", "bb@", "@west", "bb@a@b", "b b@west", "x) or (y@west", "B@west"]
        {
            assert_eq!(members(json!({"annotations": {REMOTE_DISCOVERY: text}})), Some(vec![]));
        }
    }
}
