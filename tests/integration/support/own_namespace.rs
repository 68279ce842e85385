//! The namespace that the program runs in.

use super::*;
use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};
use std::collections::BTreeMap;
use test_cluster::{Cluster, eventually};

const NAME: &str = "linkerd-failover";
/// By which `linkerd check` knows an extension's namespace.
pub(crate) const EXTENSION_LABEL: &str = "linkerd.io/extension";

pub(crate) async fn namespace_labels(cluster: &Cluster) -> Result<BTreeMap<String, String>> {
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    Ok(namespaces.get(NAME).await?.labels().clone())
}

/// Waits until the namespace of the installation has this value of the label.
pub(crate) async fn wait_extension_label(cluster: &Cluster, wanted: Option<&str>) -> Result<()> {
    eventually(&format!("the namespace is labelled {wanted:?}"), PATIENCE, || async {
        let labels = namespace_labels(cluster).await?;
        ensure!(labels.get(EXTENSION_LABEL).map(String::as_str) == wanted, "{labels:?}");
        Ok(())
    })
    .await
}
