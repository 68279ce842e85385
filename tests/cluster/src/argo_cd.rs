//! What Argo CD does with an object, by its own packages.

use crate::cluster::Cluster;
use crate::command::Invocation;
use serde_json::Value;
use std::path::PathBuf;

/// The program that compares and syncs as Argo CD does, against one cluster.
pub struct ArgoCd<'cluster> {
    program: PathBuf,
    cluster: &'cluster Cluster,
}

/// What Argo CD makes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Whether its Application is `Synced`.
    pub is_synced: bool,
    /// The fields that differ.
    pub differs: Vec<String>,
    /// What the sync ended with, where there was one.
    pub sync: Option<(String, String)>,
}

impl<'cluster> ArgoCd<'cluster> {
    /// Builds the program, where that has not been done.
    pub async fn ensure(cluster: &'cluster Cluster) -> anyhow::Result<Self> {
        let program = tokio::task::spawn_blocking(test_tools::argo_cd_compare).await??;
        Ok(Self { program, cluster })
    }

    /// Compares an object, as it stands in the repository of an Application, with the cluster's.
    pub async fn compare(&self, application: &Value, manifest: &str) -> anyhow::Result<Compared> {
        self.run(application, manifest, false).await
    }

    /// The same, and then a sync.
    pub async fn sync(&self, application: &Value, manifest: &str) -> anyhow::Result<Compared> {
        self.run(application, manifest, true).await
    }

    async fn run(
        &self,
        application: &Value,
        manifest: &str,
        is_sync: bool,
    ) -> anyhow::Result<Compared> {
        let (folder, kubeconfig) = (self.cluster.folder(), self.cluster.kubeconfig());
        let (of_application, of_object) =
            (folder.join("application.yaml"), folder.join("manifest.yaml"));
        std::fs::write(&of_application, application.to_string())?;
        std::fs::write(&of_object, manifest)?;
        let program = Invocation::new(self.program.clone(), kubeconfig, &folder.join("home"));
        let mut program = program
            .args(["--kubeconfig".as_ref(), kubeconfig.as_os_str()])
            .args(["--application".as_ref(), of_application.as_os_str()])
            .args(["--manifest".as_ref(), of_object.as_os_str()]);
        if is_sync {
            program = program.args(["--sync"]);
        }
        let found: Value = serde_json::from_str(&program.ok().await?)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let differs = found["differs"].as_array().cloned().unwrap_or_default();
        let sync = &found["sync"];
        Ok(Compared {
            is_synced: found["status"] == "Synced",
            differs: differs.iter().map(text).collect(),
            sync: sync.is_object().then(|| (text(&sync["phase"]), text(&sync["message"]))),
        })
    }
}
