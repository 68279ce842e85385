//! The Go modules beside this crate, which pin the programs a cluster is made of.

use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRESS: Duration = Duration::from_secs(15);

/// One of the modules.
pub struct GoModule {
    dir: PathBuf,
    /// Build tags, with commas between.
    tags: &'static str,
}

impl GoModule {
    /// The module in the folder of that name.
    pub fn new(name: &str) -> Self {
        Self { dir: Path::new(env!("CARGO_MANIFEST_DIR")).join(name), tags: "" }
    }

    /// What decides the outcome of a build: the pinned versions and their hashes, and the sources of the module's
    /// own.
    pub(crate) fn pins(&self) -> anyhow::Result<Vec<u8>> {
        let mut pins = Vec::new();
        for path in
            ["go.mod", "go.sum"].map(|file| self.dir.join(file)).into_iter().chain(self.sources()?)
        {
            let content =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            pins.extend(content);
        }
        Ok(pins)
    }

    fn sources(&self) -> anyhow::Result<Vec<PathBuf>> {
        let files = std::fs::read_dir(&self.dir)
            .with_context(|| format!("cannot read {}", self.dir.display()))?;
        let mut paths = vec![];
        for file in files {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "go") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Where the source of a required module is, downloaded if need be.
    pub fn source_of(&self, module: &str) -> anyhow::Result<PathBuf> {
        self.answer(&["mod", "download", module])?;
        let dir = self.answer(&["list", "-m", "-f", "{{.Dir}}", module])?;
        anyhow::ensure!(!dir.is_empty(), "go names no folder of {module}");
        Ok(PathBuf::from(dir))
    }

    /// A copy of a required module in the folder `to`, as a module of its own: its own go.mod pins what it
    /// requires.
    pub(crate) fn copy_of(&self, module: &str, to: &Path) -> anyhow::Result<Self> {
        let source = self.source_of(module)?;
        if to.exists() {
            std::fs::remove_dir_all(to)?;
        }
        copy_writable(&source, to)
            .with_context(|| format!("cannot copy {} to {}", source.display(), to.display()))?;
        Ok(Self { dir: to.to_path_buf(), tags: "" })
    }

    /// The same module, built with these tags.
    pub(crate) fn tagged(self, tags: &'static str) -> Self {
        Self { tags, ..self }
    }

    fn answer(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.go().args(args).output().context(NO_GO)?;
        let error = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "go {} failed: {error}", args.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }

    /// Builds a package into the file `to`. `title` is for the progress lines.
    pub(crate) fn build(&self, package: &str, to: &Path, title: &str) -> anyhow::Result<()> {
        let messages = to.with_extension("log");
        let file = std::fs::File::create(&messages)
            .with_context(|| format!("cannot write {}", messages.display()))?;
        eprintln!("building {title} (first time only, several minutes) ...");
        let began = Instant::now();
        let mut build = self
            .go()
            .args(["build", "-trimpath", "-mod=readonly", "-tags", self.tags])
            // The linker drops what a debugger needs; not to make it saves a seventh of the CPU.
            .args(["-gcflags", "all=-dwarf=false", "-ldflags"])
            .arg(self.linker_flags()?)
            .arg("-o")
            .args([to, Path::new(package)])
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .context(NO_GO)?;
        let mut reported = began;
        let status = loop {
            if let Some(status) = build.try_wait()? {
                break status;
            }
            if reported.elapsed() >= PROGRESS {
                reported = Instant::now();
                eprintln!("building {title} ... {} s", began.elapsed().as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let output = std::fs::read_to_string(&messages).unwrap_or_default();
        let _ = std::fs::remove_file(&messages);
        anyhow::ensure!(status.success(), "go build {package} failed:\n{output}");
        eprintln!("building {title} ... done in {} s", began.elapsed().as_secs());
        Ok(())
    }

    /// Without the version built in, clients cannot parse the server's version
    /// of itself. It is read from go.mod, so it cannot differ from the source.
    fn linker_flags(&self) -> anyhow::Result<String> {
        let path = self.dir.join("go.mod");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut flags = "-s -w".to_string();
        if let Some(version) = required_version(&text, "k8s.io/kubernetes") {
            let mut parts = version.trim_start_matches('v').split('.');
            let (major, minor) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
            for (name, value) in [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)]
            {
                flags += &format!(" -X k8s.io/component-base/version.{name}={value}");
            }
        }
        Ok(flags)
    }

    fn go(&self) -> Command {
        let mut flags = std::env::var("GOFLAGS").unwrap_or_default();
        flags += " -buildvcs=false";
        let mut go = Command::new("go");
        go.current_dir(&self.dir)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", flags.trim())
            // A go.work above this folder would put other versions in.
            .env("GOWORK", "off")
            .stdin(Stdio::null());
        go
    }
}

/// Go keeps the sources of modules without the right to write.
fn copy_writable(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (path, copy) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if path.is_dir() {
            copy_writable(&path, &copy)?;
        } else {
            std::fs::write(&copy, std::fs::read(&path)?)?;
        }
    }
    Ok(())
}

const NO_GO: &str = "cannot run `go`: the test cluster is built from Go modules; \
    install Go (the version is in tests/cluster/tools/*/go.mod) and put it on PATH, \
    or set LINKERD_FAILOVER_TEST_TOOLS to a folder that has the programs";

fn required_version<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split(' ');
        (words.next()? == module).then(|| words.next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_comes_from_go_mod() {
        let text = "module a\nrequire (\n\tk8s.io/api v0.1.2\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n";
        assert_eq!(required_version(text, "k8s.io/kubernetes"), Some("v1.36.3"));
        let flags = GoModule::new("kubernetes").linker_flags().expect("flags");
        assert!(flags.contains("gitMajor=1 "), "{flags}");
    }
}
