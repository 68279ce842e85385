//! Objects that an installation has moved, and that its selector does not match any more.

use crate::housekeeping::leftover_weights::LeftoverWeights;
use crate::housekeeping::unmanaged_objects::decided_and_unmanaged;
use crate::kinds::{Kind, ObjectRef, get_known};
use crate::snapshot::{Settings, Snapshot};
use kube::core::DynamicObject;
use kube::{Api, Client};

/// Each of them, with a line that has the command that gives its author's weights back.
pub(crate) async fn left_behind(
    client: &Client,
    snapshot: &Snapshot,
    settings: &Settings,
) -> kube::Result<Vec<(ObjectRef, String)>> {
    let (selector, name) = (&settings.watch.selector, &*settings.installation.name);
    let mut lines = vec![];
    for kind in Kind::ALL {
        let Some(version) = snapshot.index.served(kind) else { continue };
        let resource = kind.api_resource(version);
        let scope = (&*settings.watch.namespaces, selector, name);
        for key in decided_and_unmanaged(client, &resource, scope).await? {
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), &key.namespace, &resource);
            let object = ObjectRef::new(kind, key);
            let found = get_known(&api, object.name()).await?;
            let left = found.and_then(|found| LeftoverWeights::read(&object, &found, selector));
            lines.extend(left.map(|left| (object, left.full())));
        }
    }
    Ok(lines)
}
