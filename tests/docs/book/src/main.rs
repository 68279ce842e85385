//! `make docs`: the book, in `target/book` or the folder that is named.

use anyhow::{Result, ensure};
use docs_book::book;
use docs_pages::repository;
use std::path::PathBuf;

fn main() -> Result<()> {
    let root = repository::root();
    let to = std::env::args_os().nth(1).map_or_else(|| root.join("target/book"), PathBuf::from);
    book::build(&root, &to)?;
    let (followed, faults) = book::follow(&to)?;
    for fault in &faults {
        eprintln!("{fault}");
    }
    ensure!(faults.is_empty(), "{} of {followed} links lead nowhere", faults.len());
    println!("{}: {followed} links between its pages", to.join("index.html").display());
    Ok(())
}
