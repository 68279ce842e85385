//! `status -w` in a pipe: a line for each change.

use super::document::{GoneStatus, ObjectStatus, json_line, yaml};
use super::line::{StatusLine, lines};
use super::tables::next;
use crate::engine::to_the_second;
use crate::kinds::ObjectRef;
use crate::kinds::one_line::one_line;
use crate::reconciler::traffic_on::TrafficOn;
use crate::snapshot::NextStep;
use crate::snapshot::row::ObjectRow;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The form of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeFormat {
    /// A line of text.
    Text,
    /// A line of JSON, with the whole object.
    Json,
    /// A document of YAML, with the whole object.
    Yaml,
}

/// All that is shown of a line, but for times that run.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    on: TrafficOn,
    active: String,
    ready: String,
    next: Vec<NextStep>,
    why: String,
}

/// By object, and by the name of the line.
type ShownLines<'a> = BTreeMap<(&'a ObjectRef, String), (Shown, StatusLine<'a>)>;

/// The changes from one look to the next; at first everything there is.
pub(crate) fn changes(
    before: &[ObjectRow],
    now: &[ObjectRow],
    format: ChangeFormat,
    time: Timestamp,
) -> anyhow::Result<String> {
    let (before, now) = (shown(before), shown(now));
    let is_new = |(key, (shown, _)): &(&(&ObjectRef, String), &(Shown, StatusLine<'_>))| {
        before.get(*key).is_none_or(|(other, _)| other != shown)
    };
    let mut text = String::new();
    let mut rows: Vec<&ObjectRef> = vec![];
    for (key, (shown, line)) in now.iter().filter(is_new) {
        let from = before.get(key).map(|(other, _)| other.on).filter(|on| *on != shown.on);
        // An object of several sets is one document.
        let is_repeated = format != ChangeFormat::Text && rows.last() == Some(&key.0);
        if !is_repeated {
            text.push_str(&changed(line, shown, from, format, time)?);
        }
        rows.push(key.0);
    }
    let there: BTreeSet<&ObjectRef> = now.keys().map(|(object, _)| *object).collect();
    let mut objects: Vec<&ObjectRef> = before.keys().map(|(object, _)| *object).collect();
    objects.dedup();
    for object in objects.into_iter().filter(|object| !there.contains(object)) {
        text.push_str(&gone(object, format, time)?);
    }
    Ok(text)
}

fn shown(rows: &[ObjectRow]) -> ShownLines<'_> {
    let each = lines(rows).map(|line| {
        let shown = Shown {
            on: line.on(),
            active: line.active(),
            ready: line.ready(),
            next: line.next().iter().map(NextStep::without_time).collect(),
            why: line.why(),
        };
        ((&line.row.object, line.name()), (shown, line))
    });
    each.collect()
}

fn changed(
    line: &StatusLine<'_>,
    shown: &Shown,
    from: Option<TrafficOn>,
    format: ChangeFormat,
    time: Timestamp,
) -> anyhow::Result<String> {
    Ok(match format {
        ChangeFormat::Text => text_line(line, shown, from, time),
        ChangeFormat::Json => json_line(&ObjectStatus::of(line.row, time))?,
        ChangeFormat::Yaml => format!("---\n{}", yaml(&ObjectStatus::of(line.row, time))?),
    })
}

/// `2026-11-26T03:00:00Z emojivoto trafficsplit/emoji primary -> fallback: emoji-svc-west (…); …`
fn text_line(
    line: &StatusLine<'_>,
    shown: &Shown,
    from: Option<TrafficOn>,
    time: Timestamp,
) -> String {
    let Shown { on, active, ready, why, .. } = shown;
    let from = from.map(|from| format!("{from} -> ")).unwrap_or_default();
    let (namespace, name) = (line.row.object.namespace(), line.name());
    let mut text = format!("{} {namespace} {name} {from}{on}", to_the_second(time));
    if line.set.is_some() {
        // Writing to a String does not fail.
        let _ = write!(text, ": {active} ({ready})");
    }
    for more in [next(line.next()), why.clone()].iter().filter(|more| !more.is_empty()) {
        text.push_str("; ");
        text.push_str(more);
    }
    one_line(&text).into_owned() + "\n"
}

fn gone(object: &ObjectRef, format: ChangeFormat, time: Timestamp) -> anyhow::Result<String> {
    Ok(match format {
        ChangeFormat::Text => {
            let kind = object.kind.as_str().to_lowercase();
            let (namespace, name) = (object.namespace(), object.name());
            format!("{} {namespace} {kind}/{name} gone\n", to_the_second(time))
        }
        ChangeFormat::Json => json_line(&GoneStatus::of(object))?,
        ChangeFormat::Yaml => format!("---\n{}", yaml(&GoneStatus::of(object))?),
    })
}
