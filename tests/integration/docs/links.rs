//! Links and anchors of the documentation, followed offline.

use super::figures;
use anyhow::{Result, ensure};
use docs_pages::check::{self, Followed};
use docs_pages::{Fault, repository};

/// Texts that link to pages, and whose blocks nobody runs.
const OTHERS: [&str; 4] =
    ["CHANGELOG.md", "CODE_OF_CONDUCT.md", "SECURITY.md", repository::SUMMARY];

/// What names pages in comments, messages, hints and annotations.
const CODE: [&str; 4] = ["benches", "charts", "src", "webhook-certs"];
/// Of these, what is text.
const ENDINGS: [&str; 5] = [".rs", ".yaml", ".json", ".tpl", ".txt"];

fn refuse(faults: &[Fault]) -> Result<()> {
    let lines: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    ensure!(faults.is_empty(), "\n{lines}");
    Ok(())
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() -> Result<()> {
    let root = repository::root();
    let mut texts = repository::pages(&root)?;
    texts.extend(OTHERS.map(str::to_owned));
    let Followed { faults, inside, outside } = check::follow(&root, &texts)?;
    figures::record_links(texts.len(), inside, &outside)?;
    refuse(&faults)
}

#[test]
fn every_page_is_in_the_table_of_contents() -> Result<()> {
    let root = repository::root();
    refuse(&check::summary(&root, &repository::pages(&root)?)?)
}

#[test]
fn every_page_and_heading_that_code_and_chart_name_is_there() -> Result<()> {
    let root = repository::root();
    let mut files = vec![];
    for folder in CODE {
        let read = |file: &String| ENDINGS.iter().any(|end| file.ends_with(end));
        files.extend(repository::files(&root, folder)?.into_iter().filter(read));
    }
    let Followed { faults, inside, .. } = check::follow_mentions(&root, &files)?;
    ensure!(inside > 10, "only {inside} pages are named in {} files", files.len());
    refuse(&faults)
}
