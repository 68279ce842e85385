//! What the look would find, if it were there.

use crate::chromium;
use look::{Browser, Report, VIEWS};
use std::collections::BTreeSet;

const PAGE: &str = r##"<!doctype html><html class="light"><head><meta name="viewport" content="width=device-width"></head><body><main>
<p class="faint" style="color:#999">faint</p>
<p style="color:#000; opacity:0.3">fading</p>
<p style="color:#777; font-size:30px" class="large">large enough</p>
<p style="background:#000; color:#fff"><span style="background:rgba(255,255,255,0.9)">white on white</span></p>
<p style="width:900px">wide on a phone</p>
<div style="overflow-x:auto"><p style="width:3000px">scrolls by itself</p></div>
<a href="gone.html">dead</a> <a href="#nowhere">dead</a> <a href="#here" id="here">lives</a>
<img src="gone.png" alt="missing">
<script>console.error("said"); nothing.at.all()</script>
</main></body></html>"##;

#[tokio::test]
async fn faults_of_a_page_are_found() -> anyhow::Result<()> {
    let Some(program) = chromium::found("what the look finds") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("index.html"), PAGE)?;
    let site = look::serve(folder.path()).await?;
    let mut browser = Browser::start(&program).await?;
    let mut report = Report::default();
    for view in [VIEWS[0], VIEWS[2]] {
        view.prepare(&mut browser).await?;
        let seen = view.look(&mut browser, &format!("{site}/index.html")).await?;
        report.add("index.html", view, seen, browser.errors());
    }
    report.judge_links(&site, &BTreeSet::from([format!("{site}/index.html")]));
    let faults = report.faults();
    for expected in [
        "contrast: #999999 on #ffffff is 2.85, not 4.5, in <p class=\"faint\">",
        "contrast: #b3b3b3 on #ffffff",
        "contrast: #ffffff on #e6e6e6",
        "overflow: reaches to 908 px: <p> \"wide on a phone\"\n    on index.html (360-light)",
        "dead link: ",
        "dead anchor: index.html#nowhere",
        "gone.png is not loaded",
        "said",
        "nothing is not defined",
    ] {
        assert!(faults.contains(expected), "{expected:?} is not in\n{faults}");
    }
    for fine in ["class=\"large\"", "scrolls by itself", "#here"] {
        assert!(!faults.contains(fine), "{fine:?} is in\n{faults}");
    }
    Ok(())
}
