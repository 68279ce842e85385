//! A notification before it is sent.

use crate::events::Regarding;
use crate::telemetry::NotificationType;
use aws_lc_rs::digest::{Context, SHA256};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use std::fmt::Write;

/// What happened to an object, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notification {
    pub what: NotificationType,
    pub about: Regarding,
    /// When it happened.
    pub at: Timestamp,
    pub id_time: IdTime,
    pub data: NotificationData,
}

/// How the time goes into the id, which every replica should derive alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdTime {
    /// As it is: it is recorded in the cluster, or only one replica reports this.
    Exact,
    /// Rounded: each replica has observed it by itself, at about the same time.
    Rounded,
}

/// What is observed within as long counts as one, by its id.
const SAME: SignedDuration = SignedDuration::from_mins(10);

/// What is sent of a notification beside its object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationData {
    /// One sentence, for people.
    pub message: String,
    /// Why traffic does not move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<HoldCause>,
    /// The sets that it concerns; empty where it concerns the object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetData>,
    /// The other writer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How often it has replaced the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The linked cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// The traffic of one set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SetData {
    /// The rule of a route; empty where the object has one set.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// The Services that clients call.
    pub apexes: Vec<String>,
    /// The backends that had the traffic, where that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// The backends that have it, or should have it.
    pub to: Vec<String>,
    /// A pin decides that.
    pub pinned: bool,
}

impl SetData {
    fn size(&self) -> usize {
        let names = [&self.apexes, &self.from, &self.to].into_iter().flatten();
        let names = names.map(|name| size_of::<String>() + name.len()).sum::<usize>();
        size_of::<Self>() + self.rule.len() + names
    }
}

/// Why traffic does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldCause {
    NothingReady,
    Paused,
    Frozen,
    Brake,
}

impl HoldCause {
    fn as_str(self) -> &'static str {
        match self {
            Self::NothingReady => "nothing-ready",
            Self::Paused => "paused",
            Self::Frozen => "frozen",
            Self::Brake => "brake",
        }
    }
}

impl Serialize for HoldCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Notification {
    /// The bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        let NotificationData { message, sets, by, cluster, .. } = &self.data;
        let texts = [Some(message), by.as_ref(), cluster.as_ref()];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + texts + sets.iter().map(SetData::size).sum::<usize>()
    }

    /// Its id: the same for the same transition of the same object, whoever sends it and how often.
    pub(crate) fn id(&self) -> String {
        let mut digest = Context::new(&SHA256);
        let mut add = |part: &str| {
            // The length keeps parts apart.
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        };
        let key = self.about.key();
        let identity = [self.what.as_str(), self.about.uid(), &key.namespace, &key.name];
        identity.into_iter().for_each(&mut add);
        add(self.data.cause.map_or("", HoldCause::as_str));
        add(&match self.id_time {
            IdTime::Exact => self.at.to_string(),
            IdTime::Rounded => format!("~{}", self.at.as_second().div_euclid(SAME.as_secs())),
        });
        for set in &self.data.sets {
            add(&set.rule);
            add(&set.to.len().to_string());
            set.to.iter().for_each(|name| add(name));
        }
        add(self.data.cluster.as_deref().unwrap_or_default());
        digest.finish().as_ref().iter().take(16).fold(String::new(), |mut hex, byte| {
            // Writing to a String does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};

    /// A failover of a split of this name.
    pub(crate) fn failover(name: &str, second: i64) -> Notification {
        let resource = Kind::TrafficSplit.api_resource("v1alpha2");
        let set = SetData {
            rule: String::new(),
            apexes: vec!["web".into()],
            from: vec!["web".into()],
            to: vec!["web-b".into()],
            pinned: false,
        };
        Notification {
            what: NotificationType::Failover,
            about: Regarding::named(ObjectKey::new("ns", name), resource).at("a-uid", "7"),
            at: Timestamp::from_second(second).unwrap(),
            id_time: IdTime::Exact,
            data: NotificationData {
                message: "Traffic of web moved from web to web-b: web: no endpoints".into(),
                sets: vec![set],
                ..NotificationData::default()
            },
        }
    }

    /// An object at another version, and what only one replica knows, change nothing.
    #[test]
    fn an_id_is_of_the_transition_and_not_of_who_reports_it() {
        let first = failover("web", 100);
        let mut again = first.clone();
        again.about = again.about.at("a-uid", "8");
        again.data.message = "Traffic of web is on web-b".into();
        again.data.sets[0].from.clear();
        assert_eq!(first.id(), again.id());
        assert_eq!(first.id().len(), 32);
    }

    #[test]
    fn what_differs_has_another_id() {
        let first = failover("web", 100);
        let changed = |change: fn(&mut Notification)| {
            let mut other = first.clone();
            change(&mut other);
            other.id()
        };
        let others = [
            changed(|n| n.what = NotificationType::Return),
            changed(|n| n.at = Timestamp::from_second(101).unwrap()),
            changed(|n| n.about = n.about.clone().at("another-uid", "7")),
            changed(|n| n.data.sets[0].to = vec!["web-c".into()]),
            changed(|n| n.data.sets[0].rule = "0".into()),
            changed(|n| n.data.cause = Some(HoldCause::Paused)),
            changed(|n| n.data.sets.clear()),
            changed(|n| n.id_time = IdTime::Rounded),
            failover("web-2", 100).id(),
        ];
        for (i, id) in others.iter().enumerate() {
            assert!(*id != first.id() && !others[..i].contains(id), "{i}");
        }
    }

    /// Replicas observe by themselves that nothing is left to fail over to.
    #[test]
    fn what_replicas_observe_at_about_the_same_time_has_one_id() {
        let id = |second| {
            let at = Timestamp::from_second(second).unwrap();
            Notification { at, id_time: IdTime::Rounded, ..failover("web", 0) }.id()
        };
        assert_eq!(id(1_200), id(1_799));
        assert_ne!(id(1_200), id(1_800));
        assert_ne!(id(-1), id(1));
    }
}
