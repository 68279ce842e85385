//! What was looked at, and what is wrong.

use crate::view::{Seen, View};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// All that was seen, page by page.
#[derive(Debug, Default)]
pub struct Report {
    pages: BTreeSet<String>,
    views: usize,
    texts: usize,
    pairs: BTreeSet<String>,
    pictures: usize,
    /// Anchors of pages.
    anchors: BTreeMap<String, BTreeSet<String>>,
    /// Addresses, and a page that refers to each.
    links: BTreeMap<String, String>,
    /// What is wrong, and where.
    faults: BTreeMap<String, BTreeSet<String>>,
}

impl Report {
    /// Adds what was seen of a page.
    pub fn add(&mut self, page: &str, view: View, seen: Seen, errors: Vec<String>) {
        let place = format!("{page} ({})", view.name());
        // The results of a search are no page of their own.
        let page = page.split('?').next().unwrap_or(page);
        self.pages.insert(page.to_owned());
        self.views += 1;
        self.texts += seen.texts;
        self.pairs.extend(seen.pairs);
        self.pictures = self.pictures.max(seen.pictures);
        self.anchors.entry(page.to_owned()).or_default().extend(seen.anchors);
        for link in seen.links {
            self.links.entry(link).or_insert_with(|| page.to_owned());
        }
        let overflow = seen.overflow.into_iter().map(|what| format!("overflow: {what}"));
        let faint = seen.faint.into_iter().map(|what| format!("contrast: {what}"));
        let images = seen.images.into_iter().map(|what| format!("image: {what}"));
        let errors = errors.into_iter().map(|what| format!("console: {what}"));
        for fault in overflow.chain(faint).chain(images).chain(errors) {
            self.fault(fault, place.clone());
        }
    }

    /// Adds something that is wrong.
    pub fn fault(&mut self, what: impl Into<String>, place: impl Into<String>) {
        self.faults.entry(what.into()).or_default().insert(place.into());
    }

    /// The addresses below this one that are referred to, without anchors: what is to be there.
    pub fn internal(&self, site: &str) -> BTreeSet<String> {
        let internal = self.links.keys().filter(|link| link.starts_with(site));
        internal.map(|link| link.split('#').next().unwrap_or(link).to_owned()).collect()
    }

    /// Judges the links by the addresses that are there.
    pub fn judge_links(&mut self, site: &str, there: &BTreeSet<String>) {
        let mut dead = Vec::new();
        for (link, page) in self.links.iter().filter(|(link, _)| link.starts_with(site)) {
            let (address, anchor) = link.split_once('#').unwrap_or((link, ""));
            if !there.contains(address) {
                dead.push((format!("dead link: {address}"), page.clone()));
                continue;
            }
            let path = address[site.len()..].trim_start_matches('/');
            let path = path.split('?').next().unwrap_or(path);
            let path = if path.is_empty() { "index.html" } else { path };
            let anchors = self.anchors.get(path);
            if !anchor.is_empty()
                && !anchors.is_some_and(|anchors| anchors.contains(&decoded(anchor)))
            {
                dead.push((format!("dead anchor: {path}#{anchor}"), page.clone()));
            }
        }
        for (what, place) in dead {
            self.fault(what, place);
        }
    }

    /// What is wrong, a line each; empty where nothing is.
    pub fn faults(&self) -> String {
        let mut text = String::new();
        for (what, places) in &self.faults {
            let some: Vec<&str> = places.iter().take(3).map(String::as_str).collect();
            let more = places.len() - some.len();
            let more = if more == 0 { String::new() } else { format!(", and {more} more") };
            text += &format!("{what}\n    on {}{more}\n", some.join(", "));
        }
        text
    }

    /// The figures, in a line.
    pub fn summary(&self, site: &str) -> String {
        let (here, elsewhere): (Vec<&String>, Vec<&String>) =
            self.links.keys().partition(|link| link.starts_with(site));
        let anchors = here.iter().filter(|link| link.contains('#')).count();
        format!(
            "{} pages, {} views; {} texts in {} pairs of colours; {} links followed, {anchors} of them with an anchor; \
             {} links elsewhere, not followed; {} faults",
            self.pages.len(),
            self.views,
            self.texts,
            self.pairs.len(),
            here.len(),
            elsewhere.len(),
            self.faults.len(),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults())
    }
}

/// An anchor as an `id` has it.
fn decoded(anchor: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = anchor.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "http://127.0.0.1:1";

    fn seen(links: &[&str], anchors: &[&str]) -> Seen {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Seen { links: owned(links), anchors: owned(anchors), ..Seen::default() }
    }

    #[test]
    fn a_link_to_nothing_is_dead_and_so_is_an_anchor() {
        let mut report = Report::default();
        let view = crate::view::VIEWS[0];
        let links = ["/b.html#one", "/b.html#two", "/c.html", "/b.html#%C3%BC"]
            .map(|link| format!("{SITE}{link}"));
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        report.add("a.html", view, seen(&links, &[]), vec![]);
        report.add("b.html", view, seen(&["https://example.com/"], &["one", "ü"]), vec![]);
        assert_eq!(report.internal(SITE).len(), 2);
        report.judge_links(SITE, &BTreeSet::from([format!("{SITE}/b.html")]));
        let faults = report.faults();
        assert_eq!(faults.lines().count(), 4, "{faults}");
        assert!(faults.contains("dead anchor: b.html#two\n    on a.html"), "{faults}");
        assert!(faults.contains(&format!("dead link: {SITE}/c.html\n")), "{faults}");
    }
}
