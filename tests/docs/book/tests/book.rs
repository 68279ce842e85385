//! The book, built as it is published.

use anyhow::{Result, ensure};
use docs_book::book;
use docs_pages::repository;
use std::path::Path;

#[test]
fn the_book_is_built_and_every_link_between_its_pages_leads_somewhere() -> Result<()> {
    let root = repository::root();
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book");
    book::build(&root, &to)?;
    let (followed, faults) = book::follow(&to)?;
    let faults: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    ensure!(faults.is_empty(), "\n{faults}");
    ensure!(followed > 1000, "only {followed} links were followed");
    Ok(())
}
