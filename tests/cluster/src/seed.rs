//! Objects written into etcd past the API server: more than it takes in the time, or what no admission lets
//! through.

use crate::cluster::Cluster;
use crate::etcd::Write;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

impl Cluster {
    /// Writes objects into etcd, in order, without the API server: nobody is asked whether they are right, and
    /// watches see them as any other write. Each has its key below `/registry/`, as
    /// `endpointslices/NAMESPACE/NAME`, and is as the API server would have stored it, as JSON.
    pub async fn seed(
        &self,
        objects: impl IntoIterator<Item = (String, Value)>,
    ) -> anyhow::Result<()> {
        self.store(objects.into_iter().map(|(key, object)| (key, Some(object)))).await
    }

    /// The same for keys of which some have no object: these are deleted.
    pub async fn store(
        &self,
        entries: impl IntoIterator<Item = (String, Option<Value>)>,
    ) -> anyhow::Result<()> {
        let write = |(key, object): (String, Option<Value>)| {
            let key = format!("/registry/{key}");
            match object {
                Some(object) => Write::Put(key, BASE64_STANDARD.encode(object.to_string())),
                None => Write::Delete(key),
            }
        };
        let writes: Vec<Write> = entries.into_iter().map(write).collect();
        self.etcd().write(&writes).await.map(drop)
    }
}
