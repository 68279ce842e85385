//! Every page on a desktop and on a phone, light and dark.

use crate::chromium;
use look::{Browser, Drawn, Report, VIEWS};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use test_tools::{target_dir, workspace_root};

/// A page with the results of a search.
const SEARCH: &str = "index.html?search=weights";
/// The height of the smallest text of a picture, on a phone.
const SMALLEST: f64 = 10.0;
/// What a page leaves for a picture on a phone of 360 px.
const PICTURE: u32 = 320;

#[tokio::test]
async fn every_page_fits_is_legible_and_has_no_dead_link() -> anyhow::Result<()> {
    let Some(program) = chromium::found("the look of the book") else { return Ok(()) };
    let book = Path::new(env!("CARGO_TARGET_TMPDIR")).join("look");
    docs_book::book::build(&workspace_root(), &book)?;
    // They take as long as all else: for who looks for himself.
    let shots = std::env::var_os("LOOK_SHOTS").map(|_| target_dir().join("look"));
    if let Some(shots) = &shots {
        std::fs::create_dir_all(shots)?;
    }
    let site = look::serve(&book).await?;
    let mut browser = Browser::start(&program).await?;
    let mut report = Report::default();
    for view in VIEWS {
        view.prepare(&mut browser).await?;
        let mut pages = look::pages(&book)?;
        pages.push(SEARCH.to_owned());
        for page in pages {
            let seen = view.look(&mut browser, &format!("{site}/{page}")).await?;
            report.add(&page, view, seen, browser.errors());
            if let Some(shots) = &shots {
                let name = page.replace(".html", "").replace(['/', '?', '='], "-");
                let file = shots.join(format!("{name}-{}.png", view.name()));
                view.screenshot(&mut browser, &file).await?;
            }
        }
    }
    let there = there(&mut browser, &report.internal(&site)).await?;
    report.judge_links(&site, &there);
    chromium::say(&format!("the look of the book: {}", report.summary(&site)));
    assert!(report.faults().is_empty(), "what is wrong:\n{report}");
    Ok(())
}

/// Which of these addresses the open page can fetch.
async fn there(
    browser: &mut Browser,
    addresses: &BTreeSet<String>,
) -> anyhow::Result<BTreeSet<String>> {
    let fetch = format!(
        "Promise.all({}.map(async (url) => (await fetch(url)).ok ? url : null))",
        json!(addresses)
    );
    let found: Vec<Option<String>> = serde_json::from_value(browser.evaluate(&fetch).await?)?;
    Ok(found.into_iter().flatten().collect())
}

#[tokio::test]
async fn every_picture_is_legible_on_a_phone() -> anyhow::Result<()> {
    let Some(program) = chromium::found("the look of the pictures") else { return Ok(()) };
    let folder = workspace_root().join("docs/images");
    let site = look::serve(&folder).await?;
    let mut browser = Browser::start(&program).await?;
    // An answer without a page; what is drawn is drawn in it.
    browser.open(&site).await?;
    for picture in pictures(&folder)? {
        let drawn = Drawn::at(&mut browser, &format!("{site}/{picture}"), PICTURE).await?;
        assert!(drawn.faults.is_empty(), "{picture}: {:#?}", drawn.faults);
        assert!(
            drawn.smallest > SMALLEST - 0.1,
            "{picture} has text {:.1} px high",
            drawn.smallest
        );
    }
    Ok(())
}

fn pictures(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".svg") {
            names.push(name);
        }
    }
    anyhow::ensure!(!names.is_empty(), "no pictures in {}", folder.display());
    Ok(names)
}
