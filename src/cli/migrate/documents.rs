//! The objects of an input, each with its place in it, so that a fault in one hurts only itself.

use serde_json::Value;

/// One object of an input, or why it cannot be read.
#[derive(Debug)]
pub struct Document {
    /// `split.yaml: document 2`, and in a List `split.yaml: document 2: item 3`.
    pub place: String,
    pub object: Result<Value, String>,
}

/// Reads manifests: YAML or JSON, several with `---` between, Lists taken apart.
pub fn read(path: &str, input: &str) -> Vec<Document> {
    let texts = split(input.trim_start_matches('\u{feff}'));
    let mut documents = vec![];
    for (nth, (line, text)) in texts.into_iter().enumerate() {
        let place = format!("{path}: document {}", nth + 1);
        if is_blank(&text) {
            continue;
        }
        // Positions in messages are those of the whole input.
        let text = "\n".repeat(line) + &text;
        match serde_saphyr::from_str_with_options::<Value>(&text, options()) {
            Ok(object) => flatten(place, object, &mut documents),
            Err(error) => documents.push(Document { place, object: Err(error.to_string()) }),
        }
    }
    documents
}

fn options() -> serde_saphyr::Options {
    // The limits are against strangers; this input is of who runs us, and may be a whole cluster's.
    // A Service may be called y, which is a string to kubectl too.
    serde_saphyr::options! { budget: None, with_snippet: false, strict_booleans: true }
}

/// The documents' texts, each with the number of lines before it. Done before parsing, as kubectl
/// does it: no content of YAML begins a line with `---`, and a document that is no YAML leaves the
/// others readable.
fn split(input: &str) -> Vec<(usize, String)> {
    let mut texts = vec![(0, String::new())];
    for (number, line) in input.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---").filter(|rest| rest.trim_start() != *rest);
        match rest.or((line == "---").then_some("")) {
            Some(rest) => texts.push((number, rest.to_owned())),
            None => {
                if let Some((_, text)) = texts.last_mut() {
                    text.push_str(line);
                }
            }
        }
    }
    // What is before the first `---` counts only if there is something.
    if texts.len() > 1 && is_blank(&texts[0].1) {
        texts.remove(0);
    }
    texts
}

fn is_blank(text: &str) -> bool {
    let says_nothing =
        |line: &str| line.is_empty() || line == "..." || line.starts_with(['#', '%']);
    text.lines().map(str::trim).all(says_nothing)
}

fn flatten(place: String, object: Value, documents: &mut Vec<Document>) {
    let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match object.get("items").filter(|_| is_list).and_then(Value::as_array) {
        Some(items) => {
            for (nth, item) in items.iter().enumerate() {
                flatten(format!("{place}: item {}", nth + 1), item.clone(), documents);
            }
        }
        None => documents.push(Document { place, object: Ok(object) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each document as its place and what its `a` is.
    fn said(input: &str) -> Vec<String> {
        let say = |document: Document| match document.object {
            Ok(object) => format!("{}: {}", document.place, object["a"]),
            Err(_) => format!("{}: unreadable", document.place),
        };
        read("x", input).into_iter().map(say).collect()
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
        ] {
            assert_eq!(said(input), expected, "{input:?}");
        }
    }

    #[test]
    fn a_fault_is_told_with_its_line_in_the_whole_input() {
        let documents = read("x", "a: 1\n---\nb: [\n---\nc: 3\n");
        let error = documents[1].object.as_ref().unwrap_err();
        assert!(error.contains("line 3") || error.contains("line 4"), "{error}");
    }
}
