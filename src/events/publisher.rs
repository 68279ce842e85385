//! Events: told after the fact, while no write is under way that is about to be answered.
//!
//! By hand because kube's `Recorder` joins Events by object and reason whatever their note, so a
//! second failover would be told with the words of the first.

use crate::housekeeping::survey::Unmanaged;
use crate::index::managed_object::ManagedObject;
use crate::index::remote::reach::Transition;
use crate::index::store::Index;
use crate::informers::remote::transitions::LinkTransition;
use crate::kinds::{FIELD_MANAGER, ObjectKey, ObjectRef, brief};
use crate::reconciler::plan::{Flip, Write, WriteKind};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::core::ApiResource;
use kube::{Api, Client};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// An Event to publish.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewEvent {
    about: ObjectKey,
    kind: ApiResource,
    uid: String,
    resource_version: String,
    warning: bool,
    reason: &'static str,
    action: &'static str,
    note: String,
    at: Timestamp,
}

impl NewEvent {
    /// Traffic moved: Warning where it left the primary, Normal where it returned.
    pub(crate) fn flipped(write: &Write, flip: &Flip) -> Self {
        let action = if flip.on_primary { "Failback" } else { "Failover" };
        Self::of_write(write).saying(!flip.on_primary, "Failover", action, flip.note.clone())
    }

    /// A write that the API server or a webhook refused.
    pub(crate) fn refused(write: &Write, error: &str) -> Self {
        let wanted = match &write.kind {
            WriteKind::Flip(flip) => flip.should(),
            WriteKind::Correction => "The weights should be put right".into(),
            WriteKind::Record | WriteKind::Disclaim => "The state should be recorded".into(),
        };
        let note = format!("{wanted}. The write failed and is tried again: {error}");
        Self::of_write(write).saying(true, "FailoverRefused", "Failover", note)
    }

    /// A move that is not made, by a person's word.
    pub(crate) fn held(write: &Write, flip: &Flip, why: &str) -> Self {
        let note = format!("{}. Nothing is written: {why}", flip.should());
        Self::of_write(write).saying(true, "FailoverHeld", "Failover", note)
    }

    /// Weights that somebody wrote past the webhook are the author's from now on.
    pub(crate) fn edited(write: &Write, note: &str) -> Self {
        Self::of_write(write).saying(false, "WeightsTaken", "Record", note.to_owned())
    }

    /// Another writer keeps taking our weights back.
    pub(crate) fn undone(write: &Write, who: &str, times: u32) -> Self {
        let note = format!(
            "The weights written here were undone {times} times, last by field manager {who}. They are written again, ever less often: let {who} ignore {} of this object, or let its writes pass the webhook of linkerd-failover",
            write.object.kind.weights_path()
        );
        Self::of_write(write).saying(true, "WeightsUndone", "Failover", note)
    }

    /// An object that cannot be read, or not in every part.
    pub(crate) fn unreadable(
        object: &ObjectRef,
        version: &'static str,
        managed: &ManagedObject,
        causes: &str,
    ) -> Self {
        let what = match managed.sets.is_err() {
            true => "This object is left as it is and does not fail over",
            false => "A part of this object cannot be read; the rest of it fails over",
        };
        let note = format!("{what}: {causes}");
        Self::of_object(object, version, &managed.uid, &managed.resource_version).saying(
            true,
            "Unreadable",
            "Read",
            note,
        )
    }

    /// A route with rules that do not fail over until their author names their primaries.
    pub(crate) fn without_primary(
        object: &ObjectRef,
        version: &'static str,
        managed: &ManagedObject,
        rules: &str,
    ) -> Self {
        let note = format!("Some rules are left as they are: {rules}");
        Self::of_object(object, version, &managed.uid, &managed.resource_version).saying(
            true,
            "NoPrimary",
            "Read",
            note,
        )
    }

    /// A route that Linkerd does not use as it stands.
    pub(crate) fn not_in_use(
        object: &ObjectRef,
        version: &'static str,
        managed: &ManagedObject,
        why: &str,
    ) -> Self {
        let note = format!("Linkerd does not route by this object as it stands: {why}");
        Self::of_object(object, version, &managed.uid, &managed.resource_version).saying(
            true,
            "RouteNotInUse",
            "Read",
            note,
        )
    }

    /// Backends that do not serve a port which callers ask for.
    pub(crate) fn short(
        object: &ObjectRef,
        index: &Index,
        managed: &ManagedObject,
        why: &str,
    ) -> Self {
        Self::of_split(object, index, managed).saying(true, "PortNotServed", "Read", why.to_owned())
    }

    /// An object that has nothing ready, or has something ready again.
    pub(crate) fn nothing_ready(
        object: &ObjectRef,
        version: &'static str,
        managed: &ManagedObject,
        begins: bool,
        note: String,
    ) -> Self {
        Self::of_object(object, version, &managed.uid, &managed.resource_version).saying(
            begins,
            "NothingReady",
            "Read",
            note,
        )
    }

    /// A ServiceProfile that is not ours to write.
    pub(crate) fn profile_left(
        split: &ObjectRef,
        index: &Index,
        managed: &ManagedObject,
        why: &str,
    ) -> Self {
        let note = format!("The weights of this split do not reach Linkerd: {why}");
        Self::of_split(split, index, managed).saying(true, "ProfileNotWritten", "Write", note)
    }

    /// A write of a ServiceProfile that the API server or a webhook refused.
    pub(crate) fn profile_refused(
        split: &ObjectRef,
        index: &Index,
        managed: &ManagedObject,
        profile: &str,
        error: &str,
    ) -> Self {
        let note = format!(
            "The weights of this split should be in ServiceProfile {profile}. The write failed and is tried again: {error}"
        );
        Self::of_split(split, index, managed).saying(true, "ProfileRefused", "Write", note)
    }

    /// Another writer keeps taking our overrides back.
    pub(crate) fn profile_undone(
        split: &ObjectRef,
        index: &Index,
        managed: &ManagedObject,
        profile: &str,
        times: u32,
    ) -> Self {
        let note = format!(
            "What is written here to ServiceProfile {profile} was undone {times} times. It is written again, ever less often: see who writes it with kubectl get serviceprofiles.linkerd.io {profile} -o yaml --show-managed-fields"
        );
        Self::of_split(split, index, managed).saying(true, "ProfileUndone", "Write", note)
    }

    fn of_split(split: &ObjectRef, index: &Index, managed: &ManagedObject) -> Self {
        let version = index.served(split.kind).unwrap_or(split.kind.versions()[0]);
        Self::of_object(split, version, &managed.uid, &managed.resource_version)
    }

    fn of_write(write: &Write) -> Self {
        Self::of_object(&write.object, write.version, &write.uid, &write.resource_version)
    }

    /// What became of a linked cluster, about the Secret that it is linked by.
    pub(crate) fn of_link(told: &LinkTransition) -> Self {
        let (warning, reason) = match told.what {
            Transition::Unreachable => (true, "RemoteUnreachable"),
            Transition::Down => (true, "RemoteDown"),
            Transition::Unverified => (true, "RemoteUnverified"),
            Transition::Failing => (true, "RemoteFailing"),
            Transition::Refused => (true, "RemoteRefused"),
            Transition::Seen | Transition::Reachable | Transition::Idle | Transition::Unlinked => {
                (false, "RemoteReachable")
            }
        };
        let secret = &told.secret;
        let key = ObjectKey::new(&secret.namespace, &secret.name);
        let kind = ApiResource::erase::<Secret>(&());
        let said = Self::new(key, kind, &secret.uid, &secret.resource_version);
        said.saying(warning, reason, "Watch", told.note.clone())
    }

    /// The program's own namespace has not the label of an extension. Said of the Deployment: an
    /// Event about a namespace would be in the namespace `default`.
    pub(crate) fn not_labelled(deployment: &str, namespace: &str, note: String) -> Self {
        let kind = ApiResource::erase::<Deployment>(&());
        let said = Self::new(ObjectKey::new(namespace, deployment), kind, "", "");
        said.saying(true, "NamespaceNotLabelled", "Label", note)
    }

    /// Fewer namespaces are managed than before.
    pub(crate) fn narrowed(deployment: &str, namespace: &str, note: String) -> Self {
        let kind = ApiResource::erase::<Deployment>(&());
        let said = Self::new(ObjectKey::new(namespace, deployment), kind, "", "");
        said.saying(true, "NamespacesLeft", "Read", note)
    }

    /// What bears our marks and is not managed.
    pub(crate) fn unmanaged(one: &Unmanaged) -> Self {
        let said = Self::new(one.about.clone(), one.kind.clone(), &one.uid, &one.resource_version);
        said.saying(true, one.reason, "Read", one.note.clone())
    }

    fn of_object(
        object: &ObjectRef,
        version: &'static str,
        uid: &str,
        resource_version: &str,
    ) -> Self {
        let kind = object.kind.api_resource(version);
        Self::new(object.key.clone(), kind, uid, resource_version)
    }

    fn new(about: ObjectKey, kind: ApiResource, uid: &str, resource_version: &str) -> Self {
        Self {
            about,
            kind,
            uid: uid.to_owned(),
            resource_version: resource_version.to_owned(),
            warning: false,
            reason: "",
            action: "",
            note: String::new(),
            at: Timestamp::now(),
        }
    }

    fn saying(
        mut self,
        warning: bool,
        reason: &'static str,
        action: &'static str,
        note: String,
    ) -> Self {
        self.warning = warning;
        self.reason = reason;
        self.action = action;
        self.note = shortened(note);
        self
    }

    fn event(&self, replica: &str) -> Event {
        let known = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let mut event = Event {
            event_time: Some(MicroTime(self.at)),
            type_: Some(if self.warning { "Warning" } else { "Normal" }.into()),
            reason: Some(self.reason.into()),
            action: Some(self.action.into()),
            note: Some(self.note.clone()),
            regarding: Some(ObjectReference {
                api_version: Some(self.kind.api_version.clone()),
                kind: Some(self.kind.kind.clone()),
                namespace: Some(self.about.namespace.to_string()),
                name: Some(self.about.name.to_string()),
                uid: known(&self.uid),
                resource_version: known(&self.resource_version),
                field_path: None,
            }),
            reporting_controller: Some(FIELD_MANAGER.into()),
            reporting_instance: Some(replica.into()),
            ..Event::default()
        };
        event.metadata.namespace = Some(self.about.namespace.to_string());
        // client-go's way: a generateName that ends in a dot is refused for Events, and the name
        // of the object leaves no room for more where it is as long as it may be.
        let about: String = self.about.name.chars().take(200).collect();
        event.metadata.name =
            Some(format!("{about}.{:x}{:04x}", self.at.as_nanosecond(), fastrand::u16(..)));
        event
    }
}

/// The API refuses a note of more than 1024 bytes.
fn shortened(mut note: String) -> String {
    const MOST: usize = 1024 - '…'.len_utf8();
    if note.len() > MOST {
        let end = (0..=MOST).rev().find(|i| note.is_char_boundary(*i)).unwrap_or(0);
        note.truncate(end);
        note.push('…');
    }
    note
}

/// Events under way at once: one that hangs holds up no other.
const AT_ONCE: usize = 8;

/// No Event is held back for longer, counted from when it was said.
const HELD_BACK: Duration = Duration::from_secs(30);

/// An API server may take so long, as for any write.
const PATIENCE: Duration = Duration::from_secs(40);

/// Publishes what is said, while `busy` is 0 or has not been for too long; ends with the senders.
pub(crate) async fn publisher(
    client: Client,
    replica: Arc<str>,
    said: mpsc::Receiver<NewEvent>,
    busy: watch::Receiver<usize>,
) {
    let said = futures::stream::unfold((said, busy), async |(mut said, mut busy)| {
        let next = said.recv().await?;
        // Events share the API server's CPU with the writes that callers wait for.
        let held = Timestamp::now().duration_since(next.at).unsigned_abs();
        let quiet = busy.wait_for(|busy| *busy == 0);
        let _ = tokio::time::timeout(HELD_BACK.saturating_sub(held), quiet).await;
        Some((next, (said, busy)))
    });
    said.for_each_concurrent(AT_ONCE, |said| publish(&client, &replica, said)).await;
}

async fn publish(client: &Client, replica: &str, said: NewEvent) {
    let api: Api<Event> = Api::namespaced(client.clone(), &said.about.namespace);
    let (params, event) = (PostParams::default(), said.event(replica));
    match tokio::time::timeout(PATIENCE, api.create(&params, &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(object = %said.about, error = brief(&error), "Event was not published");
        }
        Err(_) => tracing::warn!(object = %said.about, "Event was not published in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters_to_what_the_api_takes() {
        let note = shortened("é".repeat(2_000));
        assert!(note.len() <= 1024 && note.ends_with('…'));
        assert_eq!(shortened("short".into()), "short");
    }
}
