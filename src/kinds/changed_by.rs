//! The annotation `changed-by`: who changed an object by a command of this program, and why.

use crate::engine::annotations::{CHANGED_BY, PREFIX};
use crate::kinds::one_line::one_line;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

const VERSION: u32 = 1;

/// The most of a name, and of a reason, that is kept, in characters: people see them in tables and in Events.
const LONGEST: usize = 500;

/// What a person does by a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Intervention {
    Pin,
    Unpin,
    Pause,
    Resume,
    Failback,
    Freeze,
    Unfreeze,
    Drill,
}

impl Intervention {
    /// What has been done to the object, as a part of a sentence.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::Pin => "pinned",
            Self::Unpin => "unpinned",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Failback => "failback requested",
            Self::Freeze => "frozen",
            Self::Unfreeze => "unfrozen",
            Self::Drill => "pinned for a drill",
        }
    }

    /// Whether it sets something that lasts, and does not take it off.
    pub(crate) fn sets(self) -> bool {
        matches!(self, Self::Pin | Self::Pause | Self::Freeze | Self::Drill)
    }
}

/// Annotations by their names without the prefix; none: removed.
pub(crate) type Changes = BTreeMap<String, Option<String>>;

/// Who changed an object, how, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangedBy {
    v: u32,
    pub person: String,
    pub action: Intervention,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the command wrote.
    pub set: Changes,
}

impl ChangedBy {
    pub(crate) fn new(
        person: String,
        action: Intervention,
        at: Timestamp,
        reason: Option<String>,
        set: Changes,
    ) -> Self {
        Self { v: VERSION, person, action, at, reason, set }
    }

    /// As an object has it, on one line; none where what the command wrote is not there any more, or it cannot be
    /// read. Whoever may write the object may write anything into it.
    pub(crate) fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let read: Self = serde_json::from_str(annotations.get(CHANGED_BY)?).ok()?;
        let is_there = |(name, value): (&String, &Option<String>)| {
            annotations.get(&format!("{PREFIX}{name}")) == value.as_ref()
        };
        (read.v == VERSION && read.set.iter().all(is_there)).then(|| Self {
            person: shown(&read.person),
            reason: read.reason.as_deref().map(shown),
            ..read
        })
    }

    /// The value of the annotation.
    pub(crate) fn to_annotation(&self) -> String {
        // Only maps with keys that are no text cannot be JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the command wrote this annotation, by its name without the prefix.
    pub(crate) fn wrote(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    /// `pinned by alice: game day`.
    pub(crate) fn who_and_why(&self) -> String {
        let reason = self.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{} by {}{reason}", self.action.done(), self.person)
    }

    fn value(&self, name: &str) -> Option<String> {
        self.set.get(name)?.as_deref().map(shown)
    }
}

fn shown(text: &str) -> String {
    one_line(text.trim()).chars().take(LONGEST).collect()
}

/// `pinned to emoji-svc-west until 2026-11-26T03:30:00Z by alice: game day`.
impl fmt::Display for ChangedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.done())?;
        if let Some(backend) = self.value("pin") {
            write!(f, " to {backend}")?;
        }
        let ends = ["pin-until", "paused-until", "frozen-until"];
        if let Some(until) = ends.into_iter().find_map(|name| self.value(name)) {
            write!(f, " until {until}")?;
        }
        write!(f, " by {}", self.person)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned() -> ChangedBy {
        let until = "2026-11-26T03:30:00Z".to_owned();
        let set = [("pin", Some("emoji-svc-west".to_owned())), ("pin-until", Some(until))];
        let set = set.map(|(name, value)| (name.to_owned(), value)).into();
        let at = "2026-11-26T03:00:00Z".parse().unwrap();
        ChangedBy::new("alice".into(), Intervention::Pin, at, Some("game day".into()), set)
    }

    fn annotations(by: &ChangedBy) -> BTreeMap<String, String> {
        let set = by
            .set
            .iter()
            .filter_map(|(name, value)| Some((format!("{PREFIX}{name}"), value.as_ref()?.clone())));
        set.chain([(CHANGED_BY.to_owned(), by.to_annotation())]).collect()
    }

    #[test]
    fn what_a_command_wrote_is_read_as_it_was_written_and_is_a_sentence() {
        let by = pinned();
        assert_eq!(ChangedBy::of(&annotations(&by)).as_ref(), Some(&by));
        assert_eq!(
            by.to_string(),
            "pinned to emoji-svc-west until 2026-11-26T03:30:00Z by alice: game day"
        );
        insta::assert_snapshot!(by.to_annotation(), @r#"{"v":1,"person":"alice","action":"pin","at":"2026-11-26T03:00:00Z","reason":"game day","set":{"pin":"emoji-svc-west","pin-until":"2026-11-26T03:30:00Z"}}"#);
    }

    #[test]
    fn what_somebody_has_changed_since_is_not_laid_to_that_person() {
        let mut other = annotations(&pinned());
        other.insert(format!("{PREFIX}pin"), "emoji-svc-north".into());
        assert_eq!(ChangedBy::of(&other), None);
        let mut unpinned = pinned();
        unpinned.action = Intervention::Unpin;
        unpinned.set.values_mut().for_each(|value| *value = None);
        assert!(ChangedBy::of(&annotations(&unpinned)).is_some());
        let mut again = annotations(&unpinned);
        again.insert(format!("{PREFIX}pin"), "emoji-svc-west".into());
        assert_eq!(ChangedBy::of(&again), None);
    }

    #[test]
    fn nothing_that_somebody_has_written_into_it_controls_a_terminal() {
        let mut by = pinned();
        by.person = "alice\u{1b}]0;owned\u{7}".into();
        by.reason = Some(format!("game\nday \u{9b}2J\u{202e}{}", "x".repeat(100_000)));
        by.set.insert("pin".into(), Some("emoji-svc\u{1b}[2J".into()));
        let read = ChangedBy::of(&annotations(&by)).unwrap();
        let text = read.to_string();
        assert!(text.starts_with("pinned to emoji-svc [2J until "), "{text}");
        assert!(text.contains(" by alice ]0;owned : game day  2Jxxx"), "{text}");
        assert!(text.len() < 1_000 && !text.contains(char::is_control), "{text:?}");
    }

    #[test]
    fn what_cannot_be_read_is_nobodys() {
        for text in ["", "{", "{}", r#"{"v":2}"#, &pinned().to_annotation().replace(":1,", ":2,")] {
            let one = BTreeMap::from([(CHANGED_BY.to_owned(), text.to_owned())]);
            assert_eq!(ChangedBy::of(&one), None, "{text}");
        }
    }
}
