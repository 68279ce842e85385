//! Prometheus' promtool, for rules.

use std::path::Path;
use test_tools::AlertingTools;

/// Runs promtool's tests of rules: a file that names the files with the rules.
pub async fn test_rules(tests: &Path) -> anyhow::Result<String> {
    promtool(&["test", "rules"], tests).await
}

/// Has promtool check a file with rules, with all that it knows to find.
pub async fn check_rules(rules: &Path) -> anyhow::Result<String> {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], rules).await
}

async fn promtool(arguments: &[&str], file: &Path) -> anyhow::Result<String> {
    let tools = tokio::task::spawn_blocking(AlertingTools::ensure).await??;
    let mut promtool = tokio::process::Command::new(tools.promtool());
    let output = promtool.args(arguments).arg(file).output().await?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    anyhow::ensure!(output.status.success(), "promtool {arguments:?}: {text}");
    Ok(text)
}
