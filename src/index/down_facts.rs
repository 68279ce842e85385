//! What the annotations of a Service, or of a cluster's Secret, declare, as small as it can be.

use crate::engine::{DownBasis, DownUntil, Health};
use crate::kinds::ObjectKey;
use crate::kinds::declared_down::{DeclaredDown, DownBy};
use crate::kinds::one_line::one_line;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The most of a reason, or of a name, that is kept, in characters: it stands in the state of every object that
/// names the Service.
const LONGEST: usize = 256;

/// What the annotations of an object declare, as small as a decision and its report allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DownFacts {
    /// Until when; none where nothing that can be read declares it.
    until: Option<Timestamp>,
    /// Who declares it and why, for people.
    why: Box<str>,
    pub by_person: bool,
    /// This program has set it.
    pub is_recorded: bool,
    /// What cannot be read.
    pub problems: Box<[Box<str>]>,
}

impl DownFacts {
    /// None where the annotations declare nothing, readable or not.
    pub(crate) fn read(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let read = DeclaredDown::read(annotations);
        if read.declared.is_none() && read.problems.is_empty() {
            return None;
        }
        let declared = read.declared.as_ref();
        Some(Self {
            until: declared.map(|declared| declared.until),
            why: declared.map_or_else(String::new, why).into(),
            by_person: declared.is_none_or(|declared| !declared.is_by_alerts()),
            is_recorded: declared.is_some_and(DeclaredDown::is_recorded),
            problems: read.problems.iter().map(|problem| problem.to_string().into()).collect(),
        })
    }

    /// The declaration, while it holds.
    pub(crate) fn holding(&self, now: Timestamp) -> Option<Declared<'_>> {
        let until = self.until.filter(|until| now < *until)?;
        Some(Declared { until, why: &self.why, by_person: self.by_person })
    }

    /// When it has ended, or will end.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until
    }
}

/// Who declares it and why, for people.
fn why(declared: &DeclaredDown) -> String {
    let by = match &declared.by {
        DownBy::Person { person, .. } => format!("by {}", on_one_line(person)),
        DownBy::Alerts(alerts) if declared.is_by_alerts() => match alerts.len() {
            1 => "by an alert".into(),
            several => format!("by {several} alerts"),
        },
        DownBy::Hand | DownBy::Alerts(_) => "by hand".into(),
    };
    match on_one_line(declared.reason.as_deref().unwrap_or_default()).as_str() {
        "" => by,
        reason => format!("{by}: {reason}"),
    }
}

/// Shortened, and without line breaks.
fn on_one_line(text: &str) -> String {
    one_line(text.trim()).chars().take(LONGEST).collect()
}

/// A declaration that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Declared<'a> {
    pub until: Timestamp,
    pub why: &'a str,
    pub by_person: bool,
}

impl<'a> Declared<'a> {
    /// The longer of two. A person's are a person's, whoever declares it for longer.
    pub(super) fn and(self, other: Self) -> Self {
        let longer = if other.until > self.until { other } else { self };
        Self { by_person: self.by_person || other.by_person, ..longer }
    }

    /// The health of a Service with this declaration, beside what is `seen` of it.
    pub(super) fn beside(self, seen: Health) -> Health {
        let Self { until, why, by_person } = self;
        let (why, basis) = (why.into(), DownBasis::Declared);
        Health::DeclaredDown(Box::new(DownUntil { until, why, basis, by_person, seen }))
    }
}

/// What the Secret with the credentials of a cluster declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclaredCluster {
    pub facts: DownFacts,
    /// The Secret, and its uid.
    pub secret: ObjectKey,
    pub uid: Box<str>,
}
