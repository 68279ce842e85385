//! The watch of the Secrets that link clusters, in one namespace.

use crate::clock::backoff::Backoff;
use crate::informers::list_watch::{config, list_watch};
use crate::informers::remote::credentials::{AllCredentials, Credentials, CredentialsSecret, TYPE};
use crate::telemetry::LastReceived;
use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;

const RETRY: Backoff = Backoff::steps(&[Duration::from_secs(2)]);

/// A change of the Secrets of a namespace, which is named by its place.
pub(super) enum SecretEvent {
    Listed(usize, Vec<NamedCredentials>),
    Set(usize, String, Option<Box<Credentials>>),
    Deleted(usize, String),
    /// They cannot be listed for now.
    Unlisted(usize),
}

/// The name of a Secret, and what it has; none where it names no cluster.
type NamedCredentials = (String, Option<Credentials>);

impl SecretEvent {
    /// The place of a namespace whose LIST was answered, or failed.
    pub(super) fn tried(&self) -> Option<usize> {
        match self {
            Self::Listed(place, _) | Self::Unlisted(place) => Some(*place),
            Self::Set(..) | Self::Deleted(..) => None,
        }
    }

    pub(super) fn enter(self, all: &mut AllCredentials) {
        match self {
            Self::Listed(place, secrets) => {
                all.retain(|(there, _), _| *there != place);
                let secrets = secrets.into_iter();
                all.extend(secrets.filter_map(|(name, read)| Some(((place, name), read?))));
            }
            Self::Set(place, name, Some(credentials)) => {
                all.insert((place, name), *credentials);
            }
            Self::Set(place, name, None) | Self::Deleted(place, name) => {
                all.remove(&(place, name));
            }
            Self::Unlisted(_) => {}
        }
    }
}

/// The watch of the Secrets of one namespace.
pub(super) struct SecretsWatch {
    pub api: Api<CredentialsSecret>,
    pub namespace: String,
    /// The namespace's place in the order of precedence.
    pub place: usize,
    pub events: mpsc::UnboundedSender<SecretEvent>,
    pub received: LastReceived,
}

impl SecretsWatch {
    /// Watches until dropped. While the Secrets cannot be read, the credentials stay: a cluster is not gone
    /// because its Secret may not be read.
    pub(super) async fn run(self) {
        let mut is_reported = false;
        loop {
            let (was_listed, error) = self.watch_once().await;
            // The receiver is gone while the process stops.
            let _ = self.events.send(SecretEvent::Unlisted(self.place));
            if was_listed || !is_reported {
                self.warn(error.as_ref());
            }
            is_reported = true;
            tokio::time::sleep(RETRY.jittered(1)).await;
        }
    }

    /// Lists and watches until that ends. Returns whether it has been listed, and what went wrong.
    async fn watch_once(&self) -> (bool, Option<watcher::Error>) {
        let config = config().fields(&format!("type={TYPE}"));
        let mut events = pin!(list_watch(self.api.clone(), config, self.received.clone()));
        let (mut listing, mut is_listed) = (vec![], false);
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => return (is_listed, Some(error)),
            };
            is_listed |= matches!(event, Event::InitDone);
            if let Some(event) = self.read(event, &mut listing) {
                // The receiver is gone while the process stops.
                let _ = self.events.send(event);
            }
        }
        (is_listed, None)
    }

    /// The change that an event of the watch is, with those of a LIST together at its end.
    fn read(
        &self,
        event: Event<CredentialsSecret>,
        listing: &mut Vec<NamedCredentials>,
    ) -> Option<SecretEvent> {
        let read = |secret: &CredentialsSecret| (secret.name_any(), Credentials::read(secret));
        match event {
            Event::Init => {
                listing.clear();
                None
            }
            Event::InitApply(secret) => {
                listing.push(read(&secret));
                None
            }
            Event::InitDone => Some(SecretEvent::Listed(self.place, std::mem::take(listing))),
            Event::Apply(secret) => {
                let (name, credentials) = read(&secret);
                Some(SecretEvent::Set(self.place, name, credentials.map(Box::new)))
            }
            Event::Delete(secret) => Some(SecretEvent::Deleted(self.place, secret.name_any())),
        }
    }

    fn warn(&self, error: Option<&watcher::Error>) {
        // The text of other errors may quote what was read.
        let why = match error {
            Some(watcher::Error::InitialListFailed(kube::Error::Api(status))) => &status.message,
            _ => "the API server does not answer",
        };
        tracing::warn!(
            namespace = self.namespace,
            why,
            "the credentials of linked clusters cannot be read; what is known of them stays"
        );
    }
}
