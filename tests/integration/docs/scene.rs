//! The clusters that pages are read with.

use super::replicas::Replicas;
use crate::support::linked_clusters::{CREDENTIALS, link};
use crate::support::*;
use anyhow::Result;
use docs_pages::page::Scene;
use serde_json::{Value, json};
use std::sync::Arc;
use test_cluster::{Cluster, Deployment, Installation, PolicyController, Workload};

/// What a page finds.
pub(super) struct Stage {
    pub cluster: Arc<Cluster>,
    /// With the contexts that the page names.
    pub kubeconfig: String,
    pub replicas: Replicas,
    _routes: PolicyController,
    _west: Option<Cluster>,
}

impl Stage {
    pub(super) async fn set(scene: Scene) -> Result<Self> {
        let east = cluster().await?;
        east.install_gateway_api_crds().await?;
        east.install_service_profile_crd().await?;
        let mut kubeconfig = std::fs::read_to_string(east.kubeconfig())?;
        let mut west = None;
        match scene {
            Scene::Empty => {}
            Scene::Installed => Installation::helm_install(&east, &options(0, &[])).await?,
            Scene::Emojivoto => {
                Installation::helm_install(&east, &options(0, &[])).await?;
                emojivoto(&east).await?;
            }
            Scene::Linked => {
                let there = bare_cluster().await?;
                east.create_multicluster_namespace().await?;
                link(&east, &there).await?;
                Installation::helm_install(&east, &options(0, &[CREDENTIALS])).await?;
                let theirs = std::fs::read_to_string(there.kubeconfig())?;
                kubeconfig = merged(&[("east", &kubeconfig), ("west", &theirs)])?;
                Workload::new(&there, "emojivoto").await?.deploy_emoji(1).await?;
                let here = Workload::new(&east, "emojivoto").await?;
                here.deploy_emoji(1).await?;
                here.discovery_mirror("emoji-svc", "west").await?;
                west = Some(there);
            }
        }
        let routes = PolicyController::start(&east);
        let cluster = Arc::new(east);
        let replicas = Replicas::follow(Arc::clone(&cluster));
        replicas.settle().await?;
        Ok(Self { cluster, kubeconfig, replicas, _routes: routes, _west: west })
    }
}

/// `emoji-svc`, and `emoji-svc-west` that stands for the same in another cluster.
async fn emojivoto(cluster: &Cluster) -> Result<()> {
    let workload = Workload::new(cluster, "emojivoto").await?;
    let west = Deployment::new("emoji-west").served_as("emoji-svc-west");
    for deployment in [Deployment::new("emoji"), west] {
        workload.deploy_as(&deployment).await?;
    }
    Ok(())
}

/// One kubeconfig with a context for each cluster; the first is the current one.
fn merged(clusters: &[(&str, &str)]) -> Result<String> {
    let mut merged = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": clusters[0].0,
        "clusters": [], "users": [], "contexts": [],
    });
    for (name, text) in clusters {
        let theirs: Value = serde_json::from_str(text)?;
        for (list, one) in [("clusters", "cluster"), ("users", "user")] {
            let entry = json!({ "name": name, one: theirs[list][0][one] });
            merged[list].as_array_mut().into_iter().for_each(|all| all.push(entry.clone()));
        }
        let context = json!({ "name": name, "context": { "cluster": name, "user": name } });
        merged["contexts"].as_array_mut().into_iter().for_each(|all| all.push(context.clone()));
    }
    Ok(merged.to_string())
}
