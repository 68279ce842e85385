//! Alertmanager, Prometheus and its promtool: what tests of alerts need and no cluster does. They are built
//! when a test asks for them first, or ahead of time with the rest.

use crate::cache;
use crate::go_module::GoModule;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Programs that are built from a copy of their source, by that source's own go.mod: as requirements of one
/// module the two sources would not agree on what they require.
struct Source {
    /// The folder that pins its version.
    pinned_in: &'static str,
    module: &'static str,
    /// Name and package of each.
    programs: &'static [(&'static str, &'static str)],
    tags: &'static str,
    /// Files that are embedded and not in the published module: the pages of its web interface.
    empty_files: &'static [&'static str],
}

const SOURCES: [Source; 2] = [
    Source {
        pinned_in: "alertmanager",
        module: "github.com/prometheus/alertmanager",
        programs: &[("alertmanager", "./cmd/alertmanager")],
        tags: "",
        empty_files: &["ui/app/dist/elm/index.html", "ui/app/dist/mantine/index.html"],
    },
    // Without the clients of clouds, which discover targets there, and without the pages.
    Source {
        pinned_in: "prometheus",
        module: "github.com/prometheus/prometheus",
        programs: &[("promtool", "./cmd/promtool"), ("prometheus", "./cmd/prometheus")],
        tags: "remove_all_sd",
        empty_files: &[],
    },
];

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct AlertingTools {
    folder: PathBuf,
}

impl AlertingTools {
    /// Finds the programs, or builds them with Go: minutes the first time. They are cached as those of
    /// the cluster are.
    pub fn ensure() -> anyhow::Result<Self> {
        let folder = cache::folder("alerting-", &SOURCES.map(|source| source.pinned_in))?;
        let tools = Self { folder };
        if SOURCES.iter().all(|source| source.missing(&tools.folder).is_empty()) {
            return Ok(tools);
        }
        let _lock = cache::lock(&tools.folder, ".lock-alerting")?;
        SOURCES.iter().try_for_each(|source| source.build_missing(&tools.folder))?;
        Ok(tools)
    }

    /// Where Alertmanager is.
    pub fn alertmanager(&self) -> PathBuf {
        self.folder.join("alertmanager")
    }

    /// Where promtool is.
    pub fn promtool(&self) -> PathBuf {
        self.folder.join("promtool")
    }

    /// Where Prometheus is.
    pub fn prometheus(&self) -> PathBuf {
        self.folder.join("prometheus")
    }
}

impl Source {
    fn missing(&self, folder: &Path) -> Vec<(&'static str, &'static str)> {
        let is_missing = |(name, _): &&(&str, &str)| !folder.join(name).is_file();
        self.programs.iter().filter(is_missing).copied().collect()
    }

    fn build_missing(&self, folder: &Path) -> anyhow::Result<()> {
        let missing = self.missing(folder);
        if missing.is_empty() {
            return Ok(());
        }
        let source = folder.join(format!("{}-source", self.pinned_in));
        let module = GoModule::new(self.pinned_in).copy_of(self.module, &source)?;
        let module = module.tagged(self.tags);
        for file in self.empty_files {
            let file = source.join(file);
            std::fs::create_dir_all(file.parent().context("a file in no folder")?)?;
            std::fs::File::create(&file)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        for (name, package) in missing {
            // Renamed when complete: a build that is interrupted leaves no half program.
            let part = folder.join(format!("{name}.part"));
            module.build(package, &part, name)?;
            std::fs::rename(&part, folder.join(name))?;
        }
        Ok(std::fs::remove_dir_all(&source)?)
    }
}
