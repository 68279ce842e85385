//! The chart's README is generated from the comments of `values.yaml`, as helm-docs would: a row for
//! each value that has a comment beginning with `# --`. `UPDATE_CHART_README=1` writes it again.

use anyhow::{Context, Result};
use serde_json::Value;

const VALUES: &str = "charts/linkerd-failover/values.yaml";
const README: &str = "charts/linkerd-failover/README.md";
const BEGIN: &str = "<!-- values: from the comments in values.yaml -->\n";
const END: &str = "<!-- end of values -->\n";

#[derive(Debug, PartialEq)]
struct Row {
    key: String,
    type_: String,
    default: String,
    description: String,
}

/// The values in the order of the file; an error names one that nothing describes.
fn rows(yaml: &str) -> Result<Vec<Row>> {
    let values: Value = serde_saphyr::from_str(yaml)?;
    let mut rows: Vec<Row> = vec![];
    // The keys that the current line is under, each with its indentation.
    let mut path: Vec<(usize, &str)> = vec![];
    let mut comment = String::new();
    for line in yaml.lines() {
        let (indent, text) = (line.len() - line.trim_start().len(), line.trim_start());
        if let Some(text) = text.strip_prefix('#') {
            match text.strip_prefix(" -- ") {
                Some(first) => comment = first.into(),
                None if !comment.is_empty() => comment += text,
                None => {}
            }
            continue;
        }
        let comment = std::mem::take(&mut comment);
        let Some((key, rest)) = text.split_once(':').filter(|_| !text.starts_with("- ")) else {
            continue;
        };
        path.retain(|(outer, _)| *outer < indent);
        path.push((indent, key));
        let keys: Vec<&str> = path.iter().map(|(_, key)| *key).collect();
        let dotted = keys.join(".");
        let within = |row: &Row| dotted.starts_with(&format!("{}.", row.key));
        if comment.is_empty() {
            let described = rest.is_empty() || rows.iter().any(within);
            anyhow::ensure!(
                described,
                "{dotted}: nothing describes it, expected a comment `# -- …`"
            );
            continue;
        }
        let value = values.pointer(&format!("/{}", keys.join("/")));
        rows.push(row(dotted, value.context("not in the values")?, &comment));
    }
    Ok(rows)
}

fn row(key: String, value: &Value, comment: &str) -> Row {
    // helm-docs' own notation for what a default does not show.
    let hint = comment.strip_prefix('(').and_then(|rest| rest.split_once(") "));
    let (type_, description) = match hint {
        Some((type_, description)) => (type_, description),
        None => (type_of(value), comment),
    };
    Row {
        key,
        type_: type_.into(),
        default: value.to_string(),
        description: description.replace('|', "\\|"),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "unknown",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn table(rows: &[Row]) -> String {
    let head = "| Key | Type | Default | Description |\n|-----|------|---------|-------------|\n";
    let lines = rows.iter().map(|row| {
        let Row { key, type_, default, description } = row;
        format!("| {key} | {type_} | `{default}` | {description} |\n")
    });
    std::iter::once(head.to_owned()).chain(lines).collect()
}

#[test]
fn the_readme_says_of_every_value_what_values_yaml_says() -> Result<()> {
    let wanted = table(&rows(&std::fs::read_to_string(VALUES)?)?);
    let readme = std::fs::read_to_string(README)?;
    let (before, rest) = readme.split_once(BEGIN).context("no begin of the values")?;
    let (kept, after) = rest.split_once(END).context("no end of the values")?;
    if std::env::var_os("UPDATE_CHART_README").is_some() {
        std::fs::write(README, format!("{before}{BEGIN}{wanted}{END}{after}"))?;
        return Ok(());
    }
    for (kept, wanted) in kept.lines().zip(wanted.lines()) {
        anyhow::ensure!(
            kept == wanted,
            "{README} has drifted; UPDATE_CHART_README=1 writes it again.\nthere: {kept}\nhere:  {wanted}"
        );
    }
    anyhow::ensure!(kept.lines().count() == wanted.lines().count(), "{README} has other rows");
    Ok(())
}

#[test]
fn the_schema_knows_exactly_the_values_that_there_are() -> Result<()> {
    let values: Value = serde_saphyr::from_str(&std::fs::read_to_string(VALUES)?)?;
    let schema = std::fs::read_to_string("charts/linkerd-failover/values.schema.json")?;
    let schema: Value = serde_json::from_str(&schema)?;
    same_keys("", &values, &schema)
}

/// Values without properties of their own in the schema are the user's to fill.
fn same_keys(at: &str, values: &Value, schema: &Value) -> Result<()> {
    let (Some(values), Some(known)) = (values.as_object(), schema["properties"].as_object()) else {
        return Ok(());
    };
    anyhow::ensure!(schema["additionalProperties"] == false, "{at:?}: takes unknown names");
    for (key, value) in values {
        let schema = known.get(key).with_context(|| format!("{at}.{key} is not in the schema"))?;
        same_keys(&format!("{at}.{key}"), value, schema)?;
    }
    // What Helm itself and a parent chart say.
    let not_ours = ["global", "enabled"];
    let free = values.is_empty() || ["resources", "updateStrategy"].iter().any(|k| at.ends_with(k));
    for key in known.keys().filter(|key| !free && !values.contains_key(*key)) {
        anyhow::ensure!(
            at.is_empty() && not_ours.contains(&key.as_str()),
            "{at}.{key} is no value"
        );
    }
    Ok(())
}

#[test]
fn comments_become_rows_and_a_value_without_one_is_an_error() {
    let yaml = "# -- One\n# and more | yes\na: 1\nb:\n  # -- (string) Two\n  c:\n# -- Three\nd:\n  e: {f: 2}\n";
    let rows = rows(yaml).unwrap();
    let listed: Vec<_> =
        rows.iter().map(|r| format!("{} {} {}", r.key, r.type_, r.default)).collect();
    assert_eq!(listed, ["a int 1", "b.c string null", r#"d object {"e":{"f":2}}"#]);
    assert_eq!(rows[0].description, "One and more \\| yes");
    let missing = super::readme::rows("a: 1\n").unwrap_err().to_string();
    assert!(missing.contains("a: nothing describes it"), "{missing}");
}
