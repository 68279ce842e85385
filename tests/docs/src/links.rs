//! The links of a text, and the places that links may lead to.

use crate::page::{line_of, markdown};
use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Parser, Tag, TagEnd};
use regex::Regex;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

/// A link, or an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub line: usize,
    /// Where it leads to, as it is written.
    pub to: String,
    /// Of an image: what is read out in its place.
    pub alternative: Option<String>,
    /// Its source, in the text.
    pub span: Range<usize>,
}

/// What links are about in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Links and images, in order.
    pub links: Vec<Link>,
    /// What `#…` may name: headings, as GitHub and mdBook name them.
    pub anchors: BTreeSet<String>,
    /// References that are defined nowhere: the line, and the reference.
    pub undefined: Vec<(usize, String)>,
}

/// Reads a text.
pub fn read(text: &str) -> Links {
    let undefined = RefCell::new(vec![]);
    let callback = |link: BrokenLink<'_>| -> Option<(CowStr<'_>, CowStr<'_>)> {
        // `[x]` alone is more often text than a link.
        if matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
            undefined
                .borrow_mut()
                .push((line_of(text, link.span.start), link.reference.to_string()));
        }
        None
    };
    let elements = Regex::new("<[a-z]+ [^>]*>").expect("a pattern");
    let mut found = Links::default();
    let mut heading: Option<String> = None;
    let mut image: Option<(Link, String)> = None;
    let events = Parser::new_with_broken_link_callback(text, markdown(), Some(callback));
    for (event, span) in events.into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let name = heading.take().unwrap_or_default();
                let anchor = unique(&anchor(&name), &found.anchors);
                found.anchors.insert(anchor);
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                let line = line_of(text, span.start);
                found.links.push(Link { line, to: dest_url.into(), alternative: None, span });
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                let line = line_of(text, span.start);
                image = Some((
                    Link { line, to: dest_url.into(), alternative: None, span },
                    String::new(),
                ));
            }
            Event::End(TagEnd::Image) => {
                if let Some((link, alternative)) = image.take() {
                    found.links.push(Link { alternative: Some(alternative), ..link });
                }
            }
            Event::Text(part) | Event::Code(part) => {
                for text in heading.iter_mut().chain(image.iter_mut().map(|(_, text)| text)) {
                    text.push_str(&part);
                }
            }
            // Of a block the lines come one by one; an element may have several.
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                let html = text[span.clone()].replace('\n', " ");
                if html.starts_with("<!--") {
                    continue;
                }
                let line = line_of(text, span.start);
                for element in elements.find_iter(&html) {
                    let element = element.as_str();
                    found.anchors.extend(attribute(element, "id"));
                    let alternative = element
                        .starts_with("<img")
                        .then(|| attribute(element, "alt").unwrap_or_default());
                    for to in
                        ["href", "src", "srcset"].iter().filter_map(|name| attribute(element, name))
                    {
                        let alternative = alternative.clone();
                        found.links.push(Link { line, to, alternative, span: span.clone() });
                    }
                }
            }
            _ => {}
        }
    }
    found.undefined = undefined.into_inner();
    found
}

/// Of an element: `name="value"`.
fn attribute(element: &str, name: &str) -> Option<String> {
    let (_, rest) = element.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

/// How GitHub and mdBook name a heading.
pub fn anchor(heading: &str) -> String {
    let character = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    };
    heading.trim().to_lowercase().chars().filter_map(character).collect()
}

/// The second heading of a name gets a number.
fn unique(anchor: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (1..).map(|nth| format!("{anchor}-{nth}"));
    let mut names = std::iter::once(anchor.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> Vec<(usize, String)> {
        read(text).links.into_iter().map(|link| (link.line, link.to)).collect()
    }

    #[test]
    fn links_of_each_form_are_found_with_their_lines() {
        let text = "[a](b.md#c)\n\n<https://d.e>\n[f][g], [h]\n\n[g]: i.md\n[h]: #j\n\n`[k](l)` [`m`](n)\n\n```text\n[o](p)\n```\n\n<a href=\"q.md\">r</a>\n";
        let expected =
            [(1, "b.md#c"), (3, "https://d.e"), (4, "i.md"), (4, "#j"), (9, "n"), (15, "q.md")];
        assert_eq!(to(text), expected.map(|(line, to)| (line, to.to_owned())));
    }

    #[test]
    fn images_have_what_is_read_out_in_their_place() {
        let links = read("![A `flip`](a.svg)\n\n![](b.svg)\n\n<img src=\"c.svg\" alt=\"C\">\n\n<img src=\"d.svg\">\n").links;
        let alternatives: Vec<_> = links.iter().map(|link| link.alternative.as_deref()).collect();
        assert_eq!(alternatives, [Some("A flip"), Some(""), Some("C"), Some("")]);
    }

    #[test]
    fn headings_are_named_as_github_names_them() {
        for (heading, name) in [
            ("One replica leads", "one-replica-leads"),
            ("The webhook's `CA` is valid, for a while", "the-webhooks-ca-is-valid-for-a-while"),
            ("a — b", "a--b"),
            ("snake_case", "snake_case"),
        ] {
            assert_eq!(anchor(heading), name);
        }
        let anchors = read("# A\n## B *c*\n## A\n<a id=\"d\"></a>\n").anchors;
        assert_eq!(anchors, ["a", "a-1", "b-c", "d"].map(str::to_owned).into());
    }

    #[test]
    fn a_reference_that_is_defined_nowhere_is_found() {
        assert_eq!(
            read("a\n[b][c] [d] [e][]\n").undefined,
            [(2, "c".to_owned()), (2, "e".to_owned())]
        );
    }
}
