//! What Alertmanager sends to a webhook: JSON of version 4, of which the alerts are read.

use crate::alerts::settings::LabelNames;
use crate::kinds::ObjectKey;
use crate::kinds::one_line::{one_line, shortened};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The version of the message that is read.
const VERSION: &str = "4";
/// Alerts in one message. The documented route groups them by Service; as many as this are taken in time where
/// another route does not.
pub(super) const MOST_ALERTS: usize = 512;
/// Alerts that a message can say are left out of it: the sender's own number, which is added to a counter.
const MOST_TRUNCATED: u64 = 100_000;
/// Bytes of a fingerprint; Alertmanager's have 16.
const LONGEST_FINGERPRINT: usize = 64;
/// Bytes of the reason that is written for people.
const LONGEST_REASON: usize = 256;
/// Bytes of the name of a Service or a namespace.
const LONGEST_NAME: usize = 63;

/// A message, as far as it is used.
#[derive(Debug)]
pub(super) struct Notification {
    /// Each alert, or what is wrong with it.
    pub alerts: Vec<Result<Alert, InvalidAlert>>,
    /// How many alerts were left out.
    pub truncated: u64,
}

/// An alert about a Service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert {
    /// What Alertmanager knows it by.
    pub fingerprint: String,
    pub status: AlertStatus,
    pub service: ObjectKey,
    /// Its name and its summary, for people.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AlertStatus {
    Firing,
    Resolved,
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the body is no webhook message of Alertmanager: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "version: found {0:?}, expected {VERSION:?}, which Alertmanager's webhook_configs send"
    )]
    Version(String),
    #[error(
        "alerts: found {0}, expected at most {MOST_ALERTS} in one message; group the route by namespace, service and alertname"
    )]
    TooMany(usize),
}

/// What is wrong with an alert.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("alert {alert:?}: {field}: found {found}, expected {expected}")]
pub(super) struct InvalidAlert {
    pub alert: String,
    pub status: AlertStatus,
    field: String,
    found: String,
    expected: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    version: String,
    alerts: Vec<SentAlert>,
    #[serde(default)]
    truncated_alerts: u64,
}

#[derive(Deserialize)]
struct SentAlert {
    status: AlertStatus,
    #[serde(default, deserialize_with = "empty_where_null")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "empty_where_null")]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    fingerprint: String,
}

/// An empty map of a Go program may be null.
fn empty_where_null<'de, D: Deserializer<'de>>(
    map: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(map)?.unwrap_or_default())
}

impl Notification {
    /// Reads a message.
    pub(super) fn read(body: &[u8], labels: &LabelNames) -> Result<Self, MessageError> {
        let message: Message = serde_json::from_slice(body)?;
        if message.version != VERSION {
            return Err(MessageError::Version(shortened(&message.version, LONGEST_NAME)));
        }
        if message.alerts.len() > MOST_ALERTS {
            return Err(MessageError::TooMany(message.alerts.len()));
        }
        let alerts = message.alerts.into_iter().map(|alert| alert.read(labels)).collect();
        Ok(Self { alerts, truncated: message.truncated_alerts.min(MOST_TRUNCATED) })
    }
}

impl SentAlert {
    fn read(self, labels: &LabelNames) -> Result<Alert, InvalidAlert> {
        let namespace =
            self.name_in(&labels.namespace, "the namespace of the Service that fails")?;
        let service = self.name_in(&labels.service, "the name of the Service that fails")?;
        if !is_fingerprint(&self.fingerprint) {
            let expected = "what Alertmanager knows an alert by, such as 9f2c41d8a07be315";
            return Err(self.invalid("fingerprint".into(), Some(&self.fingerprint), expected));
        }
        let (service, reason) = (ObjectKey::new(namespace, service), self.reason());
        Ok(Alert { fingerprint: self.fingerprint, status: self.status, service, reason })
    }

    /// The name of a namespace or a Service that a label has.
    fn name_in(&self, label: &str, expected: &'static str) -> Result<&str, InvalidAlert> {
        let found = self.labels.get(label).map(String::as_str);
        let invalid = || self.invalid(format!("labels[{label:?}]"), found, expected);
        found.filter(|name| is_name(name)).ok_or_else(invalid)
    }

    fn invalid(&self, field: String, found: Option<&str>, expected: &'static str) -> InvalidAlert {
        let found = match found {
            Some(found) => format!("{:?}", shortened(found, LONGEST_NAME)),
            None => "none".into(),
        };
        let alert = shortened(self.name(), LONGEST_NAME);
        InvalidAlert { alert, status: self.status, field, found, expected }
    }

    fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    /// `<alertname>: <summary>`, in one line.
    fn reason(&self) -> String {
        let texts = ["summary", "description", "message"];
        let text = texts.iter().find_map(|name| self.annotations.get(*name));
        let name = if self.name().is_empty() { "an alert" } else { self.name() };
        let reason = match text {
            Some(text) => format!("{name}: {text}"),
            None => name.to_owned(),
        };
        let reason = one_line(&reason);
        let line: Vec<&str> = reason.split_whitespace().collect();
        shortened(&line.join(" "), LONGEST_REASON)
    }
}

/// Whether a text can be the name of a Service, and of a namespace: a DNS label.
fn is_name(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_fingerprint(text: &str) -> bool {
    let length = 1..=LONGEST_FINGERPRINT;
    length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
#[path = "notification_tests.rs"]
mod tests;
