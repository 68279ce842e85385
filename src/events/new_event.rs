//! An Event before it is published.

use crate::events::{EventAction, EventReason};
use crate::kinds::one_line::shortened;
use crate::kinds::{FIELD_MANAGER, ObjectKey};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::core::{ApiResource, DynamicObject};

/// The object that an Event is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Regarding {
    key: ObjectKey,
    kind: ApiResource,
    uid: String,
    resource_version: String,
}

impl Regarding {
    /// An object of which only the name is known.
    pub(crate) fn named(key: ObjectKey, kind: ApiResource) -> Self {
        Self { key, kind, uid: String::new(), resource_version: String::new() }
    }

    /// Our own Deployment: what Events are about that concern the program.
    pub(crate) fn deployment(key: ObjectKey) -> Self {
        Self::named(key, ApiResource::erase::<Deployment>(&()))
    }

    /// This object, in this version of it.
    pub(crate) fn object(object: &DynamicObject, kind: &ApiResource) -> Self {
        Self::named(ObjectKey::of(object), kind.clone()).at(
            object.metadata.uid.as_deref().unwrap_or_default(),
            object.metadata.resource_version.as_deref().unwrap_or_default(),
        )
    }

    /// The same, with its uid and resourceVersion.
    pub(crate) fn at(mut self, uid: &str, resource_version: &str) -> Self {
        self.uid = uid.to_owned();
        self.resource_version = resource_version.to_owned();
        self
    }

    /// Its name.
    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Its kind, as in a manifest.
    pub(crate) fn kind(&self) -> &str {
        &self.kind.kind
    }

    /// Its kind, with the group and the version in which it is served.
    pub(crate) fn api_resource(&self) -> &ApiResource {
        &self.kind
    }

    /// Its uid; empty where it is not known.
    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }
}

/// An Event to publish.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewEvent {
    regarding: Regarding,
    warning: bool,
    reason: EventReason,
    action: EventAction,
    note: String,
    at: Timestamp,
}

impl NewEvent {
    /// An Event of type Warning.
    pub(crate) fn warning(
        regarding: Regarding,
        reason: EventReason,
        action: EventAction,
        note: impl Into<String>,
    ) -> Self {
        let (note, at) = (within_limit(&note.into()), Timestamp::now());
        Self { regarding, warning: true, reason, action, note, at }
    }

    /// An Event of type Normal.
    pub(crate) fn normal(
        regarding: Regarding,
        reason: EventReason,
        action: EventAction,
        note: impl Into<String>,
    ) -> Self {
        Self { warning: false, ..Self::warning(regarding, reason, action, note) }
    }

    /// The object that it is about.
    pub(crate) fn regarding(&self) -> &Regarding {
        &self.regarding
    }

    /// When it happened, not when it is published.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// As the API has it.
    pub(crate) fn to_event(&self, replica: &str) -> Event {
        let known = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let Regarding { key, kind, uid, resource_version } = &self.regarding;
        let mut event = Event {
            event_time: Some(MicroTime(self.at)),
            type_: Some(if self.warning { "Warning" } else { "Normal" }.into()),
            reason: Some(self.reason.as_str().into()),
            action: Some(self.action.as_str().into()),
            note: Some(self.note.clone()),
            regarding: Some(ObjectReference {
                api_version: Some(kind.api_version.clone()),
                kind: Some(kind.kind.clone()),
                namespace: Some(key.namespace.to_string()),
                name: Some(key.name.to_string()),
                uid: known(uid),
                resource_version: known(resource_version),
                field_path: None,
            }),
            reporting_controller: Some(FIELD_MANAGER.into()),
            reporting_instance: Some(replica.into()),
            ..Event::default()
        };
        event.metadata.namespace = Some(key.namespace.to_string());
        // As client-go names Events: the API refuses a generateName that ends in a dot, and the name of
        // an object may be so long that there is no room for a suffix.
        let about: String = key.name.chars().take(200).collect();
        event.metadata.name =
            Some(format!("{about}.{:x}{:04x}", self.at.as_nanosecond(), fastrand::u16(..)));
        event
    }
}

/// The API refuses a note of more than 1024 bytes.
fn within_limit(note: &str) -> String {
    const MAX_BYTES: usize = 1024 - '…'.len_utf8();
    shortened(note, MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters_to_the_limit_of_the_api() {
        let note = within_limit(&"é".repeat(2_000));
        assert!(note.len() <= 1024 && note.ends_with('…'));
        assert_eq!(within_limit("short"), "short");
    }
}
