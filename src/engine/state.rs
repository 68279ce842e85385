//! The `state` annotation: what was decided, for the replica that decides next.

use crate::engine::recorded_down::RecordedDowns;
use crate::engine::{BySet, Peaks, ShortPorts, SteadyTime, Weights};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Version of the JSON shape that this program writes and reads.
const VERSION: u32 = 1;

/// The replica that decides: recorded in every state, so that replicas know each other's decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the replica.
    pub replica: Arc<str>,
    /// Version of its engine.
    pub engine: Arc<str>,
}

impl Identity {
    /// A replica of this very program.
    pub fn new(replica: impl Into<Arc<str>>) -> Self {
        Self { replica: replica.into(), engine: env!("CARGO_PKG_VERSION").into() }
    }
}

/// The content of `failover.linkerd.io/state`.
///
/// Unknown fields are ignored, so that an older replica reads what a newer one wrote; another
/// `v` is not read at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    v: u32,
    /// Per set of backends: `""` for an object that has one, otherwise one per rule of a route.
    pub sets: BySet<SetState>,
    /// What stands as `primary-service` because the author named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaulted_primary: Option<String>,
    /// The resourceVersion that the last author's edit was admitted on. A webhook that is called
    /// again for the same request knows its own work by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<String>,
    /// Pods that were announced to be deleted, by uid, and until when that is believed. They count
    /// as gone; one that a move rested on is not believed a second time soon.
    #[serde(default, rename = "leaving", skip_serializing_if = "BTreeMap::is_empty")]
    pub announced_pods: AnnouncedPodUids,
    /// The replica that decided.
    #[serde(default)]
    pub by: String,
    /// Version of the engine that decided.
    #[serde(default)]
    pub engine: String,
}

/// What was decided for one set of backends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetState {
    /// The backends that get traffic.
    pub active: Vec<String>,
    /// Since when these are the active ones, to the second.
    pub since: Timestamp,
    /// Why, for people.
    #[serde(default)]
    pub why: String,
    /// The weights last written.
    #[serde(default)]
    pub weights: Weights,
    /// Since when traffic has been off the primary because of a loss: a manual stay began then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Timestamp>,
    /// Pending delays, to the millisecond: since when an active backend has been lost, or a better
    /// one back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: RecordedDelays,
    /// Traffic is here because of a pin.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pinned: bool,
    /// The primary has not been ready since the object began.
    #[serde(default, skip_serializing_if = "is_false")]
    pub awaiting_primary: bool,
    /// Of a backend that fell short of a percentage: the most of its endpoints that had been ready.
    /// Without it the loss would be forgotten with a restart, or after ten minutes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peaks: Peaks,
    /// Ports that backends have served and serve no more: without it a restart would forget the loss.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub short: ShortPorts,
    /// Backends that traffic has left because they were declared down, and those that it may have returned to
    /// lately: declared down again, they stay away longer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub down: RecordedDowns,
    /// Since when no backend has been ready, where that has been reported: a new leader does not
    /// report it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing_ready: Option<Timestamp>,
    /// The backends that are left early: their loss has not been observed.
    #[serde(default, rename = "ahead", skip_serializing_if = "Vec::is_empty")]
    pub left_early: Vec<String>,
    /// The primary that was filled in because the author named none: it stays so in a failover,
    /// whatever the order of the backends becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The backend that was first then, where it was another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

impl SetState {
    /// Whether the traffic is somewhere, and on none of these.
    pub fn is_away_from<'a>(&self, primaries: impl IntoIterator<Item = &'a str>) -> bool {
        let mut primaries = primaries.into_iter();
        !self.active.is_empty() && !primaries.any(|p| self.active.iter().any(|name| name == p))
    }
}

/// Until when it is believed that a pod is about to be deleted, by uid.
pub(crate) type AnnouncedPodUids = BTreeMap<String, Timestamp>;

/// The starts of pending delays, by backend, as a process has observed them.
pub type PendingDelays = BTreeMap<String, SteadyTime>;

/// The same as they are recorded in an annotation.
pub type RecordedDelays = BTreeMap<String, Timestamp>;

/// Whether delays that were written down and read back are these very ones: a clock that is slewed
/// in between makes them differ a little.
pub(super) fn same_delays(one: &PendingDelays, other: &PendingDelays) -> bool {
    let near = |(a, b): (&SteadyTime, &SteadyTime)| a.duration_until(*b).abs().as_secs() < 1;
    one.keys().eq(other.keys()) && one.values().zip(other.values()).all(near)
}

impl SetState {
    /// The same, with these backends by other names.
    pub fn renamed(self, names: &HashMap<String, String>) -> Self {
        let name = |name: String| names.get(&name).cloned().unwrap_or(name);
        let names = |all: Vec<String>| all.into_iter().map(name).collect();
        Self {
            active: names(self.active),
            left_early: names(self.left_early),
            weights: self
                .weights
                .into_iter()
                .map(|(backend, weight)| (name(backend), weight))
                .collect(),
            pending: renamed(self.pending, name),
            // Of one of several ports: `backend#port`.
            peaks: renamed(self.peaks, |key| match key.split_once('#') {
                Some((backend, port)) => format!("{}#{port}", name(backend.to_owned())),
                None => name(key),
            }),
            short: renamed(self.short, name),
            down: renamed(self.down, name),
            primary: self.primary.map(name),
            first: self.first.map(name),
            ..self
        }
    }
}

fn renamed<T>(of: BTreeMap<String, T>, name: impl Fn(String) -> String) -> BTreeMap<String, T> {
    of.into_iter().map(|(backend, value)| (name(backend), value)).collect()
}

// serde demands the reference.
fn is_false(flag: &bool) -> bool {
    !flag
}

impl State {
    /// The state of an object's sets, as a replica decided it.
    pub fn new(by: &Identity, sets: BySet<SetState>) -> Self {
        Self {
            v: VERSION,
            sets,
            defaulted_primary: None,
            edited: None,
            announced_pods: AnnouncedPodUids::new(),
            by: by.replica.to_string(),
            engine: by.engine.to_string(),
        }
    }

    /// Reads the annotation. What cannot be read is as if absent: the state is ours, so it is
    /// decided again rather than reported to the author.
    pub fn parse(annotation: &str) -> Option<Self> {
        serde_json::from_str(annotation).ok().filter(|state: &Self| state.v == VERSION)
    }

    /// A state that knows of nothing but a defaulted primary: all that is believed of one that an
    /// author brings along.
    pub fn only_default(primary: String) -> Self {
        Self {
            v: VERSION,
            sets: BySet::new(),
            defaulted_primary: Some(primary),
            edited: None,
            announced_pods: AnnouncedPodUids::new(),
            by: String::new(),
            engine: String::new(),
        }
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::recorded_down::RecordedDown;

    fn state(set: SetState) -> State {
        State::new(&Identity::new("replica-a"), BySet::from([(String::new(), set)]))
    }

    #[test]
    fn a_state_reads_back_as_it_was_written() {
        let mut state = state(SetState {
            active: vec!["emoji-svc-west".into()],
            since: Timestamp::UNIX_EPOCH,
            why: "emoji-svc: no endpoints".into(),
            weights: Weights::from([("emoji-svc".into(), 0), ("emoji-svc-west".into(), 1)]),
            left: Some(Timestamp::UNIX_EPOCH),
            pending: RecordedDelays::from([("emoji-svc".into(), Timestamp::UNIX_EPOCH)]),
            pinned: true,
            awaiting_primary: true,
            peaks: BTreeMap::from([("emoji-svc".into(), 10)]),
            short: BTreeMap::from([("emoji-svc".into(), vec![vec!["grpc".into()]])]),
            down: RecordedDowns::from([(
                "emoji-svc".into(),
                RecordedDown {
                    since: Timestamp::UNIX_EPOCH,
                    least: 120,
                    returned: Some(Timestamp::UNIX_EPOCH),
                    person: true,
                },
            )]),
            nothing_ready: Some(Timestamp::UNIX_EPOCH),
            left_early: vec!["emoji-svc".into()],
            primary: Some("emoji-svc".into()),
            first: Some("emoji-svc-west".into()),
        });
        state.defaulted_primary = Some("emoji-svc".into());
        state.announced_pods.insert("a-pods-uid".into(), Timestamp::UNIX_EPOCH);
        assert_eq!(State::parse(&state.to_annotation()), Some(state));
    }

    #[test]
    fn what_is_usual_takes_no_room() {
        let set = SetState { active: vec!["a".into()], ..SetState::default() };
        let text = state(set).to_annotation();
        for absent in [
            "left", "pending", "pinned", "awaiting", "peaks", "short", "down", "nothing", "edited",
            "leaving", "ahead", "primary", "first",
        ] {
            assert!(!text.contains(absent), "{text}");
        }
    }

    #[test]
    fn another_version_or_garbage_is_as_if_absent() {
        for text in ["", "{", "null", "[]", r#"{"v":2,"sets":{}}"#, r#"{"v":1}"#] {
            assert_eq!(State::parse(text), None, "{text}");
        }
    }

    #[test]
    fn fields_of_a_newer_version_are_ignored() {
        assert!(State::parse(r#"{"v":1,"sets":{},"later":["pod"]}"#).is_some());
    }

    #[test]
    fn a_renamed_backend_has_its_new_name_in_all_that_is_recorded_of_it() {
        let of = |name: &str| SetState {
            active: vec![name.into(), "other".into()],
            weights: Weights::from([(name.into(), 1)]),
            pending: RecordedDelays::from([(name.into(), Timestamp::UNIX_EPOCH)]),
            peaks: BTreeMap::from([(name.into(), 10), (format!("{name}#web"), 5)]),
            short: BTreeMap::from([(name.into(), vec![vec!["web".into()]])]),
            down: RecordedDowns::from([(
                name.into(),
                RecordedDown {
                    since: Timestamp::UNIX_EPOCH,
                    least: 1,
                    returned: None,
                    person: true,
                },
            )]),
            left_early: vec![name.into()],
            primary: Some(name.into()),
            first: Some(name.into()),
            why: "web: no endpoints".into(),
            ..SetState::default()
        };
        let names = HashMap::from([("web".to_owned(), "web:80".to_owned())]);
        assert_eq!(of("web").renamed(&names), of("web:80"));
    }
    #[test]
    fn of_what_an_author_brings_along_only_the_default_is_believed() {
        let state = State::only_default("emoji-svc".into());
        assert_eq!(state.defaulted_primary.as_deref(), Some("emoji-svc"));
        assert!(state.sets.is_empty() && state.by.is_empty() && state.engine.is_empty());
        assert_eq!(State::parse(&state.to_annotation()), Some(state));
    }

    #[test]
    fn a_record_names_the_replica_and_the_version_of_its_engine() {
        let state = state(SetState::default());
        assert_eq!((&*state.by, &*state.engine), ("replica-a", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn traffic_is_away_from_primaries_where_it_is_on_none_of_them() {
        let on = |active: &[&str]| SetState {
            active: active.iter().map(|name| (*name).into()).collect(),
            ..SetState::default()
        };
        assert!(on(&["b"]).is_away_from(["a"]));
        assert!(!on(&["a", "b"]).is_away_from(["a"]) && !on(&["b"]).is_away_from(["a", "b"]));
        assert!(!on(&[]).is_away_from(["a"]), "of no traffic nobody knows where it is");
    }

    #[test]
    fn delays_are_the_same_within_a_second() {
        let delays = |of: &[(&str, i64)]| -> PendingDelays {
            let at = |millis| SteadyTime::starting_at(Timestamp::from_millisecond(millis).unwrap());
            of.iter().map(|(name, millis)| ((*name).to_owned(), at(*millis))).collect()
        };
        let one = delays(&[("a", 5_000), ("b", 9_000)]);
        for (other, is_same) in [
            (&[("a", 5_000), ("b", 9_000)][..], true),
            (&[("a", 5_999), ("b", 8_001)], true),
            (&[("a", 6_000), ("b", 9_000)], false),
            (&[("a", 5_000), ("b", 8_000)], false),
            (&[("a", 5_000), ("c", 9_000)], false),
            (&[("a", 5_000)], false),
        ] {
            assert_eq!(same_delays(&one, &delays(other)), is_same, "{other:?}");
        }
    }
}
