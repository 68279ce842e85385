//! Objects written into etcd, where the API would take too long to make so many.

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
        let write = |(key, object): (String, Value)| {
            Write::Put(format!("/registry/{key}"), BASE64_STANDARD.encode(object.to_string()))
        };
        let writes: Vec<Write> = objects.into_iter().map(write).collect();
        self.etcd().write(&writes).await?;
        Ok(())
    }
}
