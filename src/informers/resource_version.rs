//! resourceVersions as numbers, which is what orders the answers of one API server.

use kube::Resource;
use kube::api::ObjectList;

/// The number that grows with every change of an object; 0 where there is none.
pub(crate) fn of_object(object: &impl Resource) -> u64 {
    number(object.meta().resource_version.as_deref())
}

/// The version that a LIST is of; 0 where it has none.
pub(crate) fn of_list<K: Clone>(list: &ObjectList<K>) -> u64 {
    number(list.metadata.resource_version.as_deref())
}

fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}
