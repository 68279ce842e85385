//! `make bench-micro`: judges what a benchmark has counted, from its standard output. The argument is the unit,
//! `instructions` as gungraun prints them, or `allocations` as an object of JSON.
//!
//! `UPDATE_BASELINE=1` stores the counts instead.

use anyhow::{Context, Result, bail};
use bench_table::{Baseline, Claims, instructions, judge};
use std::io::Read;
use std::process::{Command, ExitCode};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../micro/baseline.json");

fn main() -> Result<ExitCode> {
    let unit = std::env::args().nth(1).unwrap_or_default();
    let mut printed = String::new();
    std::io::stdin().read_to_string(&mut printed)?;
    let counts = match unit.as_str() {
        "instructions" => instructions(&printed)?,
        "allocations" => serde_json::from_str(&printed).context("the counts are no JSON")?,
        _ => bail!("found {unit:?}, expected instructions or allocations"),
    };
    let toolchain = toolchain()?;
    let stored = std::fs::read_to_string(BASELINE).unwrap_or_else(|_| "{}".into());
    let mut baseline: Baseline = serde_json::from_str(&stored).context(BASELINE)?;
    if std::env::var_os("UPDATE_BASELINE").is_some_and(|update| update == "1") {
        baseline.set(&toolchain, &unit, counts);
        std::fs::write(BASELINE, serde_json::to_string_pretty(&baseline)? + "\n")?;
        println!("stored: {unit} of {toolchain}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut claims = Claims::new("bench-micro");
    claims.conditions.push(toolchain.clone());
    claims.claims = judge(&unit, baseline.of(&toolchain, &unit), &counts);
    claims.write(&Claims::folder())?;
    println!("{}", claims.markdown());
    Ok(if claims.all_held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The compiler, with its target.
fn toolchain() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let release = field("release: ").context("rustc -vV has no release")?;
    let host = field("host: ").context("rustc -vV has no host")?;
    Ok(format!("rustc {release} {host}"))
}
