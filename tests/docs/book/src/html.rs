//! The places and the links of HTML.

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tag, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A link or an image of HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where it leads to.
    pub to: String,
    /// Of an image: what is read out in its place.
    pub alternative: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements {
    /// What `#…` may name.
    pub ids: BTreeSet<String>,
    /// Links and images, in order; files that the page loads, too.
    pub links: Vec<Reference>,
}

/// Reads a page, or a part of one.
pub fn read(html: &str) -> Elements {
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(html));
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

#[derive(Default)]
struct Sink(RefCell<Elements>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if let Token::TagToken(tag) = token {
            self.0.borrow_mut().tag(&tag);
        }
        TokenSinkResult::Continue
    }
}

impl Elements {
    fn tag(&mut self, tag: &Tag) {
        let value = |name: &str| {
            let mut attributes = tag.attrs.iter();
            let found = attributes.find(|attribute| &*attribute.name.local == name);
            found.map(|attribute| attribute.value.to_string())
        };
        self.ids.extend(value("id"));
        let is_image = &*tag.name == "img";
        let alternative = is_image.then(|| value("alt").unwrap_or_default());
        for to in value("href").into_iter().chain(value("src")) {
            self.links.push(Reference { to, alternative: alternative.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_links_and_images_are_found() {
        let found = read(
            "<!-- <a href='no'> --><h2 id=\"a\"><a href=\"b.html#c\">d</a></h2><img src=e alt=\"F &amp; g\"><script src=\"h.js\"></script>",
        );
        let reference = |to: &str, alternative: Option<&str>| Reference {
            to: to.into(),
            alternative: alternative.map(str::to_owned),
        };
        assert_eq!(found.ids, ["a".to_owned()].into());
        let expected =
            [reference("b.html#c", None), reference("e", Some("F & g")), reference("h.js", None)];
        assert_eq!(found.links, expected);
    }
}
