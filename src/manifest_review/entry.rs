//! An object of the input that the webhook judges, or that a judgement rests on.

use super::diagnostic::{Diagnostic, Level, Message, Subject};
use crate::engine::Problem;
use crate::kinds::{Kind, policy_route};
use crate::manifests::position::Position;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What an object is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Failover(Kind),
    /// Nearly one: no API server has such a kind.
    NoKind(Kind),
    /// Of another group, with the name of a kind that is failed over.
    OtherGroup(Kind),
    /// An HTTPRoute of Linkerd's group, which is not failed over.
    PolicyRoute,
    Service,
    Namespace,
    Secret,
    ServiceProfile,
    ReferenceGrant,
}

impl EntryKind {
    /// None: the object is of no interest.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let (group, _) = version.split_once('/').unwrap_or(("", version));
        match (group, kind) {
            ("", "Service") => Some(Self::Service),
            ("", "Namespace") => Some(Self::Namespace),
            ("", "Secret") => Some(Self::Secret),
            ("linkerd.io", "ServiceProfile") => Some(Self::ServiceProfile),
            ("gateway.networking.k8s.io", "ReferenceGrant") => Some(Self::ReferenceGrant),
            (policy_route::GROUP, policy_route::KIND) => Some(Self::PolicyRoute),
            _ => Kind::of(group, kind).map(Self::Failover).or_else(|| Self::nearly(version, kind)),
        }
    }

    /// A kind is written with its capitals, and has a group and a version.
    fn nearly(version: &str, kind: &str) -> Option<Self> {
        let (group, _) = version.split_once('/').unwrap_or((version, ""));
        let named = |known: &Kind| known.as_str().eq_ignore_ascii_case(kind);
        let known = Kind::ALL.into_iter().find(named)?;
        match group {
            "" => Some(Self::NoKind(known)),
            _ if group == known.group() => Some(Self::NoKind(known)),
            _ => Some(Self::OtherGroup(known)),
        }
    }

    fn is_namespaced(self) -> bool {
        self != Self::Namespace
    }
}

/// An object of the input, with its place.
#[derive(Debug)]
pub(super) struct Entry {
    pub kind: EntryKind,
    pub file: String,
    pub position: Position,
    /// With its namespace, where it has one.
    pub object: Value,
}

impl Entry {
    /// Takes an object; one that names no namespace is in this one.
    pub(super) fn new(
        kind: EntryKind,
        file: &str,
        position: Position,
        mut object: Value,
        namespace: &str,
    ) -> Self {
        if object["metadata"].is_null() {
            object["metadata"] = Value::Object(Map::new());
        }
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata.filter(|_| kind.is_namespaced()) {
            let there = metadata.entry("namespace").or_insert(Value::Null);
            if there.is_null() || there == "" {
                *there = namespace.into();
            }
        }
        Self { kind, file: file.to_owned(), position, object }
    }

    pub(super) fn text(&self, path: &str) -> &str {
        self.object.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        self.strings("/metadata/labels")
    }

    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        self.strings("/metadata/annotations")
    }

    /// The API server refuses any but strings.
    fn strings(&self, path: &str) -> BTreeMap<String, String> {
        let entries = self.object.pointer(path).and_then(Value::as_object).into_iter().flatten();
        let text =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        entries.filter_map(text).collect()
    }

    fn subject(&self) -> Subject {
        let generated = || self.text("/metadata/generateName");
        let name = Some(self.name()).filter(|name| !name.is_empty()).unwrap_or_else(generated);
        Subject {
            kind: self.text("/kind").to_owned(),
            namespace: self.namespace().to_owned(),
            name: name.to_owned(),
        }
    }

    /// The place of the object in the input.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file, self.position.first_line())
    }

    pub(super) fn problem(&self, level: Level, problem: Problem) -> Diagnostic {
        let line = self.position.line_of(&problem.field);
        self.diagnostic(level, line, Message::Problem(problem))
    }

    /// A sentence about the whole object.
    pub(super) fn note(&self, level: Level, note: String) -> Diagnostic {
        self.diagnostic(level, self.position.first_line(), Message::Note(note))
    }

    fn diagnostic(&self, level: Level, line: usize, message: Message) -> Diagnostic {
        let (file, subject) = (self.file.clone(), Some(self.subject()));
        Diagnostic { level, file, line: Some(line), subject, message }
    }
}
