//! The objects of an input, each with its place in it: one that cannot be read fails alone.

use crate::migrate::encoding::to_utf8;
use serde_json::{Deserializer, Value};
use std::io;

/// One object of an input, or why it cannot be read.
#[derive(Debug)]
pub(crate) struct Document {
    /// `split.yaml: document 2`, and in a List `split.yaml: document 2: item 3`.
    pub place: String,
    pub object: Result<Value, NotAManifest>,
}

/// Why a document is not a manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAManifest {
    #[error("no file that can be read ({0})")]
    File(#[from] io::Error),
    /// The line is that of the input, from 1.
    #[error("line {line}, which is no text in UTF-8 or UTF-16 (save the file as one of them)")]
    NotText { line: usize },
    #[error("{0}, which is no object")]
    NotAnObject(&'static str),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Yaml(#[from] serde_saphyr::Error),
}

impl Document {
    /// A file that cannot be read at all.
    pub(crate) fn unreadable(path: String, error: io::Error) -> Self {
        Self { place: path, object: Err(error.into()) }
    }
}

/// Reads manifests in YAML or JSON: several with `---` between, one JSON object after another, or in Lists.
/// In UTF-8, UTF-16 or UTF-32.
pub(crate) fn read(path: &str, input: &[u8]) -> Vec<Document> {
    let mut documents = vec![];
    let mut nth = 0;
    for (line, text) in split(&to_utf8(input)) {
        let (objects, error) = match std::str::from_utf8(&text) {
            Ok(text) if is_blank(text) => (vec![Value::Null], None),
            // Positions in messages are those of the whole input.
            Ok(text) => parse(&("\n".repeat(line) + text)),
            Err(error) => {
                let before = &text[..error.valid_up_to()];
                let line = line + 1 + before.iter().filter(|byte| **byte == b'\n').count();
                (vec![], Some(NotAManifest::NotText { line }))
            }
        };
        let mut place = || {
            nth += 1;
            format!("{path}: document {nth}")
        };
        for object in objects {
            flatten(place(), object, &mut documents);
        }
        if let Some(error) = error {
            documents.push(Document { place: place(), object: Err(error) });
        }
    }
    documents
}

/// The objects of a text, and why there are no more.
fn parse(text: &str) -> (Vec<Value>, Option<NotAManifest>) {
    let mut objects = vec![];
    // Of JSON, kubectl reads one object after another; much of YAML begins like JSON.
    let mut json_error = None;
    if text.trim_start().starts_with('{') {
        for object in Deserializer::from_str(text).into_iter() {
            match object {
                Ok(object) => objects.push(object),
                Err(error) => json_error = Some(error.into()),
            }
        }
        if json_error.is_none() {
            return (objects, None);
        }
    }
    match serde_saphyr::from_str_with_options(text, options()) {
        Ok(object) => (vec![object], None),
        Err(error) if objects.is_empty() => (vec![], Some(error.into())),
        Err(_) => (objects, json_error),
    }
}

fn options() -> serde_saphyr::Options {
    // The size is not limited: the input is our user's, and may be of an entire cluster. The depth is: it
    // is read by recursion. A Service may be called y, which is a string to kubectl too.
    let budget = serde_saphyr::budget! {
        max_depth: 500,
        max_events: usize::MAX,
        max_nodes: usize::MAX,
        max_total_scalar_bytes: usize::MAX,
    };
    serde_saphyr::options! { budget: budget, with_snippet: false, strict_booleans: true }
}

/// The texts of the documents, each with the number of lines before it. As in kubectl this comes before
/// parsing: no content of YAML begins a line with `---`, and a document that is not YAML, or not text, does
/// not affect the others.
fn split(input: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut texts = vec![(0, vec![])];
    for (number, line) in input.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // A file that was appended to another may begin with a mark.
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        let rest = line.strip_prefix(b"---".as_slice());
        match rest.filter(|rest| rest.first().is_none_or(u8::is_ascii_whitespace)) {
            Some(rest) => texts.push((number, rest.to_vec())),
            None => {
                if let Some((_, text)) = texts.last_mut() {
                    text.extend_from_slice(line);
                }
            }
        }
    }
    // Nothing before the first `---` is not a document.
    if texts.len() > 1 && std::str::from_utf8(&texts[0].1).is_ok_and(is_blank) {
        texts.remove(0);
    }
    texts
}

fn is_blank(text: &str) -> bool {
    let is_blank = |line: &str| line.is_empty() || line == "..." || line.starts_with(['#', '%']);
    text.lines().map(str::trim).all(is_blank)
}

fn flatten(place: String, mut object: Value, documents: &mut Vec<Document>) {
    let what = match &object {
        // As from a template that yields nothing.
        Value::Null => return,
        Value::Object(_) => None,
        Value::Array(_) => Some("a list"),
        Value::String(_) => Some("a text"),
        Value::Bool(_) | Value::Number(_) => Some("a value"),
    };
    if let Some(what) = what {
        let object = Err(NotAManifest::NotAnObject(what));
        return documents.push(Document { place, object });
    }
    let Some(of) = object["kind"].as_str().and_then(|kind| kind.strip_suffix("List")) else {
        return documents.push(Document { place, object: Ok(object) });
    };
    let (of, version) = (of.to_owned(), object["apiVersion"].clone());
    let Some(Value::Array(items)) = object.get_mut("items").map(Value::take) else {
        return documents.push(Document { place, object: Ok(object) });
    };
    for (nth, mut item) in items.into_iter().enumerate() {
        // An API server writes kind and apiVersion at the list alone.
        if let Some(item) = item.as_object_mut().filter(|_| !of.is_empty()) {
            item.entry("kind").or_insert_with(|| of.clone().into());
            item.entry("apiVersion").or_insert_with(|| version.clone());
        }
        flatten(format!("{place}: item {}", nth + 1), item, documents);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each document as its place and what its `a` is.
    fn documents(input: &str) -> Vec<String> {
        let summary = |document: Document| match document.object {
            Ok(object) => format!("{}: {}", document.place, object["a"]),
            Err(_) => format!("{}: unreadable", document.place),
        };
        read("x", input.as_bytes()).into_iter().map(summary).collect()
    }

    /// Why the second document cannot be read.
    fn second_error(input: &[u8]) -> String {
        read("x", input)[1].object.as_ref().unwrap_err().to_string()
    }

    #[test]
    fn documents_are_counted_as_they_stand_in_the_input() {
        for (input, expected) in [
            ("", vec![]),
            ("a: 1", vec!["x: document 1: 1"]),
            ("\u{feff}a: 1", vec!["x: document 1: 1"]),
            ("---\na: 1\n---\na: 2\n", vec!["x: document 1: 1", "x: document 2: 2"]),
            ("# helm\n---\n# Source\n---\r\na: 2\r\n---", vec!["x: document 2: 2"]),
            ("%YAML 1.2\n---\na: 1\n...\n", vec!["x: document 1: 1"]),
            ("a: |\n  b\n  ---\n", vec![r#"x: document 1: "b\n---\n""#]),
            ("a: 1\n--- # two\na: 2", vec!["x: document 1: 1", "x: document 2: 2"]),
            ("a: y", vec![r#"x: document 1: "y""#]),
            (r#"{"a": 1}"#, vec!["x: document 1: 1"]),
            ("a: [\n---\na: 2", vec!["x: document 1: unreadable", "x: document 2: 2"]),
            (
                "kind: List\nitems: [{a: 1}, {kind: TrafficSplitList, items: [{a: 2}]}]",
                vec!["x: document 1: item 1: 1", "x: document 1: item 2: item 1: 2"],
            ),
            ("kind: List\na: 1", vec!["x: document 1: 1"]),
            ("kind: List\nitems: 1\na: 2", vec!["x: document 1: 2"]),
            // kubectl get … -o json, twice into one file.
            ("{\"a\": 1}\n{\"a\": 2}", vec!["x: document 1: 1", "x: document 2: 2"]),
            (
                "{\"a\": 1}{\"a\": }\n---\na: 3",
                vec!["x: document 1: 1", "x: document 2: unreadable", "x: document 3: 3"],
            ),
            ("{a: 1}", vec!["x: document 1: 1"]),
            // Not an object.
            (
                "a: 1\n---\nerror from server\n---\na: 3",
                vec!["x: document 1: 1", "x: document 2: unreadable", "x: document 3: 3"],
            ),
            ("- a: 1", vec!["x: document 1: unreadable"]),
            ("null\n---\na: 2", vec!["x: document 2: 2"]),
            ("a: 1\n\u{feff}---\na: 2", vec!["x: document 1: 1", "x: document 2: 2"]),
            ("a: 1\n---\n\u{feff}a: 2", vec!["x: document 1: 1", "x: document 2: 2"]),
            ("a: \u{1}\n---\na: 2", vec!["x: document 1: unreadable", "x: document 2: 2"]),
        ] {
            assert_eq!(documents(input), expected, "{input:?}");
        }
    }

    #[test]
    fn an_error_has_its_line_in_the_whole_input() {
        let error = second_error(b"a: 1\n---\nb: [\n---\nc: 3\n");
        assert!(error.contains("line 3") || error.contains("line 4"), "{error}");
        let error = second_error(b"{\"a\": 1}\n{\"a\": 2\n");
        assert!(error.contains("line 3"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_text_fail_only_their_document_with_their_line() {
        let latin = b"a: 1\n---\nb: 2\na: caf\xE9\n---\na: 3\n";
        let documents = read("x", latin);
        assert_eq!(documents.len(), 3);
        let error = second_error(latin);
        assert!(error.contains("line 4,") && error.contains("UTF-8"), "{error}");
        assert_eq!(documents[2].object.as_ref().unwrap()["a"], 3);
    }

    #[test]
    fn what_powershell_writes_is_read() {
        for mark in ["\u{feff}", ""] {
            let text = format!("{mark}a: é\r\n---\r\na: 😀\r\n");
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let read = read("x", &bytes);
            let objects: Vec<_> = read.iter().map(|d| &d.object.as_ref().unwrap()["a"]).collect();
            assert_eq!(objects, ["é", "😀"]);
        }
    }

    #[test]
    fn the_items_of_an_api_servers_list_are_of_its_kind() {
        let list = br#"{"kind": "TrafficSplitList", "apiVersion": "split.smi-spec.io/v1alpha2",
            "items": [{"metadata": {}}, {"kind": "Other", "metadata": {}}]}"#;
        let read = read("x", list);
        let kinds: Vec<_> = read.iter().map(|d| &d.object.as_ref().unwrap()["kind"]).collect();
        assert_eq!(kinds, ["TrafficSplit", "Other"]);
        assert_eq!(read[0].object.as_ref().unwrap()["apiVersion"], "split.smi-spec.io/v1alpha2");
    }

    #[test]
    fn endless_nesting_or_growth_fails_only_its_document() {
        let aliases: String =
            (1..40).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1)).collect();
        for bomb in [
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            format!("a0: &a0 [1, 2]\n{aliases}"),
        ] {
            let documents = read("x", format!("a: 1\n---\n{bomb}\n---\na: 3\n").as_bytes());
            assert_eq!(documents.len(), 3);
            assert!(documents[1].object.is_err(), "{}", &bomb[..20]);
        }
    }
}
