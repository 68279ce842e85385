//! The annotations by which a Service, or the credentials Secret of a cluster, is declared down.

use crate::engine::annotations::{DOWN_BY, DOWN_REASON, DOWN_UNTIL, field};
use crate::engine::{Problem, to_the_second};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Version of the JSON shape of `down-by` that this program writes and reads.
const VERSION: u32 = 1;

/// Bytes of an annotation that is read.
const LONGEST: usize = 64 * 1024;

/// A declaration that a Service is down, whatever its endpoints are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeclaredDown {
    /// When it ends by itself.
    pub until: Timestamp,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who declares it.
    pub by: DownBy,
}

/// Who declares a Service down: the content of `failover.linkerd.io/down-by`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DownBy {
    /// A person, by hand: there is no `down-by`, or none that can be read.
    Hand,
    /// A person, through this program.
    Person {
        /// The name of the user.
        person: String,
        /// Since when.
        since: Timestamp,
    },
    /// Alerts that fire.
    Alerts(Vec<DownAlert>),
}

/// An alert that declares a Service down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DownAlert {
    /// What Alertmanager knows it by.
    pub fingerprint: String,
    /// Since when it fires.
    pub since: Timestamp,
    /// When its part of the declaration ends.
    pub until: Timestamp,
}

/// What stands in the annotations.
#[derive(Debug, Default)]
pub(crate) struct DownReading {
    /// The declaration, run out or not; none where nothing readable declares the Service down.
    pub declared: Option<DeclaredDown>,
    /// What cannot be read, and counts as absent.
    pub problems: Vec<Problem>,
}

impl DeclaredDown {
    /// Reads the annotations of an object.
    pub(crate) fn read(annotations: &BTreeMap<String, String>) -> DownReading {
        let Some(text) = annotations.get(DOWN_UNTIL) else { return DownReading::default() };
        let Some(until) = time(text) else {
            return DownReading { declared: None, problems: vec![unreadable_time(text)] };
        };
        let by = annotations.get(DOWN_BY).map(|text| DownBy::parse(text));
        let (by, problem) = match by {
            None => (DownBy::Hand, None),
            Some(Ok(by)) => (by, None),
            Some(Err(problem)) => (DownBy::Hand, Some(problem)),
        };
        let reason = annotations.get(DOWN_REASON).filter(|reason| !reason.trim().is_empty());
        let declared = Self { until, reason: reason.cloned(), by };
        DownReading { declared: Some(declared), problems: problem.into_iter().collect() }
    }

    /// The values of the three annotations; none for one that is to be absent. Times are written to the
    /// second.
    pub(crate) fn to_annotations(&self) -> [(&'static str, Option<String>); 3] {
        [
            (DOWN_UNTIL, Some(to_the_second(self.until).to_string())),
            (DOWN_REASON, self.reason.clone()),
            (DOWN_BY, self.by.to_json()),
        ]
    }

    /// The same of a Service that nobody declares down.
    pub(crate) fn no_annotations() -> [(&'static str, Option<String>); 3] {
        [(DOWN_UNTIL, None), (DOWN_REASON, None), (DOWN_BY, None)]
    }

    /// Whether it has run out.
    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        self.until <= now
    }

    /// Whether alerts alone declare it. Where `down-until` is not the time of the last of them, a person
    /// has changed it by hand, and it is that person's.
    pub(crate) fn is_by_alerts(&self) -> bool {
        let DownBy::Alerts(alerts) = &self.by else { return false };
        let last = alerts.iter().map(|alert| to_the_second(alert.until)).max();
        last == Some(to_the_second(self.until))
    }

    /// Whether this program has set it as it is: one that has run out is then removed.
    pub(crate) fn is_recorded(&self) -> bool {
        match self.by {
            DownBy::Hand => false,
            DownBy::Person { .. } => true,
            DownBy::Alerts(_) => self.is_by_alerts(),
        }
    }
}

/// A merge patch that makes the annotations of an object in this version what is declared; one that is to be absent
/// is null.
pub(crate) fn patch(version: Option<String>, declared: Option<&DeclaredDown>) -> Value {
    let values = declared.map_or_else(DeclaredDown::no_annotations, DeclaredDown::to_annotations);
    let annotations: Map<String, Value> =
        values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({"metadata": {"resourceVersion": version, "annotations": annotations}})
}

impl DownBy {
    fn parse(text: &str) -> Result<Self, Problem> {
        let value = Some(text).filter(|text| text.len() <= LONGEST);
        let value = value.and_then(|text| serde_json::from_str(text).ok());
        value.and_then(Self::from_json).ok_or_else(|| {
            Problem::warning(field(DOWN_BY))
                .found(format!("{text:?}"))
                .expected(r#"{"v":1,"person":…,"since":…} or {"v":1,"alerts":[…]}, as linkerd-failover writes it"#)
                .next("without it what is declared counts as a person's: kubectl annotate … failover.linkerd.io/down-by-")
        })
    }

    fn from_json(value: Value) -> Option<Self> {
        let Record { v, alerts, person, since } = serde_json::from_value(value).ok()?;
        match (alerts, person, since) {
            _ if v != VERSION => None,
            (Some(alerts), None, _) if !alerts.is_empty() => Some(Self::Alerts(alerts)),
            (None, Some(person), Some(since)) => Some(Self::Person { person, since }),
            _ => None,
        }
    }

    /// The value of the annotation; none where there is to be none.
    fn to_json(&self) -> Option<String> {
        let none = || Record { v: VERSION, ..Record::default() };
        let record = match self {
            Self::Hand => return None,
            Self::Person { person, since } => Record {
                person: Some(person.clone()),
                since: Some(to_the_second(*since)),
                ..none()
            },
            Self::Alerts(alerts) => {
                let alerts = alerts.iter().map(DownAlert::to_the_second).collect();
                Record { alerts: Some(alerts), ..none() }
            }
        };
        serde_json::to_string(&record).ok()
    }
}

impl DownAlert {
    fn to_the_second(&self) -> Self {
        Self {
            fingerprint: self.fingerprint.clone(),
            since: to_the_second(self.since),
            until: to_the_second(self.until),
        }
    }
}

/// The JSON of `down-by`. Unknown fields are ignored; another `v` is not read at all.
#[derive(Default, Serialize, Deserialize)]
struct Record {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alerts: Option<Vec<DownAlert>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

/// Reads the time of `down-until`.
fn time(text: &str) -> Option<Timestamp> {
    Some(text).filter(|text| text.len() <= LONGEST)?.trim().parse().ok()
}

fn unreadable_time(text: &str) -> Problem {
    Problem::error(field(DOWN_UNTIL))
        .found(format!("{text:?}"))
        .expected("an RFC 3339 time such as 2026-01-31T14:30:00Z")
        .next(format!(
            "kubectl annotate --overwrite … {DOWN_UNTIL}=$(date -u -d +30min +%FT%TZ) sets one"
        ))
}

#[cfg(test)]
#[path = "declared_down_tests.rs"]
mod tests;
