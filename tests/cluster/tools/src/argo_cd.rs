//! What Argo CD shows of an object and does with it, by its own packages: a program on top of them.

use crate::cache;
use crate::go_module::GoModule;
use std::path::PathBuf;

/// The folder that pins its versions, and has its source.
const MODULE: &str = "argo-cd";
const PROGRAM: &str = "argo-cd-compare";

/// Finds the program, or builds it with Go: minutes the first time. It is cached as those of the cluster are.
pub fn argo_cd_compare() -> anyhow::Result<PathBuf> {
    let folder = cache::folder("argo-cd-", &[MODULE])?;
    let program = folder.join(PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    let _lock = cache::lock(&folder, ".lock-argo-cd")?;
    if !program.is_file() {
        // Renamed when complete: a build that is interrupted leaves no half program.
        let part = folder.join(format!("{PROGRAM}.part"));
        GoModule::new(MODULE).build(".", &part, PROGRAM)?;
        std::fs::rename(&part, &program)?;
    }
    Ok(program)
}
