//! Alertmanager, and Prometheus' promtool: what tests of alerts need and no cluster does. They are built when
//! a test asks for them first, or ahead of time with the rest.

use crate::cache;
use crate::go_module::GoModule;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// A program that is built from a copy of its source, by that source's own go.mod: as requirements of one
/// module the two would not agree on what they require.
struct Program {
    name: &'static str,
    /// The folder that pins its version.
    pinned_in: &'static str,
    module: &'static str,
    package: &'static str,
    tags: &'static str,
    /// Files that are embedded and not in the published module: the pages of its web interface.
    empty_files: &'static [&'static str],
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "alertmanager",
        pinned_in: "alertmanager",
        module: "github.com/prometheus/alertmanager",
        package: "./cmd/alertmanager",
        tags: "",
        empty_files: &["ui/app/dist/elm/index.html", "ui/app/dist/mantine/index.html"],
    },
    Program {
        name: "promtool",
        pinned_in: "prometheus",
        module: "github.com/prometheus/prometheus",
        package: "./cmd/promtool",
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
        let folder = cache::folder("alerting-", &PROGRAMS.map(|program| program.pinned_in))?;
        let tools = Self { folder };
        if tools.missing().next().is_none() {
            return Ok(tools);
        }
        let _lock = cache::lock(&tools.folder, ".lock-alerting")?;
        for program in tools.missing() {
            program.build(&tools.folder)?;
        }
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

    fn missing(&self) -> impl Iterator<Item = &'static Program> {
        PROGRAMS.iter().filter(|program| !self.folder.join(program.name).is_file())
    }
}

impl Program {
    fn build(&self, folder: &Path) -> anyhow::Result<()> {
        let source = folder.join(format!("{}-source", self.name));
        let module = GoModule::new(self.pinned_in).copy_of(self.module, &source)?;
        for file in self.empty_files {
            let file = source.join(file);
            std::fs::create_dir_all(file.parent().context("a file in no folder")?)?;
            std::fs::File::create(&file)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        // Renamed when complete: a build that is interrupted leaves no half program.
        let part = folder.join(format!("{}.part", self.name));
        module.tagged(self.tags).build(self.package, &part, self.name)?;
        std::fs::rename(&part, folder.join(self.name))?;
        Ok(std::fs::remove_dir_all(&source)?)
    }
}
