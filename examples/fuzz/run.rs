//! The programs that `cargo fuzz` has built, and their runs.

use crate::stats::{Measures, Stats};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// Shows that limits are noticed, and tests nothing.
const PLANTED: &str = "planted";
/// The longest input, in bytes.
const MAX_LEN: u32 = 4096;

/// The targets, and where their runs leave what they find.
pub(crate) struct Programs {
    programs: PathBuf,
    folder: PathBuf,
}

/// What became of a target.
#[derive(Debug, Default)]
pub(crate) struct Fuzzed {
    pub(crate) target: String,
    pub(crate) runs: u64,
    pub(crate) per_second: u64,
    /// The most that the process had in memory, with libFuzzer and its corpus.
    pub(crate) rss_mib: u64,
    pub(crate) measures: Measures,
    pub(crate) inputs: usize,
    pub(crate) input_bytes: u64,
    /// The files with the inputs that were answered wrongly, took too long or needed too much.
    pub(crate) findings: Vec<PathBuf>,
    pub(crate) ended_well: bool,
}

/// A planted fault, and whether the run ended with a finding.
#[derive(Debug)]
pub(crate) struct Noticed {
    pub(crate) fault: &'static str,
    pub(crate) found: bool,
}

impl Programs {
    pub(crate) fn new(programs: PathBuf, folder: PathBuf) -> Self {
        Self { programs, folder }
    }

    /// The names of the targets, or those of them that are asked for.
    pub(crate) fn targets(&self, only: &[String]) -> Result<Vec<String>> {
        let folder = Path::new("fuzz/fuzz_targets");
        let mut names = vec![];
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {folder:?}"))? {
            let path = entry?.path();
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
        names.retain(|name| name != PLANTED && (only.is_empty() || only.contains(name)));
        names.sort();
        Ok(names)
    }

    /// Runs a target for so long, or until it finds something.
    pub(crate) fn run(&self, target: &str, time: Duration) -> Result<Fuzzed> {
        let corpus = self.made("corpus", target)?;
        let artifacts = self.made("artifacts", target)?;
        let log = self.folder.join(format!("{target}.log"));
        let measures = self.folder.join(format!("{target}.measures.json"));
        // What an earlier run left says nothing of this one.
        if measures.exists() {
            fs::remove_file(&measures)?;
        }
        let before = files(&artifacts)?;
        let mut command = self.command(target, &artifacts, &log)?;
        command.arg(format!("-max_total_time={}", time.as_secs())).env("FUZZ_MEASURES", &measures);
        // New inputs go into the first; the committed one stays as it is.
        command.arg(&corpus);
        let committed = Path::new("fuzz/corpus").join(target);
        if committed.is_dir() {
            command.arg(committed);
        }
        let status = ended(&mut command)?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let Stats { runs, per_second, rss_mib } = Stats::read(&text);
        let inputs = files(&corpus)?;
        let sizes = inputs.iter().map(|path| fs::metadata(path).map_or(0, |file| file.len()));
        let findings = files(&artifacts)?.into_iter().filter(|path| !before.contains(path));
        Ok(Fuzzed {
            target: target.to_owned(),
            runs,
            per_second,
            rss_mib,
            measures: Measures::read(&measures),
            input_bytes: sizes.sum(),
            inputs: inputs.len(),
            findings: findings.collect(),
            ended_well: status.success(),
        })
    }

    fn command(&self, target: &str, artifacts: &Path, log: &Path) -> Result<Command> {
        let mut command = Command::new(self.programs.join(target));
        command
            .arg(format!("-max_len={MAX_LEN}"))
            .args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=1024"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log)?);
        Ok(command)
    }

    fn made(&self, kind: &str, target: &str) -> Result<PathBuf> {
        let folder = self.folder.join(kind).join(target);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
        Ok(folder)
    }
}

/// Runs the planted faults; without any the same program has to end well.
pub(crate) fn planted(programs: &Programs) -> Result<Vec<Noticed>> {
    let mut noticed = vec![];
    for fault in ["none", "panic", "hang", "memory"] {
        let artifacts = programs.made("artifacts", PLANTED)?;
        let log = programs.folder.join(format!("{PLANTED}.log"));
        let mut command = programs.command(PLANTED, &artifacts, &log)?;
        let status = ended(command.arg("-runs=50").env("FUZZ_PLANTED", fault))?;
        noticed.push(Noticed { fault, found: !status.success() });
    }
    Ok(noticed)
}

fn ended(command: &mut Command) -> Result<ExitStatus> {
    let program = command.get_program().to_owned();
    command.status().with_context(|| format!("cannot run {program:?}"))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}
