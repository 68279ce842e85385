//! What the run of the documentation did, as a table: `target/docs-run.md`.

use anyhow::Result;
use docs_pages::page::{Action, LeftOut, Page};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use test_cluster::target_dir;

/// Of one page.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    path: String,
    run: usize,
    hidden: usize,
    compared: usize,
    saved: usize,
    dry_run: usize,
    left_out: Vec<LeftOut>,
    seconds: f64,
}

impl Figures {
    pub(super) fn of(page: &Page) -> Self {
        let mut figures =
            Self { path: page.path.clone(), left_out: page.left_out.clone(), ..Self::default() };
        for step in &page.steps {
            match &step.action {
                Action::Save { .. } => figures.saved += 1,
                Action::DryRun(_) => figures.dry_run += 1,
                Action::Run(commands) if commands.hidden => figures.hidden += 1,
                Action::Run(commands) => {
                    figures.run += 1;
                    figures.compared += usize::from(commands.output.is_some());
                }
            }
        }
        figures
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.seconds = time.as_secs_f64();
    }

    fn add(&mut self, other: &Self) {
        self.run += other.run;
        self.hidden += other.hidden;
        self.compared += other.compared;
        self.saved += other.saved;
        self.dry_run += other.dry_run;
        self.left_out.extend(other.left_out.iter().cloned());
        self.seconds += other.seconds;
    }

    fn row(&self) -> String {
        let Self { path, run, hidden, compared, saved, dry_run, left_out, seconds } = self;
        let left_out = left_out.len();
        format!(
            "| {path} | {run} | {compared} | {hidden} | {saved} | {dry_run} | {left_out} | {seconds:.1} s |\n"
        )
    }
}

#[derive(Default)]
struct All {
    pages: BTreeMap<String, Figures>,
    links: Option<String>,
}

static ALL: Mutex<All> = Mutex::new(All { pages: BTreeMap::new(), links: None });

/// Writes down a page that was read to its end.
pub(super) fn record(figures: Figures) -> Result<()> {
    write(|all| {
        all.pages.insert(figures.path.clone(), figures);
    })
}

/// Writes down how many links were followed, and those that lead elsewhere.
pub(super) fn record_links(texts: usize, inside: usize, outside: &BTreeSet<String>) -> Result<()> {
    let list: String = outside.iter().map(|url| format!("- {url}\n")).collect();
    let count = outside.len();
    write(|all| {
        all.links = Some(format!(
            "{inside} links of {texts} texts lead to a place in the repository, and {count} URLs elsewhere, \
             which nobody has followed:\n\n{list}"
        ));
    })
}

/// Each test that ends writes all that is known by then.
fn write(change: impl FnOnce(&mut All)) -> Result<()> {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut all);
    let mut text = table(all.pages.values());
    text.push_str("\n## Links\n\n");
    text.extend(all.links.iter().map(String::as_str));
    std::fs::write(target_dir().join("docs-run.md"), text)?;
    Ok(())
}

fn table<'a>(all: impl Iterator<Item = &'a Figures> + Clone) -> String {
    let mut text = String::from(
        "# The documentation, run\n\n\
         | page | blocks run | outputs compared | hidden | files saved | objects tried | not run | time |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let mut sum = Figures { path: format!("{} pages", all.clone().count()), ..Figures::default() };
    for figures in all.clone() {
        sum.add(figures);
        text.push_str(&figures.row());
    }
    text.push_str(&sum.row());
    text.push_str("\n## Not run\n\n");
    for figures in all {
        for LeftOut { line, language, reason } in &figures.left_out {
            let _ = writeln!(text, "- {}:{line} ({language}): {reason}", figures.path);
        }
    }
    text
}
