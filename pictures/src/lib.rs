//! The pictures of the documentation: `docs/images/*.svg`, each a pure function of what it shows.
//!
//! - [`flip()`]: a failover and its return, from a [`Record`] of a run on the test cluster, which is
//!   `docs/images/flip.json`. [`recording`] makes it.
//! - [`tiers()`]: who gets traffic when. The weights are the engine's.
//! - [`house()`]: the rooms of `src/`.
//! - [`east_west()`]: Services of other clusters, and where their health is read.
//!
//! `make pictures` draws them; a test compares what is committed with what would be drawn.

mod audit;
mod canvas;
mod east_west;
mod flip;
mod house;
mod palette;
mod record;
pub mod recording;
mod tiers;

pub use east_west::east_west;
pub use flip::flip;
pub use house::house;
pub use record::Record;
pub use tiers::tiers;

use anyhow::Context;
use std::path::PathBuf;

/// The folder of the pictures.
pub fn folder() -> PathBuf {
    test_cluster::workspace_root().join("docs/images")
}

/// The record that is committed.
pub fn committed_record() -> anyhow::Result<Record> {
    let path = folder().join("flip.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no record of a flip", path.display()))
}

/// Every picture by the name of its file.
pub fn all(record: &Record) -> Vec<(&'static str, String)> {
    vec![
        ("flip.svg", flip(record)),
        ("tiers.svg", tiers()),
        ("house.svg", house()),
        ("east-west.svg", east_west()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_pictures_are_what_is_drawn() {
        for (name, drawn) in all(&committed_record().unwrap()) {
            let committed = std::fs::read_to_string(folder().join(name)).unwrap_or_default();
            assert!(
                committed == drawn,
                "docs/images/{name} is not what is drawn: run `make pictures`"
            );
        }
    }

    #[test]
    fn each_picture_says_in_words_what_it_shows() {
        for (name, drawn) in all(&committed_record().unwrap()) {
            for element in ["<title id=\"title\">", "<desc id=\"desc\">"] {
                assert!(drawn.contains(element), "{name} has no {element}");
            }
            assert!(drawn.contains("aria-labelledby=\"title desc\""), "{name}");
        }
    }

    /// The page tells the same in words.
    #[test]
    fn the_page_on_concepts_has_the_figures_of_the_record() {
        let record = committed_record().unwrap();
        let page = folder().join("../concepts.md");
        let page = std::fs::read_to_string(page).unwrap().replace('\n', " ");
        let loss = &record.loss;
        for figure in [
            format!(
                "decides at {:.0} ms, and at {:.0} ms",
                loss.decided_ms(),
                loss.write.stored_ms
            ),
            format!("{:.0} ms later", record.restored.write.stored_ms),
        ] {
            assert!(page.contains(&figure), "docs/concepts.md lacks {figure:?}");
        }
    }
}
