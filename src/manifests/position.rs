//! Where objects and their fields stand in an input.

use crate::engine::FieldPath;
use serde_saphyr::granit_parser::{Event, Parser};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// Where an object stands in an input.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    source: Arc<Source>,
    /// In a List the place among its items, and so on for a List in it.
    items: Vec<usize>,
}

/// The text of a document.
#[derive(Debug, Default)]
pub(super) struct Source {
    text: String,
    /// Of the input, before the text.
    lines_before: usize,
    outline: OnceLock<Node>,
}

impl Source {
    pub(super) fn new(text: String, lines_before: usize) -> Self {
        Self { text, lines_before, outline: OnceLock::new() }
    }

    fn outline(&self) -> &Node {
        self.outline.get_or_init(|| outline(&self.text))
    }
}

impl Position {
    /// Of a document that is one object.
    pub(super) fn of(source: Source) -> Self {
        Self { source: Arc::new(source), items: vec![] }
    }

    /// Of an item of a List that stands here.
    pub(super) fn item(&self, nth: usize) -> Self {
        let mut items = self.items.clone();
        items.push(nth);
        Self { source: self.source.clone(), items }
    }

    /// The line, from 1, on which the object begins.
    pub(crate) fn first_line(&self) -> usize {
        self.line(self.object_tokens())
    }

    /// The line, from 1, of a field; of one that is not there, that of the nearest field above it.
    pub(crate) fn line_of(&self, field: &FieldPath) -> usize {
        self.line(self.object_tokens().chain(field.tokens()))
    }

    fn object_tokens(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let item = |nth: &usize| ["items".into(), nth.to_string().into()];
        self.items.iter().flat_map(item)
    }

    fn line<'a>(&self, tokens: impl Iterator<Item = Cow<'a, str>>) -> usize {
        let (mut node, mut line) = (self.source.outline(), self.source.outline().line);
        for token in tokens {
            let Some(child) = node.child(&token) else { break };
            (node, line) = (child, child.line);
        }
        self.source.lines_before + line.max(1)
    }
}

/// A value of a document with its line: that of its key, or else its own.
#[derive(Debug, Default)]
struct Node {
    line: usize,
    children: Children,
}

#[derive(Debug, Default)]
enum Children {
    #[default]
    None,
    List(Vec<Node>),
    Map(Vec<(Box<str>, Node)>),
}

impl Node {
    fn child(&self, token: &str) -> Option<&Self> {
        match &self.children {
            Children::None => None,
            Children::List(nodes) => nodes.get(token.parse::<usize>().ok()?),
            Children::Map(nodes) => Some(&nodes.iter().find(|(key, _)| **key == *token)?.1),
        }
    }
}

/// A list or a map that is not complete.
struct Open {
    node: Node,
    /// The key of the next value of a map.
    key: Option<(Box<str>, usize)>,
}

/// The lines of everything in a text that has been parsed without an error. An alias has no fields of its own.
fn outline(text: &str) -> Node {
    let (mut open, mut root): (Vec<Open>, Option<Node>) = (vec![], None);
    for next in Parser::new_from_str(text) {
        let Ok((event, span)) = next else { break };
        let start = |children| Node { line: span.start.line(), children };
        let complete = match event {
            Event::Scalar(text, ..) => match open.last_mut() {
                Some(map) if map.takes_key() => {
                    map.key = Some((text.as_ref().into(), span.start.line()));
                    continue;
                }
                _ => Some(start(Children::None)),
            },
            Event::Alias(_) => Some(start(Children::None)),
            Event::SequenceStart(..) => {
                open.push(Open { node: start(Children::List(vec![])), key: None });
                None
            }
            Event::MappingStart(..) => {
                open.push(Open { node: start(Children::Map(vec![])), key: None });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|open| open.node),
            _ => None,
        };
        let Some(node) = complete else { continue };
        match open.last_mut() {
            Some(parent) => parent.add(node),
            None => root = root.or(Some(node)),
        }
    }
    root.unwrap_or_default()
}

impl Open {
    fn takes_key(&self) -> bool {
        matches!(self.node.children, Children::Map(_)) && self.key.is_none()
    }

    fn add(&mut self, mut node: Node) {
        match &mut self.node.children {
            Children::None => {}
            Children::List(nodes) => nodes.push(node),
            Children::Map(nodes) => {
                // A key that is no scalar is nobody's field.
                let (key, line) = self.key.take().unwrap_or_else(|| ("".into(), node.line));
                node.line = line;
                nodes.push((key, node));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, field: &FieldPath) -> usize {
        Position::of(Source::new(text.to_owned(), 0)).line_of(field)
    }

    #[test]
    fn a_field_is_found_in_every_style_of_yaml() {
        let weight = FieldPath::from("spec.backends").index(1).field("weight");
        let note = FieldPath::from("metadata.annotations").key("a.b/c");
        for (text, field, expected) in [
            ("spec:\n  backends:\n  - weight: 1\n  - service: x\n    weight: 2\n", &weight, 5),
            ("spec:\n  backends: [{weight: 1},\n    {weight: 2}]\n", &weight, 3),
            (
                "# x\n\nspec:\n  backends:\n  # y\n  -\n    weight: 1\n  - &a\n    weight: 2\n",
                &weight,
                9,
            ),
            ("metadata:\n  annotations:\n    x: |\n      a.b/c: 1\n    \"a.b/c\": 2\n", &note, 5),
            ("{\"metadata\": {\n\"annotations\": {\n\"a.b/c\": \"x\"}}}", &note, 3),
            ("metadata:\r\n  annotations:\r\n    a.b/c: x\r\n", &note, 3),
        ] {
            assert_eq!(line(text, field), expected, "{text}");
        }
    }

    #[test]
    fn a_field_that_is_not_there_is_that_above_it() {
        let weight = FieldPath::from("spec.backends").index(1).field("weight");
        for (text, expected) in [
            ("a: 1\nspec:\n  backends:\n  - weight: 1\n", 3),
            ("a: 1\nspec:\n  backends:\n  - weight: 1\n  - service: x\n", 5),
            ("b: &b [1, {weight: 2}]\nspec:\n  backends: *b\n", 3),
            ("\n\na: 1\n", 3),
            ("", 1),
        ] {
            assert_eq!(line(text, &weight), expected, "{text}");
        }
    }
}
