//! Somebody who reads a page from the top and does what it says.

use super::figures::Figures;
use super::scene::Stage;
use super::shell::{Answer, Shell};
use anyhow::{Context, Result, bail, ensure};
use docs_pages::page::{self, Action, Commands, Page, Shown, Step};
use docs_pages::{output, repository};
use std::time::{Duration, Instant};

/// How long what is read may take to become as shown.
const UNTIL_AS_SHOWN: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(250);

/// With this variable, outputs that differ are written into the page.
const UPDATE: &str = "UPDATE_DOCS";

/// Reads a page and does all of it. The first step that fails ends it.
pub(super) async fn read_page(path: &str) -> Result<Figures> {
    let root = repository::root();
    let text = repository::read(&root, path)?;
    let (page, faults) = page::read(path, &text);
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    let mut figures = Figures::of(&page);
    if !page.is_run() {
        return Ok(figures);
    }
    let began = Instant::now();
    let stage = Stage::set(page.scene).await.context("the page's cluster")?;
    let shell = Shell::new(&stage.cluster, &stage.kubeconfig)?;
    let mut updates = vec![];
    for step in &page.steps {
        if let Err(why) = do_step(&stage, &shell, step, &mut updates).await {
            let logs = stage.replicas.log_tails().await;
            let place = format!("{path}:{}, in the scene `{}`", step.line, page.scene.name());
            bail!("{place}: {why:#}\n\nThe replicas' logs end with\n{logs}");
        }
    }
    if !updates.is_empty() {
        std::fs::write(root.join(path), updated(&text, &updates))?;
        println!("{path}: {} outputs are written anew: read them before you commit", updates.len());
    }
    figures.took(began.elapsed());
    Ok(figures)
}

async fn do_step<'a>(
    stage: &Stage,
    shell: &Shell<'_>,
    step: &'a Step,
    updates: &mut Vec<(&'a Shown, String)>,
) -> Result<()> {
    match &step.action {
        Action::Save { name, text } => shell.save(name, text),
        Action::DryRun(text) => {
            // Some objects are for the namespace that the reader has, others name theirs.
            shell.save(".dry-run.yaml", text)?;
            let answer = shell.run("kubectl apply --dry-run=server -f .dry-run.yaml").await?;
            std::fs::remove_file(shell.page_folder().join(".dry-run.yaml"))?;
            ensure!(
                answer.exit_status == 0,
                "the API server refuses this object:\n{}",
                answer.text
            );
            Ok(())
        }
        Action::Run(commands) => {
            let update = run(shell, commands).await?;
            if let (Some(text), Some(shown)) = (update, &commands.output) {
                updates.push((shown, text));
            }
            if !commands.only_read {
                stage.replicas.settle().await.context("the replicas after this block")?;
            }
            Ok(())
        }
    }
}

/// Runs a block, and again where it only reads, until it ends and prints as shown. Gives back what
/// the page is to show instead, where that is asked for.
async fn run(shell: &Shell<'_>, commands: &Commands) -> Result<Option<String>> {
    let end = Instant::now() + UNTIL_AS_SHOWN;
    loop {
        let answer = shell.run(&commands.script).await?;
        let Err(fault) = as_shown(commands, &answer) else { return Ok(None) };
        let again = commands.only_read && commands.output.is_some();
        if again && Instant::now() < end {
            tokio::time::sleep(INTERVAL).await;
            continue;
        }
        let shown = commands.output.as_ref().filter(|_| {
            answer.exit_status == commands.exit_status && std::env::var_os(UPDATE).is_some()
        });
        if let Some(shown) = shown {
            return Ok(Some(output::updated(&shown.text, &answer.text)));
        }
        let note = if again { format!(", for {UNTIL_AS_SHOWN:?}") } else { String::new() };
        bail!("this block does not end as shown{note}:\n{}\n{fault}", indented(&commands.script));
    }
}

fn as_shown(commands: &Commands, answer: &Answer) -> Result<(), String> {
    let Commands { exit_status, output, .. } = commands;
    if answer.exit_status != *exit_status {
        return Err(format!(
            "it ends with {}, and is to end with {exit_status}; it prints:\n{}",
            answer.exit_status,
            indented(&answer.text)
        ));
    }
    match output {
        Some(shown) => output::compare(&shown.text, &answer.text)
            .map_err(|diff| format!("its output differs (line {}):\n{diff}", shown.line)),
        None => Ok(()),
    }
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("    {line}\n")).collect()
}

/// The page with other outputs.
fn updated(page: &str, updates: &[(&Shown, String)]) -> String {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for (shown, text) in updates.iter().rev() {
        let fence = &lines[shown.line - 1];
        let indentation = fence[..fence.len() - fence.trim_start().len()].to_owned();
        let first = shown.line;
        let count = shown.text.lines().count();
        let line = |line: &str| format!("{indentation}{line}").trim_end().to_owned();
        lines.splice(first..first + count, text.lines().map(line));
    }
    lines.join("\n") + "\n"
}

#[test]
fn an_update_replaces_what_is_between_the_fences() {
    let page = "a\n\n   ```sh\n   x\n   ```\n   ```output\n   old\n   lines\n   ```\n\nb\n";
    let (read, _) = page::read("a.md", page);
    let Action::Run(Commands { output: Some(shown), .. }) = &read.steps[0].action else { panic!() };
    let expected = page.replace("   old\n   lines\n", "   new\n");
    assert_eq!(updated(page, &[(shown, "new\n".to_owned())]), expected);
}

/// What a page is read for, without reading it.
pub(super) fn parsed(path: &str) -> Result<(Page, Vec<docs_pages::Fault>)> {
    let text = repository::read(&repository::root(), path)?;
    Ok(page::read(path, &text))
}
