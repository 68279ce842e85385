//! The objects of an input, each with its place in it: one that cannot be read fails alone.

use crate::engine::Problem;
use crate::manifests::encoding::to_utf8;
use crate::manifests::json::UniqueKeys;
use crate::manifests::not_a_manifest::NotAManifest;
use crate::manifests::position::{Position, Source};
use serde_json::{Deserializer, Value};
use std::ops::Range;

/// One object of an input, or why it cannot be read.
#[derive(Debug)]
pub(crate) struct Document {
    /// `split.yaml: document 2`, and in a List `split.yaml: document 2: item 3`.
    pub place: String,
    pub position: Position,
    /// Whether its text has the marks of a template that is not rendered.
    pub is_template: bool,
    pub object: Result<Value, NotAManifest>,
}

impl Document {
    fn of(place: String, position: Position, object: Result<Value, NotAManifest>) -> Self {
        Self { place, position, is_template: false, object }
    }

    /// A file that cannot be read at all.
    pub(crate) fn unreadable(path: String, problem: Problem) -> Self {
        Self {
            place: path,
            position: Position::default(),
            is_template: false,
            object: Err(NotAManifest::File(problem)),
        }
    }
}

/// Reads manifests in YAML or JSON: several with `---` between, one JSON object after another, or in Lists.
/// In UTF-8, UTF-16 or UTF-32.
pub(crate) fn read(path: &str, input: &[u8]) -> Vec<Document> {
    let mut documents = vec![];
    let mut nth = 0;
    let mut place = || {
        nth += 1;
        format!("{path}: document {nth}")
    };
    for (line, text) in split(&to_utf8(input)) {
        let parsed = match std::str::from_utf8(&text) {
            Ok(text) => parse(text, line),
            Err(error) => not_text(&text, error.valid_up_to(), line),
        };
        for (source, object) in parsed.objects {
            flatten(place(), Position::of(source), object, &mut documents);
        }
        if let Some(error) = parsed.error {
            let position = Position::of(Source::new(String::new(), line));
            let is_template = text.windows(2).any(|two| two == b"{{");
            documents.push(Document { place: place(), position, is_template, object: Err(error) });
        }
    }
    documents
}

/// The objects of a text, and why there are no more.
#[derive(Default)]
struct Parsed {
    objects: Vec<(Source, Value)>,
    error: Option<NotAManifest>,
}

fn not_text(text: &[u8], valid: usize, lines_before: usize) -> Parsed {
    let line = lines_before + 1 + text[..valid].iter().filter(|byte| **byte == b'\n').count();
    Parsed { objects: vec![], error: Some(NotAManifest::NotText { line }) }
}

fn parse(text: &str, lines_before: usize) -> Parsed {
    if is_blank(text) {
        return Parsed { objects: vec![(Source::default(), Value::Null)], error: None };
    }
    let (objects, error) = parse_objects(text, lines_before);
    let source = |range: Range<usize>| {
        let before = text[..range.start].matches('\n').count();
        Source::new(text[range].to_owned(), lines_before + before)
    };
    let objects = objects.into_iter().map(|(range, object)| (source(range), object)).collect();
    Parsed { objects, error }
}

/// Each object with its place in the text.
type Objects = Vec<(Range<usize>, Value)>;

fn parse_objects(text: &str, lines_before: usize) -> (Objects, Option<NotAManifest>) {
    // Of JSON, kubectl reads one object after another; much of YAML begins like JSON.
    let (objects, json_error) = match text.trim_start().starts_with('{') {
        true => parse_json(text),
        false => (vec![], None),
    };
    if !objects.is_empty() && json_error.is_none() {
        return (objects, None);
    }
    match serde_saphyr::from_str_with_options(text, options()) {
        Ok(object) => (vec![(0..text.len(), object)], None),
        Err(error) if objects.is_empty() => {
            (vec![], Some(NotAManifest::Yaml { error: Box::new(error), lines_before }))
        }
        Err(_) => (objects, json_error.map(|error| NotAManifest::Json { error, lines_before })),
    }
}

fn parse_json(text: &str) -> (Objects, Option<serde_json::Error>) {
    let mut stream = Deserializer::from_str(text).into_iter::<UniqueKeys>();
    let (mut objects, mut start) = (vec![], 0);
    while let Some(object) = stream.next() {
        match object {
            Ok(UniqueKeys(object)) => objects.push((start..stream.byte_offset(), object)),
            Err(error) => return (objects, Some(error)),
        }
        start = stream.byte_offset();
    }
    (objects, None)
}

fn options() -> serde_saphyr::Options {
    // The size is not limited: the input is our user's, and may be of an entire cluster. The depth is: it
    // is read by recursion. To kubectl, `y` and `off` without quotes are booleans, and 010 is 8: YAML 1.1.
    let budget = serde_saphyr::budget! {
        max_depth: 500,
        max_events: usize::MAX,
        max_nodes: usize::MAX,
        max_total_scalar_bytes: usize::MAX,
    };
    serde_saphyr::options! {
        budget: budget,
        with_snippet: false,
        strict_booleans: false,
        legacy_octal_numbers: true,
    }
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

fn flatten(place: String, position: Position, mut object: Value, documents: &mut Vec<Document>) {
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
        return documents.push(Document::of(place, position, object));
    }
    let Some(of) = object["kind"].as_str().and_then(|kind| kind.strip_suffix("List")) else {
        return documents.push(Document::of(place, position, Ok(object)));
    };
    let (of, version) = (of.to_owned(), object["apiVersion"].clone());
    let items = match object.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        None | Some(Value::Null) => {
            return documents.push(Document::of(place, position, Ok(object)));
        }
        Some(_) if of.is_empty() => {
            return documents.push(Document::of(place, position, Err(NotAManifest::WithoutItems)));
        }
        Some(_) => return documents.push(Document::of(place, position, Ok(object))),
    };
    for (nth, mut item) in items.into_iter().enumerate() {
        // An API server writes kind and apiVersion at the list alone.
        if let Some(item) = item.as_object_mut().filter(|_| !of.is_empty()) {
            item.entry("kind").or_insert_with(|| of.clone().into());
            item.entry("apiVersion").or_insert_with(|| version.clone());
        }
        let place = format!("{place}: item {}", nth + 1);
        flatten(place, position.item(nth), item, documents);
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
            // As kubectl reads them.
            ("a: y", vec!["x: document 1: true"]),
            ("a: Off", vec!["x: document 1: false"]),
            ("a: \"y\"", vec![r#"x: document 1: "y""#]),
            ("a: 010", vec!["x: document 1: 8"]),
            (r#"{"a": 1}"#, vec!["x: document 1: 1"]),
            ("a: [\n---\na: 2", vec!["x: document 1: unreadable", "x: document 2: 2"]),
            (
                "kind: List\nitems: [{a: 1}, {kind: TrafficSplitList, items: [{a: 2}]}]",
                vec!["x: document 1: item 1: 1", "x: document 1: item 2: item 1: 2"],
            ),
            ("kind: List\na: 1", vec!["x: document 1: 1"]),
            ("kind: List\nitems: 1\na: 2", vec!["x: document 1: unreadable"]),
            ("kind: List\nitems: null\na: 2", vec!["x: document 1: 2"]),
            ("kind: AllowList\nitems: {}\na: 2", vec!["x: document 1: 2"]),
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
    fn each_of_many_errors_costs_the_same() {
        // With what stands before it in the text of each, this would take minutes.
        let documents = read("x", "[\n---\n".repeat(50_000).as_bytes());
        assert_eq!(documents.len(), 50_000);
        let last = documents.last().unwrap().object.as_ref().unwrap_err();
        assert_eq!(last.line(), Some(99_999));
        assert!(last.to_string().contains("line 99999,"), "{last}");
    }

    #[test]
    fn an_error_is_in_the_words_of_whoever_writes_manifests() {
        for input in ["a: 1\na: 2", "null: 1", "a: &a {b: *a}", "a: .inf", "a: {{ x }}"] {
            let read = read("x", input.as_bytes());
            let error = read[0].object.as_ref().unwrap_err().to_string();
            for word in ["Option", "Policy", "policy", "Rc", "weak", "deserialize"] {
                assert!(!error.contains(word), "{input:?}: {error}");
            }
        }
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
    fn a_key_that_stands_twice_is_an_error_in_yaml_and_in_json() {
        for input in
            ["a: 1\n---\nb: 1\nb: 2\n", "{\"a\": 1}\n---\n{\"b\": [{\"c\": 1,\n\"c\": 2}]}"]
        {
            let error = second_error(input.as_bytes());
            assert!(error.contains("line 4") && error.contains("uplicate"), "{error}");
        }
    }

    #[test]
    fn a_field_has_its_line_in_the_whole_input() {
        let lines = |input: &str| -> Vec<(usize, usize)> {
            let lines = |document: Document| {
                let position = document.position;
                (position.first_line(), position.line_of(&"a.b".into()))
            };
            read("x", input.as_bytes()).into_iter().map(lines).collect()
        };
        for (input, expected) in [
            ("a:\n  b: 1", vec![(1, 2)]),
            ("# x\n---\n# y\na:\n\n  b: 1\n---\na: {b: 1}\n", vec![(4, 6), (8, 8)]),
            ("{\"a\": {}}\n\n{\"a\":\n{\"b\": 1}}", vec![(1, 1), (3, 4)]),
            ("kind: List\nitems:\n- a: 1\n- x: 1\n  a:\n    b: 1\n", vec![(3, 3), (4, 6)]),
        ] {
            assert_eq!(lines(input), expected, "{input:?}");
        }
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
