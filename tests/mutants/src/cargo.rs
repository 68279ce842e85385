//! cargo, and cargo-mutants, in a cut.

use crate::mutant::{self, Mutant, Outcome};
use anyhow::{Context, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// So that the same mutant is always tried with the same cases.
const SEED: &str = "20261126";

/// Cases of a property at first: most mutants fail at one of the first.
const FEW_CASES: &str = "16";

/// What a mutant's tests may have of memory at most, in KiB: some mutants never cease to ask for more.
const MEMORY: u64 = 4 << 20;

/// What a mutant gets of time, to be compiled and tested. A machine that does other things is slow, so that this is far
/// more than any needs: what does not end is ended by the CPU that it uses.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// How cargo reports tests that SIGXCPU has ended.
const TOO_MUCH_CPU: &str = "(signal: 24";

/// The least CPU that tests may use.
const LEAST_CPU: Duration = Duration::from_secs(20);

/// A crate in a folder, whose mutants are tried.
#[derive(Clone, Debug)]
pub struct Crate {
    /// Where it is.
    pub folder: PathBuf,
    /// Where cargo-mutants writes.
    pub output: PathBuf,
    /// The executable of cargo-mutants.
    pub cargo_mutants: PathBuf,
    /// Which files are changed.
    pub mutated: String,
    /// How the names of its tests begin.
    pub tests: String,
}

/// Which tests a mutant has to get past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tests {
    /// All but the long ones, with few cases of each property: a fraction of a second.
    Quick,
    /// All, with few cases of each property: seconds.
    FewCases,
    /// All, with as many cases as in `make test`.
    All,
}

/// Parts of names of tests that take longer than compiling a mutant does.
const LONG: [&str; 3] = ["work_tests", "history", "property_tests"];

/// How long tests take without a change.
#[derive(Clone, Copy, Debug)]
pub struct Baseline(Duration);

impl Baseline {
    /// The CPU that tests may use with a mutant: ten times what they take by the clock without one.
    fn cpu(self) -> Duration {
        LEAST_CPU.max(self.0 * 10)
    }
}

impl Crate {
    /// Compiles the tests, and gives back how long these take; they have to pass.
    pub fn baseline(&self, tests: Tests) -> anyhow::Result<Baseline> {
        let mut build = self.cargo();
        build.args(["test", "--quiet", "--lib", "--no-run"]);
        run(&mut build)?;
        let began = Instant::now();
        let mut test = self.cargo();
        test.args(["test", "--quiet", "--lib", "--", &self.tests]);
        run(choose(&mut test, tests))?;
        Ok(Baseline(began.elapsed()))
    }

    /// All mutants, always in the same order.
    pub fn list(&self) -> anyhow::Result<Vec<Mutant>> {
        let mut command = self.mutants();
        command.args(["--list", "--json"]);
        let json = run(&mut command)?;
        mutant::listed(&json)
            .with_context(|| format!("{}: no list of mutants", self.folder.display()))
    }

    /// Tries some mutants, and gives back what came of each.
    pub fn try_all(
        &self,
        names: &[&str],
        tests: Tests,
        baseline: Baseline,
    ) -> anyhow::Result<Vec<(String, Outcome)>> {
        let escaped: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
        let mut command = self.mutants();
        command
            .args(["--in-place", "--baseline", "skip", "--no-shuffle", "--colors", "never"])
            .args(["--timeout", &PATIENCE.as_secs().to_string()])
            .args(["--cargo-arg", "--config", "--cargo-arg", &limited(baseline.cpu())])
            .arg("--re")
            .arg(format!("^({})$", escaped.join("|")))
            .arg("--output")
            .arg(&self.output)
            .args(["--", "--lib", "--", &self.tests]);
        choose(&mut command, tests);
        fs::create_dir_all(&self.output)
            .with_context(|| format!("cannot make {:?}", self.output))?;
        // A survivor and a timeout have exit codes of their own.
        let status = command
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot start {:?}", self.cargo_mutants))?;
        ensure!(
            matches!(status.code(), Some(0 | 2 | 3)),
            "cargo-mutants ended with {status}; its logs are in {}",
            self.output.join("mutants.out/log").display()
        );
        let file = self.output.join("mutants.out/outcomes.json");
        let json = fs::read_to_string(&file).with_context(|| format!("cannot read {file:?}"))?;
        let is_endless = |log: &str| {
            let log = fs::read_to_string(self.output.join("mutants.out").join(log));
            log.is_ok_and(|log| log.contains(TOO_MUCH_CPU))
        };
        let outcomes = mutant::outcomes(&json, is_endless)
            .with_context(|| format!("{file:?}: found no outcomes"))?;
        for name in names {
            ensure!(outcomes.iter().any(|(tried, _)| tried == name), "{name} was not tried");
        }
        Ok(outcomes)
    }

    fn mutants(&self) -> Command {
        let mut command = Command::new(&self.cargo_mutants);
        command.arg("mutants").args(["--file", &self.mutated]);
        self.set_up(command)
    }

    fn cargo(&self) -> Command {
        self.set_up(Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())))
    }

    fn set_up(&self, mut command: Command) -> Command {
        command.current_dir(&self.folder);
        // Of the package that this program was started from.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_") {
                command.env_remove(name);
            }
        }
        command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
        command.env("PROPTEST_RNG_SEED", SEED).env("INSTA_UPDATE", "no").env("RUST_BACKTRACE", "0");
        // A failure is neither made small nor kept: it is of a mutant.
        command.env("PROPTEST_MAX_SHRINK_ITERS", "0");
        command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
        command
    }
}

/// Chooses tests, of a command whose arguments end with those of the tests.
fn choose(command: &mut Command, tests: Tests) -> &mut Command {
    match tests {
        Tests::Quick => command
            .env("PROPTEST_CASES", FEW_CASES)
            .args(LONG.iter().flat_map(|name| ["--skip", name])),
        Tests::FewCases => command.env("PROPTEST_CASES", FEW_CASES),
        Tests::All => command,
    }
}

/// The configuration with which cargo starts tests that may use so much CPU.
fn limited(cpu: Duration) -> String {
    let limits = format!("ulimit -St {}; ulimit -v {MEMORY}", cpu.as_secs());
    format!(r#"target."cfg(unix)".runner = ["sh", "-c", '{limits}; exec "$0" "$@"']"#)
}

/// What a command prints; it has to end with 0.
fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?} ended with {}\n{out}{err}", output.status);
    Ok(out.into_owned())
}
