//! What the program bears: clients that attack its webhook (the program `hardening`), and an hour of
//! applies, flips, restarts and rotations (the program `soak`). Each ends in a table of claims.

pub mod applies;
pub mod attack;
pub mod attackers;
pub mod flips;
pub mod frames;
pub mod hardening;
pub mod honest;
pub mod planted;
pub mod slope;
pub mod soak;
pub mod verdicts;

use anyhow::{Context, Result, ensure};
use std::path::Path;

/// The minutes in a variable of the environment, or `default` where it is not set or empty.
pub fn minutes(variable: &str, default: f64) -> Result<f64> {
    let text = std::env::var(variable).unwrap_or_default();
    if text.is_empty() {
        return Ok(default);
    }
    let minutes: f64 = text.parse().with_context(|| format!("found {text:?}, expected minutes"))?;
    ensure!(minutes > 0.0 && minutes.is_finite(), "found {text}, expected more than 0 minutes");
    Ok(minutes)
}

/// How a program was built, by where cargo puts it.
pub fn profile(program: &Path) -> String {
    let folder = program.parent().and_then(Path::file_name);
    let folder = folder.map_or_else(String::new, |name| name.display().to_string());
    format!("built with the profile of the folder {folder}")
}
