//! `make figures`: what `make bench` and `make bench-micro` have left in the target folder, as
//! `docs/figures.json` and the page that is made from it. `PAGE=only` makes the page alone.

use anyhow::{Context, Result};
use bench_table::{Claims, Figures, Table};
use serde::de::DeserializeOwned;
use std::path::Path;

fn main() -> Result<()> {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let file = docs.join("figures.json");
    if std::env::var_os("PAGE").is_none_or(|page| page != "only") {
        let proof = Claims::folder();
        let table = proof.with_file_name("bench").join("latest.json");
        let micro = proof.join("bench-micro.json");
        let figures = Figures {
            claims: read(&proof.join("bench.json"))?,
            table: read::<Table>(&table)?,
            micro: micro.is_file().then(|| read(&micro)).transpose()?,
        };
        std::fs::write(&file, serde_json::to_string_pretty(&figures)? + "\n")?;
    }
    let figures: Figures = read(&file)?;
    std::fs::write(docs.join("figures.md"), figures.page())?;
    Ok(())
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let name = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(name)?;
    serde_json::from_str(&text).with_context(name)
}
