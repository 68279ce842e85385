//! What people see of the story.

use crate::NAMESPACE;
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::Duration;
use test_cluster::Workload;

pub(crate) fn title(text: &str) {
    println!("\n== {text}");
}

pub(crate) fn note(text: &str) {
    println!("-> {text}");
}

pub(crate) fn timing(what: &str, kubectl: Duration, slice: Duration) -> String {
    format!(
        "{what} {:.0} ms after its endpoints changed, {:.0} ms after kubectl was started",
        slice.as_secs_f64() * 1e3,
        kubectl.as_secs_f64() * 1e3
    )
}

/// Applies a manifest, as a user would.
pub(crate) async fn apply(workload: &Workload<'_>, path: &Path) -> Result<()> {
    println!("$ kubectl apply -f {}", path.display());
    let output = workload.kubectl(["apply", "-f", &path.display().to_string()]).output().await?;
    print!("{}{}", output.stdout, output.stderr);
    ensure!(output.status.success(), "{} was not accepted", path.display());
    Ok(())
}

/// Runs kubectl and shows its output.
pub(crate) async fn show(workload: &Workload<'_>, arguments: &[&str]) -> Result<()> {
    println!("$ kubectl -n {NAMESPACE} {}", arguments.join(" "));
    print!("{}", workload.kubectl(arguments.iter().copied()).ok().await?);
    Ok(())
}
