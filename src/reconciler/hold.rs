//! Why a wanted move is not made: a person has decided so, or has to agree first.

use crate::engine::annotations::BRAKE_RELEASED;
use crate::kinds::changed_by::{ChangedBy, Intervention};
use jiff::Timestamp;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The object is paused, and by whom, where a command did that.
    Paused(Option<Box<ChangedBy>>),
    /// The cluster is frozen, and by whom.
    Frozen(Option<Box<ChangedBy>>),
    /// The brake holds.
    Braked {
        since: Option<Timestamp>,
        /// The own namespace, where people release the brake.
        namespace: String,
    },
}

impl Hold {
    pub(crate) fn paused(by: Option<&ChangedBy>) -> Self {
        let by = by.filter(|by| by.action == Intervention::Pause);
        Self::Paused(by.cloned().map(Box::new))
    }

    pub(crate) fn frozen(by: Option<&ChangedBy>) -> Self {
        let by = by.filter(|by| by.action == Intervention::Freeze);
        Self::Frozen(by.cloned().map(Box::new))
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(None) => f.write_str("this object is paused"),
            Self::Paused(Some(by)) => write!(f, "this object is {by}"),
            Self::Frozen(None) => f.write_str("the cluster is frozen"),
            Self::Frozen(Some(by)) => write!(f, "the cluster is {by}"),
            Self::Braked { since, namespace } => {
                let since = since.map(|at| at.to_string()).unwrap_or_default();
                write!(
                    f,
                    "the brake holds since {since}: too many objects would leave their primaries at once; if that is right, release it: kubectl annotate --overwrite namespace {namespace} {BRAKE_RELEASED}=$(date -u +%FT%TZ)"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_by_a_command_says_who_and_why_and_another_command_is_not_taken_for_it() {
        let at = Timestamp::UNIX_EPOCH;
        let by = |action| {
            let (person, reason) = ("alice".to_owned(), Some("game day".to_owned()));
            ChangedBy::new(person, action, at, reason, Default::default())
        };
        let (pause, freeze) = (by(Intervention::Pause), by(Intervention::Freeze));
        for (hold, text) in [
            (Hold::paused(None), "this object is paused"),
            (Hold::paused(Some(&pause)), "this object is paused by alice: game day"),
            (Hold::paused(Some(&by(Intervention::Unpin))), "this object is paused"),
            (Hold::frozen(Some(&freeze)), "the cluster is frozen by alice: game day"),
            (Hold::frozen(Some(&by(Intervention::Unfreeze))), "the cluster is frozen"),
        ] {
            assert_eq!(hold.to_string(), text);
        }
    }
}
