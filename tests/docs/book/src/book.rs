//! The pages that a browser shows.

use crate::html::{self, Elements};
use anyhow::{Context, Result};
use docs_pages::check::REPOSITORY;
use docs_pages::repository::BOOK;
use docs_pages::{Fault, links};
use mdbook_driver::MDBook;
use mdbook_driver::book::BookItem;
use mdbook_driver::config::Config;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Builds the book of the repository at `root` into a folder.
pub fn build(root: &Path, to: &Path) -> Result<()> {
    let folder = root.join(BOOK);
    let mut config = Config::from_disk(folder.join("book.toml"))?;
    config.build.build_dir = std::path::absolute(to)?;
    let mut book = MDBook::load_with_config(folder, config)?;
    book.book.for_each_mut(|item| {
        if let BookItem::Chapter(chapter) = item {
            chapter.content = outside_to_repository(&chapter.content);
        }
    });
    book.build()
}

/// Files that are not in the book are where the repository is shown.
fn outside_to_repository(page: &str) -> String {
    let mut page = page.to_owned();
    let links = links::read(&page).links;
    for link in links.iter().rev() {
        if let Some(path) = link.to.strip_prefix("../") {
            let source = &page[link.span.clone()];
            let outside = source
                .replace(&format!("({})", link.to), &format!("({REPOSITORY}/blob/main/{path})"));
            page.replace_range(link.span.clone(), &outside);
        }
    }
    page
}

/// Follows every link between the pages of a built book.
pub fn follow(built: &Path) -> Result<(usize, Vec<Fault>)> {
    let mut pages: BTreeMap<PathBuf, Elements> = BTreeMap::new();
    for entry in std::fs::read_dir(built).with_context(|| built.display().to_string())? {
        let path = entry?.path();
        // Shown in the place of any page that is missing, with links from the site's root.
        let is_page = path.extension().is_some_and(|extension| extension == "html");
        if is_page && !path.ends_with("404.html") {
            pages.insert(path.clone(), html::read(&std::fs::read_to_string(&path)?));
        }
    }
    let (mut followed, mut faults) = (0, vec![]);
    for (path, elements) in &pages {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for link in &elements.links {
            if link.to.contains(':') {
                continue;
            }
            followed += 1;
            let (file, anchor) = link.to.split_once('#').unwrap_or((&link.to, ""));
            let file = file.split('?').next().unwrap_or_default();
            let to = if file.is_empty() { path.clone() } else { built.join(file) };
            let anchors = pages.get(&to).map(|page| &page.ids);
            let why = if !to.exists() {
                "no such file in the book"
            } else if !anchor.is_empty() && anchors.is_some_and(|ids| !ids.contains(anchor)) {
                "no such place on that page"
            } else {
                continue;
            };
            faults.push(Fault::new(&name, 1, format!("the link {}: {why}", link.to)));
        }
    }
    Ok((followed, faults))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_book_lead_to_the_repository() {
        let page = "[a](../README.md#b) [c](d.md) `[e](../f)` ![g](images/h.svg)\n";
        let expected = "[a](https://github.com/linkerd/linkerd-failover/blob/main/README.md#b) [c](d.md) `[e](../f)` ![g](images/h.svg)\n";
        assert_eq!(outside_to_repository(page), expected);
    }
}
