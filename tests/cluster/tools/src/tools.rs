//! The programs a cluster is made of, built once and cached.

use crate::cache;
use crate::go_module::GoModule;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Name, module folder, package.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    ("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    ("helm", "helm", "helm.sh/helm/v4/cmd/helm"),
    ("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
];

/// What `KUBEBUILDER_ASSETS` may offer.
const ASSETS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// How kwok lets a node and its pods live: folders of its module.
const STAGES: [&str; 3] = ["node/fast", "node/heartbeat", "pod/fast"];
const KWOK: &str = "sigs.k8s.io/kwok";
const STAGES_FILE: &str = "kwok-stages.yaml";

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
    assets: Option<PathBuf>,
}

impl Tools {
    /// Finds the programs, or builds them with Go: minutes the first time.
    ///
    /// They are cached in the folder `$LINKERD_FAILOVER_TEST_TOOLS` (what is in
    /// there is used as it is) or below the target folder, by the hash of
    /// what pins them. `KUBEBUILDER_ASSETS` is used for what it offers.
    pub fn ensure() -> anyhow::Result<Self> {
        let folder = cache::folder("", &["etcd", "kubernetes", "helm", "kwok"])?;
        let tools =
            Self { folder, assets: std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) };
        if tools.complete() {
            return Ok(tools);
        }
        let _lock = cache::lock(&tools.folder, ".lock")?;
        tools.build()?;
        Ok(tools)
    }

    /// The folder they are cached in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the program `name` is.
    pub fn program(&self, name: &str) -> PathBuf {
        self.asset(name).unwrap_or_else(|| self.folder.join(name))
    }

    /// kwok's Stages, as one file.
    pub fn kwok_stages(&self) -> PathBuf {
        self.folder.join(STAGES_FILE)
    }

    fn asset(&self, name: &str) -> Option<PathBuf> {
        let path = self.assets.as_ref()?.join(name);
        (ASSETS.contains(&name) && path.is_file()).then_some(path)
    }

    fn complete(&self) -> bool {
        self.missing().next().is_none() && self.kwok_stages().is_file()
    }

    fn missing(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        PROGRAMS.into_iter().filter(|(name, ..)| !self.program(name).is_file())
    }

    fn build(&self) -> anyhow::Result<()> {
        let missing: Vec<_> = self.missing().collect();
        let count = missing.len();
        for (nth, (name, module, package)) in missing.into_iter().enumerate() {
            let title = format!("{name} ({} of {count})", nth + 1);
            // Renamed when complete: a build that is interrupted leaves no half program.
            let part = self.folder.join(format!("{name}.part"));
            GoModule::new(module).build(package, &part, &title)?;
            std::fs::rename(&part, self.folder.join(name))?;
        }
        if !self.kwok_stages().is_file() {
            let part = self.folder.join(format!("{STAGES_FILE}.part"));
            std::fs::write(&part, stages()?)?;
            std::fs::rename(&part, self.kwok_stages())?;
        }
        Ok(())
    }
}

fn stages() -> anyhow::Result<String> {
    let source = GoModule::new("kwok").source_of(KWOK)?;
    let mut documents = Vec::new();
    for stage in STAGES {
        let folder = source.join("kustomize/stage").join(stage);
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("kwok's module has no {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml")
                && path.file_name().is_some_and(|name| name != "kustomization.yaml")
            {
                documents.push(std::fs::read_to_string(&path)?);
            }
        }
    }
    documents.sort();
    Ok(documents.join("\n---\n"))
}
